"""Records that follow a story's events, such as elections. A log may hold millions of them, so files keep them."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING, Any, Self

from labctl.raft.collection import Conclusion
from labctl.raft.event import Event
from labctl.raft.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from labctl.raft.collection import Record

IN_MEMORY_BYTES = 1 << 20
AT_ONCE = 256
"""Records that are written at once: a file that may be in memory looks at its size with each that is."""


class Spool:
    """Keeps settled records as lines of text until the last event was written, in files that it closes.

    Args:
        writers: write a record as text, by its kind; a kind without one is dropped.
        in_memory: bytes of each kind that are kept in memory, at most.

    Attributes:
        conclusion: what is known after all records.
    """

    def __init__(self, writers: Mapping[type, Callable[[Any], str]], in_memory: int = IN_MEMORY_BYTES) -> None:
        self.conclusion = Conclusion([], 0)
        self._writers = writers
        self._files = {kind: kept_text(in_memory) for kind in writers}
        self._waiting: dict[type, list[str]] = {kind: [] for kind in writers}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def passing(self, records: Iterable[Record | Series]) -> Iterator[Event]:
        """The events, one after the other; the other records are kept."""
        for record in records:
            if isinstance(record, Event):
                yield record
            elif isinstance(record, Conclusion):
                self.conclusion = record
            elif write := self._writers.get(kind := record.kind if isinstance(record, Series) else type(record)):
                waiting = self._waiting[kind]
                waiting.append(write(record).replace("\n", " "))
                if len(waiting) >= AT_ONCE:
                    self._write(kind)

    def _write(self, kind: type) -> None:
        waiting = self._waiting[kind]
        self._files[kind].write("".join(f"{line}\n" for line in waiting))
        waiting.clear()

    def lines(self, kind: type) -> Iterator[str]:
        """All of a kind, each as it was written."""
        self._write(kind)
        file = self._files[kind]
        file.seek(0)
        for line in file:
            yield line.removesuffix("\n")


def kept_text(in_memory: int = IN_MEMORY_BYTES) -> IO[str]:
    """A text that is kept until it is whole, in a file where it is long."""
    # A file's name may be no UTF-8; the printer decides how to show that.
    return tempfile.SpooledTemporaryFile(in_memory, mode="w+", encoding="utf-8", errors="surrogatepass", newline="\n")
