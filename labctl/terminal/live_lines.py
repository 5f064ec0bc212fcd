"""A few lines below the output that are rewritten in place, on a terminal; elsewhere they are left out."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from labctl.terminal.style import width

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

MOST_LINES = 6


def can_rewrite(stream: TextIO) -> bool:
    """Whether lines of this stream can be rewritten: it is a terminal, and one that moves its cursor."""
    return stream.isatty() and os.environ.get("TERM") not in {None, "", "dumb"}


class LinesBelow:
    """Writes lines that stay, and rewrites the lines below them.

    Args:
        out: a terminal, or anything else, where the lines below are left out.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._rewrites = can_rewrite(out)
        self._shown: list[int] = []

    @property
    def rewrites(self) -> bool:
        """Whether lines below are shown."""
        return self._rewrites

    def write(self, staying: Sequence[str], below: Sequence[str] = ()) -> None:
        """Write lines that stay, and below them those that the next call takes away again.

        Args:
            staying: whole lines.
            below: lines no wider than the terminal.
        """
        text = "".join(f"{line}\n" for line in staying)
        if self._rewrites:
            below = below[-MOST_LINES:]
            text = self._taken_away() + text + "".join(f"{line}\n" for line in below)
            self._shown = [width(line) for line in below]
        if text:
            self._out.write(text)
            self._out.flush()

    def _taken_away(self) -> str:
        """The sequence that removes the lines below; a narrower terminal may have broken them."""
        columns = max(shutil.get_terminal_size().columns, 1)
        rows = sum(max(1, -(-size // columns)) for size in self._shown)
        return f"\x1b[{rows}A\x1b[J" if rows else ""
