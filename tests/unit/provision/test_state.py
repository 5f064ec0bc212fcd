"""The user's state folder: nothing in it decides what exists."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labctl.errors import LabctlError
from labctl.provision import state


def test_the_state_folder_follows_the_xdg_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/ada")
    assert state.state_folder() == Path("/var/ada/raft-labctl")
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/to/be/ignored")
    assert state.state_folder() == Path("/home/ada/.local/state/raft-labctl")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert state.state_folder() == Path("/home/ada/.local/state/raft-labctl")


def test_a_runs_folder_is_empty_and_its_users_own() -> None:
    folder = state.new_run_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "rest").write_text("", encoding="utf-8")
    assert list(state.new_run_folder().iterdir()) == []


def test_folders_of_killed_runs_are_removed_and_those_of_others_stay() -> None:
    runs = state.new_run_folder().parent
    dead, odd, alive = runs / f"run-{2**22 + 1}", runs / "run-x", runs / f"run-{os.getppid()}"
    for folder in (dead, odd, alive):
        folder.mkdir(exist_ok=True)
    state.new_run_folder()
    assert [folder.exists() for folder in (dead, odd, alive)] == [False, False, True]


def test_a_state_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(LabctlError, match=r"cannot be written \(Not a directory\).*XDG_STATE_HOME"):
        state.new_run_folder()
    assert state.keep_record("text", "name") is None


def test_a_record_is_its_users_own_and_the_oldest_are_forgotten() -> None:
    state.new_run_folder()
    path = Path()
    for number in range(state.KEPT_RECORDS + 3):
        path = state.keep_record(f"text {number}", f"record-{number:02}") or Path()
        os.utime(path, (number, number))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text(encoding="utf-8") == f"text {state.KEPT_RECORDS + 2}"
    kept = sorted(one.name for one in path.parent.glob("*.log"))
    assert len(kept) == state.KEPT_RECORDS
    assert kept[0] == "record-03.log"
