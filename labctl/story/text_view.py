"""A story as text: one line for each event as it comes, then each election and each leadership in a sentence."""

from __future__ import annotations

import itertools
import shutil
import textwrap
from typing import IO, TYPE_CHECKING, Any

from labctl.raft import durations, summary_sentences
from labctl.raft.event import OTHER
from labctl.raft.faults import Fault
from labctl.raft.incident import Incident
from labctl.raft.incident_sentences import of_incident, of_no_incident
from labctl.raft.outage_tracker import Outage
from labctl.raft.records import Election, Leadership, PreVote
from labctl.raft.series import Series, folded
from labctl.story.coverage import shown
from labctl.story.file_names import FileNames
from labctl.story.repeats import FoldedEvent, in_order, once
from labctl.story.spool import Spool, kept_text
from labctl.terminal.style import coloured, harmless, paint, paint_server, sign, width, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date, datetime

    from labctl.raft.collection import Conclusion, Record
    from labctl.raft.event import Event
    from labctl.raft.timers import Timers

WIDE = 100
"""Columns from which the time of day stands in front too."""


TITLES = {
    Election: "Elections",
    PreVote: "Pre-votes",
    Leadership: "Leaders",
    Outage: "Out of reach",
    Fault: "On purpose",
}


HAPPENED = "What happened"
NOT_SEEN = "Not seen:"
WHERE = "\x1f"
"""Separates the text of an incident from the lines that show it."""
MOST_LINES = 6
CHARACTERS = 1 << 18
OFFSET = "\x02"
"""Placeholder for the time since the first event until the width of that column is known."""
OFFSET_COLUMNS, MOST_OFFSET_COLUMNS = 10, 24
"""How wide it is at the least, as for `+999.999 s`, and at the most."""


def sentences(timers: Timers | None, files: FileNames | None = None) -> dict[type, Callable[[Any], str]]:
    """The function that turns a record into a sentence, by its kind; `files` have their short names."""
    named = files or FileNames()
    return {
        Incident: lambda incident: _paragraph(incident, named),
        Election: lambda election: _election(election, timers),
        PreVote: lambda pre_vote: _pre_vote(pre_vote, timers),
        Leadership: lambda leadership: summary_sentences.of_leadership(leadership, timers),
        Outage: summary_sentences.of_outage,
        Fault: summary_sentences.of_fault,
    }


def _paragraph(incident: Incident, files: FileNames) -> str:
    where = [files(line) for line in incident.evidence[:MOST_LINES]]
    more = [f"and {len(incident.evidence) - MOST_LINES} more"] if len(incident.evidence) > MOST_LINES else []
    return f"{of_incident(incident)}{WHERE}{', '.join([*where, *more])}"


def _pre_vote(attempt: PreVote | Series, timers: Timers | None) -> str:
    if isinstance(attempt, Series):
        return summary_sentences.of_series(attempt, timers)
    return summary_sentences.of_pre_vote(attempt, timers)


def _election(election: Election | Series, timers: Timers | None) -> str:
    """An election with its term in front, which groups those of one term; several stand by themselves."""
    if isinstance(election, Series):
        return f"{WHERE}{summary_sentences.of_series(election, timers)}"
    return f"{'' if election.term is None else election.term}{WHERE}{summary_sentences.of_election(election, timers)}"


def grouped(elections: Iterable[str]) -> Iterator[str]:
    """One paragraph for each term: its candidates, one after the other."""
    split = (election.rpartition(WHERE) for election in elections)
    for term, told in itertools.groupby(split, key=lambda item: item[0]):
        said = [row[2] for row in told]
        if not term or len(said) == 1:
            yield from said
        else:
            in_term = f" in term {term}"
            yield f"Term {term}: " + " ".join(sentence.replace(in_term, "", 1) for sentence in said)


