#!/usr/bin/python
"""Ansible module: collect the addresses of a lab's servers as facts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: consul_lab_info
short_description: Collect the servers of a lab, with their addresses, as facts
description:
  - Reads Docker's labels on the Docker host. Changes nothing.
author: The labctl authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
  facts: {support: full}
  idempotent: {support: full}
options:
  name:
    description: The lab's name.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Collect the members' addresses
  consul_lab_info:
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

from ansible.module_utils import lab_names
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.docker_cli import Docker, DockerError
from ansible.module_utils.lab_found import find


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True)
    params: dict[str, Any] = module.params
    problem = lab_names.name_problem(params["name"])
    if problem:
        module.fail_json(msg=lab_names.name_sentence(params["name"], problem), failure="usage")
    try:
        found = find(Docker(), params["name"])
    except DockerError as error:
        module.fail_json(msg=error.sentence, failure=error.failure)
    module.exit_json(changed=False, ansible_facts={"consul_lab_members": [server.fact() for server in found.servers]})


if __name__ == "__main__":
    main()
