"""The lines of a lab by the stamps of its servers: a busy Docker takes a line in 0.2 s after it was written.

All containers share the clock of their Docker host's kernel, as does Docker itself. So a server's stamp is the better
one, where it has more than whole seconds. By it, the lines of several servers come a little out of order.
"""

from __future__ import annotations

import heapq
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from labctl.engine.logs import LogLine
from labctl.raft.log_line import open_envelope
from labctl.story.log_clock import LogClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

KEPT = timedelta(seconds=10)
"""Docker may have taken in a stored line this late."""
LIVE = timedelta(milliseconds=400)
"""How late a live line may come in, and how long each line waits for earlier ones."""
SET_BACK = timedelta(seconds=1)
"""Where Docker's times of one server's lines go back by more than this, the clock of the Docker host was set."""
MOST, MOST_CHARACTERS = 16_384, 1 << 23
"""Lines that wait, and what is in them, at most."""
# Consul indented its lines before 1.9.
_STAMP = re.compile(r" {0,8}(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}(?:Z|[+-]\d\d:?\d\d)) {1,4}\[", re.ASCII)


def own_stamp(text: str) -> datetime | None:
    """When a server says that it wrote a line; None where it does not, or only to the second."""
    if text[:1] == "{":
        envelope = open_envelope(text)
        time = envelope.time if envelope is not None else None
        return time if time is not None and time.microsecond else None
    match = _STAMP.match(text)
    try:
        return datetime.fromisoformat(match[1]) if match is not None else None
    except ValueError:
        return None


def when_written(line: LogLine) -> datetime | None:
    """When a line was written, by its own stamp; by Docker's time of it where it has none, or one that cannot be."""
    own, taken = own_stamp(line.text), line.when
    if own is None or taken is None or line.of_docker:
        return taken
    return own if taken - KEPT <= own <= taken else taken


def in_own_order(  # noqa: PLR0913 - how wide the window is
    lines: Iterable[LogLine | None],
    *,
    live: bool = False,
    note: Callable[[str], None] = lambda _: None,
    clock: LogClock | None = None,
    late: timedelta | None = None,
    most: int = MOST,
) -> Iterator[LogLine | None]:
    """Give lines the time at which they were written, and sort them by it; a server's own order stays.

    A line that Docker took in later than the window is wide keeps Docker's time, and so does one from the future.

    Args:
        lines: in the order in which Docker took them in; None where none came for a moment.
        live: they are reported as they come, so the window is small.
        note: receives, in sentences, how lines are ordered if not by their own stamps.
        clock: what time it is for Docker.
        late: how wide the window is; None is as wide as it has to be.
        most: lines that wait, at most.
    """
    if late is None:
        late = LIVE if live else KEPT
    if live:
        note(f"Lines that Docker takes in up to {late.total_seconds():g} s late are put where they belong.")
    window = _Window(late, note, clock or LogClock(), most)
    try:
        for line in lines:
            yield from window.take(line)
    except KeyboardInterrupt:
        # Lines that came are reported.
        yield from window.rest()
        raise
    yield from window.rest()


class _Window:
    """Lines that wait for those that were written before them."""

    def __init__(self, late: timedelta, note: Callable[[str], None], clock: LogClock, most: int) -> None:
        self._late, self._note, self._clock, self._most = late, note, clock, most
        self._waiting: list[tuple[datetime, int, LogLine]] = []
        self._latest: dict[str, datetime] = {}
        self._taken: dict[str, datetime] = {}
        self._number = self._characters = 0

    def take(self, line: LogLine | None) -> Iterator[LogLine | None]:
        """Take in what comes. Returns the lines that need not wait any longer."""
        if line is None:
            yield from self._until(self._clock.now())
            yield None
            return
        taken = line.when
        if taken is None:
            yield line
            return
        if not line.of_docker:
            if taken < self._taken.get(line.server, taken) - SET_BACK:
                # Waiting lines were written before it, and the time that they wait for is far ahead now.
                self._note(
                    "The clock of the Docker host was set back while these lines were written: what follows is told at "
                    "its new time."
                )
                self._latest.clear()
                yield from self.rest()
            self._taken[line.server] = taken
        self._clock.set(taken)
        line = self._stamped(line, taken)
        time = max(line.when or taken, self._latest.get(line.server, taken - self._late))
        if not line.of_docker:
            self._latest[line.server] = time
        self._number += 1
        self._characters += len(line.text)
        heapq.heappush(self._waiting, (time, self._number, line))
        yield from self._until(taken)

    def rest(self) -> Iterator[LogLine]:
        """All that wait."""
        while self._waiting:
            yield self._pop()

    def _pop(self) -> LogLine:
        line = heapq.heappop(self._waiting)[2]
        self._characters -= len(line.text)
        return line

    def _stamped(self, line: LogLine, taken: datetime) -> LogLine:
        own = None if line.of_docker else own_stamp(line.text)
        if own is None or own > taken:
            return line
        if own < taken - self._late:
            self._note(
                f"Docker took in lines of {line.server} more than {self._late.total_seconds():g} s after they were "
                "written: they are told at Docker's time of them."
            )
            return line
        return LogLine(line.server, line.taken, line.text, line.of_docker, own)

    def _until(self, now: datetime | None) -> Iterator[LogLine]:
        """The lines that no earlier line can precede any more."""
        while self._waiting and (
            len(self._waiting) > self._most
            or self._characters > MOST_CHARACTERS
            or (now is not None and self._waiting[0][0] <= now - self._late)
        ):
            yield self._pop()
