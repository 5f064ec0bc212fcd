"""The states of many seats, as a table that is redrawn in place."""

from __future__ import annotations

import contextlib
import shutil
import time
from typing import TYPE_CHECKING

from labctl.progress import STATES
from labctl.terminal.style import harmless, paint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from labctl.progress import SeatsStarted

_COLOURS = {"ready": "green", "failed": "red", "joining": "cyan", "starting": "cyan"}


class SeatTable:
    """A row for each state, with the seats that are in it; removed when it stops, while printed lines stay."""

    def __init__(self, seats: SeatsStarted) -> None:
        self._at = dict.fromkeys(seats.labs, "waiting")
        self._prefix = f"{seats.workshop}-"
        self._begun = time.monotonic()
        self._drawing = contextlib.ExitStack()

    def start(self, console: Console) -> None:
        """Start drawing."""
        from rich.live import Live  # noqa: PLC0415 - a tenth of a second that a pipe need not pay
        from rich.text import Text  # noqa: PLC0415

        self._drawing.enter_context(
            Live(
                console=console, transient=True, auto_refresh=True, refresh_per_second=4,
                get_renderable=lambda: Text.from_ansi(self.drawn()),
            )
        )  # fmt: skip

    def stop(self) -> None:
        """Stop drawing."""
        self._drawing.close()

    def move(self, lab: str, state: str) -> None:
        """A lab came to a state."""
        if state in STATES:
            self._at[lab] = state

    def drawn(self) -> str:
        """The table as text, not wider than the terminal."""
        columns = shutil.get_terminal_size().columns
        ready = sum(state == "ready" for state in self._at.values())
        seconds = time.monotonic() - self._begun
        lines = [f"{paint(f'{ready} of {len(self._at)} seats are ready', 'bold')}  {paint(f'{seconds:.0f}s', 'dim')}"]
        for state in STATES:
            names = [harmless(lab.removeprefix(self._prefix)) for lab, at in self._at.items() if at == state]
            if names:
                head = f"  {state:<9}{len(names):>4}  "
                lines.append(_row(head, names, columns, _COLOURS.get(state)))
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
