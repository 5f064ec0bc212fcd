"""Saved logs: files, also packed, folders, archives, standard input. Each is read as a stream of events."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import json
import os
import select
import stat
import sys
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import click

from labctl.errors import ExitCode, LabctlError
from labctl.raft.line_core import is_of_a_server
from labctl.raft.log_line import LONGEST, open_envelope
from labctl.raft.prefilter import likely_lines
from labctl.raft.timers import MULTIPLIERS
from labctl.story import line_forms, stamp_scan
from labctl.story.archive import (
    DAMAGED,
    HEAD,
    MOST_OF_A_COPY,
    DamagedError,
    Member,
    Stream,
    holds_archive,
    is_archive,
    is_packed,
    members_of,
    opened,
)
from labctl.story.line_sorter import LineSorter
from labctl.story.log_names import servers_of
from labctl.story.log_reader import LogReader
from labctl.story.pieces import Pieces
from labctl.story.survey import UNKNOWN, Sample
from labctl.story.text_encoding import encoding_of, in_utf8, is_binary
from labctl.terminal.style import harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from labctl.raft.event import Event
    from labctl.raft.server_names import Names
    from labctl.story.coverage import Coverage, Coverages

STANDARD_INPUT = "-"
SAMPLES = Path(__file__).resolve().parent.parent / "samples"
MULTIPLIER = 1
"""The `raft_multiplier` of all servers whose logs labctl ships."""
CHUNK_BYTES = 1 << 18
BYTES_OF_BEGINNING = 2 * CHUNK_BYTES
BYTES_OF_SAMPLE = 1 << 14
LINES_OF_SAMPLE = 32
"""At most this many lines are searched for one with a stamp."""
WAITS_SECONDS = 1
"""After this long without a first byte, tell the user what the wait is for."""
IDLE_SECONDS = 1.0
"""After this long without a line, lines that wait for an earlier one are shown."""
END_BYTES = 1 << 14
"""At the end of a log, where its last stamp is looked for."""
MANIFEST = "manifest.json"
MOST_BYTES_OF_MANIFEST = 1 << 20
MOST_NAMED = 20
MOST_LOGS = 64
"""In one archive: each is read by itself, from the archive's first byte on."""
MOST_FILES = 500
"""In one folder and those in it: each is held open while the story is told."""
MOST_FOLDERS = 10_000


class LogEnd:
    """The end of the recordings: the time of the last line of all, also of one outside the story."""

    def __init__(self) -> None:
        self.time: datetime | None = None

    def see(self, time: datetime | None) -> None:
        """A line has this time."""
        if time is not None and (self.time is None or time > self.time):
            self.time = time


