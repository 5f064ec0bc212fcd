"""Templates that labctl writes itself for Ansible; every other text that Ansible is given is data."""

from __future__ import annotations


class Template(str):
    """Text that Ansible fills in, such as `{{ ansible_playbook_python }}`: never made of a stranger's words."""

    __slots__ = ()
