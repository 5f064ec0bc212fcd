"""The folder of a connection's sockets: one user's, one process's, and gone with it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.engine.ssh_sockets import PREFIX, SocketFolder
from labctl.shared import file_lock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # A socket's path may have 107 bytes; a test's own folder is too deep.
    with tempfile.TemporaryDirectory(prefix="lt-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


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
    for socket_folder in (mine, other):
        socket_folder.remove()
        assert not socket_folder.path.exists()


def test_a_folder_that_was_taken_for_a_left_one_is_made_anew(base: Path) -> None:
    seen: list[int] = []

    def meanwhile(handle: int) -> bool:
        seen.append(handle)
        if len(seen) == 1:
            for path in base.glob(f"{PREFIX}*"):
                shutil.rmtree(path)
        return file_lock.try_to(handle)

    folder = SocketFolder(meanwhile)
    assert len(seen) == 2
    assert folder.path.is_dir()
    folder.remove()
