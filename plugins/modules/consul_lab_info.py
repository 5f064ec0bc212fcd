"""Ansible module: collect the addresses of a lab's servers as facts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: consul_lab_info
short_description: Collect the servers of a lab, with their addresses, as facts
description:
  - Reads Docker's labels on the Docker host. Changes nothing.
author: The labctl authors (@raft-labctl)
attributes:
  check_mode:
    support: full
    description: It changes nothing.
  diff_mode:
    support: none
    description: It changes nothing.
  facts:
    support: full
    description: Sets C(consul_lab_members).
  idempotent:
    support: full
    description: It changes nothing.
options:
  name:
    description: The lab's name.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Collect the members' addresses
  raft.labctl.consul_lab_info:
    name: ada
"""

RETURN = r"""
ansible_facts:
  description: Facts of the lab.
  type: dict
  returned: always
  contains:
    consul_lab_members:
      description: One entry for each server, with C(name), C(container), C(state), C(address) and C(http_port).
      type: list
      elements: dict
"""

from typing import Any

from ..module_utils import module_runner
from ..module_utils.lab_parts import members_of


def argument_spec() -> dict[str, dict[str, Any]]:
    """The module's arguments, as DOCUMENTATION has them."""
    return {"name": {"type": "str", "required": True}}


def answer(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:  # noqa: ARG001 - it only ever reads
    """Collect the facts. Raises DockerError with one sentence."""
    return {"changed": False, "ansible_facts": {"consul_lab_members": members_of(params["name"])}}


def main() -> None:
    """Run the module."""
    module_runner.run(argument_spec(), answer)


if __name__ == "__main__":
    main()