@dataclass(frozen=True)
class Recording:
    """One server's log, or one log of several servers whose lines say whose they are.

    Attributes:
        name: as the user named it; `-` is standard input.
        server: whose log it is where its lines do not say: what the user called it, or what its file is called.
        path: where it is; None for standard input.
        member: the log in an archive; None for a plain file.
        is_named: whether the user said whose log it is.
        pipe: the reader of standard input, where its beginning was read already.
    """

    name: str
    server: str
    path: Path | None
    member: Member | None = None
    is_named: bool = False
    pipe: io.BufferedReader | None = field(default=None, compare=False)

    @property
    def place(self) -> str:
        """The whole path, an archive being a folder of it."""
        inside = f"/{self.member.name}" if self.member else ""
        return f"{os.path.abspath(self.path)}{inside}" if self.path else self.name  # noqa: PTH100 - resolves no link

    def is_file(self) -> bool:
        """Whether it can be read more than once."""
        return self.path is not None and self.path.is_file()

    def written(self) -> datetime:
        """When about it was written, for stamps that have no year: when the file was changed, or now."""
        now = datetime.now(UTC)
        try:
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC) if self.path else now
        except (OSError, OverflowError, ValueError):
            return now

    def chunks(self, end: bytearray, coverage: Coverage) -> Iterator[bytes]:
        """Its bytes in pieces; `end` keeps the last of them, `coverage` counts them. Raises LabctlError."""
        for chunk in self._chunks(coverage):
            coverage.watch(chunk)
            end += chunk[-END_BYTES:]
            del end[:-END_BYTES]
            yield chunk

    def beginning(self) -> tuple[list[bytes], bool]:
        """Its first half megabyte, and whether that is all of it."""
        chunks: list[bytes] = []
        left = BYTES_OF_BEGINNING
        for chunk in self._chunks():
            if left <= 0:
                return chunks, False
            chunks.append(chunk[:left])
            left -= len(chunk)
        return chunks, left >= 0

    def samples(self, near: datetime) -> Iterator[Sample]:
        """The writers and times of lines behind the beginning: at places all over it, and wherever stamps go back."""
        for block in self._behind_the_beginning():
            begin = 0
            for place in stamp_scan.places(block):
                begin = max(begin, place)
                for raw in block[begin : begin + BYTES_OF_SAMPLE].split(b"\n", LINES_OF_SAMPLE)[:LINES_OF_SAMPLE]:
                    begin += len(raw) + 1
                    name, line = line_forms.name_and_line(raw)
                    envelope = open_envelope(line.decode("utf-8", "replace"), zone=UNKNOWN, near=near)
                    if envelope is not None and envelope.time is not None:
                        is_ours = envelope.module is not None and is_of_a_server(envelope.module)
                        yield Sample(name or envelope.source or "", envelope.host or "", envelope.time, is_ours)
                        near = envelope.time
                        break

    def _behind_the_beginning(self) -> Iterator[bytes]:
        """Lines, some at once. What is packed has to be unpacked for that."""
        left, rest = BYTES_OF_BEGINNING, b""
        for chunk in self._chunks():
            block = rest + chunk[max(left, 0) :]
            left -= len(chunk)
            end = block.rfind(b"\n") + 1
            if end:
                # The line that the beginning cuts is behind it, too, but not from its own beginning.
                yield block[:end]
            rest = block[end : end + LONGEST]
        if rest:
            yield rest

    def last_time(self, near: datetime) -> datetime | None:
        """Its last stamp, where that can be found without reading all of it."""
        if self.path is None or self.member is not None:
            return None
        try:
            with self.path.open("rb") as plain:
                if not _is_as_it_is(plain):
                    return None
                plain.seek(max(0, self.path.stat().st_size - END_BYTES))
                return _last_time(plain.read(END_BYTES), near, UNKNOWN)
        except OSError:
            return None

    @staticmethod
    def time_at(end: bytes, near: datetime, zone: tzinfo) -> datetime | None:
        """The last stamp at an end."""
        return _last_time(end, near, zone)

    def live_lines(self, coverage: Coverage, *, everything: bool = False) -> Iterator[tuple[int, bytes] | None]:
        """The lines of standard input that may be an event, as they come; None where none came for a moment."""
        number, rest = 0, b""
        headings, pieces, waits = line_forms.Headings(), Pieces(), True
        for chunk in self._live_chunks():
            if chunk is None:
                if waits:
                    yield None
                waits = False
                continue
            waits = True
            coverage.head = coverage.head or chunk[:HEAD]
            coverage.watch(chunk)
            body, newline, rest = (rest + chunk).rpartition(b"\n")
            whole = pieces.block(headings.block(body + newline)) if newline else b""
            for at, line in likely_lines([whole], everything=everything):
                yield number + at, line
            number += body.count(b"\n") + len(newline)
            rest = rest[:LONGEST]
        yield from ((number + at, line) for at, line in likely_lines([rest], everything=everything))

    @staticmethod
    def _live_chunks() -> Iterator[bytes | None]:
        stdin = sys.stdin.fileno()
        while True:
            if not select.select([stdin], [], [], IDLE_SECONDS)[0]:
                yield None
                continue
            chunk = os.read(stdin, CHUNK_BYTES)
            if not chunk:
                return
            yield chunk

    def _chunks(self, coverage: Coverage | None = None) -> Iterator[bytes]:
        try:
            with self._open() as plain, opened(plain, self.member) as stream:
                head = _head(stream)
                if is_archive(head):
                    # Its files are found before it is read, where that can be done twice.
                    raise LabctlError(
                        f"Cannot read {self.name}: it is an archive in a pipe. Give it on standard input, or write it "
                        "to a file, and name that."
                    )
                if coverage is not None:
                    coverage.head = head
                # Whatever is available at once: a pipe may be a log that is still being written.
                pieces = in_utf8(iter(lambda: stream.read1(CHUNK_BYTES), b""))
                yield from line_forms.as_lines(pieces, coverage.see_several if coverage is not None else lambda: None)
        except (*DAMAGED, DamagedError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise LabctlError(f"The log {self.name} could not be read to its end: {why}.") from error

    def _open(self) -> io.BufferedReader:
        if self.path is None:
            return self.pipe or _standard_input()
        if not self.path.is_fifo():
            return self.path.open("rb")
        # Opened at once, not only when a writer comes: until then it reports what it waits for.
        number = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        pipe: io.BufferedReader = io.BufferedReader(io.FileIO(number), CHUNK_BYTES)
        _await(number, f"{self.name}: nobody has written into this pipe yet")
        os.set_blocking(number, True)
        return pipe


def _is_as_it_is(plain: io.BufferedReader) -> bool:
    """Whether a file's bytes are its text, so that it can be read from any place on."""
    head = plain.peek(HEAD)[:HEAD]
    return not is_packed(head) and encoding_of(head) == "utf-8"


def _last_time(end: bytes, near: datetime, zone: tzinfo) -> datetime | None:
    """The time of the last line that has one, at the end of a log."""
    for raw in reversed(end.split(b"\n")):
        envelope = open_envelope(raw.decode("utf-8", "replace"), near=near, zone=zone)
        if envelope is not None and envelope.time is not None:
            return envelope.time
    return None


def _await(number: int, what: str) -> None:
    """Wait for the first bytes of a pipe, or for its end; after a moment, say so: the wait may be endless."""
    waiting = select.poll()
    waiting.register(number, select.POLLIN)
    if not waiting.poll(WAITS_SECONDS * 1000):
        click.echo(harmless(f"Waiting for {what}. Ctrl-C ends it."), err=True)
        waiting.poll()


def _standard_input() -> io.BufferedReader:
    return io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False), CHUNK_BYTES)


