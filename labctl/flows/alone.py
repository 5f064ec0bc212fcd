"""Let only one command at a time disturb a lab and judge what came of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from labctl.errors import LabctlError
from labctl.provision.state import state_folder

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def alone_with(lab: str) -> Iterator[None]:
    """Hold a lab for this command; whoever is killed lets go. Raises LabctlError where another command holds it."""
    folder = state_folder() / "held"
    path = folder / f"{lab}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LabctlError(
            f"The state folder {folder} cannot be written ({error.strerror}): make it writable, "
            "or name another one with XDG_STATE_HOME."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LabctlError(
            f"Another command breaks the lab {lab} and measures what comes of it: wait until it has ended."
        ) from error
    else:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)
