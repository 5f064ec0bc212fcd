"""Ansible module: wait until each server of a lab has written that it knows no peers."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: consul_lab_wait
short_description: Wait until each server of a lab has written that it knows no peers
description:
  - A server that has not been joined waits for an election that it cannot hold, and writes so when its first timeout is
    over. Whoever watches sees each of them wait before they are joined.
  - It is over at once where a server knows others already, and when a server has stopped. It only reads.
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
    description: Seconds until it goes on all the same.
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

import time
from typing import Any

from ..module_utils import module_runner
from ..module_utils.lab_clients import LabClients
from ..module_utils.lab_found import members_of
from ..module_utils.shared import parent_process, server_status
from ..module_utils.shared.docker_api import Engine, moment

POLL_SECONDS = 0.25
# What Raft writes, in every generation of Consul, when a server without peers would stand for election.
NO_PEERS = "no known peers"
# It comes among the first lines of a server, also at level debug.
MOST_LINES = 2000


def argument_spec() -> dict[str, dict[str, Any]]:
    """The module's arguments, as DOCUMENTATION has them."""
    return {"name": {"type": "str", "required": True}, "timeout": {"type": "float", "default": 12}}


def answer(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Wait. Raises DockerError with one sentence."""
    members = [] if check_mode else members_of(params["name"])
    ends = time.monotonic() + params["timeout"]
    waiting: list[str] = []
    while len(waiting) < len(members) and time.monotonic() < ends and not parent_process.is_gone():
        began = began_at([member["container"] for member in members])
        waiting = [one["name"] for one in members if one["name"] in waiting or has_no_peers(one, began)]
        if len(began) < len(members) or (len(waiting) < len(members) and anybody_is_known(params["name"], members)):
            break
        time.sleep(POLL_SECONDS if len(waiting) < len(members) else 0)
    return {"changed": False, "waiting": waiting}


def began_at(containers: list[str]) -> dict[str, float]:
    """Since when each container runs, in seconds since 1970; those that do not run are left out. Raises DockerError."""
    found = Engine().inspected(containers, doing="looking at the servers")
    return {one["Name"].lstrip("/"): moment(one["State"]["StartedAt"]) for one in found if one["State"]["Running"]}


def has_no_peers(member: dict[str, Any], began: dict[str, float]) -> bool:
    """Whether a server has written it since it was started. Raises DockerError."""
    since = began.get(member["container"])
    if since is None:
        return False
    doing = "reading what the servers wrote"
    return NO_PEERS in Engine().log(member["container"], "stdout", lines=MOST_LINES, since=since, doing=doing)


def anybody_is_known(lab: str, members: list[dict[str, Any]]) -> bool:
    """Whether some server says that it knows another one."""
    doors = LabClients(lab, [member["container"] for member in members], members[0]["profile"])
    asked = [server_status.Member(one["name"], one["address"], doors.of(one["http_port"])) for one in members]
    return any(view.members > 1 for view in server_status.read_views(asked))


def main() -> None:
    """Run the module."""
    module_runner.run(argument_spec(), answer)


if __name__ == "__main__":
    main()
