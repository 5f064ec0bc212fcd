"""Ansible module: join a lab's servers and wait until they are one ready cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: consul_cluster
short_description: Join the servers of a lab and wait until the cluster is ready
description:
  - Runs C(consul join) on the first server with the addresses of the others, as a person would by hand, and counts the
    members, because C(consul join) also succeeds when it reached only one of several.
  - Where it may join, it holds the lab's lock until the lab is ready, and joins the servers that the lab has then.
  - Ready means that every server names the same leader, all are voters, and every server applied one committed write,
    twice in a row. The two writes are a PUT and a DELETE of one key, so none is left.
  - With O(without), the servers that are left are asked for the same, and for a leader among themselves. Those that are
    stopped go on counting as voters.
author: The labctl authors (@raft-labctl)
attributes:
  check_mode:
    support: full
    description: Reports whether servers would be joined, and the cluster as it is now; does not wait.
  diff_mode:
    support: none
    description: Its changes are in no file.
  facts:
    support: full
    description: Sets C(consul_lab_members) where O(members) was left out.
  idempotent:
    support: full
    description: Servers that know each other are not joined again.
options:
  name:
    description: The lab's name.
    type: str
    required: true
  members:
    description:
      - The servers, as the fact C(consul_lab_members) has them. Left out, the module looks for them and sets that fact.
        With O(join), a lab that somebody has changed since is taken as it is now.
    type: list
    elements: dict
    suboptions:
      name: {description: The server's name., type: str, required: true}
      container: {description: Its container's name., type: str, required: true}
      state: {description: Docker's word for its state., type: str, default: ""}
      address: {description: Its address in the lab., type: str, default: ""}
      http_port: {description: Its HTTP port on the Docker host's loopback., type: int}
      profile: {description: The lab's profile., type: str, default: gossip}
  join:
    description: Join servers that do not know each other. Where V(false), a lab that never was joined is left alone.
    type: bool
    default: true
  without:
    description: Names of servers that are stopped on purpose. One that runs is refused, because it could lead and vote.
    type: list
    elements: str
    default: []
  after_term:
    description: The leader must be one of a newer term than this.
    type: int
    default: 0
  timeout:
    description: Seconds until the module gives up and reports each server's view.
    type: int
    default: 120
  elapsed:
    description:
      - How many seconds of O(timeout) were over before the module began. It always has one left, to report what it saw.
    type: float
    default: 0
  lock_mark:
    description:
      - The mark of a lock on the lab that the caller holds already, as labctl does for a whole command. The
        action plugin beside this module fills it in.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Join the servers
  raft.labctl.consul_cluster:
    name: ada

- name: Wait until another server leads after consul1, which led in term 2 and was stopped
  raft.labctl.consul_cluster:
    name: ada
    members: "{{ consul_lab_members }}"
    join: false
    without: [consul1]
    after_term: 2
"""

RETURN = r"""
joined:
  description: Whether the servers know each other.
  type: bool
  returned: success
command:
  description: The join that was run, as a person would type it; empty where none was needed.
  type: str
  returned: success
cluster:
  description: The cluster as the servers see it.
  type: dict
  returned: success
  contains:
    leader: {description: Name of the leader., type: str}
    term: {description: Raft's term., type: int}
    voters: {description: How many servers vote., type: int}
    commit_index: {description: Index of the last committed log entry at the leader., type: int}
    servers: {description: Name; address; and role of each server that was asked., type: list, elements: dict}
    seconds:
      description: >-
        How long the C(join) and the C(election) took; with O(without), C(leaderless) is the time from when the last of
        them had stopped until the others agreed on a leader. Not in check mode.
      type: dict
ansible_facts:
  description: Facts of the lab.
  type: dict
  returned: success
  contains:
    consul_lab_cluster:
      description: The same as C(cluster).
      type: dict
    consul_lab_members:
      description: The servers, as M(raft.labctl.consul_lab_info) gives them; where O(members) was left out.
      type: list
      elements: dict
"""

