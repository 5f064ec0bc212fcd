"""What is written behind a story's events, such as elections. A log may hold millions of them, so files keep them."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from labctl.raft.event import Event
    from labctl.raft.story import Story

OFTEN = 1024
"""After so many events, what is settled goes out of the memory."""
IN_MEMORY_BYTES = 1 << 20


class Spool:
    """Keeps what is settled as lines of text until the last event was written, in files that it closes.

    Args:
        story: whose; it no longer has what was taken out of it.
        writers: what writes one of each kind, by the names that `Story.take` gives the kinds.
    """

    def __init__(self, story: Story, writers: Mapping[str, Callable[[Any], str]]) -> None:
        self._story, self._writers = story, writers
        self._files = {kind: kept_text() for kind in writers}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def passing(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events, one after the other; afterwards everything is kept."""
        for number, event in enumerate(events):
            if not number % OFTEN:
                self._take()
            yield event
        self._take()

    def _take(self) -> None:
        for kind, settled in self._story.take()._asdict().items():
            write = self._writers[kind]
            self._files[kind].writelines(f"{_one_line(write(one))}\n" for one in settled)

    def lines(self, kind: str) -> Iterator[str]:
        """All of a kind, each as it was written."""
        file = self._files[kind]
        file.seek(0)
        for line in file:
            yield line.removesuffix("\n")


def kept_text() -> IO[str]:
    """A text that is kept until it is whole, in a file where it is long."""
    # A file's name may be no UTF-8; who prints it says how that is shown.
    return tempfile.SpooledTemporaryFile(
        IN_MEMORY_BYTES, mode="w+", encoding="utf-8", errors="surrogatepass", newline="\n"
    )


def _one_line(text: str) -> str:
    return text.replace("\n", " ")
