"""What a command reports while it works: a stream of typed records, whoever shows them.

A verb is given `Steps` and reports through it. What comes of that is up to a `Reporter`: a terminal with a spinner,
plain lines for a pipe, nothing for `--json`. Nothing but a reporter knows a terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class StepStarted:
    """A step began; the one before it has ended. `id` is its own in this command."""

    id: str
    title: str


@dataclass(frozen=True)
class StepDone:
    """A step ended well: what came of it, and how many seconds it took."""

    id: str
    text: str
    seconds: float


@dataclass(frozen=True)
class StepFailed:
    """A step failed; the sentence that says why is the command's error."""

    id: str
    title: str


@dataclass(frozen=True)
class Noted:
    """Something to know, in no step; one line of it."""

    text: str


@dataclass(frozen=True)
class ServerSaid:
    """A server's line, in words."""

    server: str
    text: str


Progress: TypeAlias = StepStarted | StepDone | StepFailed | Noted | ServerSaid
Reporter: TypeAlias = Callable[[Progress], None]


def ignore(_progress: Progress) -> None:
    """Show nothing."""


class Steps:
    """Where a command reports to; every text may hold names and words of others.

    Args:
        report: is given each record as it happens.
        clock: seconds, by which steps are timed.
    """

    def __init__(self, report: Reporter = ignore, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._begun = 0.0
        self._number = 0
        self._open: StepStarted | None = None

    @property
    def silent(self) -> bool:
        """Whether nobody sees what is reported, so that it need not be found out."""
        return self._report is ignore

    def begin(self, title: str, id: str = "") -> None:  # noqa: A002 - as the record has it
        """A step begins; the one before it has ended."""
        self._number += 1
        self._begun = self._clock()
        self._open = StepStarted(id or str(self._number), title)
        self._report(self._open)

    def done(self, text: str) -> None:
        """The step has ended well; `text` says what came of it."""
        step = self._open.id if self._open else str(self._number)
        self._open = None
        self._report(StepDone(step, text, self._clock() - self._begun))

    def fail(self) -> None:
        """The step that is open has failed; its sentence comes elsewhere."""
        if self._open is not None:
            step, self._open = self._open, None
            self._report(StepFailed(step.id, step.title))

    def note(self, text: str) -> None:
        """Tell something, in no step."""
        self._report(Noted(text))

    def heard(self, server: str, text: str) -> None:
        """A server was heard."""
        self._report(ServerSaid(server, text))
