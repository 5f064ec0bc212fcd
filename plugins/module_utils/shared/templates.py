"""Templates that labctl writes itself for Ansible; any other text for Ansible is data."""

from __future__ import annotations


class Template(str):
    """Text that Ansible fills in, such as `{{ ansible_playbook_python }}`: never made from text of others."""

    __slots__ = ()
