"""Pipes without a process at their other end, at which a test fails instead of waiting for ever."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_SECONDS = 20.0


def lonely(path: Path) -> Path:
    """Make a pipe that nobody reads or writes until a test has waited for it much too long."""
    os.mkfifo(path)
    # Opened at both ends, it makes nothing wait.
    guard = threading.Timer(PATIENCE_SECONDS, lambda: os.open(path, os.O_RDWR | os.O_NONBLOCK))
    guard.daemon = True
    guard.start()
    return path
