"""Show progress: steps that tick off while a command works, with the servers' lines between them.

Reports may hold names and words of others: here they are made harmless, once, and coloured afterwards.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from labctl.progress import (
    Note,
    SeatProgress,
    SeatsEnded,
    SeatsLost,
    SeatsStarted,
    ServerSaid,
    StepDone,
    StepFailed,
    Steps,
    StepStarted,
    Waits,
)
from labctl.terminal import waiting
from labctl.terminal.style import coloured, harmless, paint, paint_server, sign

if TYPE_CHECKING:
    from rich.status import Status

    from labctl.progress import Progress
    from labctl.terminal.seat_table import SeatTable


class WaitReporter:
    """Who a command waits for, on standard error; standard output is for its result alone."""

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        match progress:
            case Waits(text):
                waiting.tell(text)
            case SeatProgress(lab, "held", text):
                waiting.tell(f"{lab} waits for {text}")


class PlainProgress:
    """One line for each step that has ended, for a pipe or a file."""

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        match progress:
            case StepStarted():
                self.started(progress)
            case StepDone(_, text, seconds):
                self.ended()
                self._print(f"{paint(sign('done'), 'green')} {harmless(text)}  {paint(f'{seconds:.1f}s', 'dim')}")
            case StepFailed(_, title):
                self.ended()
                self._print(f"{paint(sign('failed'), 'red')} {harmless(title)}")
            case Note(text):
                self._print(harmless(text))
            case ServerSaid(server, text):
                name = paint_server(server, f"{server} {sign('bar')}")
                self._print(f"  {name} {harmless(text)}")
            case SeatProgress():
                self.seat(progress)
            case SeatsLost(labs, text):
                are = "is" if len(labs) == 1 else "are"
                self._print(f"{paint(sign('failed'), 'red')} {harmless(', '.join(labs))} {are} lost: {harmless(text)}")
            case SeatsStarted():
                self.seats(progress)
            case SeatsEnded():
                self.ended()

    def started(self, step: StepStarted) -> None:
        """A pipe sees a step when it has ended."""

    def ended(self) -> None:
        """An open step is not shown."""

    def seats(self, started: SeatsStarted) -> None:
        """A pipe sees each seat when it has ended."""

    def seat(self, seat: SeatProgress) -> None:
        """Print the end of a seat, and who it waits for."""
        if seat.state == "ready":
            said = harmless(f"{seat.lab} is ready: {seat.text}")
            self._print(f"{paint(sign('done'), 'green')} {said}  {paint(f'{seat.seconds:.1f}s', 'dim')}")
        elif seat.state == "failed":
            said = harmless(f"{seat.lab} failed while {seat.at}: {seat.text}")
            self._print(f"{paint(sign('failed'), 'red')} {said}")
        elif seat.state == "held":
            self._print(f"  {harmless(f'{seat.lab} waits for {seat.text}')}")

    def _print(self, text: str) -> None:
        print(text, flush=True)  # noqa: T201 - the one place that prints progress


class TerminalProgress(PlainProgress):
    """The same lines, with a spinner on the open step, or a table of the open seats."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - a tenth of a second that a pipe need not pay

        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self.status: Status | None = None
        self.table: SeatTable | None = None

    def started(self, step: StepStarted) -> None:
        """Show the step with a spinner."""
        self.ended()
        from rich.text import Text  # noqa: PLC0415 - loaded with the console already

        # A spinner reads markup in a plain string, whatever its console says.
        self.status = self._console.status(Text(harmless(step.title)), spinner="dots")
        self.status.start()

    def seats(self, started: SeatsStarted) -> None:
        """Show the table."""
        self.ended()
        from labctl.terminal.seat_table import SeatTable  # noqa: PLC0415 - of a workshop only

        self.table = SeatTable(started)
        self.table.start(self._console)

    def seat(self, seat: SeatProgress) -> None:
        """Move a seat in the table; the reason of a failure is printed above it."""
        if self.table is not None:
            self.table.move(seat.lab, seat.state)
        if self.table is None or seat.state != "ready":
            super().seat(seat)

    def ended(self) -> None:
        """Stop the spinner, or the table."""
        for shown in (self.status, self.table):
            if shown is not None:
                shown.stop()
        self.status = self.table = None

    def _print(self, text: str) -> None:
        if self.status is None and self.table is None:
            super()._print(text)
            return
        from rich.text import Text  # noqa: PLC0415 - loaded with the console already

        self._console.print(Text.from_ansi(text))


_shown: tuple[Steps, PlainProgress] | None = None
"""The command's reporter, so that whatever ends the command ends its step too."""


def steps_for(*, json: bool) -> Steps:
    """The steps of this command, shown as suits standard output."""
    global _shown  # noqa: PLW0603 - a process has one standard output
    if json:
        return Steps(WaitReporter(), silent=True)
    renderer = TerminalProgress() if sys.stdout.isatty() and coloured() else PlainProgress()
    steps = Steps(renderer)
    _shown = (steps, renderer)
    return steps


def end_steps(*, failed: bool) -> None:
    """End the step that a command was in when it ended with an error, or was interrupted."""
    global _shown  # noqa: PLW0603
    if _shown is not None:
        steps, renderer = _shown
        if failed:
            steps.fail()
        renderer.ended()
        _shown = None
