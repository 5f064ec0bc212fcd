"""Logs that were kept: files, gzip files, folders, bundles, standard input. Each is read as a stream of events."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import select
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, cast

from labctl.errors import ExitCode, LabctlError
from labctl.raft.log_line import LONGEST, open_envelope
from labctl.raft.prefilter import likely_lines
from labctl.raft.timers import MULTIPLIERS
from labctl.story.archive import DAMAGED, GZIP, DamagedError, Member, Unpacked, members_of
from labctl.story.log_names import servers_of
from labctl.story.log_reader import LogReader
from labctl.story.survey import UNKNOWN

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from labctl.raft.event import Event
    from labctl.raft.server_names import Names

STANDARD_INPUT = "-"
SAMPLES = Path(__file__).resolve().parent.parent / "samples"
MULTIPLIER = 1
"""The `raft_multiplier` of all servers whose logs labctl ships."""
CHUNK_BYTES = 1 << 18
BYTES_OF_BEGINNING = 2 * CHUNK_BYTES
BYTES_OF_SAMPLE = 1 << 12
LINES_OF_SAMPLE = 2
IDLE_SECONDS = 1.0
"""After so long without a line, those that wait for an earlier one are told."""
END_BYTES = 1 << 14
"""At the end of a log, where its last stamp is looked for."""
MANIFEST = "manifest.json"
MOST_BYTES_OF_MANIFEST = 1 << 20
MOST_NAMED = 20
MOST_LOGS = 64
"""In one bundle: each is read by itself, from the bundle's first byte on."""


