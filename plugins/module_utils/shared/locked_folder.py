"""A folder of one process, gone with whoever made it, also when killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import file_lock

if TYPE_CHECKING:
    from collections.abc import Callable

LOCK = "lock"


class LockedFolder:
    """A folder of mode 0700. Whoever holds its lock uses it; a folder that nobody holds is anybody's to remove.

    Args:
        base: in which folder it is made.
        prefix: what its name begins with.
        try_to: locks an open file; returns whether nobody else had it.

    Raises OSError where it cannot be made.
    """

    def __init__(self, base: Path, prefix: str, try_to: Callable[[int], bool] = file_lock.try_to) -> None:
        self._try_to = try_to
        while not self._made(base, prefix):
            # Another process took it for the folder of a killed one, because this process stood still in between.
            continue

    def _made(self, base: Path, prefix: str) -> bool:
        """Make and lock the folder; returns whether it is still there then. Raises OSError."""
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
        try:
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return False
        # A file system without locks: then its age shows that it is in use.
        with contextlib.suppress(OSError):
            if not self._try_to(self._lock):
                os.close(self._lock)
                return False
        if file_lock.is_at(self.path / LOCK, self._lock):
            return True
        os.close(self._lock)
        return False

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)
