"""A folder of one process, removed when the process ends, even if it is killed."""

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
    """A folder of mode 0700. The holder of its lock uses it; a folder without a holder may be removed by anybody.

    Args:
        base: in which folder it is made.
        prefix: the beginning of its name.
        try_to: locks an open file; returns whether nobody else had it.

    Raises OSError where it cannot be made.
    """

    def __init__(self, base: Path, prefix: str, try_to: Callable[[int], bool] = file_lock.try_to) -> None:
        self._try_to = try_to
        while not self._made(base, prefix):
            # Another process took it for the folder of a killed one, because this process stood still in between.
            continue

    def _made(self, base: Path, prefix: str) -> bool:
        """Make and lock the folder; returns whether it still exists then. Raises OSError."""
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
        try:
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return False
        # On a file system without locks, its age shows that it is in use.
        with contextlib.suppress(OSError):
            if not self._try_to(self._lock):
                os.close(self._lock)
                return False
        if file_lock.is_at(self.path / LOCK, self._lock):
            return True
        os.close(self._lock)
        return False

    def remove(self) -> None:
        """Remove it with all its content."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)
