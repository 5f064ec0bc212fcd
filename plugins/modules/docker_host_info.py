#!/usr/bin/python
"""Ansible module: what a Docker host has and holds."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: docker_host_info
short_description: Read what a Docker host has, and which labs live on it
description:
  - Reads cores, memory, disk, engine, networks, ports, clock and labs of a Docker host, for a plan of who fits where.
  - A host without an engine is no failure; C(facts.problem) says what is missing.
author: The labctl authors
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options: {}
"""

EXAMPLES = r"""
- name: Read what the Docker host has
  docker_host_info:
  register: docker_host
"""

RETURN = r"""
facts:
  description: What was found; sizes in bytes, the clock in seconds since 1970.
  type: dict
  returned: always
  contains:
    cores: {description: Cores that a process may use., type: int}
    memory: {description: C(total) and C(free)., type: dict}
    disk_free: {description: Free on the file system of the engine's data., type: int}
    engine: {description: The engine's version; none where it does not answer., type: str}
    labs: {description: The labs with their labels., type: list, elements: dict}
    clock: {description: The host's time., type: float}
    problem: {description: Why the engine told nothing; none where it did., type: str}
"""

from typing import Any

from ansible.module_utils import answering, host_facts
from ansible.module_utils.docker_api import DockerError, Engine

# A host that hangs must not hold up a plan for the others.
ASK_SECONDS = 15.0


def argument_spec() -> dict[str, dict[str, Any]]:
    """The module has no arguments."""
    return {}


def answer(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:  # noqa: ARG001 - as every module of ours
    """Read the facts and return the module's result."""
    return {"changed": False, "facts": host_facts.read(Engine(ASK_SECONDS), (DockerError,))}


def main() -> None:
    """Run the module."""
    answering.run(argument_spec(), answer)


if __name__ == "__main__":
    main()
