"""Two commands on one lab keep apart."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest
from ansible.module_utils import lab_lock
from ansible.module_utils.docker_api import DockerError
from ansible.module_utils.lab_lock import locked

if TYPE_CHECKING:
    from pathlib import Path


def test_the_lock_is_held_and_handed_on(tmp_path: Path) -> None:
    with locked(tmp_path / "ada", "ada", must=True) as (handle,):
        other = os.open(tmp_path / "ada" / "lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert os.get_inheritable(handle) is False
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_a_lock_that_is_not_given_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_lock, "LOCK_SECONDS", 0.0)
    with (
        locked(tmp_path, "ada", must=True),
        pytest.raises(DockerError, match="Another command has been working on the lab ada"),
        locked(tmp_path, "ada", must=True),
    ):
        pass


@pytest.mark.parametrize("made_again", [False, True])
def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, made_again: bool
) -> None:
    path = tmp_path / "lock"
    waits: list[int] = []
    wait_for = lab_lock._wait_for

    def wait(handle: int, lab: str) -> None:
        wait_for(handle, lab)
        waits.append(handle)
        if len(waits) == 1:
            path.unlink()
            if made_again:
                path.touch()

    monkeypatch.setattr(lab_lock, "_wait_for", wait)
    with locked(tmp_path, "ada", must=True) as (handle,):
        assert len(waits) == 2
        assert os.path.samestat(path.stat(), os.fstat(handle))


def test_a_folder_that_cannot_be_made_hinders_only_what_must_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    folder = tmp_path / "file" / "ada"
    with locked(folder, "ada", must=False) as handles:
        assert handles == ()
    with pytest.raises(DockerError, match="XDG_STATE_HOME"), locked(folder, "ada", must=True):
        pass
