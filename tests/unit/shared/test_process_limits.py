"""A command is run to its end within a time and a most of output, and nothing of it goes on afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from labctl.runner.processes import alive
from labctl.shared import process_limits
from labctl.shared.process_limits import CommandEnd, NotEndedError

if TYPE_CHECKING:
    from pathlib import Path


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def left(note: Path) -> list[str]:
    """Those of the processes that wrote their numbers down which are still there; who was killed takes a moment."""
    pids, ends = note.read_text(encoding="utf-8").split(), time.monotonic() + 2
    while any(alive(int(pid)) for pid in pids) and time.monotonic() < ends:
        time.sleep(0.02)
    return [pid for pid in pids if alive(int(pid))]


def test_what_a_command_printed_and_its_code_are_returned() -> None:
    assert process_limits.run(shell("echo out; echo err >&2; exit 7"), 10) == CommandEnd(7, "out\n", "err\n")


def test_a_command_reads_what_it_is_given_however_long_that_is() -> None:
    text = b"x" * 1_000_000
    assert process_limits.run(["wc", "-c"], 10, stdin=text).out.strip() == "1000000"
    assert process_limits.run(shell("exec <&-; echo done"), 10, stdin=text).out == "done\n"
    assert process_limits.run(["cat"], 10).out == ""


def test_a_command_that_is_not_there_is_not_found() -> None:
    with pytest.raises(FileNotFoundError):
        process_limits.run(["/nonexistent/program"], 10)


@pytest.mark.parametrize("deaf", ["", "trap '' TERM; "])
def test_a_command_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path, deaf: str) -> None:
    note = tmp_path / "pids"
    begun = time.monotonic()
    with pytest.raises(NotEndedError, match="it did not end within 0 seconds"):
        process_limits.run(shell(f"{deaf}sleep 1000 & echo $$ $! >{note}; while :; do sleep 1000; done"), 0.4)
    assert time.monotonic() - begun < 0.4 + 2 * process_limits.END_SECONDS + 2
    assert left(note) == []


def test_who_returns_after_a_command_was_ended_leaves_nobody_of_it_behind(tmp_path: Path) -> None:
    """Also of many, each of which the kernel ends a moment after it was told to: nobody waits for them any more."""
    note = tmp_path / "pids"
    script = f"trap '' TERM; for i in $(seq 150); do sleep 1000 & echo $! >>{note}; done; echo done; sleep 1000"
    process = subprocess.Popen(shell(script), stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
        process_limits.end(process)
    assert [pid for pid in note.read_text(encoding="utf-8").split() if alive(int(pid))] == []


def test_a_command_that_has_ended_while_something_of_it_holds_its_output_is_not_waited_for(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    with pytest.raises(NotEndedError):
        process_limits.run(shell(f"sleep 1000 & echo $! >{note}"), 0.4)
    assert left(note) == []


def test_a_command_that_prints_without_an_end_is_ended() -> None:
    with pytest.raises(NotEndedError, match="it printed more than 1 MiB"):
        process_limits.run(["yes"], 20, most=1 << 20)


def test_what_breaks_it_off_ends_the_command_too(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        process_limits.run(shell(f"echo $$ >{note}; exec sleep 1000"), 20)
    assert left(note) == []


def test_a_command_inherits_what_it_is_given(tmp_path: Path) -> None:
    handle = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    words = [sys.executable, "-c", f"import os; print(os.readlink('/proc/self/fd/{handle}'), os.environ['A'])"]
    try:
        assert process_limits.run(words, 10, env={"A": "b"}, pass_fds=(handle,)).out == f"{tmp_path}/lock b\n"
    finally:
        os.close(handle)
