"""Sorts the lines of one input by time, in little memory: the rest waits in a temporary file.

The file has no name, so nobody else can open it and it is gone with this process, however that ends. Only lines that
may be an event get here.
"""

from __future__ import annotations

import heapq
import os
import struct
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple

from labctl.errors import LabctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HEAD = struct.Struct("<qqiI")


class WaitingLine(NamedTuple):
    """A line that waits for its turn.

    Attributes:
        time: in microseconds, to sort by.
        number: its number in the input; negative where of two with the same time the later one comes first.
        offset: that of its zone, in seconds.
        line: as it came.
    """

    time: int
    number: int
    offset: int
    line: bytes


@dataclass(frozen=True)
class Limits:
    """Limits of what waits.

    Attributes:
        lines: in memory.
        size: of these lines, in bytes.
        spilled: in the file, in bytes.
        piece: bytes that are read from it at once.
    """

    lines: int = 16_384
    size: int = 8 << 20
    spilled: int = 4 << 30
    piece: int = 1 << 14


LIMITS = Limits()


class LineSorter:
    """Takes in the lines of several streams and gives back each stream in order of time.

    Args:
        name: the input's name, for errors.
        limits: how much may wait.
        make_file: makes the file without a name.
    """

    def __init__(
        self, name: str, limits: Limits = LIMITS, make_file: Callable[[], IO[bytes]] = tempfile.TemporaryFile
    ) -> None:
        self._name, self._limits, self._make_file = name, limits, make_file
        self._lines: dict[str, list[WaitingLine]] = {}
        self._count = self._bytes = self._spilled = 0
        self._file: IO[bytes] | None = None
        self._runs: dict[str, list[tuple[int, int]]] = {}

    def add(self, stream: str, line: WaitingLine) -> None:
        """Take in a line. Raises LabctlError where there is no room for it."""
        self._lines.setdefault(stream, []).append(line)
        self._count += 1
        self._bytes += len(line.line)
        if self._count >= self._limits.lines or self._bytes >= self._limits.size:
            self._spill()

    @property
    def spilled(self) -> int:
        """Bytes that wait in a file."""
        return self._spilled

    def streams(self) -> list[str]:
        """The streams, by name."""
        return sorted(self._lines.keys() | self._runs.keys())

    def read(self, stream: str, *, newest_first: bool = False) -> Iterator[WaitingLine]:
        """The lines of a stream in order of time. Of those of one time the first comes first, or the last."""
        here = sorted(self._lines.get(stream, ()), key=_place)
        runs = [self._run(*span) for span in self._runs.get(stream, ())]
        lines = heapq.merge(*runs, here, key=_place) if runs else iter(here)
        return _turned(lines, self._limits.lines) if newest_first else lines

    def as_added(self, stream: str) -> Iterator[WaitingLine]:
        """The lines of a stream in the order in which they came, as long as all are in memory."""
        return iter(self._lines.get(stream, ()))

    def close(self) -> None:
        """Drop what waits."""
        self._lines.clear()
        self._runs.clear()
        if self._file is not None:
            self._file.close()

    def _spill(self) -> None:
        """Write what is in memory to the file, each stream sorted."""
        if self._spilled + self._bytes > self._limits.spilled:
            raise LabctlError(
                f"Cannot put {self._name} in order of time: it has more than {self._limits.spilled >> 30} GiB of lines "
                "that may be about Raft. Split it, or put it in order with sort."
            )
        try:
            if self._file is None:
                self._file = self._make_file()
            for stream, lines in self._lines.items():
                lines.sort(key=_place)
                begin = self._spilled
                for kept in lines:
                    head = _HEAD.pack(kept.time, kept.number, kept.offset, len(kept.line))
                    self._spilled += self._file.write(head + kept.line)
                self._runs.setdefault(stream, []).append((begin, self._spilled))
            self._file.flush()
        except OSError as error:
            raise LabctlError(
                f"Cannot put {self._name} in order of time: in {tempfile.gettempdir()} there is no room for its lines "
                f"({error.strerror or error}). Make room there, or name another folder with TMPDIR."
            ) from error
        self._lines.clear()
        self._count = self._bytes = 0

    def _run(self, begin: int, end: int) -> Iterator[WaitingLine]:
        """Read lines of the file again, a piece at a time."""
        if self._file is None:
            return
        rest, at = b"", begin
        while at < end or rest:
            piece = os.pread(self._file.fileno(), min(self._limits.piece, end - at), at)
            at += len(piece)
            rest += piece
            done = 0
            while len(rest) - done >= _HEAD.size:
                time, number, offset, length = _HEAD.unpack_from(rest, done)
                if len(rest) - done - _HEAD.size < length:
                    break
                line = rest[done + _HEAD.size : done + _HEAD.size + length]
                done += _HEAD.size + length
                yield WaitingLine(time, number, offset, line)
            rest = rest[done:]
            if not piece:
                return


def _place(line: WaitingLine) -> tuple[int, int]:
    return line.time, line.number


def _turned(lines: Iterator[WaitingLine], most: int) -> Iterator[WaitingLine]:
    """Of the lines of one time, the last first."""
    alike: list[WaitingLine] = []
    for kept in lines:
        if alike and (kept.time != alike[0].time or len(alike) >= most):
            yield from reversed(alike)
            alike = []
        alike.append(kept)
    yield from reversed(alike)
