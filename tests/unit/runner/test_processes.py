"""A run's processes are ended, and only those."""

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

from labctl.runner import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

# A parent with a child in a session of its own, as Ansible's workers have; both say when they are there.
FAMILY = """
import os, signal, sys, time
{ignore}
child = os.fork()
if child == 0:
    os.setsid()
    print(os.getpid(), flush=True)
    time.sleep(60)
os.wait()
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are killed with the test at the latest."""
    found: list[subprocess.Popen[str]] = []
    yield found
    for process in found:
        for pid in [*processes.descendants(process.pid), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def family(started: list[subprocess.Popen[str]], ignore: str = "") -> tuple[int, int]:
    words = [sys.executable, "-ISc", FAMILY.format(ignore=ignore)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    started.append(process)
    assert process.stdout
    return process.pid, int(process.stdout.readline())


def test_a_child_in_a_session_of_its_own_is_a_descendant(started: list[subprocess.Popen[str]]) -> None:
    parent, child = family(started)
    assert processes.descendants(parent) == [child]
    assert {parent, child} <= set(processes.descendants(os.getpid()))


def test_an_interrupt_ends_the_whole_family_at_once(started: list[subprocess.Popen[str]]) -> None:
    parent, child = family(started)
    begun = time.monotonic()
    processes.end(parent, 20)
    assert time.monotonic() - begun < 10
    assert not processes.alive(parent)
    assert not processes.alive(child)


def test_who_ignores_interrupts_is_killed_in_the_end(started: list[subprocess.Popen[str]]) -> None:
    ignore = "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    parent, child = family(started, ignore)
    processes.end(parent, 0.5)
    ends = time.monotonic() + 5
    while (processes.alive(parent) or processes.alive(child)) and time.monotonic() < ends:
        time.sleep(0.01)
    assert not processes.alive(parent)
    assert not processes.alive(child)


# Leaves a child behind that nobody is the parent of, and says its number.
ORPHANING = """
import os, time
if os.fork() == 0:
    os.setsid()
    print(os.getpid(), flush=True)
    time.sleep(60)
time.sleep({seconds})
"""


@pytest.mark.parametrize("seconds", [0, 60])
def test_who_has_lost_its_parent_is_known_by_its_environment(
    started: list[subprocess.Popen[str]], tmp_path: Path, seconds: int
) -> None:
    words = [sys.executable, "-ISc", ORPHANING.format(seconds=seconds)]
    others = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={"FOLDER": f"{tmp_path}-other"})
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={"FOLDER": str(tmp_path / "run")})
    started += [others, process]
    assert others.stdout
    assert process.stdout
    other, orphan = int(others.stdout.readline()), int(process.stdout.readline())
    try:
        if not seconds:
            process.wait()
        processes.end(process.pid, 5, str(tmp_path / "run"))
        assert not processes.alive(orphan)
        assert processes.alive(other)
    finally:
        for pid in (orphan, other):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_an_engine_that_a_run_has_started_outlives_it(started: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    named = ORPHANING.replace("os.setsid()", 'os.setsid(); open("/proc/self/comm", "w").write("dockerd")')
    words = [sys.executable, "-ISc", named.format(seconds=0)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={"FOLDER": str(tmp_path)})
    started.append(process)
    assert process.stdout
    engine = int(process.stdout.readline())
    try:
        process.wait()
        processes.end(process.pid, 1, str(tmp_path))
        assert processes.alive(engine)
    finally:
        os.kill(engine, signal.SIGKILL)


def test_others_are_left_alone(started: list[subprocess.Popen[str]]) -> None:
    process, _ = family(started)
    other, child = family(started)
    processes.end(process, 5)
    assert processes.alive(other)
    assert processes.alive(child)


def test_a_zombie_and_a_stranger_are_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-ISc", ""])
    ends = time.monotonic() + 10
    while processes.alive(process.pid) and time.monotonic() < ends:
        time.sleep(0.01)
    assert Path(f"/proc/{process.pid}").exists()
    assert not processes.alive(process.pid)
    process.wait()
    assert not processes.alive(2**22 + 1)
    assert processes.alive(os.getpid())


def test_a_process_that_is_gone_is_ended_without_complaint() -> None:
    process = subprocess.Popen([sys.executable, "-ISc", ""])
    process.wait()
    begun = time.monotonic()
    processes.end(process.pid, 5)
    assert time.monotonic() - begun < 2
