"""The user's state folder: nothing in it decides what exists."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from labctl import state
from labctl.errors import LabctlError
from labctl.shared import file_lock


def test_the_state_folder_follows_the_xdg_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/ada")
    assert state.state_folder() == Path("/var/ada/raft-labctl")
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/to/be/ignored")
    assert state.state_folder() == Path("/home/ada/.local/state/raft-labctl")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert state.state_folder() == Path("/home/ada/.local/state/raft-labctl")


def test_a_runs_folder_is_its_users_own_and_two_runs_have_two() -> None:
    first, second = state.RunFolder(), state.RunFolder()
    assert first.path != second.path
    assert first.path.stat().st_mode & 0o777 == 0o700
    for folder in (first, second):
        assert folder.path.is_dir()
        folder.remove()
        assert not folder.path.exists()


def test_folders_of_killed_runs_are_removed_and_those_of_living_ones_stay() -> None:
    text = (
        "import time; from labctl import state; "
        "folder = state.RunFolder(); print(folder.path, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", text]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        alive = Path(other.stdout.readline().strip())
        state.RunFolder().remove()
        assert alive.is_dir()
        # A process that is stopped lives.
        other.send_signal(signal.SIGSTOP)
        state.RunFolder().remove()
        assert alive.is_dir()
    finally:
        other.kill()
        other.communicate()
    state.RunFolder().remove()
    assert not alive.exists()


def folder_of_nobody() -> tuple[Path, int]:
    """The folder of a run whose process is not there, and whose lock is held: a process elsewhere, seen from here."""
    ours, theirs = socket.socketpair()
    if (child := os.fork()) == 0:
        made = state.RunFolder().path
        lock = next(
            descriptor
            for descriptor in Path("/proc/self/fd").iterdir()
            if descriptor.resolve() == (made / "lock").resolve()
        )
        socket.send_fds(theirs, [os.fsencode(made)], [int(lock.name)])
        os._exit(0)
    os.waitpid(child, 0)
    path, (lock_of_it,), _, _ = socket.recv_fds(ours, 4096, 1)
    ours.close()
    theirs.close()
    return Path(os.fsdecode(path)), lock_of_it


def test_a_run_whose_process_is_not_to_be_seen_from_here_keeps_its_folder() -> None:
    other, lock = folder_of_nobody()
    mine = state.RunFolder()
    assert other.is_dir()
    assert mine.path != other
    os.close(lock)
    mine.remove()
    state.RunFolder().remove()
    assert not other.exists()


def test_where_a_lock_tells_nothing_the_age_does() -> None:
    mine = state.RunFolder()
    runs = mine.path.parent
    here = mine.path.name.rpartition("-")[0]
    names = ["run-123", "run-elsewhere-abc", f"{here}-x-abc", f"{here}-abc"]
    for name in names:
        (runs / name).mkdir()
    (runs / names[1] / "lock").touch()
    state.RunFolder().remove()
    assert all((runs / name).is_dir() for name in names)
    for name in names:
        os.utime(runs / name, (0, 0))
    state.RunFolder().remove()
    assert not any((runs / name).exists() for name in names)

    # A file system that has no locks.
    def refuse(_handle: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    other = state.RunFolder(refuse)
    assert mine.path.is_dir()
    mine.remove()
    other.remove()


def test_a_folder_that_was_taken_for_a_left_one_before_it_had_its_lock_is_made_anew() -> None:
    seen = 0

    def meanwhile(handle: int) -> bool:
        nonlocal seen
        seen += 1
        if seen < 3:
            for folder in (state.state_folder() / "runs").glob("run-*"):
                shutil.rmtree(folder)
        return file_lock.try_to(handle) and seen != 1

    folder = state.RunFolder(meanwhile)
    assert seen == 3
    assert folder.path.is_dir()
    folder.remove()


def test_a_state_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(LabctlError, match=r"cannot be written \(Not a directory\).*XDG_STATE_HOME"):
        state.RunFolder()
    assert state.keep_record("text", "name") is None


def test_a_record_is_its_users_own_and_the_oldest_are_forgotten() -> None:
    state.RunFolder().remove()
    path = Path()
    for number in range(state.KEPT_RECORDS + 3):
        path = state.keep_record(f"text {number}", f"record-{number:02}") or Path()
        os.utime(path, (number, number))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text(encoding="utf-8") == f"text {state.KEPT_RECORDS + 2}"
    kept = sorted(log.name for log in path.parent.glob("*.log"))
    assert len(kept) == state.KEPT_RECORDS
    assert kept[0] == "record-03.log"


def test_two_records_of_one_second_are_both_kept() -> None:
    state.RunFolder().remove()
    kept = [state.keep_record(text, "20260101-000000-ada-up") for text in ("one", "two")]
    assert [path.read_text(encoding="utf-8") for path in kept if path] == ["one", "two"]
