"""A folder for the sockets of one connection: only this user's, and removed when its process ends, even when killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.shared import file_lock
from labctl.shared.locked_folder import LOCK, LockedFolder

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "labctl-ssh-"
# Linux gives a socket's path 107 bytes; ssh adds 17 while it makes its own, and a forwarded port has five.
LONGEST_BASE = 60
_NEW_SECONDS = 60.0


class SocketFolder(LockedFolder):
    """The folder of one connection."""

    def __init__(self, try_to: Callable[[int], bool] = file_lock.try_to) -> None:
        base = _base()
        _remove_left(base)
        super().__init__(base, PREFIX, try_to)


def _base() -> Path:
    """Where it is made: the user's own folder of this session, else /tmp; a longer path would hold no socket."""
    for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
        folder = os.environ.get(name, "")
        if folder and len(os.fsencode(folder)) <= LONGEST_BASE and os.access(folder, os.W_OK | os.X_OK):
            return Path(folder)
    return Path("/tmp")  # noqa: S108 - mkdtemp makes a folder of one's own there


def _remove_left(base: Path) -> None:
    """Remove the folders of this user's runs that were killed."""
    for folder in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.getuid() or folder.is_symlink():
                continue
            if _is_nobodys(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_nobodys(folder: Path) -> bool:
    """Whether nobody holds a folder's lock. One that was just made may not have it yet. Raises OSError."""
    if time.time() - folder.stat().st_mtime < _NEW_SECONDS:
        return False
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        return file_lock.try_to(lock)
    finally:
        os.close(lock)
