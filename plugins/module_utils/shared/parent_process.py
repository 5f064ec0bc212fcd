"""Whether the labctl that started Ansible is still there: after it was killed, a later `down` must not be undone.

Ansible itself goes on until it writes to a terminal that is gone, and so may wait for a lab's lock in the meantime.
"""

from __future__ import annotations

import os
from pathlib import Path

ASKER = "LABCTL_ASKER"
"""Environment variable with labctl's process, as `name_of` has it. Unset in an Ansible that labctl did not start."""
LOCK = "LABCTL_LOCK"
"""Environment variable with the mark of the lock under which labctl has Ansible work, as lock_holder has it."""
# Of /proc/PID/stat behind the command's name: the state, and when the process started.
_STATE, _STARTED = 0, 19
_MOST_DIGITS = 10


def name_of(pid: int) -> str:
    """A process by its number and the time of its start, as numbers are reused; "" where it does not exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[_STATE] in {"Z", "X"} else f"{pid} {fields[_STARTED]}"


def is_gone() -> bool:
    """Whether a labctl started this and is gone; false where that is unknown."""
    asker = os.environ.get(ASKER, "")
    pid = asker.partition(" ")[0]
    # Anything but a process was not written by labctl, and means nothing.
    if not (pid.isascii() and pid.isdecimal() and len(pid) <= _MOST_DIGITS):
        return False
    return name_of(int(pid)) != asker
