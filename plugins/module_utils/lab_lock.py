"""Keep two commands on one lab apart, also when the first one was killed and its docker still works."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from ansible.module_utils.docker_api import DockerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_SECONDS = 120.0


@contextlib.contextmanager
def locked(folder: Path, lab: str, *, must: bool) -> Iterator[tuple[int, ...]]:
    """Hold the lab's lock; yields the descriptors that docker processes must inherit.

    A killed command's docker may still be working: whoever comes next waits for it, so that nothing is
    created behind the back of a `down`. With `must` false a folder that cannot be written is no hindrance.
    """
    path = folder / "lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if not must:
            yield ()
            return
        raise DockerError(
            f"The lab's Compose project cannot be kept in {folder} ({error.strerror}): make that folder writable, "
            "or name another state folder with XDG_STATE_HOME."
        ) from error
    try:
        _wait_for(handle, lab)
        # `down` removes the folder with the lock in it: make sure that ours is the one on disk.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists() or not os.path.samestat(path.stat(), os.fstat(handle)):
            with locked(folder, lab, must=must) as handles:
                yield handles
            return
        try:
            yield (handle,)
        finally:
            _forget_empty(folder)
    finally:
        os.close(handle)


def _forget_empty(folder: Path) -> None:
    """Remove a folder that holds nothing but the lock, as after a lab that was refused; call it with the lock held."""
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == ["lock"]:
            (folder / "lock").unlink()
            folder.rmdir()


def _wait_for(handle: int, lab: str) -> None:
    ends = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends:
                raise DockerError(
                    f"Another command has been working on the lab {lab} for {LOCK_SECONDS:.0f} seconds: "
                    "wait until it has ended, then try again."
                ) from None
            time.sleep(0.1)
        else:
            return
