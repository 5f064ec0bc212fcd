"""Many seats at once: which step each is at, as it happens."""

from __future__ import annotations

import contextlib
import shutil
import time
from typing import TYPE_CHECKING, Protocol

from labctl.terminal.style import coloured, harmless, paint, sign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.live import Live

STEPS = ("waiting", "starting", "started", "joining", "ready", "failed")
_COLOURS = {"ready": "green", "failed": "red", "joining": "cyan", "starting": "cyan"}


class Board(Protocol):
    """Where a run for many seats reports to."""

    def of(self, workshop: str, labs: Sequence[str]) -> contextlib.AbstractContextManager[None]:
        """Show these labs of a workshop, all waiting, until the block ends."""

    def step(self, lab: str, step: str) -> None:
        """A lab has come to a step."""

    def held(self, lab: str, who: str) -> None:
        """A lab waits for somebody else who works on it."""

    def ready(self, lab: str, text: str, seconds: float) -> None:
        """A lab is ready; `text` says who leads."""

    def failed(self, lab: str, step: str, reason: str) -> None:
        """A lab went no further than a step."""

    def lost(self, labs: Sequence[str], reason: str) -> None:
        """Nothing can be done for these labs, because of where they are."""


class SilentBoard:
    """For `--json`: nothing is shown."""

    @contextlib.contextmanager
    def of(self, workshop: str, labs: Sequence[str]) -> Iterator[None]:  # noqa: ARG002 - as every board
        """Show nothing."""
        yield

    def step(self, lab: str, step: str) -> None:
        """Show nothing."""

    def held(self, lab: str, who: str) -> None:
        """Show nothing."""

    def ready(self, lab: str, text: str, seconds: float) -> None:
        """Show nothing."""

    def failed(self, lab: str, step: str, reason: str) -> None:
        """Show nothing."""

    def lost(self, labs: Sequence[str], reason: str) -> None:
        """Show nothing."""


class PlainBoard:
    """A line for each seat that is ready or has failed, for a pipe or a file."""

    @contextlib.contextmanager
    def of(self, workshop: str, labs: Sequence[str]) -> Iterator[None]:  # noqa: ARG002 - as every board
        """Print as it happens."""
        yield

    def step(self, lab: str, step: str) -> None:
        """Print nothing: a pipe sees ends only."""

    def held(self, lab: str, who: str) -> None:
        """Print for whom a lab waits."""
        self._print(f"  {harmless(f'{lab} waits for {who}')}")

    def ready(self, lab: str, text: str, seconds: float) -> None:
        """Print that a lab is ready."""
        said = harmless(f"{lab} is ready: {text}")
        self._print(f"{paint(sign('done'), 'green')} {said}  {paint(f'{seconds:.1f}s', 'dim')}")

    def failed(self, lab: str, step: str, reason: str) -> None:
        """Print that a lab has failed, and why."""
        self._print(f"{paint(sign('failed'), 'red')} {harmless(f'{lab} failed while {step}: {reason}')}")

    def lost(self, labs: Sequence[str], reason: str) -> None:
        """Print which labs are lost, and why."""
        are = "is" if len(labs) == 1 else "are"
        self._print(f"{paint(sign('failed'), 'red')} {harmless(', '.join(labs))} {are} lost: {harmless(reason)}")

    def _print(self, text: str) -> None:
        print(text, flush=True)  # noqa: T201 - a board prints


class TerminalBoard(PlainBoard):
    """A table that is drawn again and again: a row for each step, with the seats that are at it."""

    def __init__(self) -> None:
        self._at: dict[str, str] = {}
        self._prefix = ""
        self._begun = 0.0
        self._live: Live | None = None

    @contextlib.contextmanager
    def of(self, workshop: str, labs: Sequence[str]) -> Iterator[None]:
        """Draw until the block ends; the table goes and the lines about failures stay."""
        from rich.console import Console  # noqa: PLC0415 - a tenth of a second that a pipe need not pay
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        self._at = dict.fromkeys(labs, "waiting")
        self._prefix = f"{workshop}-"
        self._begun = time.monotonic()
        console = Console(highlight=False, soft_wrap=True)
        with Live(
            console=console, transient=True, auto_refresh=True, refresh_per_second=4,
            get_renderable=lambda: Text.from_ansi(self.drawn()),
        ) as live:  # fmt: skip
            self._live = live
            yield
        self._live = None

    def step(self, lab: str, step: str) -> None:
        """Move a lab to a step."""
        self._at[lab] = step

    def ready(self, lab: str, text: str, seconds: float) -> None:  # noqa: ARG002 - the table says it
        """Move a lab to `ready`."""
        self._at[lab] = "ready"

    def failed(self, lab: str, step: str, reason: str) -> None:
        """Move a lab to `failed`, and say why above the table."""
        self._at[lab] = "failed"
        super().failed(lab, step, reason)

    def _print(self, text: str) -> None:
        if self._live is None:
            super()._print(text)
            return
        from rich.text import Text  # noqa: PLC0415 - loaded with the console already

        self._live.console.print(Text.from_ansi(text))

    def drawn(self) -> str:
        """The table as text, not wider than the terminal."""
        columns = shutil.get_terminal_size().columns
        ready = sum(step == "ready" for step in self._at.values())
        seconds = time.monotonic() - self._begun
        lines = [f"{paint(f'{ready} of {len(self._at)} seats are ready', 'bold')}  {paint(f'{seconds:.0f}s', 'dim')}"]
        for step in STEPS:
            names = [harmless(lab.removeprefix(self._prefix)) for lab, at in self._at.items() if at == step]
            if names:
                head = f"  {step:<9}{len(names):>4}  "
                lines.append(_row(head, names, columns, _COLOURS.get(step)))
        return "\n".join(lines)


def _row(head: str, names: Sequence[str], columns: int, colour: str | None) -> str:
    """One row, cut at the terminal's edge with how many more there are."""
    text = ""
    for number, name in enumerate(names):
        more = f" and {len(names) - number} more"
        if len(head) + len(text) + len(name) + len(more) + 1 > columns and number + 1 < len(names):
            text += more
            break
        text += f" {name}" if text else name
    return paint(head, colour) + text if colour else head + text


def board_for(*, json: bool) -> Board:
    """The board that suits standard output."""
    import sys  # noqa: PLC0415 - asked when it is used, as tests replace it

    if json:
        return SilentBoard()
    return TerminalBoard() if sys.stdout.isatty() and coloured() else PlainBoard()
