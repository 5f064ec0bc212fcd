"""The number of labs that start at once on a Docker host is limited, and waiters wake, even if a holder is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from plugins.module_utils import start_semaphore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import ForkContext, ForkProcess
    from multiprocessing.sharedctypes import Synchronized
    from pathlib import Path

AT_ONCE = 2
FORK: ForkContext = multiprocessing.get_context("fork")


Turn = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def turn(tmp_path: Path) -> Turn:
    """A turn by a file of the test's own."""
    return partial(start_semaphore.turn, path=tmp_path / "turns", poll=0.005)


@pytest.fixture
def inside() -> Synchronized[int]:
    """How many processes have a turn."""
    return FORK.Value("i", 0)


@pytest.fixture
def processes() -> Iterator[list[ForkProcess]]:
    """Processes that are ended after the test."""
    started: list[ForkProcess] = []
    yield started
    for process in started:
        process.kill()
        process.join()


def work(turn: Turn, inside: Synchronized[int], most: Synchronized[int], seconds: float) -> None:
    """Have a turn, and note how many have one at that moment."""
    with turn(AT_ONCE):
        with inside.get_lock():
            inside.value += 1
            most.value = max(most.value, inside.value)
        time.sleep(seconds)
        with inside.get_lock():
            inside.value -= 1


def test_no_more_than_so_many_have_a_turn_and_all_get_one(
    turn: Turn, inside: Synchronized[int], processes: list[ForkProcess]
) -> None:
    most: Synchronized[int] = FORK.Value("i", 0)
    for _ in range(8):
        processes.append(FORK.Process(target=work, args=(turn, inside, most, 0.2)))
        processes[-1].start()
    for process in processes:
        process.join(timeout=20)
    assert [process.exitcode for process in processes] == [0] * 8
    assert (most.value, inside.value) == (AT_ONCE, 0)


def test_a_process_that_is_killed_gives_its_turn_back(
    turn: Turn, inside: Synchronized[int], processes: list[ForkProcess]
) -> None:
    most: Synchronized[int] = FORK.Value("i", 0)
    for _ in range(AT_ONCE + 1):
        processes.append(FORK.Process(target=work, args=(turn, inside, most, 60.0)))
        processes[-1].start()
    ends = time.monotonic() + 20
    while inside.value < AT_ONCE and time.monotonic() < ends:
        time.sleep(0.005)
    for process in processes:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    with turn(1):
        pass


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_stopped_process_is_told_and_holds_nobody_for_ever(
    turn: Turn, inside: Synchronized[int], processes: list[ForkProcess], at_once: int
) -> None:
    """Whether it has a turn itself, or waits for one and lets nobody else look."""
    most: Synchronized[int] = FORK.Value("i", 0)
    for _ in range(AT_ONCE + 1):
        processes.append(FORK.Process(target=work, args=(turn, inside, most, 60.0)))
        processes[-1].start()
    ends = time.monotonic() + 20
    while inside.value < AT_ONCE and time.monotonic() < ends:
        time.sleep(0.005)
    time.sleep(0.2)
    pids = sorted(process.pid or 0 for process in processes)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    said: list[str] = []
    begun = time.monotonic()
    with turn(at_once, said.append, seconds=1.5):
        assert 1.5 <= time.monotonic() - begun < 10
    assert len(said) == 1
    assert said[0].startswith(f"Waiting for a turn, because {at_once} labs at once are started here; stopped are ")
    assert sum(str(pid) in said[0] for pid in pids) == at_once + 1


def test_who_cannot_have_the_file_does_not_wait(turn: Turn, tmp_path: Path) -> None:
    (tmp_path / "turns").symlink_to(tmp_path / "somebody-elses")
    with turn(1):
        pass
    assert not (tmp_path / "somebody-elses").exists()


def test_the_file_is_one_of_the_users_own(turn: Turn, tmp_path: Path) -> None:
    with turn(1):
        assert (tmp_path / "turns").stat().st_mode & 0o777 == 0o600
