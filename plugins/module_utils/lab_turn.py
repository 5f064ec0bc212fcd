"""Start only so many labs at once on a Docker host: the others wait for their turn, which costs nothing.

Ansible's forks count for all Docker hosts together, and a fork that is missing is waited for in a busy loop; here each
Docker host has its own count. Kept by the kernel's locks on parts of a file, so that a killed process gives its turn
back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

POLL_SECONDS = 0.05
# The first byte is held by the one process that looks for a free place; all others sleep until it has found one.
_DOOR = 0
_FIRST_PLACE = 1


def turns_file() -> Path:
    """The file of this user's turns; it is empty, and gone with the machine's temporary files."""
    return Path(tempfile.gettempdir()) / f"raft-labctl-turns-{os.getuid()}"


@contextlib.contextmanager
def turn(at_once: int) -> Iterator[None]:
    """Wait until fewer than `at_once` processes of this user have a turn, and have one.

    Without a file to lock, as where somebody else has one of that name, nobody waits: turns only spare the machine.
    """
    try:
        handle = os.open(turns_file(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX, 1, _DOOR)
        while not any(_taken(handle, _FIRST_PLACE + number) for number in range(at_once)):
            time.sleep(POLL_SECONDS)
        fcntl.lockf(handle, fcntl.LOCK_UN, 1, _DOOR)
        yield
    finally:
        os.close(handle)


def _taken(handle: int, place: int) -> bool:
    """Take a place; returns whether it was free."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except (BlockingIOError, PermissionError):
        return False
    return True
