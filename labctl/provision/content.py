"""Find the playbooks, roles and inventory that belong to this labctl."""

from __future__ import annotations

import os
from configparser import ConfigParser
from pathlib import Path

from labctl.errors import LabctlError

_PACKAGE = Path(__file__).resolve().parent.parent


def content_root() -> Path:
    """The folder with `ansible.cfg`, `playbooks/` and `roles/`: in the wheel, else the repository's root."""
    for root in (_PACKAGE / "_content", _PACKAGE.parent):
        if (root / "ansible.cfg").is_file() and (root / "playbooks").is_dir():
            return root
    raise LabctlError(
        f"labctl's playbooks are not beside {_PACKAGE}: this installation is incomplete, so install raft-labctl again."
    )


# Where Ansible looks for code that our playbooks name.
_CODE = ("roles_path", "library", "module_utils", "filter_plugins", "action_plugins", "callback_plugins")


def own_settings() -> dict[str, str]:
    """Variables with which Ansible runs our code, whatever ansible.cfg is in the current folder and whatever is set."""
    root = content_root()
    config = ConfigParser(interpolation=None)
    config.read(root / "ansible.cfg", encoding="utf-8")
    found = {"ANSIBLE_CONFIG": str(root / "ansible.cfg"), "ANSIBLE_STRATEGY": "linear", "ANSIBLE_GATHERING": "explicit"}
    for name in _CODE:
        if folders := config.get("defaults", name, fallback=""):
            found[f"ANSIBLE_{name.upper()}"] = os.pathsep.join(str(root / one) for one in folders.split(":"))
    return found
