"""Hold a lab on its Docker host while it is changed: labctl for a whole command, its modules for their part of it.

A fact that is read under the lock stays true until its consequences are written.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from .docker_api import DockerError
from .engine_lock import LABEL_LOCK, EngineLock, LostError
from .lab_names import LABEL_LAB, LABEL_OWNER
from .lock_holder import LockHeldError, holder_of, holder_words, is_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .lock_holder import Holder, Patience

LOCK_SECONDS = 120.0
# One module's work on a lab takes no longer: after that, a holder that cannot be inspected has lost the lock.
MOST_SECONDS = 900.0


class Hold:
    """A lab that is held; without a lock where there was no room for one."""

    def __init__(self, lab: str, lock: EngineLock | None) -> None:
        self._lab = lab
        self._lock = lock

    def keep(self, seconds: float | None = None) -> None:
        """Check before a step that the lock is still held. Raises DockerError (refused) where somebody else holds it.

        `seconds` is how long the engine may take to answer; None leaves it all its time.
        """
        if self._lock is None:
            return
        try:
            self._lock.keep(seconds)
        except LostError as error:
            raise DockerError(
                f"Cannot go on with the lab {self._lab}: its lock was removed, as `docker volume prune` does, and "
                f"{holder_words(error.rival.note, error.rival.age)} has the lab now. Wait until that has ended, "
                "then run the same command again.",
                "refused",
            ) from None


@contextlib.contextmanager
def locked_lab(  # noqa: PLR0913 - by whom, for whom, and how
    engine: Any,
    lab: str,
    who: Holder,
    patience: Patience,
    *,
    labels: Mapping[str, str],
    before: str = "",
    must_write: bool = True,
) -> Iterator[Hold]:
    """Lock a lab. Raises DockerError, of the kind `refused` where somebody else has held it for too long.

    Args:
        engine: a docker_api.Engine.
        lab: its name.
        who: the holder; a process with the same mark works under it, or lets it work, and is not waited for.
        patience: how long to wait.
        labels: what the lock's volume carries besides its own.
        before: a note whose holder has ended.
        must_write: whether there must be room for a lock.
    """

    def over(rival: str, age: float | None) -> bool:
        return is_over(rival, age, before)

    def is_ours(rival: str) -> bool:
        holder = holder_of(rival)
        return holder is not None and holder.mark == who.mark

    def pause(rival: str, age: float | None, volume: str) -> None:
        try:
            patience.pause(rival, age)
        except LockHeldError as error:
            holder = holder_of(rival)
            if holder is not None and holder.is_gone() is False:
                raise refused(lab, error) from None
            raise DockerError(
                f"Cannot work on the lab {lab}: {error.who} has it by the volume {volume}, also after "
                f"{patience.seconds:.0f} seconds, and it cannot be seen from here whether that has ended. If you know "
                f"that it has, remove the lock with `docker volume rm {volume}`; if not, wait, then try again.",
                "refused",
            ) from None

    lock = EngineLock(engine, LABEL_LOCK, lab, over, pause, is_ours)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock.held(who.note, labels))
            hold = Hold(lab, lock)
        except DockerError as error:
            # Making room on a full disk needs no room for a lock.
            if must_write or "no space left" not in error.said.lower():
                raise
            lock.wait()
            hold = Hold(lab, None)
        yield hold


def labels_of(lab: str, owner: str) -> dict[str, str]:
    """A lab's labels: a killed command's leftovers are a part of the lab, and are removed with it."""
    return {LABEL_LAB: lab, LABEL_OWNER: owner}


def refused(lab: str, error: LockHeldError) -> DockerError:
    """The error for a lab that somebody else has had for longer than we wait."""
    return DockerError(
        f"Cannot work on the lab {lab}: {error.who} has it, also after {error.seconds:.0f} seconds. Wait until that "
        "has ended, then try again.",
        "refused",
    )
