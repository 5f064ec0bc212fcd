"""Ansible module: wait until each server of a lab has logged that it knows no peers."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: consul_lab_wait
short_description: Wait until each server of a lab has written that it knows no peers
description:
  - A server that has not been joined waits for an election that it cannot hold, and writes so when its first timeout is
    over. Whoever watches sees each of them wait before they are joined.
  - It is over at once where a server knows others or a leader already, where there is one server, and when a server has
    stopped or the engine does not answer. It only reads.
author: The labctl authors (@raft-labctl)
attributes:
  check_mode:
    support: full
    description: It changes nothing, and does not wait.
  diff_mode:
    support: none
    description: It changes nothing.
  idempotent:
    support: full
    description: It changes nothing.
options:
  name:
    description: The lab's name.
    type: str
    required: true
  timeout:
    description: Seconds until it goes on anyway.
    type: float
    default: 12
"""

EXAMPLES = r"""
- name: Let the servers wait for each other
  raft.labctl.consul_lab_wait:
    name: ada
"""

RETURN = r"""
waiting:
  description: Names of the servers that have written it.
  type: list
  elements: str
  returned: success
"""

import contextlib
import time
from typing import Any

from ..module_utils import module_runner
from ..module_utils.lab_clients import LabClients
from ..module_utils.lab_parts import find
from ..module_utils.shared import durations, parent_process, server_status
from ..module_utils.shared.docker_api import DockerError, Engine, moment

POLL_SECONDS = 0.25
# The time for a request when the deadline is nearly over.
LEAST_SECONDS = 0.5
# Raft's message, in every generation of Consul, when a server without peers would stand for election.
NO_PEERS = "no known peers"
# It is among the first lines of a server, also at level debug.
MOST_LINES = 2000


def argument_spec() -> dict[str, dict[str, Any]]:
    """The module's arguments, as DOCUMENTATION has them."""
    return {"name": {"type": "str", "required": True}, "timeout": {"type": "float", "default": 12}}


def answer(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Wait. An engine that does not answer is no reason to fail: only a watching user needs the result."""
    if problem := durations.wait_problem(params["timeout"], "consul_cluster_wait", 0):
        raise DockerError(problem, "usage")
    waiting: list[str] = []
    if not check_mode:
        with contextlib.suppress(DockerError):
            wait(params["name"], time.monotonic() + params["timeout"], waiting)
    return {"changed": False, "waiting": waiting}


def wait(lab: str, ends: float, waiting: list[str]) -> None:
    """Wait until that time at most, and add servers that know no peers to `waiting`. Raises DockerError."""

    def engine() -> Engine:
        return Engine(max(LEAST_SECONDS, ends - time.monotonic()))

    members = [server.fact() for server in find(engine(), lab).servers]
    while 1 < len(members) > len(waiting) and time.monotonic() < ends and not parent_process.is_gone():
        began = began_at(engine(), [member["container"] for member in members])
        new = [
            each_member["name"]
            for each_member in members
            if each_member["name"] not in waiting and has_no_peers(engine(), each_member, began)
        ]
        waiting[:] = [each_member["name"] for each_member in members if each_member["name"] in {*waiting, *new}]
        if len(began) < len(members) or (len(waiting) < len(members) and is_cluster(lab, members)):
            break
        time.sleep(POLL_SECONDS if len(waiting) < len(members) else 0)


def began_at(engine: Engine, containers: list[str]) -> dict[str, float]:
    """Since when each container runs, in seconds since 1970; those that do not run are left out. Raises DockerError."""
    servers = engine.inspected(containers, doing="looking at the servers")
    return {
        container["Name"].lstrip("/"): moment(container["State"]["StartedAt"])
        for container in servers
        if container["State"]["Running"]
    }


def has_no_peers(engine: Engine, member: dict[str, Any], began: dict[str, float]) -> bool:
    """Whether a server has logged it since it was started. Raises DockerError."""
    since = began.get(member["container"])
    if since is None:
        return False
    doing = "reading what the servers wrote"
    return NO_PEERS in engine.log(member["container"], "stdout", lines=MOST_LINES, since=since, doing=doing)


def is_cluster(lab: str, members: list[dict[str, Any]]) -> bool:
    """Whether some server reports another one, or a leader."""
    clients = LabClients(lab, [member["container"] for member in members], members[0]["profile"])
    asked = [
        server_status.Member(each_member["name"], each_member["address"], clients.of(each_member["http_port"]))
        for each_member in members
    ]
    return any(view.members > 1 or view.leader for view in server_status.read_views(asked))


def main() -> None:
    """Run the module."""
    module_runner.run(argument_spec(), answer)


if __name__ == "__main__":
    main()
