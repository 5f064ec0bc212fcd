"""Packed files: recognized without trusting their names, and read without writing anything to disk.

A log may be in gzip, bzip2, xz or zstd, also twice; it may be a file in a tar or a zip, also in one within another one.
Somebody else may have made it. Only plain files count: no links, no devices, no holes. Headers, files and bytes have
limits, far above those of any lab's logs, and a name is a name and never a path that is opened.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, cast

from labctl.story.text_encoding import is_binary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BZIP2 = tuple(b"BZh%d1AY&SY" % level for level in range(1, 10))
_XZ = b"\xfd7zXZ\0"
_PACKED = (GZIP, ZSTD, _XZ, *_BZIP2)
_XZ_ZEROS = 4
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_USTAR, _USTAR_AT = b"ustar", 257
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
    b"\x04\x22\x4d\x18": "lz4",
}
"""Kinds of packing that labctl cannot unpack, by their first bytes."""
MOST_LAYERS = 4
"""How often a log may be packed: `consul.log.gz.gz`."""
MOST_DEPTH = 3
"""How deep archives may be nested."""
MOST_BYTES = 1 << 33
"""Of all that is in a tar, unpacked: a lab's servers keep a gigabyte of logs at most."""
MOST_OF_A_COPY = 1 << 30
"""Of a zip in another archive, which must be copied to be read."""
MOST_WINDOW = 1 << 27
"""Bytes of memory that a zstd or xz file may ask for; zstd itself takes no more either, and `xz -9` about half."""
MOST_MEMBERS = 1000
MOST_OF_HEADERS = 1 << 22
MOST_IN_A_ROW = 64
"""Pieces of headers of one file in a tar; one with a long name has four."""
MOST_OF_A_HEADER = 1 << 20
MAGIC, HEAD = 10, 1024
"""Enough bytes to recognize how something is packed, and what it is."""
PIECE = 1 << 17
# Exceptions that a damaged or hostile archive raises in gzip, zlib, tarfile and zipfile.
DAMAGED = (
    OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, ValueError, OverflowError,
    RecursionError, NotImplementedError, RuntimeError,
)  # fmt: skip


class Step(NamedTuple):
    """One step from a file to a log in it: `unpack` a layer, or take the bytes of a `tar`, or a file of a `zip`."""

    kind: Literal["unpack", "tar", "zip"]
    offset: int = 0
    size: int = 0


class Member(NamedTuple):
    """A plain file in an archive: its name there, and the steps that lead to it."""

    name: str
    steps: tuple[Step, ...]


class DamagedError(Exception):
    """An archive cannot be read; the text says why."""


class Stream:
    """Bytes that are read forward, of whatever stands below.

    Args:
        read: returns at most that many of the next bytes, as soon as there are some, and none at the end.
        file: what it reads, where that is a file in which one can go to and fro.
    """

    def __init__(self, read: Callable[[int], bytes], file: IO[bytes] | None = None) -> None:
        self._read, self.file = read, file
        self.ahead, self._at = b"", 0

    def peek(self, size: int) -> bytes:
        """The next bytes, without taking them: that many, or all that are left."""
        while len(self.ahead) < size and (piece := self._read(PIECE)):
            self.ahead += piece
        return self.ahead[:size]

    def peek_some(self) -> bytes:
        """The bytes available at once, but at least as many as identify the packing, if there are more."""
        self.peek(MAGIC)
        return self.ahead

    def read1(self, size: int) -> bytes:
        """Some of the next bytes, at most that many, as soon as there are some; none at the end."""
        if self.ahead:
            piece, self.ahead = self.ahead[:size], self.ahead[size:]
        else:
            piece = self._read(size)
        self._at += len(piece)
        return piece

    def read(self, size: int) -> bytes:
        """That many of the next bytes, or all that are left."""
        content = bytearray()
        while len(content) < size and (piece := self.read1(size - len(content))):
            content += piece
        return bytes(content)

    def tell(self) -> int:
        """How many bytes were taken."""
        return self._at

    def seek(self, to: int) -> int:
        """Leave out what comes before a place ahead. Raises EOFError where it ends before."""
        if self.file is not None:
            self.ahead, self._at = b"", self.file.seek(to)
        while self._at < to:
            if not self.read1(min(to - self._at, PIECE)):
                raise EOFError("it ends before")
        return self._at


class _AtOnce:
    """A stream for readers that ask for more bytes than they need: they get what there is."""

    def __init__(self, stream: Stream) -> None:
        self.read = stream.read1


