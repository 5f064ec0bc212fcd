"""Find the processes below another one in /proc, and end them; none are found where there is no /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

POLL_SECONDS = 0.02
# How long a process that was asked to end, or was killed, may take.
ASKED_SECONDS, KILLED_SECONDS = 2.0, 2.0


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, from /proc; empty where there is no /proc (then signals reach only `pid`)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The command's name may hold blanks and brackets; the parent is the second word behind it.
            parent = int(entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    pids: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children.get(parent, [])]
        pids += level
    return pids


def alive(pid: int) -> bool:
    """Whether that process exists and is not a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def in_group(group: int) -> list[int]:
    """The processes of a process group that have not ended."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # Behind the command's name: the state, the parent, the group.
            words = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if words[0] not in ("Z", "X") and int(words[2]) == group:
                pids.append(int(entry.parent.name))
    return pids


def end_below(pid: int) -> None:
    """End all processes below `pid`: first ask, then kill."""
    family = descendants(pid)
    for number, seconds in ((signal.SIGTERM, ASKED_SECONDS), (signal.SIGKILL, KILLED_SECONDS)):
        for process in family:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
        ends = time.monotonic() + seconds
        while any(alive(process) for process in family) and time.monotonic() < ends:
            time.sleep(POLL_SECONDS)
        # Processes that one of them has started since, or orphans now.
        family = list(dict.fromkeys(family + descendants(pid)))
