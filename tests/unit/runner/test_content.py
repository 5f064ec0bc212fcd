"""The playbooks and roles that belong to this labctl."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labctl.errors import LabctlError
from labctl.runner import content

if TYPE_CHECKING:
    from pathlib import Path


def fill(root: Path) -> Path:
    (root / "playbooks").mkdir(parents=True)
    (root / "ansible.cfg").write_text("", encoding="utf-8")
    return root


def test_in_a_checkout_it_is_the_repositorys_root() -> None:
    assert (content.content_root() / "roles" / "consul_lab").is_dir()


def test_what_the_wheel_carries_goes_before_the_folder_around_it(tmp_path: Path) -> None:
    package = tmp_path / "labctl"
    fill(tmp_path)
    assert content.content_root(package) == tmp_path
    carried = fill(tmp_path / "labctl/_content/ansible_collections/raft/labctl")
    assert content.content_root(package) == carried


def test_an_installation_without_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabctlError, match="incomplete"):
        content.content_root(tmp_path / "labctl")