class StoryText:
    """Writes a story as its records come.

    Args:
        out: where to.
        servers: the names that are known beforehand, so that the columns stand from the first line on.
        lines: also write the line that each event was read from.
        columns: how wide the terminal is; None asks it.
        timers: what the servers' timers were set to, where that is known.
        every: write every event and every election; else repeated lines are folded, events only unless
            lines were asked for.
        summary: write only what happened.
        files: short names of the files.
    """

    def __init__(  # noqa: PLR0913 - what `labctl story` can be told
        self,
        out: IO[str],
        servers: list[str] | None = None,
        *,
        lines: bool = False,
        columns: int | None = None,
        timers: Timers | None = None,
        every: bool = False,
        summary: bool = False,
        files: FileNames | None = None,
    ) -> None:
        self._out, self._timers = out, timers
        self._every, self._summary, self._files = every, summary, files or FileNames()
        self._lines = lines
        self._columns = columns or shutil.get_terminal_size((WIDE, 24)).columns
        self._wraps = out.isatty()
        self._colour = coloured(out)  # type: ignore[arg-type]
        self._bar = sign("bar")
        self._longest = max((width(harmless(name)) for name in servers or []), default=0)
        self._first: datetime | None = None
        self._day: date | None = None
        self._offset_columns = OFFSET_COLUMNS
        self._quiet = True

    def write(self, records: Iterable[Record]) -> None:
        """Write a story: what happened first, then the rest of it."""
        out = self._out
        with Spool(sentences(self._timers, self._files)) as spool, kept_text() as events:
            # What happened is known only at the end, and stands first.
            self._out = events
            self._all(spool.passing(records if self._every else folded(records)))
            self._out = out
            self._what_happened(spool.lines(Incident), of_no_incident(spool.conclusion))
            out.write("\n" if events.tell() else "")
            events.seek(0)
            self._align(events)
            if not self._summary:
                self._sentences(TITLES[Election], grouped(spool.lines(Election)))
                for kind, title in TITLES.items():
                    if kind is not Election:
                        self._sentences(title, spool.lines(kind))
        self._unknown(spool.conclusion)

    def _align(self, events: IO[str]) -> None:
        """Write the events that were kept, once the width of the time column is known."""
        while some := events.read(CHARACTERS):
            self._out.write(self._aligned(some + events.readline()))

    def _aligned(self, lines: str) -> str:
        """Some events, with a column for their times that is as wide as the widest needs so far."""
        return lines.replace(OFFSET + " " * (MOST_OFFSET_COLUMNS - self._offset_columns), "")

    def _unknown(self, end: Conclusion) -> None:
        """Report how many lines were not understood, one of them, and how to see all."""
        if end.unknown is None:
            return
        have = "line of Raft has" if end.unparsed == 1 else "lines of Raft have"
        where = f"{end.unknown.file}:{end.unknown.line_no}" if end.unknown.file else end.unknown.server
        self._out.write(
            f"\n{end.unparsed} {have} a wording that labctl does not know, such as {harmless(where)}:\n"
            f"  {harmless(shown(end.unknown.line))}\n"
        )
        if end.unparsed > 1:
            self._out.write("With --json, all of them are events named other.\n")

    def _what_happened(self, paragraphs: Iterator[str], nothing: str) -> None:
        self._out.write(f"{paint(HAPPENED, 'bold', colour=self._colour)}\n")
        for number, paragraph in enumerate(paragraphs):
            said, _, where = paragraph.partition(WHERE)
            if not number and said.startswith(NOT_SEEN):
                self._out.write(f"{self._wrapped(nothing)}\n")
            self._out.write("\n" if number else "")
            self._out.write(f"{self._wrapped(said)}\n")
            self._dim(where)
            self._quiet = False
        if self._quiet:
            self._out.write(f"{self._wrapped(nothing)}\n")
        if said := self._files.said():
            self._out.write("\n")
            self._dim(said)

    def _dim(self, text: str) -> None:
        # A path that is broken cannot be copied.
        for line in self._wrapped(text, indent="    ", break_long_words=False).splitlines():
            self._out.write(f"{paint(line, 'dim', colour=self._colour)}\n")

    def _all(self, events: Iterator[Event]) -> None:
        for told in map(once, events) if self._every or self._lines else in_order(events):
            if not self._summary:
                self._event(told)

    def _event(self, told: FoldedEvent) -> None:
        """Write an event that has words, or whose line is wanted."""
        event, said = told.event, told.sentence
        if said is None and not (self._lines and event.event != OTHER):
            return
        server = harmless(event.server)
        self._longest = max(self._longest, width(server))
        blank = " " * (self._longest - width(server))
        name = paint_server(event.server, f"{server}{blank} {self._bar}", colour=self._colour)
        self._date(event.time)
        indent = f"{self._front(None)}{' ' * (width(name) + 2)}"
        if said is not None:
            self._out.write(f"{self._front(event.time)} {name} {self._hung(said, indent)}\n")
        if self._lines:
            line = self._hung(event.line.strip(), indent)
            under = f"\n{indent}"
            painted = under.join(paint(part, "dim", colour=self._colour) for part in line.split(under))
            self._out.write(f"{self._front(None)} {name} {painted}\n")

    def _hung(self, text: str, indent: str) -> str:
        """A text behind a front: on a terminal, the rest continues under its beginning."""
        text = harmless(text)
        if not self._wraps:
            return text
        columns = len(indent) - len(OFFSET) - MOST_OFFSET_COLUMNS + self._offset_columns
        first, *more = wrapped(text, max(self._columns - columns, 20), indent="  ").split("\n")
        return "\n".join([first, *(f"{indent}{line}" for line in more)])

    def _front(self, time: datetime | None) -> str:
        if time is None:
            return " " * (len("00:00:00 ") if self._columns >= WIDE else 0) + OFFSET + " " * MOST_OFFSET_COLUMNS
        first = self._first = self._first or time
        time = durations.on_the_clock_of(first.tzinfo, time)
        offset = durations.offset(first, time)
        self._offset_columns = max(self._offset_columns, min(len(offset), MOST_OFFSET_COLUMNS))
        clock = paint(f"{time:%H:%M:%S} ", "dim", colour=self._colour) if self._columns >= WIDE else ""
        blank = " " * (MOST_OFFSET_COLUMNS - len(offset))
        return f"{clock}{OFFSET}{blank}{paint(offset, 'dim', colour=self._colour)}"

    def _date(self, time: datetime | None) -> None:
        """Write the date where the day changes, by the clock of the times that are shown."""
        if time is None:
            return
        first = self._first = self._first or time
        date = durations.on_the_clock_of(first.tzinfo, time).date()
        if date != self._day:
            self._day = date
            said = f"{date:%Y-%m-%d} ({durations.zone_of(first)})"
            self._out.write(f"{paint(said, 'bold', colour=self._colour)}\n")

    def _sentences(self, title: str, sentences: Iterator[str]) -> None:
        for number, sentence in enumerate(sentences):
            if number == 0:
                self._out.write(f"\n{paint(title, 'bold', colour=self._colour)}\n")
            self._out.write(f"{self._wrapped(sentence)}\n")

    def _wrapped(self, text: str, indent: str = "  ", *, break_long_words: bool = True) -> str:
        return textwrap.fill(
            harmless(text), max(self._columns, 40), initial_indent=indent, subsequent_indent="    ",
            break_on_hyphens=False, break_long_words=break_long_words,
        )  # fmt: skip
