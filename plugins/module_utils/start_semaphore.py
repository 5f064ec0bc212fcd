"""Limit how many labs start at once on a Docker host: the others wait for their turn, which costs next to nothing.

Ansible's forks count for all Docker hosts together, and Ansible waits for a free fork in a busy loop; here each
Docker host has its own count. Kept by the kernel's locks on parts of a file, so that a killed process returns its turn
by itself. Turns only spare the machine: after two minutes of waiting, a process goes on without one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .shared import lock_holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLL_SECONDS = 0.05
TURN_SECONDS = 120.0
# The first byte is held by the one process that looks for a free place; all others wait until it has found one.
_DOOR = 0
_FIRST_PLACE = 1
# The kernel's `struct flock` on machines of 64 bits: what kind, from where, where, how long, whose.
_FLOCK = struct.Struct("hhqqi4x")


def turns_file() -> Path:
    """The file of this user's turns; it is empty, and gone with the machine's temporary files."""
    return Path(tempfile.gettempdir()) / f"raft-labctl-turns-{os.getuid()}"


@contextlib.contextmanager
def turn(
    at_once: int,
    say: Callable[[str], None] | None = None,
    path: Path | None = None,
    seconds: float = TURN_SECONDS,
    poll: float = POLL_SECONDS,
) -> Iterator[None]:
    """Wait until fewer than `at_once` processes of this user have a turn, and take one.

    Without a file to lock, as where somebody else has one of that name, it does not wait; nor longer than two minutes,
    as for a process that was stopped.

    Args:
        at_once: how many may have one.
        say: receives who it waits for.
        path: the file; None is this user's.
        seconds: how long it waits at most.
        poll: how often it looks.
    """
    try:
        handle = os.open(path or turns_file(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(lock_holder.LockHeldError):
            _have(handle, at_once, lock_holder.Patience(seconds, say), poll)
        yield
    finally:
        os.close(handle)


def _have(handle: int, at_once: int, patience: lock_holder.Patience, poll: float) -> None:
    """Take a place. Raises LockHeldError where that took too long."""
    while not _taken(handle, _DOOR):
        patience.wait(lambda: _who(handle, at_once), poll)
    try:
        while not any(_taken(handle, _FIRST_PLACE + number) for number in range(at_once)):
            patience.wait(lambda: _who(handle, at_once), poll)
    finally:
        fcntl.lockf(handle, fcntl.LOCK_UN, 1, _DOOR)


def _taken(handle: int, place: int) -> bool:
    """Take a place; returns whether it was free."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _who(handle: int, at_once: int) -> str:
    """The process that it waits for, in words."""
    pids = {_holder(handle, place) for place in (_DOOR, *range(_FIRST_PLACE, _FIRST_PLACE + at_once))} - {0}
    stopped = [str(pid) for pid in sorted(pids) if lock_holder.is_stopped(pid)]
    them = f"; stopped are the processes {', '.join(stopped)}, and `kill -CONT` lets them go on" if stopped else ""
    return f"a turn, because {at_once} labs at once are started here{them}"


def _holder(handle: int, place: int) -> int:
    """The process that has a place; 0 for none, and where that is not known."""
    if struct.calcsize("P") * 8 != 64:  # noqa: PLR2004 - bits
        return 0
    try:
        holder = fcntl.fcntl(handle, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0))
    except OSError:
        return 0
    kind, _whence, _start, _length, pid = _FLOCK.unpack(holder)
    return pid if kind != fcntl.F_UNLCK and pid > 0 else 0
