"""Keep two commands on one lab apart, whoever runs them and from where; even if the first one was killed.

Two locks, one inside the other. The file's is held by every docker process that a command starts, and shows at once
that nothing of a killed command still works; but only commands that share the state folder meet there. The Docker
host's is for all: another user, another state folder, another machine.
"""

from __future__ import annotations

import contextlib
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .shared import file_lock, lab_hold, lab_names, lock_holder, parent_process
from .shared.docker_api import DockerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from .shared.docker_api import Engine

LOCK_SECONDS = lab_hold.LOCK_SECONDS
_VERBS = {"present": "up", "absent": "down", "stopped": "stop", "started": "start", "restarted": "restart"}


class LockRequest(NamedTuple):
    """A command on a lab, as the locks need it.

    Attributes:
        labels: those besides ours.
        say: receives who it waits for.
        within: the mark of the lock that it works under, as labctl holds one for a whole command; "" for none.
        seconds: how long it takes at most.
        patience: how long it waits for somebody else.
    """

    lab: str
    owner: str
    state: str
    labels: Mapping[str, str] = MappingProxyType({})
    say: Callable[[str], None] | None = None
    within: str = ""
    seconds: float = lab_hold.MOST_SECONDS
    patience: float = LOCK_SECONDS

    @property
    def must_write(self) -> bool:
        """Whether it needs the folder, and space on the Docker host."""
        return self.state == "present"

    @property
    def command(self) -> str:
        """The command in words, for others who wait."""
        if os.environ.get(parent_process.ASKER):
            return f"labctl {_VERBS[self.state]} {self.lab}"
        return f"consul_lab name={self.lab} state={self.state}"


class LabLocks(NamedTuple):
    """The lab's locks: what docker processes must inherit of them, and the Docker host's."""

    handles: tuple[int, ...]
    hold: lab_hold.Hold


@contextlib.contextmanager
def locked(engine: Engine, folder: Path, work: LockRequest) -> Iterator[LabLocks]:
    """Hold the lab's locks. Raises DockerError.

    A killed command's docker may still be working: the next command waits for it, so that nothing is
    created behind the back of a `down`.
    """
    who = lock_holder.holder(work.command, work.seconds, lab_names.project_name(work.lab), work.within)
    patience = lock_holder.Patience(work.patience, work.say)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_refusing(work))
        file = stack.enter_context(_file(folder / "lock", work, who.note, patience))
        hold = stack.enter_context(
            lab_hold.locked_lab(
                engine,
                work.lab,
                who,
                patience,
                labels={**work.labels, **lab_hold.labels_of(work.lab, work.owner)},
                before=file.before if file else "",
                must_write=work.must_write,
            )
        )
        yield LabLocks((file.handle,) if file else (), hold)


@contextlib.contextmanager
def _refusing(work: LockRequest) -> Iterator[None]:
    try:
        yield
    except lock_holder.LockHeldError as error:
        raise lab_hold.refused(work.lab, error) from None


@contextlib.contextmanager
def _file(
    path: Path, work: LockRequest, note: str, patience: lock_holder.Patience
) -> Iterator[file_lock.HeldLock | None]:
    """Hold the folder's lock; None where the folder cannot be written and need not be."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(file_lock.locked(path, note, patience.pause))
            stack.callback(_forget_empty, path.parent)
        except OSError as error:
            if work.must_write:
                raise DockerError(
                    f"The lab's Compose project cannot be kept in {path.parent} ({error.strerror}): make that folder "
                    "writable, or name another state folder with XDG_STATE_HOME."
                ) from error
            file = None
        yield file


def _forget_empty(folder: Path) -> None:
    """Remove a folder that holds nothing but the lock, as after a refused lab; call it with the lock held."""
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == ["lock"]:
            (folder / "lock").unlink()
            folder.rmdir()
