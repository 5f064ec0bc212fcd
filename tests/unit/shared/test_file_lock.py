"""A lock on a file: two processes, a killed one, a stopped one, a file that was replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.shared import file_lock
from labctl.shared.lock_holder import LockHeldError, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
HOLD = """
import subprocess, sys, time
from pathlib import Path
from labctl.shared import file_lock
with file_lock.locked(Path(sys.argv[1]), "the note", lambda note: time.sleep(0.01)) as held:
    if len(sys.argv) > 2:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[held.handle])
        print(child.pid, flush=True)
    print("held", flush=True)
    time.sleep(60)
"""


def soon(note: str) -> None:
    raise LockHeldError(note, 0.0)


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(tmp_path / "lock"), *words]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True))
        return running[-1]

    yield start
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_whoever_comes_second_is_told_the_note_and_gets_the_lock_when_the_first_is_killed(
    tmp_path: Path, holding: Callable[..., subprocess.Popen[str]]
) -> None:
    first = holding()
    assert line(first) == "held"
    with pytest.raises(LockHeldError, match="the note"), file_lock.locked(tmp_path / "lock", "mine", soon):
        pass
    first.kill()
    first.wait()
    with file_lock.locked(tmp_path / "lock", "mine", Patience(10).pause) as held:
        assert held.before == "the note"
        assert file_lock.read(held.handle) == "mine"
    with file_lock.locked(tmp_path / "lock", "mine", soon) as held:
        assert held.before == ""


def test_a_stopped_holder_keeps_it_and_who_waits_gives_up(
    tmp_path: Path, holding: Callable[..., subprocess.Popen[str]]
) -> None:
    first = holding()
    assert line(first) == "held"
    first.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(LockHeldError), file_lock.locked(tmp_path / "lock", "mine", Patience(0.3).pause):
        pass
    assert 0.3 <= time.monotonic() - begun < 5


def test_what_a_killed_holder_started_keeps_it(tmp_path: Path, holding: Callable[..., subprocess.Popen[str]]) -> None:
    first = holding("child")
    child = int(line(first))
    assert line(first) == "held"
    first.kill()
    first.wait()
    with pytest.raises(LockHeldError, match="the note"), file_lock.locked(tmp_path / "lock", "mine", soon):
        pass
    os.kill(child, signal.SIGKILL)
    with file_lock.locked(tmp_path / "lock", "mine", Patience(10).pause) as held:
        assert held.before == "the note"


@pytest.mark.parametrize("made_again", ["no", "file", "folder"])
def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path: Path, made_again: str) -> None:
    path = tmp_path / "folder" / "lock"
    waits: list[str] = []

    def removed(note: str) -> None:
        waits.append(note)
        path.unlink()
        if made_again == "file":
            path.touch()
        if made_again == "folder":
            path.parent.rmdir()
        first.close()

    path.parent.mkdir()
    first = path.open("w+b")
    assert file_lock.try_to(first.fileno())
    with file_lock.locked(path, "mine", removed) as held:
        assert waits == [""]
        assert file_lock.is_at(path, held.handle)
        with pytest.raises(LockHeldError, match="mine"), file_lock.locked(path, "other", soon):
            pass


def test_the_file_stays_and_is_its_users_own(tmp_path: Path) -> None:
    path = tmp_path / "a" / "lock"
    with file_lock.locked(path, "mine", soon) as held:
        assert os.get_inheritable(held.handle) is False
    assert path.read_text(encoding="utf-8") == ""
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_hostile_text_in_the_file_is_handed_on_short(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"\xff\x1b[2J" * 10_000)
    with file_lock.locked(path, "mine", soon) as held:
        assert len(held.before) <= 2001


def test_a_path_that_leads_elsewhere_is_not_locked(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"), file_lock.locked(tmp_path / "lock", "mine", soon):
        pass
    assert not (tmp_path / "other").exists()
