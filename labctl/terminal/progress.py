"""Steps that tick off while a command works, with the servers' lines between them.

Whatever a flow reports may hold names and words of others: here it is made harmless, once, and coloured afterwards.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

from labctl.terminal.style import coloured, harmless, paint, paint_server, sign

if TYPE_CHECKING:
    from rich.status import Status


class Steps(Protocol):
    """Where a flow reports to."""

    def begin(self, title: str) -> None:
        """A step begins; the one before it must have ended."""

    def done(self, text: str) -> None:
        """The step has ended well; `text` says what came of it."""

    def fail(self) -> None:
        """The step has failed; its sentence comes elsewhere."""

    def note(self, text: str) -> None:
        """Something to know, in no step; one line of it."""

    def heard(self, server: str, text: str) -> None:
        """A server was heard."""


class SilentSteps:
    """For `--json`: nothing is shown."""

    def begin(self, title: str) -> None:
        """Show nothing."""

    def done(self, text: str) -> None:
        """Show nothing."""

    def fail(self) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def heard(self, server: str, text: str) -> None:
        """Show nothing."""


class PlainSteps:
    """One line for each step that has ended, for a pipe or a file."""

    def __init__(self) -> None:
        self._title = ""
        self._begun = 0.0

    def begin(self, title: str) -> None:
        """Remember the step; a pipe sees it when it has ended."""
        self._title, self._begun = title, time.monotonic()

    def done(self, text: str) -> None:
        """Tick the step off, with what came of it and how long it took."""
        seconds = time.monotonic() - self._begun
        self._title = ""
        self._print(f"{paint(sign('done'), 'green')} {harmless(text)}  {paint(f'{seconds:.1f}s', 'dim')}")

    def fail(self) -> None:
        """Say which step failed."""
        if self._title:
            self._print(f"{paint(sign('failed'), 'red')} {harmless(self._title)}")
            self._title = ""

    def end(self) -> None:
        """Nothing more comes: a step that is still open was cut short."""

    def note(self, text: str) -> None:
        """Print a line."""
        self._print(harmless(text))

    def heard(self, server: str, text: str) -> None:
        """Print a server's line, with its name in its colour."""
        name = paint_server(server, f"{server} {sign('bar')}")
        self._print(f"  {name} {harmless(text)}")

    def _print(self, text: str) -> None:
        print(text, flush=True)  # noqa: T201 - the one place that prints steps


class TerminalSteps(PlainSteps):
    """The same lines, with a spinner on the step that is under way."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console  # noqa: PLC0415 - a tenth of a second that a pipe need not pay

        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self.status: Status | None = None

    def begin(self, title: str) -> None:
        """Show the step with a spinner."""
        super().begin(title)
        self._stop()
        from rich.text import Text  # noqa: PLC0415 - loaded with the console already

        # A spinner reads markup in a plain string, whatever its console says.
        self.status = self._console.status(Text(harmless(title)), spinner="dots")
        self.status.start()

    def done(self, text: str) -> None:
        """Tick the step off."""
        self._stop()
        super().done(text)

    def fail(self) -> None:
        """Stop the spinner and say which step failed."""
        self._stop()
        super().fail()

    def end(self) -> None:
        """Stop the spinner."""
        self._stop()

    def _stop(self) -> None:
        if self.status is not None:
            self.status.stop()
            self.status = None

    def _print(self, text: str) -> None:
        if self.status is None:
            super()._print(text)
            return
        from rich.text import Text  # noqa: PLC0415 - loaded with the console already

        self._console.print(Text.from_ansi(text))


_shown: PlainSteps | None = None
"""The command's, so that whatever ends it ends its step too."""


def steps_for(*, json: bool) -> Steps:
    """The steps that suit standard output."""
    global _shown  # noqa: PLW0603 - a process has one standard output
    if json:
        return SilentSteps()
    _shown = TerminalSteps() if sys.stdout.isatty() and coloured() else PlainSteps()
    return _shown


def end_steps(*, failed: bool) -> None:
    """End the step that a command was in when it ended with an error, or was interrupted."""
    global _shown  # noqa: PLW0603
    if _shown is not None:
        if failed:
            _shown.fail()
        _shown.end()
        _shown = None
