"""End the processes that a run started, and only those."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

POLL_SECONDS = 0.02
# Who was killed goes at once, but for a machine that has no time for it.
KILLED_SECONDS = 2.0


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, from /proc; empty where there is no /proc (then signals reach only `pid`)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The command's name may hold blanks and brackets; the parent is the second word behind it.
            parent = int(entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children.get(parent, [])]
        found += level
    return found


def alive(pid: int) -> bool:
    """Whether that process exists and is not a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


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
