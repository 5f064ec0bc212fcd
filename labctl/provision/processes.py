"""End the processes that a run started, and only those."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from labctl.portable.process_tree import alive, descendants

__all__ = ["alive", "descendants", "end", "names"]

POLL_SECONDS = 0.02
# Who was killed goes at once, but for a machine that has no time for it.
KILLED_SECONDS = 2.0


def names(pid: int, word: str) -> bool:
    """Whether the words with which a process was started have `word` in them."""
    with contextlib.suppress(OSError):
        return word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def end(pid: int, seconds: float) -> None:
    """Interrupt a process and all below it; what is left after `seconds` is terminated, then killed.

    Ansible's workers have sessions of their own, so a signal to the process group would not reach them.
    """
    family = [pid, *descendants(pid)]
    patience = ((signal.SIGINT, 0.6 * seconds), (signal.SIGTERM, 0.4 * seconds), (signal.SIGKILL, KILLED_SECONDS))
    for number, wait in patience:
        for one in family:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one, number)
        ends = time.monotonic() + wait
        while time.monotonic() < ends:
            if not any(alive(one) for one in family):
                return
            time.sleep(POLL_SECONDS)
        family = list(dict.fromkeys(family + [child for one in family for child in descendants(one)]))
