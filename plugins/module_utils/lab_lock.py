"""Keep two commands on one lab apart, whoever runs them and from where; also when the first one was killed.

Two locks, one inside the other. The file's is held by every docker process that a command starts, and tells at once
that a killed command has nothing left that works; but only who shares the state folder meets there. The Docker host's
is for all: another user, another state folder, another machine.
"""

from __future__ import annotations

import contextlib
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ansible.module_utils import engine_lock, file_lock, lab_asker, lab_names, lock_holder
from ansible.module_utils.docker_api import DockerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ansible.module_utils.docker_api import Engine

LOCK_SECONDS = 120.0
# No command works on a lab for longer: whoever holds a lock from where nobody can look has lost it after that.
MOST_SECONDS = 900.0
_VERBS = {"present": "up", "absent": "down", "stopped": "stop", "started": "start", "restarted": "restart"}


class Work(NamedTuple):
    """What somebody wants to do to a lab; `labels` are those besides ours, `say` is told for whom it waits."""

    lab: str
    owner: str
    state: str
    labels: Mapping[str, str] = MappingProxyType({})
    say: Callable[[str], None] | None = None

    @property
    def must_write(self) -> bool:
        """Whether it needs the folder, and space on the Docker host."""
        return self.state == "present"

    @property
    def command(self) -> str:
        """The words for it, for whoever waits."""
        if os.environ.get(lab_asker.ASKER):
            return f"labctl {_VERBS[self.state]} {self.lab}"
        return f"consul_lab name={self.lab} state={self.state}"


@contextlib.contextmanager
def locked(engine: Engine, folder: Path, work: Work) -> Iterator[tuple[int, ...]]:
    """Hold the lab's locks; yields the descriptors that docker processes must inherit. Raises DockerError.

    A killed command's docker may still be working: whoever comes next waits for it, so that nothing is
    created behind the back of a `down`.
    """
    who = lock_holder.holder(work.command, MOST_SECONDS, lab_names.project_name(work.lab))
    patience = lock_holder.Patience(LOCK_SECONDS, work.say)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_refusing(work))
        file = stack.enter_context(_file(folder / "lock", work, who.note, patience))
        stack.enter_context(_engine(engine, work, who.note, file.before if file else "", patience))
        yield (file.handle,) if file else ()


@contextlib.contextmanager
def _refusing(work: Work) -> Iterator[None]:
    try:
        yield
    except lock_holder.LockHeldError as error:
        raise DockerError(
            f"Cannot work on the lab {work.lab}: {error.who} has it, also after {LOCK_SECONDS:.0f} seconds. Wait until "
            "that has ended, then try again.",
            "refused",
        ) from None


@contextlib.contextmanager
def _file(path: Path, work: Work, note: str, patience: lock_holder.Patience) -> Iterator[file_lock.Held | None]:
    """Hold the folder's lock; None where the folder cannot be written and need not be."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(file_lock.held(path, note, patience.pause))
            stack.callback(_forget_empty, path.parent)
        except OSError as error:
            if work.must_write:
                raise DockerError(
                    f"The lab's Compose project cannot be kept in {path.parent} ({error.strerror}): make that folder "
                    "writable, or name another state folder with XDG_STATE_HOME."
                ) from error
            file = None
        yield file


@contextlib.contextmanager
def _engine(engine: Engine, work: Work, note: str, before: str, patience: lock_holder.Patience) -> Iterator[None]:
    """Hold the Docker host's lock; `before` is a note whose holder has ended."""

    def over(rival: str, age: float | None) -> bool:
        return lock_holder.is_over(rival, age, before)

    def pause(rival: str, age: float | None, volume: str) -> None:
        try:
            patience.pause(rival, age)
        except lock_holder.LockHeldError as error:
            holder = lock_holder.holder_of(rival)
            if holder is not None and holder.is_gone() is False:
                raise
            raise DockerError(
                f"Cannot work on the lab {work.lab}: {error.who} has it by the volume {volume}, also after "
                f"{LOCK_SECONDS:.0f} seconds, and it cannot be seen from here whether that has ended. If you know that "
                f"it has, remove the lock with `docker volume rm {volume}`; if not, wait, then try again.",
                "refused",
            ) from None

    # What a killed command leaves is a part of the lab to whoever looks for something to remove.
    labels = {**work.labels, lab_names.LABEL_LAB: work.lab, lab_names.LABEL_OWNER: work.owner}
    lock = engine_lock.EngineLock(engine, engine_lock.LABEL_LOCK, work.lab, over, pause)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock.held(note, labels))
        except DockerError as error:
            # Whoever makes room on a full disk needs no room for it.
            if work.must_write or "no space left" not in error.said.lower():
                raise
            lock.wait()
        yield


def _forget_empty(folder: Path) -> None:
    """Remove a folder that holds nothing but the lock, as after a lab that was refused; call it with the lock held."""
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == ["lock"]:
            (folder / "lock").unlink()
            folder.rmdir()