class Reached:
    """How far recordings go: the time of the last line of all, also of one that no story tells."""

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
        member: the log in a bundle; None for a plain file.
        is_named: whether the user said whose log it is.
    """

    name: str
    server: str
    path: Path | None
    member: Member | None = None
    is_named: bool = False

    @property
    def place(self) -> str:
        """The whole path, a bundle being a folder of it."""
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

    def chunks(self, end: bytearray | None = None) -> Iterator[bytes]:
        """Its bytes in pieces; `end` keeps the last of them. Raises LabctlError."""
        return self._chunks() if end is None else _remembered(self._chunks(), end)

    def beginning(self) -> tuple[list[bytes], bool]:
        """Its first half megabyte, and whether that is all of it."""
        chunks: list[bytes] = []
        size = 0
        for chunk in self._chunks():
            if size >= BYTES_OF_BEGINNING:
                return chunks, False
            chunks.append(chunk)
            size += len(chunk)
        return chunks, True

    def samples(self, near: datetime) -> Iterator[tuple[str, datetime]]:
        """Whose lines are, and of when, at places all over it."""
        for piece in self._pieces():
            lines = piece.split(b"\n")[1:-1]
            found = 0
            for raw in lines:
                envelope = open_envelope(raw[:LONGEST].decode("utf-8", "replace"), zone=UNKNOWN, near=near)
                if envelope is not None and envelope.time is not None:
                    yield envelope.source or envelope.host or "", envelope.time
                    near, found = envelope.time, found + 1
                    if found >= LINES_OF_SAMPLE:
                        break

    def _pieces(self) -> Iterator[bytes]:
        """A piece of each quarter of a megabyte. What is packed has to be unpacked for that."""
        if self.path is not None and self.member is None:
            with self.path.open("rb") as plain:
                if not plain.peek(len(GZIP)).startswith(GZIP):
                    size = self.path.stat().st_size
                    for at in (*range(BYTES_OF_BEGINNING, size, CHUNK_BYTES), max(size - BYTES_OF_SAMPLE, 0)):
                        plain.seek(at)
                        yield plain.read(BYTES_OF_SAMPLE)
                    return
        gone = until = 0
        for chunk in self._chunks():
            gone += len(chunk)
            if gone >= until:
                yield chunk[:BYTES_OF_SAMPLE]
                until = gone + CHUNK_BYTES

    def last_time(self, near: datetime) -> datetime | None:
        """Its last stamp, where that can be found without reading all of it."""
        if self.path is None or self.member is not None:
            return None
        try:
            with self.path.open("rb") as plain:
                if plain.peek(len(GZIP)).startswith(GZIP):
                    return None
                plain.seek(max(0, self.path.stat().st_size - END_BYTES))
                return _last_time(plain.read(END_BYTES), near, UNKNOWN)
        except OSError:
            return None

    @staticmethod
    def time_at(end: bytes, near: datetime, zone: tzinfo) -> datetime | None:
        """The last stamp at an end."""
        return _last_time(end, near, zone)

    def live_lines(self, *, everything: bool = False) -> Iterator[tuple[int, bytes] | None]:
        """The lines of standard input that may be an event, as they come; None where none came for a moment."""
        number, rest = 0, b""
        waits = True
        for chunk in self._live_chunks():
            if chunk is None:
                if waits:
                    yield None
                waits = False
                continue
            waits = True
            body, newline, rest = (rest + chunk).rpartition(b"\n")
            for at, line in likely_lines([body + newline], everything=everything) if newline else ():
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

    def _chunks(self) -> Iterator[bytes]:
        try:
            if self.path is None:
                yield from iter(lambda: os.read(sys.stdin.fileno(), CHUNK_BYTES), b"")
                return
            with self.path.open("rb") as plain, _unpacked(plain, self.member) as handle:
                yield from iter(lambda: handle.read1(CHUNK_BYTES), b"")
        except DAMAGED as error:
            why = getattr(error, "strerror", None) or str(error)
            raise LabctlError(f"The log {self.name} could not be read to its end: {why}.") from error


def _remembered(chunks: Iterable[bytes], end: bytearray) -> Iterator[bytes]:
    """Hand on the pieces of a log, and keep its end."""
    for chunk in chunks:
        end += chunk[-END_BYTES:]
        del end[:-END_BYTES]
        yield chunk


def _last_time(end: bytes, near: datetime, zone: tzinfo) -> datetime | None:
    """The time of the last line that has one, at the end of a log."""
    for raw in reversed(end.split(b"\n")):
        envelope = open_envelope(raw.decode("utf-8", "replace"), near=near, zone=zone)
        if envelope is not None and envelope.time is not None:
            return envelope.time
    return None


@contextlib.contextmanager
def _unpacked(plain: io.BufferedReader, member: Member | None) -> Iterator[io.BufferedReader | Unpacked]:
    """Open a plain file, a gzip file, or one log of a bundle. Nothing is ever written to disk."""
    # A pipe can be looked into, and cannot be wound back.
    if member is None and not plain.peek(len(GZIP)).startswith(GZIP):
        yield plain
        return
    with gzip.GzipFile(fileobj=plain, mode="rb") as handle:
        yield cast("io.BufferedReader", handle) if member is None else Unpacked(handle, member)


def _logs_in(path: Path) -> list[Member]:
    """The logs in a bundle; none where the file is not one. Raises LabctlError where it cannot be read."""
    if not path.is_file():
        return []
    try:
        logs = [one for one in members_of(path) if one.name.startswith("logs/") and one.name.endswith(".log")]
    except OSError:
        return []  # reading it as a log says why
    except DamagedError as error:
        raise LabctlError(f"The bundle {path} could not be read to its end: {error}.") from error
    if len(logs) > MOST_LOGS:
        raise LabctlError(f"The bundle {path} holds {len(logs)} logs, and {MOST_LOGS} are the most that are read.")
    return logs


def find(names: Sequence[str], called: Mapping[str, str] | None = None) -> list[Recording]:
    """The recordings that a user named. Raises LabctlError (usage) where one is not there.

    A folder stands for the files in it, but hidden ones; a bundle for the logs in it. The order in which they are
    named does not matter, and what is named twice is read once.

    Args:
        names: what the user named.
        called: whose log a file is, by its name, where the user says so.
    """
    found: dict[str, Recording] = {}
    for name in names:
        for one in _found(name):
            found.setdefault(os.path.realpath(one.place) if one.path else one.name, one)
    recordings = _called(list(found.values()), called or {})
    unnamed = [one for one in recordings if not one.is_named and one.path is not None]
    servers = dict(zip(unnamed, servers_of([one.place for one in unnamed]), strict=True))
    recordings = [replace(one, server=servers.get(one, one.server)) for one in recordings]
    return sorted(recordings, key=lambda one: (one.server, one.name))


def _called(recordings: list[Recording], called: Mapping[str, str]) -> list[Recording]:
    """Call the recordings as the user does: by their whole name, else by the end of their path."""
    for file, server in called.items():
        of_file = [at for at, one in enumerate(recordings) if file in (one.name, str(one.path))]
        of_file = of_file or [at for at, one in enumerate(recordings) if one.place.endswith(f"/{file.lstrip('./')}")]
        if not of_file:
            raise LabctlError(
                f"Cannot call {file} {server}: no log of that name is read. There are "
                f"{', '.join(sorted(one.name for one in recordings)[:MOST_NAMED])}.",
                ExitCode.USAGE,
            )
        if len({one.path for one in (recordings[at] for at in of_file)}) > 1:
            raise LabctlError(
                f"Cannot call {file} {server}: {len(of_file)} logs have that name. Write more of the path.",
                ExitCode.USAGE,
            )
        for at in of_file:
            recordings[at] = replace(recordings[at], server=server, is_named=True)
    return recordings


def _found(name: str) -> list[Recording]:
    """What one name stands for."""
    if name == STANDARD_INPUT:
        return [Recording("-", "server", None)]
    path = Path(name)
    if not name or not is_there(path):
        raise LabctlError(
            f"There is no file {name or repr(name)}: name a log, a folder of logs, or `-`.", ExitCode.USAGE
        )
    if path.is_char_device() or path.is_block_device():
        # It may have no end.
        raise LabctlError(
            f"Cannot read {name}: it is a device. Name a log, a folder of logs, or `-` for standard input.",
            ExitCode.USAGE,
        )
    if members := _logs_in(path):
        return [Recording(f"{name}:{one.name}", Path(one.name).stem, path, one) for one in members]
    try:
        inside = sorted(one for one in path.iterdir() if _is_log(one)) if path.is_dir() else [path]
    except OSError as error:
        raise LabctlError(f"The folder {name} could not be read: {error.strerror}.") from error
    if not inside:
        raise LabctlError(f"The folder {name} holds no log.", ExitCode.USAGE)
    return [Recording(str(one), one.name, one) for one in inside]


def is_there(path: Path) -> bool:
    """Whether there is such a file; what cannot be the name of one is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def multiplier_of(found: Iterable[Recording]) -> int | None:
    """The `raft_multiplier` of the servers, where all logs are of one bundle that has it."""
    bundles = {one.path for one in found if one.member}
    if len(bundles) != 1 or not all(one.member for one in found):
        return None
    path = cast("Path", bundles.pop())
    try:
        member = next((one for one in members_of(path) if one.name == MANIFEST), None)
        if member is None:
            return None
        with path.open("rb") as plain, _unpacked(plain, member) as file:
            manifest = json.loads(file.read1(MOST_BYTES_OF_MANIFEST))
    except (*DAMAGED, DamagedError):
        return None
    multiplier = manifest.get("raft_multiplier") if isinstance(manifest, dict) else None
    return multiplier if type(multiplier) is int and multiplier in MULTIPLIERS else None


def sample(name: str) -> list[Recording]:
    """A recording that labctl ships. Raises LabctlError (usage) where there is none of that name."""
    names = sorted(one.name for one in SAMPLES.iterdir() if one.is_dir() and not one.name.startswith((".", "_")))
    if name not in names:
        raise LabctlError(f"There is no sample {name!a}: there are {', '.join(names)}.", ExitCode.USAGE)
    return [
        Recording(f"{name}/{one.name}", one.stem, one) for one in sorted((SAMPLES / name).iterdir()) if _is_log(one)
    ]


def _is_log(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def events(  # noqa: PLR0913 - all that a story is told from
    recordings: Iterable[Recording],
    *,
    everything: bool = False,
    zone: tzinfo | None = None,
    names: Names | None = None,
    reached: Reached | None = None,
    note: Callable[[str], None] = lambda _: None,
    live: bool = False,
) -> Iterator[Event]:
    """All events of all recordings in one order of time, as `LogReader` reads them."""
    reader = LogReader(recordings, everything=everything, zone=zone, names=names, reached=reached, note=note, live=live)
    return reader.events()
