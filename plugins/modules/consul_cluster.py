#!/usr/bin/python
"""Ansible module: join a lab's servers and wait until they are one ready cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: consul_cluster
short_description: Join the servers of a lab and wait until the cluster is ready
description:
  - Runs C(consul join) on the first server with the addresses of the others, as a person would by hand, and counts the
    members, because C(consul join) also succeeds when it reached only one of several.
  - Ready means that every server names the same leader, all are voters, and every server applied one committed write,
    twice in a row. The two writes are a PUT and a DELETE of one key, so none is left.
author: The labctl authors
attributes:
  check_mode:
    support: full
    description: Says whether servers would be joined; does not wait.
  diff_mode:
    support: none
  idempotent:
    support: full
    description: Servers that know each other are not joined again.
options:
  name:
    description: The lab's name.
    type: str
    required: true
  members:
    description: The servers, as the fact C(consul_lab_members) has them.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: The server's name., type: str, required: true}
      container: {description: Its container's name., type: str, required: true}
      state: {description: Docker's word for its state., type: str, default: ""}
      address: {description: Its address in the lab., type: str, default: ""}
      http_port: {description: Its HTTP port on the Docker host's loopback., type: int}
  join:
    description: Join servers that do not know each other. Where V(false), a lab that never was joined is left alone.
    type: bool
    default: true
  timeout:
    description: Seconds until the module gives up and tells each server's view.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Join the servers
  consul_cluster:
    name: ada
    members: "{{ consul_lab_members }}"
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
    servers: {description: Name; address; and role of each server., type: list, elements: dict}
    seconds: {description: How long the join and the election took., type: dict}
"""

import time
from typing import Any

from ansible.module_utils import answering, consul_views
from ansible.module_utils.cluster_wait import Cluster, NotReadyError
from ansible.module_utils.docker_api import DockerError


def argument_spec() -> dict[str, dict[str, Any]]:
    """The module's arguments, as DOCUMENTATION has them."""
    return {
        "name": {"type": "str", "required": True},
        "members": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "name": {"type": "str", "required": True},
                "container": {"type": "str", "required": True},
                "state": {"type": "str", "default": ""},
                "address": {"type": "str", "default": ""},
                "http_port": {"type": "int"},
            },
        },
        "join": {"type": "bool", "default": True},
        "timeout": {"type": "int", "default": 120},
    }


def report(views: list[consul_views.View]) -> dict[str, Any]:
    """The cluster as labctl prints it."""
    leader = consul_views.leader_of(views)
    return {
        "leader": leader.name if leader else None,
        "term": leader.term if leader else 0,
        "voters": len(leader.voters) if leader else 0,
        "commit_index": leader.commit_index if leader else 0,
        "servers": [{"name": view.name, "address": view.address, "role": view.state} for view in views],
    }


def answer(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Do what the arguments say and return the module's result. Raises DockerError with one sentence."""
    members = params["members"]
    if not members and check_mode:
        # A lab that is to be made in the same run: its servers will be strangers to each other.
        return {"changed": params["join"], "joined": False, "command": "", "cluster": {}}
    if not members:
        lab = params["name"]
        raise DockerError(f"There is no lab {lab} on this Docker host: `labctl up {lab}` starts it.")
    cluster = Cluster(params["name"], members, params["timeout"])
    if check_mode:
        strangers = cluster.strangers(cluster.views())
        command = " ".join(cluster.join_words()) if strangers and params["join"] else ""
        return {"changed": bool(command), "joined": not strangers, "command": command, "cluster": {}}
    try:
        return make_ready(cluster, join=params["join"])
    except NotReadyError as error:
        raise DockerError(str(error), "not_ready") from error


def make_ready(cluster: Cluster, *, join: bool) -> dict[str, Any]:
    """Join where it is needed and wait until ready. Raises NotReadyError."""
    begun = time.monotonic()
    views = cluster.wait_for_agents()
    strangers = cluster.strangers(views)
    if strangers and not join and not any(view.voters for view in views):
        return {"changed": False, "joined": False, "command": "", "cluster": report(views)}
    changed = strangers and join
    if changed:
        cluster.join()
    joined = time.monotonic()
    views, agreed = cluster.wait_until_ready()
    seconds = {"join": round(joined - begun, 3), "election": round(agreed - joined, 3)}
    return {
        "changed": changed,
        "joined": True,
        "command": " ".join(cluster.join_words()) if changed else "",
        "cluster": {**report(views), "seconds": seconds},
    }


def main() -> None:
    """Run the module."""
    answering.run(argument_spec(), answer)


if __name__ == "__main__":
    main()
