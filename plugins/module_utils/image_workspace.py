"""The one folder where an image is made: locked while a run lives, emptied by the next run, removed at the end.

The directory itself is the lock (flock on it). Child processes inherit the lock, so it stays held until the
last of them has ended, even if the run itself was killed: anything the next run finds inside belongs to nobody.
"""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import signal
import stat
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .shared import file_lock, lock_holder, process_limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# How long to wait for another run that makes the same image, in seconds.
PATIENCE = 900
_NOTE = "holder"
_REMOVAL_SECONDS = 120


class WorkspaceError(Exception):
    """Why there is no workspace, as one sentence."""


class InterruptedRun(BaseException):
    """The run must stop. Not an Exception: no handler on the way may take it for a failure of a source."""


@dataclass(frozen=True)
class Workspace:
    """A locked, empty directory of ours."""

    path: Path
    lock: int

    @property
    def owner(self) -> str:
        """The maker of a candidate here: the machine and the path."""
        return f"candidate of {os.uname().nodename} {self.path}"

    def directory(self, name: str, mode: int = 0o700) -> Path:
        """Make a directory in the workspace."""
        made = self.path / name
        made.mkdir(exist_ok=True)
        made.chmod(mode)
        return made


def path_of(tmp: str, repository: str) -> Path:
    """Return where this user makes the images of REPOSITORY."""
    mark = hashlib.sha256(repository.encode()).hexdigest()[:8]
    return Path(tmp) / f"raft-labctl-image-{os.geteuid()}-{mark}"


@contextmanager
def workspace(tmp: str, repository: str, patience: float = PATIENCE) -> Iterator[Workspace]:
    """Lock the workspace, remove what a killed run left, and remove it at the end. Raises WorkspaceError."""
    path = path_of(tmp, repository)
    if not path.is_absolute():
        raise WorkspaceError(f"The temporary directory {tmp!r} is not an absolute path: name it from its root (/...).")
    lock = _lock(path, time.monotonic() + patience)
    try:
        _empty(path)
        note = lock_holder.holder(f"consul_image_build repository={repository}", PATIENCE).note
        with suppress(OSError):
            (path / _NOTE).write_text(note, encoding="utf-8")
        yield Workspace(path, lock)
    finally:
        try:
            _empty(path)
            path.rmdir()
        finally:
            os.close(lock)


def _lock(path: Path, deadline: float) -> int:
    while True:
        try:
            path.mkdir(mode=0o711, exist_ok=True)
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            if not path.parent.is_dir():
                raise WorkspaceError(
                    f"The temporary directory {path.parent} is not there: make it, or name another one "
                    f"in consul_image_tmp_directory."
                ) from error
            continue
        except OSError as error:
            raise WorkspaceError(
                f"No image can be made in {path} ({error.strerror}): name another directory "
                f"in consul_image_tmp_directory."
            ) from error
        if os.fstat(lock).st_uid != os.geteuid():
            os.close(lock)
            raise WorkspaceError(
                f"No image can be made in {path}, because it belongs to somebody else: remove it, or "
                f"name another directory in consul_image_tmp_directory."
            )
        if _locked(lock, deadline, path) and file_lock.is_at(path, lock):
            return lock
        # The run that we waited for has removed the directory: make it again.
        os.close(lock)


def _locked(lock: int, deadline: float, path: Path) -> bool:
    while not file_lock.try_to(lock):
        if time.monotonic() > deadline:
            os.close(lock)
            raise WorkspaceError(
                f"Another run has been making this image in {path} for too long: it is {_whose(path)}. See what it "
                "does, or end it."
            )
        time.sleep(0.1)
    return True


def _whose(path: Path) -> str:
    """The holder of the workspace, in words."""
    try:
        with (path / _NOTE).open(encoding="utf-8", errors="replace") as file:
            return str(lock_holder.holder_words(file.read(lock_holder.LONGEST_NOTE + 1)))
    except OSError:
        return str(lock_holder.NOBODY_KNOWN)


def _empty(path: Path) -> None:
    for entry in list(path.iterdir()):
        if not stat.S_ISDIR(entry.lstat().st_mode):
            entry.unlink()
            continue
        shutil.rmtree(entry, ignore_errors=True)
        if entry.exists():
            # Without root, mmdebstrap's files belong to this user's subordinate ids, and the entry to the user.
            words = ["mmdebstrap", "--unshare-helper", "rm", "-rf", str(entry)]
            with suppress(OSError, process_limits.NotEndedError):
                process_limits.run(words, _REMOVAL_SECONDS)
            shutil.rmtree(entry, ignore_errors=True)


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGINT, SIGTERM, SIGHUP and the death of the reader of our answer into InterruptedRun.

    Children are ended first, so that they hold no lock and write nothing more: those in our process group here, those
    with process groups of their own by the code that waits for them.
    """
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        os.killpg(os.getpgrp(), signal.SIGTERM)
        raise InterruptedRun

    if os.getpid() != os.getpgrp():
        os.setpgid(0, 0)
    before = {number: signal.signal(number, stop) for number in signals}
    threading.Thread(target=_watch_reader, daemon=True).start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch_reader() -> None:
    """Request a stop once nobody reads our standard output: ansible-playbook was killed."""
    poll = select.poll()
    poll.register(1, 0)
    for _fd, event in poll.poll():
        if event & (select.POLLERR | select.POLLHUP):
            os.kill(os.getpid(), signal.SIGTERM)
