"""Progress of a command: a stream of typed records, independent of how they are shown.

A verb is given `Steps` and reports through it. A `Reporter` decides how to show it: a terminal with a spinner,
plain lines for a pipe, nothing for `--json`. Only a reporter knows about terminals.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class StepStarted:
    """A step began; the one before it has ended. `id` is unique in this command."""

    id: str
    title: str


@dataclass(frozen=True)
class StepDone:
    """A step ended well: its outcome, and how many seconds it took."""

    id: str
    text: str
    seconds: float


@dataclass(frozen=True)
class StepFailed:
    """A step failed; the sentence that says why is the command's error."""

    id: str
    title: str


@dataclass(frozen=True)
class Note:
    """A note outside any step, in one line."""

    text: str


@dataclass(frozen=True)
class Waits(Note):
    """Who the command waits for, so that the user sees why nothing happens."""


@dataclass(frozen=True)
class ServerSaid:
    """A server's line, in words."""

    server: str
    text: str


@dataclass(frozen=True)
class SeatsStarted:
    """Work on many labs of a workshop began; all of them wait."""

    workshop: str
    labs: tuple[str, ...]


@dataclass(frozen=True)
class SeatProgress:
    """A seat's lab reached a state (`STATES`), or waits for somebody else (`held`).

    `text` is the outcome: who leads, who it waits for, or why it failed; `at` is the state in which it failed.
    """

    lab: str
    state: str
    text: str = ""
    seconds: float = 0.0
    at: str = ""


@dataclass(frozen=True)
class SeatsLost:
    """Labs that nothing can be done for, because of their Docker host; `text` says why."""

    labs: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class SeatsEnded:
    """Work on the seats has ended."""


STATES = ("waiting", "starting", "started", "joining", "ready", "failed")
"""The states of a seat, in order."""
Progress: TypeAlias = (
    StepStarted | StepDone | StepFailed | Note | ServerSaid | SeatsStarted | SeatProgress | SeatsLost | SeatsEnded
)
Reporter: TypeAlias = Callable[[Progress], None]


def ignore(_progress: Progress) -> None:
    """Show nothing."""


class Steps:
    """Where a command reports its progress; every text may hold names and words of others.

    Args:
        report: takes each record as it happens.
        clock: the time in seconds, to time steps.
        silent: shows only who a command waits for.
    """

    def __init__(
        self, report: Reporter = ignore, clock: Callable[[], float] = time.monotonic, *, silent: bool = False
    ) -> None:
        self._report = report
        self._silent = silent
        self._clock = clock
        self._begun = 0.0
        self._number = 0
        self._open: StepStarted | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing is shown, so that a report need not be prepared."""
        return self._report is ignore or self._silent

    def begin(self, title: str, id: str = "") -> None:  # noqa: A002 - as the record has it
        """A step begins; the one before it has ended."""
        self._number += 1
        self._begun = self._clock()
        self._open = StepStarted(id or str(self._number), title)
        self._report(self._open)

    def done(self, text: str) -> None:
        """The step has ended well; `text` is its outcome."""
        step = self._open.id if self._open else str(self._number)
        self._open = None
        self._report(StepDone(step, text, self._clock() - self._begun))

    def fail(self) -> None:
        """The open step has failed; its sentence is the command's error."""
        if self._open is not None:
            step, self._open = self._open, None
            self._report(StepFailed(step.id, step.title))

    def note(self, text: str) -> None:
        """Note something outside any step."""
        self._report(Note(text))

    def waits(self, text: str) -> None:
        """Show who the command waits for."""
        self._report(Waits(text))

    def heard(self, server: str, text: str) -> None:
        """A server logged something."""
        self._report(ServerSaid(server, text))

    @contextlib.contextmanager
    def seats(self, workshop: str, labs: Iterable[str]) -> Iterator[None]:
        """Work on these labs of a workshop, until the block ends."""
        self._report(SeatsStarted(workshop, tuple(labs)))
        try:
            yield
        finally:
            self._report(SeatsEnded())

    def seat(self, lab: str, state: str, text: str = "", seconds: float = 0.0, at: str = "") -> None:
        """A seat's lab reached a state."""
        self._report(SeatProgress(lab, state, text, seconds, at))

    def lost(self, labs: Iterable[str], text: str) -> None:
        """Nothing can be done for these labs."""
        self._report(SeatsLost(tuple(labs), text))