import contextlib
import functools
import math
import os
import time
from typing import TYPE_CHECKING, Any

from ..module_utils import module_runner
from ..module_utils.cluster_join import EYES, Cluster, ClusterTools, NotReadyError
from ..module_utils.shared import durations, lab_hold, lock_holder, parent_process, server_status
from ..module_utils.shared.docker_api import DockerError, Engine, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How much longer than its timeout it may hold a lab: the last request has a deadline of its own.
MORE_SECONDS = 60.0


def argument_spec() -> dict[str, dict[str, Any]]:
    """The module's arguments, as DOCUMENTATION has them."""
    return {
        "name": {"type": "str", "required": True},
        "members": {
            "type": "list",
            "elements": "dict",
            "options": {
                "name": {"type": "str", "required": True},
                "container": {"type": "str", "required": True},
                "state": {"type": "str", "default": ""},
                "address": {"type": "str", "default": ""},
                "http_port": {"type": "int"},
                "profile": {"type": "str", "default": "gossip"},
            },
        },
        "join": {"type": "bool", "default": True},
        "without": {"type": "list", "elements": "str", "default": []},
        "after_term": {"type": "int", "default": 0},
        "timeout": {"type": "int", "default": 120},
        "elapsed": {"type": "float", "default": 0},
        "lock_mark": {"type": "str", "default": ""},
    }


def usage_problem(params: dict[str, Any]) -> str | None:
    """The error in the arguments, as a sentence, before anything is touched."""
    if not math.isfinite(params["elapsed"]):
        return f"Cannot count {params['elapsed']:g} seconds that are over: set consul_cluster_since to when it began."
    return durations.wait_problem(params["timeout"], "consul_cluster_timeout", 0)


def stopped_at(lab: str, containers: list[str]) -> float | None:
    """When the last of the stopped servers had stopped, None where there is none. Raises DockerError."""
    states = Engine().inspected(containers, doing="looking at the stopped servers") if containers else []
    alive = [container["Name"].lstrip("/") for container in states if container["State"]["Running"]]
    if alive:
        raise DockerError(
            f"{alive[0]} runs, and only a stopped server of the lab {lab} can be left out: stop it first.",
            "usage",
        )
    return max((moment(container["State"]["FinishedAt"]) for container in states), default=None)


def report(views: list[server_status.View]) -> dict[str, Any]:
    """The cluster as labctl prints it."""
    leader = server_status.leader_of(views)
    return {
        "leader": leader.name if leader else None,
        "term": leader.term if leader else 0,
        "voters": len(leader.voters) if leader else 0,
        "commit_index": leader.commit_index if leader else 0,
        "servers": [{"name": view.name, "address": view.address, "role": view.state} for view in views],
    }


def answer(
    params: dict[str, Any],
    *,
    check_mode: bool,
    say: Callable[[str], None] | None = None,
    eyes: ClusterTools = EYES,
) -> dict[str, Any]:
    """Run the module and return its result; `say` receives who it waits for.

    Raises DockerError with one sentence.
    """
    if problem := usage_problem(params):
        raise DockerError(problem, "usage")
    facts: dict[str, Any] = {}
    joins = params["join"] and not check_mode
    with locked_lab(params, say) if joins else contextlib.nullcontext(None) as hold:
        given = params["members"]
        if given is None or (joins and given):
            # Servers that were recreated since have other ports; there may be more of them, or fewer.
            params = {**params, "members": eyes.members_of(params["name"]) or given or []}
        if given is None or params["members"] != given:
            facts["consul_lab_members"] = params["members"]
        keep = (lambda: None) if hold is None else hold.keep
        result = cluster_of(params, eyes, keep, check_mode=check_mode)
        if hold is not None:
            hold.keep()
    return {**result, "ansible_facts": {**facts, "consul_lab_cluster": result["cluster"]}}


