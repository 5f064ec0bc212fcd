"""The folder of a connection's sockets: one user's, one process's, and gone with it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from labctl.engine.ssh_sockets import PREFIX, SocketFolder
from labctl.shared import file_lock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("labctl.engine.ssh_sockets.LONGEST_BASE", 200)
    return tmp_path


def test_a_folder_that_nobody_holds_is_removed_and_one_that_somebody_holds_stays(base: Path) -> None:
    mine = SocketFolder()
    left = base / f"{PREFIX}left"
    left.mkdir()
    (left / "lock").touch()
    for path in (mine.path, left):
        os.utime(path, (0, 0))
    other = SocketFolder()
    assert mine.path.is_dir()
    assert not left.exists()
    for one in (mine, other):
        one.remove()
        assert not one.path.exists()


def test_a_folder_that_was_taken_for_a_left_one_is_made_anew(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    lock = file_lock.try_to
    seen: list[int] = []

    def meanwhile(handle: int) -> bool:
        seen.append(handle)
        if len(seen) == 1:
            for one in base.glob(f"{PREFIX}*"):
                shutil.rmtree(one)
        return lock(handle)

    monkeypatch.setattr(file_lock, "try_to", meanwhile)
    folder = SocketFolder()
    assert len(seen) == 2
    assert folder.path.is_dir()
    folder.remove()
