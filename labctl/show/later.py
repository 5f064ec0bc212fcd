"""What is written behind a story's events: elections, reigns, outages. A log may hold millions, so files keep them."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labctl.raft.contact import Outage
    from labctl.raft.election import Election, Reign
    from labctl.raft.event import Event
    from labctl.raft.story import Story

OFTEN = 1024
"""After so many events, what is settled goes out of the memory."""
IN_MEMORY_BYTES = 1 << 20


class Later:
    """Keeps elections, reigns and outages as lines of text until the last event was written, in files that it closes.

    Args:
        story: whose; it no longer has what was taken out of it.
        election: writes an election.
        reign: writes a reign.
        outage: writes an outage.
    """

    def __init__(
        self,
        story: Story,
        election: Callable[[Election], str],
        reign: Callable[[Reign], str],
        outage: Callable[[Outage], str],
    ) -> None:
        self._story = story
        self._election, self._reign, self._outage = election, reign, outage
        self._elections, self._reigns, self._outages = _file(), _file(), _file()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._elections, self._reigns, self._outages):
            file.close()

    def passing(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events, one after the other; afterwards everything is kept."""
        for number, event in enumerate(events):
            if not number % OFTEN:
                self._take()
            yield event
        self._take()

    def _take(self) -> None:
        elections, reigns, outages = self._story.take()
        self._elections.writelines(f"{_one_line(self._election(one))}\n" for one in elections)
        self._reigns.writelines(f"{_one_line(self._reign(one))}\n" for one in reigns)
        self._outages.writelines(f"{_one_line(self._outage(one))}\n" for one in outages)

    @property
    def elections(self) -> Iterator[str]:
        """Each as it was written."""
        return _lines(self._elections)

    @property
    def reigns(self) -> Iterator[str]:
        """Each as it was written."""
        return _lines(self._reigns)

    @property
    def outages(self) -> Iterator[str]:
        """Each as it was written."""
        return _lines(self._outages)


def _file() -> IO[str]:
    return tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, mode="w+", encoding="utf-8", newline="\n")


def _one_line(text: str) -> str:
    return text.replace("\n", " ")


def _lines(file: IO[str]) -> Iterator[str]:
    file.seek(0)
    for line in file:
        yield line.removesuffix("\n")
