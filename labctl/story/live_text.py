"""A story that goes on, as text: each event as it comes, each election in a sentence as soon as it is over."""

from __future__ import annotations

import io
import shutil
from typing import IO, TYPE_CHECKING, Any

from labctl.raft.records import Election
from labctl.raft.summary_sentences import of_election
from labctl.story.repeats import Repeats, once
from labctl.story.text_view import StoryText
from labctl.terminal.live_lines import LinesBelow
from labctl.terminal.style import cut, harmless, paint, sign, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from labctl.raft.collection import Record
    from labctl.raft.event import Event
    from labctl.story.repeats import FoldedEvent


class LiveStoryText(StoryText):
    """Writes a story as it happens; what goes on is rewritten in place on a terminal."""

    def __init__(self, out: IO[str], servers: list[str] | None = None, **given: Any) -> None:
        super().__init__(out, servers, **given)
        self._below = LinesBelow(out)  # type: ignore[arg-type]
        self._repeats = Repeats(reports=not self._below.rewrites)
        self._there = out

    def write(self, records: Iterable[Record]) -> None:
        """Write all of a story, each part as soon as it is known, and a summary at the end."""
        super().write(self._with_elections(records))

    def _with_elections(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            if isinstance(record, Election):
                text = f"{sign('point')} {harmless(of_election(record, self._timers))}"
                lines = wrapped(text, max(self._columns, 40), indent="  ").split("\n")
                self._show([paint(line, "bold", colour=self._colour) for line in lines])
            yield record

    def _all(self, events: Iterator[Event]) -> None:
        try:
            for event in events:
                self._show(self._lines_of([once(event)] if self._lines else self._repeats.take(event)))
        finally:
            # Also after an interrupt: repetitions that go on have been counted.
            self._show(self._lines_of(self._repeats.finish()))

    def _show(self, staying: list[str]) -> None:
        """Write lines that stay, and below them what goes on."""
        columns = shutil.get_terminal_size().columns
        below: list[str] = []
        if self._below.rewrites:
            # A line that will be removed counts as no date, and can be cut only without colour.
            day, colour, wraps = self._day, self._colour, self._wraps
            self._colour = self._wraps = False
            below = self._lines_of(self._repeats.going_on())
            self._day, self._colour, self._wraps = day, colour, wraps
        self._below.write(staying, [paint(cut(line, columns), "dim", colour=self._colour) for line in below])

    def _lines_of(self, all_told: Iterable[FoldedEvent]) -> list[str]:
        self._out = caught = io.StringIO()
        try:
            for told in all_told:
                self._event(told)
        finally:
            self._out = self._there
        return self._aligned(caught.getvalue()).splitlines()
