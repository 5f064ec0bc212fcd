"""The user's state folder: records of runs. Nothing in it decides what exists."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from labctl.errors import LabctlError

KEPT_RECORDS = 20


def state_folder() -> Path:
    """`$XDG_STATE_HOME/raft-labctl`, by default `~/.local/state/raft-labctl` (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "state"
    return root / "raft-labctl"


def new_run_folder() -> Path:
    """Make a folder of mode 0700 for one run, and remove those of runs that were killed. Raises LabctlError."""
    runs = state_folder() / "runs"
    try:
        runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in runs.glob("run-*"):
            if not _alive(old.name.removeprefix("run-")):
                shutil.rmtree(old, ignore_errors=True)
        folder = runs / f"run-{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise LabctlError(
            f"The state folder {runs} cannot be written ({error.strerror}): make it writable, "
            "or name another one with XDG_STATE_HOME."
        ) from error
    return folder


def keep_record(text: str, name: str) -> Path | None:
    """Keep what Ansible printed in a run, mode 0600, and forget the oldest; None where it cannot be written."""
    runs = state_folder() / "runs"
    record = runs / f"{name}.log"
    try:
        with os.fdopen(os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        for old in sorted(runs.glob("*.log"), key=lambda path: path.stat().st_mtime)[:-KEPT_RECORDS]:
            old.unlink(missing_ok=True)
    except OSError:
        return None
    return record


def _alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    with contextlib.suppress(PermissionError):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
    return True