def _stream_of(plain: io.BufferedReader) -> Stream:
    return Stream(plain.read1, plain if plain.seekable() else None)


def _pieces(stream: Stream, size: int) -> Stream:
    """That many of a stream's next bytes. EOFError where it ends before."""
    left = size

    def read(most: int) -> bytes:
        nonlocal left
        piece = stream.read1(min(most, left)) if left else b""
        if left and not piece:
            raise EOFError("the archive ends before")
        left -= len(piece)
        return piece

    return Stream(read)


def _without_layers(stream: Stream) -> tuple[Stream, int]:
    """Take off the layers in which a stream is packed; returns what is in them, and how many there were."""
    for layers in range(MOST_LAYERS):
        if not stream.peek(MAGIC).startswith(_PACKED):
            return stream, layers
        stream = _without_layer(stream)
    return stream, MOST_LAYERS


def _without_layer(stream: Stream) -> Stream:
    head, source = stream.peek(MAGIC), cast("IO[bytes]", _AtOnce(stream))
    if head.startswith(GZIP):
        return Stream(gzip.GzipFile(fileobj=source, mode="rb").read1)
    if head.startswith(_BZIP2):
        return Stream(bz2.BZ2File(source).read1)
    if head.startswith(_XZ):
        return Stream(_xz(stream))
    return Stream(_zstd(source))


def _xz(source: Stream) -> Callable[[int], bytes]:
    # lzma's own file takes whatever memory a file asks for.
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_WINDOW)

    def read(size: int) -> bytes:
        nonlocal unpacker
        while True:
            if unpacker.eof:
                source.ahead = unpacker.unused_data + source.ahead
                # Between two of them, and at the end, may be zeros.
                while (rest := source.peek(_XZ_ZEROS)) and not rest.strip(b"\0"):
                    source.read(len(rest))
                if not rest:
                    return b""
                unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_WINDOW)
            packed = source.read1(PIECE) if unpacker.needs_input else b""
            if unpacker.needs_input and not packed:
                raise EOFError("it ends before")
            try:
                piece = unpacker.decompress(packed, size)
            except lzma.LZMAError as error:
                raise ValueError(str(error)) from error
            if piece:
                return piece

    return read


def _zstd(source: IO[bytes]) -> Callable[[int], bytes]:
    import zstandard  # noqa: PLC0415 - few logs need it, and every command would load it

    reader = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW).stream_reader(source, read_across_frames=True)

    def read(size: int) -> bytes:
        try:
            return reader.read(size)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error

    return read


@contextlib.contextmanager
def opened(plain: io.BufferedReader, member: Member | None = None) -> Iterator[Stream]:
    """Open a file that may be packed, or a log in an archive. Raises DamagedError, or one of `DAMAGED`."""
    with contextlib.ExitStack() as stack:
        stream = _stream_of(plain)
        for step in member.steps if member else ():
            if step.kind == "unpack":
                stream = _without_layer(stream)
            elif step.kind == "tar":
                stream.seek(step.offset)
                stream = _pieces(stream, step.size)
            else:
                archive = stack.enter_context(_zip(_seekable(stream, stack)))
                stream = _in_zip(archive, archive.infolist()[step.offset])
        yield _without_layers(stream)[0]


def holds_archive(beginning: bytes) -> bool:
    """Whether a stream that begins so is an archive, also a packed one."""
    with opened(io.BufferedReader(cast("io.RawIOBase", io.BytesIO(beginning)))) as stream:
        # Packed content has no end here.
        with contextlib.suppress(*DAMAGED):
            stream.peek(HEAD)
        return is_archive(stream.ahead[:HEAD])


def packed_otherwise(head: bytes) -> str | None:
    """How something is packed that labctl cannot unpack; None where it is not."""
    return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None)


def is_packed(head: bytes) -> bool:
    """Whether something with these first bytes is packed, and can be unpacked."""
    return head.startswith(_PACKED)


def is_archive(head: bytes) -> bool:
    """Whether something with these first bytes holds files."""
    return head.startswith(_ZIP) or head[_USTAR_AT : _USTAR_AT + len(_USTAR)] == _USTAR


def members_of(path: Path) -> Iterator[Member]:
    """The plain files in an archive, and in those within it, each name once; none where the file is no archive.

    Raises DamagedError, or OSError where it cannot be opened.
    """
    with path.open("rb") as plain, contextlib.ExitStack() as stack:
        search = _Search(stack)
        try:
            yield from search.members(_stream_of(plain), "", (), 0)
        except DamagedError:
            raise
        except DAMAGED as error:
            if not search.is_archive:
                return  # a damaged log, as reading it will show
            raise DamagedError(str(error) or type(error).__name__) from error