@contextlib.contextmanager
def locked_lab(params: dict[str, Any], say: Callable[[str], None] | None) -> Iterator[lab_hold.Hold]:
    """Hold the lab while its servers are joined. Raises DockerError."""
    lab = params["name"]
    command = f"labctl join {lab}" if os.environ.get(parent_process.ASKER) else f"consul_cluster name={lab}"
    who = lock_holder.holder(command, params["timeout"] + MORE_SECONDS, mark=params["lock_mark"])
    patience = lock_holder.Patience(lab_hold.LOCK_SECONDS, say)
    # If it is killed, the next command on the lab removes its leftovers.
    with lab_hold.locked_lab(Engine(), lab, who, patience, labels={}, must_write=False) as hold:
        if parent_process.is_gone():
            raise DockerError(f"The lab {lab} was not joined, because the labctl that wanted it was ended.")
        yield hold


def cluster_of(
    params: dict[str, Any], eyes: ClusterTools, keep: Callable[[], None], *, check_mode: bool
) -> dict[str, Any]:
    """The module's result without its facts; `keep` raises DockerError where the lab is not held any more.

    Raises DockerError.
    """
    members = params["members"]
    if not members and check_mode:
        # In check mode, a lab that the same run would make has no servers to look at.
        return {"changed": params["join"], "joined": False, "command": "", "cluster": {}}
    if not members:
        lab = params["name"]
        raise DockerError(f"There is no lab {lab} on this Docker host: `labctl up {lab}` starts it.")
    refuse_without(params["name"], [member["name"] for member in members], params["without"])
    cluster = Cluster(params, eyes)
    if check_mode:
        views = cluster.views()
        strangers = cluster.strangers(views)
        command = " ".join(cluster.join_words()) if strangers and params["join"] else ""
        return {"changed": bool(command), "joined": not strangers, "command": command, "cluster": report(views)}
    gone = stopped_at(
        params["name"], [member["container"] for member in members if member["name"] in params["without"]]
    )
    try:
        return make_ready(cluster, keep, join=params["join"], gone=gone)
    except NotReadyError as error:
        raise DockerError(str(error), "not_ready") from error


def refuse_without(lab: str, have: list[str], without: list[str]) -> None:
    """Raise DockerError where servers cannot be left out: the lab has no such one, or too few would be left."""
    unknown = [name for name in without if name not in have]
    if unknown:
        raise DockerError(f"The lab {lab} has no server {unknown[0]!a}: it has {', '.join(have)}.", "usage")
    left, quorum = len(set(have) - set(without)), len(have) // 2 + 1
    if left < quorum:
        raise DockerError(
            f"Nobody can lead the lab {lab} without {', '.join(without)}: {left} of {len(have)} servers would be left, "
            f"and a quorum needs {quorum}.",
            "refused",
        )


def make_ready(cluster: Cluster, keep: Callable[[], None], *, join: bool, gone: float | None) -> dict[str, Any]:
    """Join where it is needed and wait until ready; `gone` is when servers were stopped.

    Raises NotReadyError, and what `keep` raises if the lab is no longer held once its agents have come up.
    """
    clock = cluster.clock
    begun = clock.now()
    views = cluster.wait_for_agents()
    strangers = cluster.strangers(views)
    if strangers and not join and not any(view.voters for view in views):
        return {"changed": False, "joined": False, "command": "", "cluster": report(views)}
    changed = strangers and join
    if changed:
        keep()
        cluster.join()
    joined = clock.now()
    views, agreed = cluster.wait_until_ready()
    seconds = {"join": round(joined - begun, 3), "election": round(agreed - joined, 3)}
    if gone is not None:
        # Docker's clock is wall-clock time.
        seconds["leaderless"] = round(time.time() - (clock.now() - agreed) - gone, 3)
    return {
        "changed": changed,
        "joined": True,
        "command": " ".join(cluster.join_words()) if changed else "",
        "cluster": {**report(views), "seconds": seconds},
    }


def main(eyes: ClusterTools = EYES) -> None:
    """Run the module."""
    module_runner.run(argument_spec(), functools.partial(answer, eyes=eyes))


if __name__ == "__main__":
    main()
