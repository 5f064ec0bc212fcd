"""Logs that were kept: files, gzip files, folders, bundles, standard input. Each is read as a stream of events."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from labctl.errors import ExitCode, LabctlError
from labctl.raft.log_line import open_envelope
from labctl.raft.merge import merge
from labctl.raft.prefilter import likely_lines
from labctl.raft.reader import is_told, read_line
from labctl.raft.timers import MULTIPLIERS
from labctl.story.archive import DAMAGED, GZIP, DamagedError, Member, Unpacked, members_of

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator, Sequence

    from labctl.raft.event import Event
    from labctl.raft.server_names import Names

STANDARD_INPUT = "-"
SAMPLES = Path(__file__).resolve().parent.parent / "samples"
MULTIPLIER = 1
"""The `raft_multiplier` of all servers whose logs labctl ships."""
CHUNK_BYTES = 1 << 18
CHUNKS_OF_BEGINNING = 2
END_BYTES = 1 << 14
"""At the end of a log, where its last stamp is looked for."""
MANIFEST = "manifest.json"
MOST_BYTES_OF_MANIFEST = 1 << 20
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
        server: whose log it is where its lines do not say: the file's name without its endings.
        path: where it is; None for standard input.
        member: the log in a bundle; None for a plain file.
    """

    name: str
    server: str
    path: Path | None
    member: Member | None = None

    def events(
        self, *, everything: bool = False, of_hosts: bool = False, reached: Reached | None = None
    ) -> Iterator[Event]:
        """Read the events. Raises LabctlError.

        Args:
            everything: also those that are `other`.
            of_hosts: the log is of several machines, which syslog or journald names.
            reached: learns how far the log goes, once it was read.
        """
        near = self._written()
        end = bytearray()
        for number, raw in likely_lines(_remembered(self._chunks(), end), everything=everything):
            line = raw.decode("utf-8", "replace")
            event = read_line(
                line, server="", line_no=number, file=self.name, near=near, otherwise=self.server, of_hosts=of_hosts
            )
            if event is not None and (everything or is_told(event)):
                near = event.time or near
                yield event
        if reached is not None:
            reached.see(_last_time(bytes(end), near))

    def begin(self, *, of_hosts: bool) -> Iterator[Event]:
        """Read the events at its beginning, to learn who is who before they are told. Raises LabctlError."""
        if self.path is None or not self.path.is_file():
            return  # what was read of a pipe is gone
        for number, raw in likely_lines(itertools.islice(self._chunks(), CHUNKS_OF_BEGINNING)):
            line = raw.decode("utf-8", "replace")
            event = read_line(line, server="", line_no=number, otherwise=self.server, of_hosts=of_hosts)
            if event is not None:
                yield event

    def _written(self) -> datetime:
        """When about it was written, for stamps that have no year: when the file was changed, or now."""
        now = datetime.now(UTC)
        try:
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC) if self.path else now
        except (OSError, OverflowError, ValueError):
            return now

    def _chunks(self) -> Iterator[bytes]:
        try:
            if self.path is None:
                # Whatever there is, at once: a pipe may be a log that is still being written.
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


def _last_time(end: bytes, near: datetime) -> datetime | None:
    """The time of the last line that has one, at the end of a log."""
    for raw in reversed(end.split(b"\n")):
        envelope = open_envelope(raw.decode("utf-8", "replace"), near=near)
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


def find(names: Sequence[str]) -> list[Recording]:
    """The recordings that a user named. Raises LabctlError (usage) where one is not there.

    A folder stands for the files in it, but hidden ones; a bundle for the logs in it. The order in which they are
    named does not matter.
    """
    found: list[Recording] = []
    for name in names:
        if name == STANDARD_INPUT:
            found.append(Recording("-", "server", None))
            continue
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
            found += [Recording(f"{name}:{one.name}", Path(one.name).stem, path, one) for one in members]
            continue
        try:
            inside = sorted(one for one in path.iterdir() if _is_log(one)) if path.is_dir() else [path]
        except OSError as error:
            raise LabctlError(f"The folder {name} could not be read: {error.strerror}.") from error
        if not inside:
            raise LabctlError(f"The folder {name} holds no log.", ExitCode.USAGE)
        found += [Recording(str(one), one.name.split(".")[0], one) for one in inside]
    return sorted(found, key=lambda one: (one.server, one.name))


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


def events(
    recordings: Iterable[Recording],
    *,
    everything: bool = False,
    names: Names | None = None,
    reached: Reached | None = None,
) -> Iterator[Event]:
    """All events of all recordings in one order of time.

    Args:
        recordings: which.
        everything: also the events that are `other`.
        names: learn here who is who from the beginnings of the logs, before the first event is told.
        reached: learns how far they go, once all were read.
    """
    streams = []
    for one in recordings:
        # One machine's log is better known by the name of its file.
        of_hosts = one.path is None or len({event.server for event in one.begin(of_hosts=True)} - {one.server}) > 1
        if names is not None:
            for event in one.begin(of_hosts=of_hosts):
                names.learn(event)
        streams.append(one.events(everything=everything, of_hosts=of_hosts, reached=reached))
    return streams[0] if len(streams) == 1 else merge(streams)