def _head(stream: Stream) -> bytes:
    """The first bytes of a stream: those available at once, and more where it may be an archive."""
    head = stream.peek_some()
    return stream.peek(HEAD) if is_archive(head) or b"\0" in head else head[:HEAD]


def _logs_in(name: str, path: Path) -> list[Recording] | None:
    """The logs in an archive; None where the file is not one. Raises LabctlError where it cannot be read."""
    if not path.is_file():
        return None
    try:
        members = list(members_of(path))
    except OSError:
        return None  # reading it as a log reports why
    except DamagedError as error:
        raise LabctlError(f"The archive {name} could not be read to its end: {error}.") from error
    if not members and not _holds_files(path):
        return None
    logs = [member for member in members if member.name.startswith("logs/") and member.name.endswith(".log")]
    if not logs or not any(member.name == MANIFEST for member in members):
        # Not a bundle of labctl's, of which the rest is about the logs.
        logs = [member for member in members if not _is_hidden(member.name)]
    if len(logs) > MOST_LOGS:
        raise LabctlError(
            f"Cannot read {name}: it holds {len(logs)} logs, and {MOST_LOGS} are the most that are read. "
            "Unpack it, and name those that matter."
        )
    return [Recording(f"{name}:{member.name}", Path(member.name).name, path, member) for member in logs]


def _log_or_logs(name: str, path: Path) -> list[Recording]:
    """The logs in an archive, or the file itself where it is none. Raises LabctlError where nothing can be read."""
    logs = _logs_in(name, path)
    if logs == []:
        raise LabctlError(f"Cannot read {name}: no log is in this archive. Name one that has a server's log.")
    return logs or [Recording(name, path.name, path)]


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/") if part not in {".", ".."})


def find(names: Sequence[str], called: Mapping[str, str] | None = None, *, live: bool = False) -> list[Recording]:
    """The recordings that a user named. Raises LabctlError (usage) where one is not there.

    A folder stands for the logs in it and in its folders, but hidden ones; an archive for the logs in it. The order in
    which they are named does not matter, and what is named twice is read once.

    Args:
        names: what the user named.
        called: the server of a file, by the file's name, where the user gives it.
        live: standard input is a log that is still being written.
    """
    by_place: dict[str, Recording] = {}
    for name in names:
        for recording in _found(name, live=live):
            by_place.setdefault(os.path.realpath(recording.place) if recording.path else recording.name, recording)
    recordings = _called(list(by_place.values()), called or {})
    unnamed = [recording for recording in recordings if not recording.is_named and recording.path is not None]
    servers = dict(zip(unnamed, servers_of([recording.place for recording in unnamed]), strict=True))
    recordings = [replace(recording, server=servers.get(recording, recording.server)) for recording in recordings]
    return sorted(recordings, key=lambda recording: (recording.server, recording.name))


