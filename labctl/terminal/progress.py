"""Show progress: steps that tick off while a command works, with the servers' lines between them.

Whatever is reported may hold names and words of others: here it is made harmless, once, and coloured afterwards.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from labctl.progress import Noted, ServerSaid, StepDone, StepFailed, Steps, StepStarted, ignore
from labctl.terminal.style import coloured, harmless, paint, paint_server, sign

if TYPE_CHECKING:
    from rich.status import Status

    from labctl.progress import Progress


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
            case Noted(text):
                self._print(harmless(text))
            case ServerSaid(server, text):
                name = paint_server(server, f"{server} {sign('bar')}")
                self._print(f"  {name} {harmless(text)}")

    def started(self, step: StepStarted) -> None:
        """A pipe sees a step when it has ended."""

    def ended(self) -> None:
        """Nothing shows a step that is open."""

    def _print(self, text: str) -> None:
        print(text, flush=True)  # noqa: T201 - the one place that prints progress


class TerminalProgress(PlainProgress):
    """The same lines, with a spinner on the step that is under way."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - a tenth of a second that a pipe need not pay

        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self.status: Status | None = None

    def started(self, step: StepStarted) -> None:
        """Show the step with a spinner."""
        self.ended()
        from rich.text import Text  # noqa: PLC0415 - loaded with the console already

        # A spinner reads markup in a plain string, whatever its console says.
        self.status = self._console.status(Text(harmless(step.title)), spinner="dots")
        self.status.start()

    def ended(self) -> None:
        """Stop the spinner."""
        if self.status is not None:
            self.status.stop()
            self.status = None

    def _print(self, text: str) -> None:
        if self.status is None:
            super()._print(text)
            return
        from rich.text import Text  # noqa: PLC0415 - loaded with the console already

        self._console.print(Text.from_ansi(text))


_shown: tuple[Steps, PlainProgress] | None = None
"""The command's, so that whatever ends it ends its step too."""


def steps_for(*, json: bool) -> Steps:
    """The steps of this command, shown as suits standard output."""
    global _shown  # noqa: PLW0603 - a process has one standard output
    if json:
        return Steps(ignore)
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