class _Search:
    """Looks for the files in an archive."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._known: set[str] = set()
        self._seen = 0
        self.is_archive = False

    def members(self, stream: Stream, name: str, steps: tuple[Step, ...], depth: int) -> Iterator[Member]:
        """The texts in a stream; the stream itself where it is a member of an archive and not an archive."""
        try:
            inner, layers = _without_layers(stream)
            head = inner.peek(HEAD)
        except DAMAGED:
            inner, layers, head = stream, 0, b""  # reading it will show that
        if is_archive(head) and depth < MOST_DEPTH:
            self.is_archive = True
            steps = (*steps, *[Step("unpack")] * layers)
            reader = self._in_zip if head.startswith(_ZIP) else self._in_tar
            yield from reader(inner, f"{name}/" if name else "", steps, depth)
        elif depth and name not in self._known and not is_binary(head):
            self._known.add(name)
            yield Member(name, steps)

    def _in_tar(self, stream: Stream, prefix: str, steps: tuple[Step, ...], depth: int) -> Iterator[Member]:
        headers = _Headers(stream)
        for entry in tarfile.TarFile(fileobj=headers):  # type: ignore[arg-type]
            self._count()
            headers.in_a_row = 0
            if entry.isreg() and not entry.issparse():
                step = Step("tar", entry.offset_data, entry.size)
                yield from self.members(_pieces(stream, entry.size), prefix + entry.name, (*steps, step), depth + 1)
        if headers.last.strip(b"\0"):
            # tarfile silently takes an invalid header for the end.
            raise DamagedError("a header in it is damaged")

    def _in_zip(self, stream: Stream, prefix: str, steps: tuple[Step, ...], depth: int) -> Iterator[Member]:
        archive = self._stack.enter_context(_zip(_seekable(stream, self._stack)))
        for number, entry in enumerate(archive.infolist()):
            self._count()
            if not entry.is_dir() and stat.S_IFMT(entry.external_attr >> 16) in {0, stat.S_IFREG}:
                inside = _in_zip(archive, entry)
                yield from self.members(inside, prefix + entry.filename, (*steps, Step("zip", number)), depth + 1)

    def _count(self) -> None:
        self._seen += 1
        if self._seen > MOST_MEMBERS:
            raise DamagedError(f"it holds more than {MOST_MEMBERS} files")


def _zip(file: IO[bytes]) -> zipfile.ZipFile:
    return zipfile.ZipFile(cast("IO[bytes]", _Careful(file)))


def _in_zip(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Stream:
    if entry.flag_bits & 1:
        raise DamagedError(f"{entry.filename!a} in it is encrypted")
    return Stream(archive.open(entry).read1)  # type: ignore[attr-defined]


def _seekable(stream: Stream, stack: contextlib.ExitStack) -> IO[bytes]:
    """A stream in which one can go to and fro: a zip's list of its files stands at its end."""
    if stream.file is not None:
        return stream.file
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    while piece := stream.read1(PIECE):
        if copy.tell() > MOST_OF_A_COPY:
            raise DamagedError("a zip in it is larger than any lab's logs")
        copy.write(piece)
    return copy


class _Careful:
    """The part of a file that zipfile may read: no list of names that fills the memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > MOST_OF_HEADERS:
            raise DamagedError("its headers are longer than those of any lab's logs")
        return self._file.read(size if size >= 0 else MOST_OF_HEADERS)


class _Headers:
    """The part of a stream that tarfile may see to find its headers: forward only, and not more than headers need."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = MOST_OF_HEADERS
        self.in_a_row = 0
        self.last = b""
        self.tell = stream.tell

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        self.in_a_row += 1
        if self.in_a_row > MOST_IN_A_ROW:
            # tarfile reads each in a call inside of the one before; how that ends differs from Python to Python.
            raise DamagedError("a file in it has more headers than any lab's logs")
        if not 0 <= size <= MOST_OF_A_HEADER or self._left < 0:
            raise DamagedError("its headers are longer than those of any lab's logs")
        data = self._stream.read(size)
        if size == tarfile.BLOCKSIZE:
            self.last = data
        return data

    def seek(self, to: int) -> int:
        if not self._stream.tell() <= to <= MOST_BYTES:
            raise DamagedError("it says of its files that they are larger than any lab's logs")
        return self._stream.seek(to)
