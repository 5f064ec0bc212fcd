"""What is written behind a story's events: its elections and reigns. A log may hold millions, so files keep them."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labctl.raft.election import Election, Reign
    from labctl.raft.event import Event
    from labctl.raft.story import Story

OFTEN = 1024
"""After so many events, what is settled goes out of the memory."""
IN_MEMORY_BYTES = 1 << 20


class Later:
    """Keeps elections and reigns as lines of text until the last event was written. A context: its files are closed.

    Args:
        story: whose; it no longer has what was taken out of it.
        election: writes an election.
        reign: writes a reign.
    """

    def __init__(self, story: Story, election: Callable[[Election], str], reign: Callable[[Reign], str]) -> None:
        self._story = story
        self._election, self._reign = election, reign
        self._elections, self._reigns = _file(), _file()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._elections.close()
        self._reigns.close()

    def passing(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events, one after the other; afterwards everything is kept."""
        for number, event in enumerate(events):
            if not number % OFTEN:
                self._take()
            yield event
        self._take()

    def _take(self) -> None:
        elections, reigns = self._story.take()
        self._elections.writelines(f"{_one_line(self._election(one))}\n" for one in elections)
        self._reigns.writelines(f"{_one_line(self._reign(one))}\n" for one in reigns)

    @property
    def elections(self) -> Iterator[str]:
        """Each as it was written."""
        return _lines(self._elections)

    @property
    def reigns(self) -> Iterator[str]:
        """Each as it was written."""
        return _lines(self._reigns)


def _file() -> IO[str]:
    return tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, mode="w+", encoding="utf-8", newline="\n")


def _one_line(text: str) -> str:
    return text.replace("\n", " ")


def _lines(file: IO[str]) -> Iterator[str]:
    file.seek(0)
    for line in file:
        yield line.removesuffix("\n")