def _called(recordings: list[Recording], called: Mapping[str, str]) -> list[Recording]:
    """Name the recordings as the user does: by their whole name, else by the end of their path."""
    for file, server in called.items():
        of_file = [at for at, recording in enumerate(recordings) if file in (recording.name, str(recording.path))]
        of_file = of_file or [
            at for at, recording in enumerate(recordings) if recording.place.endswith(f"/{file.lstrip('./')}")
        ]
        if not of_file:
            raise LabctlError(
                f"Cannot call {file} {server}: no log of that name is read. There are "
                f"{', '.join(sorted(recording.name for recording in recordings)[:MOST_NAMED])}.",
                ExitCode.USAGE,
            )
        if len({recording.path for recording in (recordings[at] for at in of_file)}) > 1:
            raise LabctlError(
                f"Cannot call {file} {server}: {len(of_file)} logs have that name. Write more of the path.",
                ExitCode.USAGE,
            )
        for at in of_file:
            recordings[at] = replace(recordings[at], server=server, is_named=True)
    return recordings


def _found(name: str, *, live: bool) -> list[Recording]:
    """The recordings that one name stands for."""
    if name == STANDARD_INPUT:
        return [Recording(STANDARD_INPUT, "server", None)] if live else _on_standard_input()
    path = Path(name)
    if not name or not is_there(path):
        raise LabctlError(
            f"There is no file {name or repr(name)}: name a log, a folder of logs, or `-`.", ExitCode.USAGE
        )
    try:
        path.stat()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = "it is a link, and what it leads to is not there" if missing else error.strerror
        raise LabctlError(
            f"Cannot read {name}: {why}. Name a log, a folder of logs, or `-`.", ExitCode.USAGE
        ) from error
    if path.is_char_device() or path.is_block_device():
        # It may have no end.
        raise LabctlError(
            f"Cannot read {name}: it is a device. Name a log, a folder of logs, or `-` for standard input.",
            ExitCode.USAGE,
        )
    if not path.is_dir():
        return _log_or_logs(name, path)
    try:
        inside = list(itertools.islice(_logs_under(path), MOST_FILES + 1))
    except OSError as error:
        raise LabctlError(f"The folder {name} could not be read: {error.strerror}.") from error
    if not inside:
        raise LabctlError(f"The folder {name} holds no log.", ExitCode.USAGE)
    if len(inside) > MOST_FILES:
        raise LabctlError(f"Cannot read {name}: it holds more than {MOST_FILES} logs. Name some of them.")
    # In a folder, an archive without logs is one more file that is none.
    by_file = [(str(file), file, _logs_in(str(file), file)) for file in inside]
    logs = [
        recording
        for file_name, file, members in by_file
        for recording in ([Recording(file_name, file.name, file)] if members is None else members)
    ]
    if not logs:
        raise LabctlError(f"The folder {name} holds no log.", ExitCode.USAGE)
    return logs


def _on_standard_input() -> list[Recording]:
    """Standard input, or the logs of the archive there. Of a pipe, an archive is copied: its logs are read at once."""
    pipe = None
    with contextlib.suppress(OSError, ValueError):
        number = sys.stdin.fileno()
        mode = os.fstat(number).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            _await(number, "standard input: nothing has come yet")
            pipe = _standard_input()
            if not holds_archive(pipe.peek()):
                return [Recording(STANDARD_INPUT, "server", None, pipe=pipe)]
            number = _copy_of(pipe)
        elif not stat.S_ISREG(mode):
            return [Recording(STANDARD_INPUT, "server", None)]
        recordings = _logs_in(STANDARD_INPUT, Path(f"/proc/self/fd/{number}"))
        if recordings == []:
            raise LabctlError("Cannot read standard input: no log is in this archive. Give it one that has some.")
        if recordings is not None:
            return recordings
    return [Recording(STANDARD_INPUT, "server", None, pipe=pipe)]


