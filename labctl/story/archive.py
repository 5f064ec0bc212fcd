"""The files in a bundle: found without trust in what it says of itself, and read without writing anything to disk.

A bundle is a gzip file of a tar, and somebody else may have made it. Only plain files count: no links, no holes.
Headers, files and bytes have a most, far above that of any lab.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GZIP = b"\x1f\x8b"
MOST_BYTES = 1 << 33
"""Of all that is in a bundle, unpacked: a lab's servers keep a gigabyte of logs at most."""
MOST_MEMBERS = 1000
MOST_OF_HEADERS = 1 << 22
MOST_OF_A_HEADER = 1 << 20
# What a damaged or a hostile archive makes gzip, zlib and tarfile raise.
DAMAGED = (OSError, EOFError, zlib.error, tarfile.TarError, ValueError, OverflowError, RecursionError)


class Member(NamedTuple):
    """A plain file in a bundle: its name, and where it is in the tar, in bytes."""

    name: str
    offset: int
    size: int


class DamagedError(Exception):
    """A bundle cannot be read; the text says why."""


def members_of(path: Path) -> Iterator[Member]:
    """The plain files in a bundle, each name once; none where the file is no tar in gzip.

    Raises DamagedError, or OSError where it cannot be opened.
    """
    with path.open("rb") as plain:
        if plain.peek(len(GZIP))[: len(GZIP)] != GZIP:
            return
        with gzip.GzipFile(fileobj=plain, mode="rb") as unpacked:
            headers = _Headers(unpacked)
            try:
                archive = tarfile.TarFile(fileobj=headers)  # type: ignore[arg-type]
            except DamagedError:
                raise
            except DAMAGED:
                # Its first bytes are no header: it is a log in gzip, or is damaged, as reading it will tell.
                return
            yield from _plain_files(archive)


def _plain_files(archive: tarfile.TarFile) -> Iterator[Member]:
    known: set[str] = set()
    entries = iter(archive)
    for _ in range(MOST_MEMBERS):
        try:
            entry = next(entries, None)
        except DAMAGED as error:
            raise DamagedError(str(error) or type(error).__name__) from error
        if entry is None:
            return
        if entry.isreg() and not entry.issparse() and entry.name not in known:
            known.add(entry.name)
            yield Member(entry.name, entry.offset_data, entry.size)
    raise DamagedError(f"it holds more than {MOST_MEMBERS} files")


class _Headers:
    """What tarfile may see of a stream to find the headers in it: forward only, and not more than headers need."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = MOST_OF_HEADERS

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        if not 0 <= size <= MOST_OF_A_HEADER or self._left < 0:
            raise DamagedError("its headers are longer than those of any lab's logs")
        return self._stream.read(size)

    def seek(self, to: int) -> int:
        if not self._stream.tell() <= to <= MOST_BYTES:
            raise DamagedError("it says of its files that they are larger than any lab's logs")
        return self._stream.seek(to)

    def tell(self) -> int:
        return self._stream.tell()


class Unpacked(io.RawIOBase):
    """A member's bytes, out of the whole stream of its bundle."""

    def __init__(self, stream: gzip.GzipFile, member: Member) -> None:
        stream.seek(member.offset)
        self._stream, self._left = stream, member.size

    def readable(self) -> bool:
        """It is read from."""
        return True

    def read1(self, size: int) -> bytes:
        """At most so many bytes; none at its end. Raises EOFError where the bundle ends before."""
        piece = self._stream.read(min(size, self._left))
        if not piece and self._left:
            raise EOFError("the bundle ends before")
        self._left -= len(piece)
        return piece
