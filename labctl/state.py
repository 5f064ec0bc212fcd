"""The user's state folder: records of runs. Nothing in it decides what exists."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError
from labctl.shared import file_lock
from labctl.shared.locked_folder import LOCK, LockedFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT_RECORDS = 20
_PREFIX = "run-"
_OLD_SECONDS = 24 * 3600.0


def state_folder() -> Path:
    """`$XDG_STATE_HOME/raft-labctl`, by default `~/.local/state/raft-labctl` (XDG Base Directory Specification).

    Raises LabctlError where this process's user has no home.
    """
    base = os.environ.get("XDG_STATE_HOME")
    try:
        root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "state"
    except (RuntimeError, KeyError):
        raise LabctlError(
            "Cannot keep anything: this process's user has no home. Name a folder of yours with XDG_STATE_HOME.",
            ExitCode.USAGE,
        ) from None
    return root / "raft-labctl"


class RunFolder(LockedFolder):
    """The folder of one run.

    Args:
        try_to: locks an open file; returns whether it was free.

    Raises LabctlError where it cannot be made.
    """

    def __init__(self, try_to: Callable[[int], bool] = file_lock.try_to) -> None:
        runs = state_folder() / "runs"
        try:
            runs.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_left(runs, try_to)
            super().__init__(runs, f"{_of_here()}-", try_to)
        except OSError as error:
            raise LabctlError(
                f"The state folder {runs} cannot be written ({error.strerror}): make it writable, "
                "or name another one with XDG_STATE_HOME."
            ) from error


def _remove_left(runs: Path, try_to: Callable[[int], bool]) -> None:
    """Remove the folders of runs that were killed."""
    for folder in runs.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _nobodys(folder, try_to) as is_nobodys:
            if is_nobodys:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _nobodys(folder: Path, try_to: Callable[[int], bool]) -> Iterator[bool]:
    """Whether nobody uses a folder, and nobody can begin to until the block ends. Raises OSError."""
    old = time.time() - folder.lstat().st_mtime > _OLD_SECONDS
    if folder.name.rpartition("-")[0] != _of_here():
        # From another machine or a container, whose locks not every file system shows; or from an older labctl.
        yield old
        return
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        # Made a moment ago, unless its maker was killed right after.
        yield old
        return
    try:
        free = try_to(lock)
    except OSError:
        free = old
    try:
        yield free
    finally:
        os.close(lock)


def _of_here() -> str:
    """The prefix of the folders of this machine's runs; the rest has no hyphen."""
    return _PREFIX + re.sub(r"[^A-Za-z0-9.-]", "_", os.uname().nodename)


def keep_record(text: str, name: str) -> Path | None:
    """Keep what Ansible printed in a run, mode 0600, and forget the oldest; None where it cannot be written."""
    runs = state_folder() / "runs"
    try:
        record = _new_record(runs, name)
        record.write_text(text, encoding="utf-8")
    except OSError:
        return None
    for old in sorted(runs.glob("*.log"), key=_age)[:-KEPT_RECORDS]:
        with contextlib.suppress(OSError):
            old.unlink()
    return record


def _new_record(runs: Path, name: str) -> Path:
    """An empty file of a unique name: two runs may end in the same second. Raises OSError."""
    for number in itertools.count(1):
        record = runs / (f"{name}.log" if number == 1 else f"{name}-{number}.log")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(record, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            break
    return record


def _age(path: Path) -> float:
    """When a record was written; another labctl may have forgotten it meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