_copies: list[IO[bytes]] = []
"""The copy of standard input, while labctl runs; it has no name."""


def _copy_of(pipe: io.BufferedReader) -> int:
    """Copy an archive that comes through a pipe to a file without a name; returns its number. Raises LabctlError."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - it is read until labctl ends
    _copies.append(copy)
    while piece := pipe.read1(CHUNK_BYTES):
        copy.write(piece)
        if copy.tell() > MOST_OF_A_COPY:
            raise LabctlError(
                "Cannot read standard input: it is an archive of more than 1 GiB. Write it to a file, and name that."
            )
    copy.flush()
    return copy.fileno()


def _logs_under(folder: Path) -> Iterator[Path]:
    """The logs in a folder and in its folders. No link leads out of it, and a data base is no log."""
    for count, (where, folders, files) in enumerate(os.walk(folder, onerror=_raise)):
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if count < MOST_FOLDERS else []
        for name in sorted(files):
            path = Path(where, name)
            if _is_log(path) and not (count and path.is_symlink()) and not _is_binary(path):
                yield path


def _raise(error: OSError) -> None:
    raise error


def _holds_files(path: Path) -> bool:
    """Whether a file is an archive, also a packed one."""
    try:
        with path.open("rb") as plain, opened(plain) as stream:
            return is_archive(stream.peek(HEAD))
    except (*DAMAGED, DamagedError):
        return False


def _is_binary(path: Path) -> bool:
    """Whether a file is neither text nor packed; an unreadable one is reported when it is read."""
    try:
        with path.open("rb") as plain, opened(plain) as stream:
            head = stream.peek(HEAD)
    except (*DAMAGED, DamagedError):
        return False
    return is_binary(head) and not is_archive(head)


def is_there(path: Path, *, unknown: bool = True) -> bool:
    """Whether there is such a file, or a link of that name; an impossible name is not one.

    `unknown` is the answer where its folder may not be searched.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except PermissionError:
        return unknown
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def multiplier_of(recordings: Iterable[Recording]) -> int | None:
    """The `raft_multiplier` of the servers, where all logs are of one bundle that has it."""
    bundles = {recording.path for recording in recordings if recording.member}
    if len(bundles) != 1 or not all(recording.member for recording in recordings):
        return None
    path = cast("Path", bundles.pop())
    try:
        member = next((each_member for each_member in members_of(path) if each_member.name == MANIFEST), None)
        if member is None:
            return None
        with path.open("rb") as plain, opened(plain, member) as file:
            manifest = json.loads(file.read(MOST_BYTES_OF_MANIFEST))
    except (*DAMAGED, DamagedError):
        return None
    multiplier = manifest.get("raft_multiplier") if isinstance(manifest, dict) else None
    return multiplier if type(multiplier) is int and multiplier in MULTIPLIERS else None


def sample_names() -> list[str]:
    """The recordings that labctl ships, in the order of the alphabet."""
    return sorted(path.name for path in SAMPLES.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))


def sample(name: str) -> list[Recording]:
    """A recording that labctl ships. Raises LabctlError (usage) where there is none of that name."""
    names = sample_names()
    if name not in names:
        raise LabctlError(f"There is no sample {name!a}: there are {', '.join(names)}.", ExitCode.USAGE)
    return [
        Recording(f"{name}/{path.name}", path.stem, path)
        for path in sorted((SAMPLES / name).iterdir())
        if _is_log(path)
    ]


def _is_log(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def events(  # noqa: PLR0913 - all that a story is told from
    recordings: Iterable[Recording],
    *,
    everything: bool = False,
    zone: tzinfo | None = None,
    names: Names | None = None,
    reached: LogEnd | None = None,
    note: Callable[[str], None] = lambda _: None,
    live: bool = False,
    coverages: Coverages | None = None,
    sorter: Callable[[str], LineSorter] = LineSorter,
) -> Iterator[Event]:
    """All events of all recordings in one order of time, as `LogReader` reads them."""
    reader = LogReader(
        recordings, everything=everything, zone=zone, names=names, reached=reached, note=note, live=live,
        coverages=coverages, sorter=sorter,
    )  # fmt: skip
    return reader.events()
