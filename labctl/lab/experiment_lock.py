"""Allow only one experiment at a time on a lab."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from labctl.engine.client import TIMEOUT_SECONDS, explained
from labctl.errors import ExitCode, LabctlError
from labctl.shared import lab_names, lock_holder
from labctl.shared.docker_api import DockerError
from labctl.shared.engine_lock import LABEL_ALONE, EngineLock, LostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labctl.engine.labs import Lab

# Two that came at the same moment have both stepped back; on the next try one of them is first.
_PATIENCE_SECONDS = 1.0
# How long an engine may take to confirm the lock: the experiment has a schedule.
_KEEP_SECONDS = 2.0


@contextlib.contextmanager
def exclusive_lab_lock(lab: Lab, owner: str, command: str, seconds: float) -> Iterator[Callable[[], None]]:
    """Lock a lab for this command, against all who share its Docker host; a killed process releases it.

    Yields a check that the lock is still held, for use before each fault. It raises LabctlError (refused) where
    somebody else has the lab.

    Args:
        lab: the lab.
        owner: who asks.
        command: what the command does, in words, for others who are refused.
        seconds: how long it may take at most. Other machines cannot see that it was killed here, and
            then have to wait that long.

    Raises LabctlError (refused) where another command holds it.
    """
    patience = lock_holder.Patience(_PATIENCE_SECONDS)

    def pause(note: str, age: float | None, volume: str) -> None:
        try:
            patience.pause(note, age)
        except lock_holder.LockHeldError as error:
            holder = lock_holder.holder_of(note)
            known = holder is not None and holder.is_gone() is False
            otherwise = f", or remove the volume {volume} on the Docker host if you know that it has"
            raise LabctlError(
                f"Cannot break the lab {lab.name} now: {error.who} breaks it already, and each would take the other's "
                f"faults for its own. Wait until that has ended{'' if known else otherwise}.",
                ExitCode.REFUSED,
            ) from None

    labels = {lab_names.LABEL_LAB: lab.name, lab_names.LABEL_OWNER: owner}
    note = lock_holder.holder(command, seconds).note
    engine = lab.place.engine(TIMEOUT_SECONDS)
    lock = EngineLock(engine, LABEL_ALONE, lab.name, lock_holder.is_over, pause)
    with contextlib.ExitStack() as stack:
        with explained(lab.place):
            stack.enter_context(lock.held(note, labels))
        yield lambda: _keep(lock, lab.name)


def _keep(lock: EngineLock, lab: str) -> None:
    try:
        lock.keep(_KEEP_SECONDS)
    except LostError as error:
        raise LabctlError(
            f"Cannot go on breaking the lab {lab}: its lock was removed, as `docker volume prune` does, and "
            f"{lock_holder.holder_words(error.rival.note, error.rival.age)} breaks it now. Wait until that has ended, "
            "then run the same command again.",
            ExitCode.REFUSED,
        ) from None
    except DockerError:
        # A busy engine proves nothing about the lock.
        return
