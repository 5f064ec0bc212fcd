"""Hold a lab for a whole command, so that what the command announced stays true until it is done."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from labctl.engine.client import TIMEOUT_SECONDS, explained
from labctl.errors import ExitCode, LabctlError
from labctl.shared import lab_hold, lab_names, lock_holder
from labctl.shared.docker_api import DockerError
from labctl.shared.lab_hold import LOCK_SECONDS, MOST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labctl.engine.docker_host import DockerHost
    from labctl.progress import Steps
    from labctl.shared.docker_api import Allowance

__all__ = ["LOCK_SECONDS", "MOST_SECONDS", "LabLock", "locked_lab"]
KEEP_SECONDS = 1.0
"""How often a command that waits for a run checks whether the lab is still locked."""

QUICK_SECONDS = 1.0
"""How long the engine may take to confirm the lock: a deadline runs, and the work itself watches the engine."""


class LabLock:
    """A lab that is held; `mark` lets modules work under it."""

    def __init__(self, place: DockerHost, hold: lab_hold.Hold, mark: str, keep_seconds: float = KEEP_SECONDS) -> None:
        self.mark = mark
        self._keep_seconds = keep_seconds
        self._place = place
        self._hold = hold
        self._kept = time.monotonic()

    def keep(self, seconds: float | None = None) -> None:
        """Check that the lock is still held. Raises LabctlError, refused where somebody else holds the lab now.

        `seconds` is how long the engine may take to say so; None leaves it all its time.
        """
        with _told(self._place):
            self._hold.keep(seconds)
        self._kept = time.monotonic()

    def keep_meanwhile(self) -> None:
        """Check the lock now and then, beside work that itself watches the engine."""
        if time.monotonic() - self._kept < self._keep_seconds:
            return
        try:
            self.keep(QUICK_SECONDS)
        except LabctlError as error:
            if error.code is ExitCode.REFUSED:
                raise
            self._kept = time.monotonic()


@contextlib.contextmanager
def locked_lab(  # noqa: PLR0913 - where, what, for whom, and for how long
    place: DockerHost,
    lab: str,
    owner: str,
    command: str,
    steps: Steps,
    *,
    seconds: float = MOST_SECONDS,
    patience: float = LOCK_SECONDS,
    must_write: bool = True,
    keep_seconds: float = KEEP_SECONDS,
    allowance: Allowance | None = None,
) -> Iterator[LabLock]:
    """Lock a lab for a command, against everybody who uses its Docker host. After a second, it names the holder.

    Args:
        place: where its engine is reached.
        lab: its name.
        owner: who asks.
        command: what the command does, in words, for others who wait for it.
        steps: where the wait is reported.
        seconds: how long the command may take at most; other machines cannot see whether it was killed.
        patience: how long to wait for the lock.
        must_write: whether it needs space on the Docker host.
        keep_seconds: how often `keep_meanwhile` checks the lock.
        allowance: the time for all the command's requests together.

    Raises LabctlError, refused where somebody else holds it for too long.
    """
    who = lock_holder.holder(command, seconds, lab_names.project_name(lab))
    with contextlib.ExitStack() as stack:
        with _told(place):
            hold = stack.enter_context(
                lab_hold.locked_lab(
                    place.engine(TIMEOUT_SECONDS).sharing(allowance),
                    lab,
                    who,
                    lock_holder.Patience(max(0.0, patience), steps.waits),
                    labels=lab_hold.labels_of(lab, owner),
                    must_write=must_write,
                )
            )
        yield LabLock(place, hold, who.mark, keep_seconds)


@contextlib.contextmanager
def _told(place: DockerHost) -> Iterator[None]:
    with explained(place):
        try:
            yield
        except DockerError as error:
            if error.failure == "refused":
                raise LabctlError(error.sentence, ExitCode.REFUSED) from error
            raise
