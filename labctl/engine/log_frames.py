"""The frames in which the engine sends a log, read as they come; one that breaks off is never taken for whole."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct(">BxxxL")
STREAMS = (0, 1, 2)
PIECE = 65_536
MOST_BYTES = 1 << 20
"""Docker's own pieces have 16 KiB."""


class Readable(Protocol):
    """An answer that is read as it comes."""

    def read(self, amt: int, /) -> bytes:
        """That many bytes, or fewer at the end."""

    def read1(self, amt: int, /) -> bytes:
        """What has arrived, at most that many bytes."""


class BrokenLogError(Exception):
    """The answer ended in the middle of a piece."""


def frames(answer: Readable) -> Iterator[bytes]:
    """The output without Docker's headers; a container with a terminal has no headers, and is read as it is."""
    header = answer.read(HEADER.size)
    if header and not _is_header(header):
        while header:
            yield header
            header = answer.read1(PIECE)
        return
    while header:
        if not _is_header(header):
            raise BrokenLogError("what came is no piece of a log")
        length = HEADER.unpack(header)[1]
        piece = answer.read(length) if length else b""
        if len(piece) < length:
            raise BrokenLogError(f"{len(piece)} of {length} bytes came")
        yield piece
        header = answer.read(HEADER.size)


def _is_header(header: bytes) -> bool:
    if len(header) < HEADER.size or header[1:4] != b"\0\0\0":
        return False
    stream, length = HEADER.unpack(header)
    return stream in STREAMS and length <= MOST_BYTES
