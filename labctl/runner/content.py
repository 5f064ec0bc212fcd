"""Find the playbooks, roles and inventory that belong to this labctl."""

from __future__ import annotations

import os
from pathlib import Path

from labctl.errors import LabctlError

COLLECTION = "raft.labctl"
"""The collection that the content belongs to, by which playbooks call its roles and modules."""
PACKAGE = Path(__file__).resolve().parent.parent


def content_root(package: Path = PACKAGE) -> Path:
    """The folder with `ansible.cfg`, `playbooks/` and `roles/`: in the wheel, else the repository's root."""
    for root in (package.joinpath("_content", "ansible_collections", *COLLECTION.split(".")), package.parent):
        if (root / "ansible.cfg").is_file() and (root / "playbooks").is_dir():
            return root
    raise LabctlError(
        f"labctl's playbooks are not beside {package}: this installation is incomplete, so install raft-labctl again."
    )


def in_a_clone() -> bool:
    """Whether the content is that of a clone of the repository, and not of a wheel."""
    return content_root() == PACKAGE.parent


def own_settings() -> dict[str, str]:
    """Variables that make Ansible run our code, whatever ansible.cfg the current folder has and whatever is set."""
    return {
        "ANSIBLE_CONFIG": str(content_root() / "ansible.cfg"),
        "ANSIBLE_STRATEGY": "linear",
        "ANSIBLE_GATHERING": "explicit",
        "ANSIBLE_CALLBACKS_ENABLED": f"{COLLECTION}.hangup",
    }


def utf8_locale() -> dict[str, str]:
    """The locale for ansible-core, which refuses to start in one that is not UTF-8, such as LC_ALL=C."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    return {} if locale.lower().replace("-", "").endswith("utf8") else {"LC_ALL": "C.UTF-8"}


def offer_collection(folder: Path, needed: Path) -> dict[str, str]:
    """Put the content into FOLDER as a collection. Returns the variables that make Ansible find this one, and no other.

    A user may have another version of the collection in a folder of theirs, and other versions of
    the collections that it needs, which are in the folder `needed`.
    """
    place = folder.joinpath("ansible_collections", *COLLECTION.split("."))
    place.parent.mkdir(parents=True)
    place.symlink_to(content_root(), target_is_directory=True)
    others = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or "~/.ansible/collections:/usr/share/ansible/collections"
    return {"ANSIBLE_COLLECTIONS_PATH": os.pathsep.join([str(folder), str(needed), others])}
