"""Find the playbooks, roles and inventory that belong to this labctl."""

from __future__ import annotations

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
