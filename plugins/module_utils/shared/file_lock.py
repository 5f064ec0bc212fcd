"""A lock on a file, held by the kernel: a killed process releases it. The holder is written into the file."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LONGEST_NOTE = 2000


class HeldLock(NamedTuple):
    """A held lock: its descriptor, and the note of a previous holder that did not remove it, or ""."""

    handle: int
    before: str


@contextlib.contextmanager
def locked(path: Path, note: str, pause: Callable[[str], None]) -> Iterator[HeldLock]:
    """Hold the lock. The file stays: a lock on a removed file would not be seen by later processes.

    A process that removes the file nevertheless holds the lock meanwhile: waiters then see that it is another file.

    Args:
        path: the file; it is made if missing, with its folder, for its owner only.
        note: information for those who wait.
        pause: is called with the holder's note while somebody else has the lock; it waits, or raises.

    Raises OSError where the file cannot be opened or locked.
    """
    handle = take(path, pause)
    try:
        before = read(handle)
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, note.encode(), 0)
        yield HeldLock(handle, before)
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
        os.close(handle)


def take(path: Path, pause: Callable[[str], None]) -> int:
    """Open and lock the file, and leave its content. Returns its descriptor; closing it releases the lock."""
    while True:
        # The previous holder may have removed the folder with it.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            continue
        try:
            while not try_to(handle):
                pause(read(handle))
            if is_at(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def try_to(handle: int) -> bool:
    """Lock an open file; returns whether nobody else had it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(path: Path, handle: int) -> bool:
    """Whether an open file is the one that others find at its path."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def read(handle: int) -> str:
    """The content of the lock's file."""
    return os.pread(handle, _LONGEST_NOTE + 1, 0).decode("utf-8", "replace")
