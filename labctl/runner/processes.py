"""End the processes that a run started, and only those."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from labctl.shared.process_tree import alive, descendants

__all__ = ["alive", "descendants", "end", "names"]

POLL_SECONDS = 0.02
# A killed process ends at once, unless the machine is very busy.
KILLED_SECONDS = 2.0
SERVING = ("ssh", "dockerd", "containerd", "docker-proxy")
"""The prefix of the kernel's names of processes that outlive their parents."""


def names(pid: int, word: str) -> bool:
    """Whether `word` is among the arguments with which a process was started."""
    with contextlib.suppress(OSError):
        return word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def given(word: str) -> list[int]:
    """The processes with a word in their environment, as all children of a run have, whatever their parent is now.

    Without those that serve others too: an orphaned ssh is a connection to a Docker host, and the run may have
    started a Docker Engine.
    """
    children = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_theirs = word.encode() in (entry / "environ").read_bytes()
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace")
            if is_theirs and not name.startswith(SERVING):
                children.append(int(entry.name))
    return children


def end(pid: int, seconds: float, word: str = "") -> None:
    """Interrupt a process and all below it; what is left after `seconds` is terminated, then killed.

    Ansible's workers have sessions of their own, so a signal to the process group would not reach them. And a process
    that was started just then may have lost its parent unseen: it has `word` in its environment.
    """

    def whole(known: list[int]) -> list[int]:
        below = [child for process in known for child in descendants(process)]
        return list(dict.fromkeys([*known, *below, *(given(word) if word else ())]))

    family = whole([pid])
    patience = ((signal.SIGINT, 0.6 * seconds), (signal.SIGTERM, 0.4 * seconds), (signal.SIGKILL, KILLED_SECONDS))
    for number, wait in patience:
        for process in family:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
        ends = time.monotonic() + wait
        while time.monotonic() < ends:
            if not any(alive(process) for process in family):
                break
            time.sleep(POLL_SECONDS)
        family = whole(family)
        if not any(alive(process) for process in family):
            return
