"""The note that a holder leaves with a lock, and how others read it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from labctl.shared import lock_holder
from labctl.shared.lock_holder import (
    NOBODY_KNOWN,
    WAITING,
    Holder,
    LockHeldError,
    Patience,
    holder,
    holder_of,
    holder_words,
    is_over,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SLEEP = "import time; time.sleep(60)"
TRACE = f"labctl-{os.getpid()}"
WITH_A_CHILD = (
    f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', '{SLEEP}', 'up', '{TRACE}'], "
    "start_new_session=True); time.sleep(60)"
)


@pytest.fixture
def started() -> Iterator[Callable[[str], Holder]]:
    """Starts a Python in a session of its own; gives it as a holder."""
    running: list[subprocess.Popen[bytes]] = []

    def start(text: str) -> Holder:
        process = subprocess.Popen([sys.executable, "-c", text], start_new_session=True)
        running.append(process)
        pid = process.pid
        fields = lock_holder.process_stat(pid) or []
        return replace(holder("labctl up ada", 60, TRACE), pid=pid, started=int(fields[19]))

    yield start
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end(who: Holder) -> None:
    """Kill a holder, but nothing that it started."""
    os.kill(who.pid, signal.SIGKILL)
    os.waitpid(who.pid, 0)


def test_a_note_tells_its_holder_again() -> None:
    who = holder("labctl up ada", 900)
    assert holder_of(who.note) == who
    assert who.is_gone() is False
    assert f"'s `labctl up ada` (process {os.getpid()} on {os.uname().nodename}, for " in holder_words(who.note)
    assert holder_words(who.note, 4.4).endswith(", for 4 s)")
    assert holder("x", 1).note != holder("x", 1).note


def test_whoever_lives_has_not_ended_and_whoever_was_killed_has(started: Callable[[str], Holder]) -> None:
    who = started(SLEEP)
    assert who.is_gone() is False
    assert not is_over(who.note, 1e9)
    os.kill(who.pid, signal.SIGSTOP)
    time.sleep(0.2)
    assert who.is_gone() is False
    assert ", stopped, for 4 s)" in who.words(4)
    # Another process that has its number now.
    assert replace(who, started=who.started + 1).is_gone() is True
    end(who)
    assert who.is_gone() is True
    assert is_over(who.note, 0.0)
    assert ", ended, for" in who.words(4)


def test_what_a_killed_holder_started_is_waited_for_until_its_time_is_over(started: Callable[[str], Holder]) -> None:
    who = started(WITH_A_CHILD)
    ends = time.monotonic() + 20
    while not lock_holder.is_somewhere(TRACE):
        assert time.monotonic() < ends
        time.sleep(0.01)
    children = lock_holder.PROC.joinpath(f"{who.pid}/task/{who.pid}/children").read_text().split()
    end(who)
    assert who.is_gone() is None
    assert not is_over(who.note, 59.0)
    assert is_over(who.note, 61.0)
    os.kill(int(children[0]), signal.SIGKILL)
    while who.is_gone() is None and time.monotonic() < ends:
        time.sleep(0.01)
    assert who.is_gone() is True


@pytest.mark.parametrize("elsewhere", [{"boot": "another"}, {"space": 1}, {"boot": ""}, {"space": 0}])
def test_of_another_machine_only_the_time_tells(elsewhere: dict[str, object]) -> None:
    who = replace(holder("labctl up ada", 60), pid=2**22 + 1, **elsewhere)  # type: ignore[arg-type]
    assert who.is_gone() is None
    assert not is_over(who.note, 59.0)
    assert not is_over(who.note, None)
    assert is_over(who.note, 61.0)
    # Unless a lock that the kernel gave us says that it has ended.
    assert is_over(who.note, 0.0, who.note)
    assert not is_over(who.note, 0.0, holder("labctl up ada", 60).note)


def test_where_processes_of_others_are_hidden_nobody_has_ended(tmp_path: Path) -> None:
    who = replace(holder("labctl up ada", 60), pid=2**22 + 1)
    assert who.is_gone() is True
    mounts = tmp_path / "self" / "mountinfo"
    mounts.parent.mkdir()
    for options, hidden in (
        ("rw,hidepid=invisible", True),
        ("rw,hidepid=2", True),
        ("rw", False),
        ("rw,hidepid=0", False),
    ):
        mounts.write_text(f"22 1 0:1 / {tmp_path} rw - proc proc {options}\n", encoding="utf-8")
        assert lock_holder.hidden(tmp_path, 1000) is hidden, options


HOSTILE = [
    "",
    "text",
    "[]",
    "{}",
    "[" * 1900,
    "x" * 3000,
    *(
        json.dumps({**json.loads(holder("labctl up ada", 60).note), **changed})
        for changed in (
            {"user": "\x1b[2J"},
            {"user": "a\nb"},
            {"user": "a`b"},
            {"user": "a" * 121},
            {"user": 1},
            {"pid": "1"},
            {"pid": -1},
            {"pid": True},
            {"pid": 1.5},
            {"seconds": 10**30},
            {"more": 1},
        )
    ),
]


@pytest.mark.parametrize("note", HOSTILE)
def test_a_note_that_is_none_says_nothing_and_is_held(note: str) -> None:
    assert holder_of(note) is None
    assert holder_words(note) == NOBODY_KNOWN
    assert not is_over(note, 1e9)
    assert not is_over(note, None, note)


def test_what_a_note_cannot_hold_is_not_in_it() -> None:
    who = holder("labctl up \x1b[2J`x`\n" + "y" * 200, 60)
    assert holder_of(who.note) == who
    assert who.command.startswith("labctl up ?[2J?x??yyy")


def test_patience_says_once_for_whom_and_has_an_end() -> None:
    said: list[str] = []
    begun = time.monotonic()
    patience, note = Patience(1.2, said.append, 0.6), holder("labctl up ada", 60).note
    patience.pause(note)
    assert said == []

    def wait() -> None:
        while True:
            patience.pause(note, 7)

    with pytest.raises(LockHeldError, match="`labctl up ada`") as raised:
        wait()
    assert 1.2 <= time.monotonic() - begun < 10
    assert len(said) == 1
    assert said[0].startswith(WAITING)
    assert raised.value.who.endswith("for 7 s)")
