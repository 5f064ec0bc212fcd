"""Read the servers' logs from Docker: lines with the time at which Docker took them in."""

from __future__ import annotations

import contextlib
import heapq
import io
import os
import queue
import tempfile
import threading
import time
import weakref
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from labctl.engine import clock
from labctl.engine.client import explained
from labctl.errors import LabctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from labctl.engine.client import Client
    from labctl.engine.labs import Server

POLL_SECONDS = 0.25
# Docker hands on the lines of several containers a few milliseconds apart; a reader notices a tenth of a second.
ORDER_SECONDS = 0.06
BACK_SECONDS = 0.3
BEHIND_LINES = 64
"""An older line may still follow within this many lines: Docker merges two streams."""
MOST_LINE = 1 << 20
MORE_LINES = 1000
"""At most this many lines come between two consecutive reads of a log."""
WAITING_LINES = 8192
"""This many lines are kept for the reader; with more, Docker has to wait."""

# In which states, in Docker's words, a container is about to be gone.
_GOING = frozenset({"removing", "dead"})


@dataclass(frozen=True)
class LogLine:
    """One line of one server. `taken` is Docker's time of it, which orders the lines of one Docker host.

    A line `of_docker` is in no log: it reports what happened to the server's container. `written` is the server's own
    time of it, where that was looked up.
    """

    server: str
    taken: str
    text: str
    of_docker: bool = False
    written: datetime | None = None

    @property
    def when(self) -> datetime | None:
        """Its time with a zone: when it was written, else when Docker took it; None where Docker gave none."""
        if self.written is not None:
            return self.written
        # Go's zero time, which an engine gives where it knows none, is no time.
        return clock.moment_of(self.taken)


def split(server: str, raw: bytes) -> LogLine:
    """Split Docker's time stamp from a line of a server's log."""
    stamp, _, text = raw.decode("utf-8", "replace").rstrip("\r\n").partition(" ")
    # Docker drops zeros at the end of the fraction; nine digits make the stamps sort as text.
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return LogLine(server, f"{whole}.{fraction:0<9}Z", text)


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of pieces of output; the last one may have no end."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        # Nobody reads a longer line, and one without an end must not fill the memory.
        rest = rest[:MOST_LINE]
    if rest:
        yield rest


@dataclass
class Mark:
    """How far a server's log was read: the last lines, and the newest time."""

    last: LogLine | None = None
    newest: str = ""

    def set(self, line: LogLine) -> LogLine:
        """Count one more line."""
        self.last, self.newest = line, max(self.newest, line.taken)
        return line


def read(
    client: Client,
    servers: Sequence[Server],
    tail: int | None = None,
    since: float | None = None,
    marks: Mapping[str, Mark] | None = None,
) -> Iterator[LogLine]:
    """All lines there are, in the order in which Docker took them in. Each is read from Docker when its turn comes.

    Args:
        client: the engine.
        servers: whose.
        tail: only the last lines of each, this many.
        since: only from then on, in seconds since 1970.
        marks: for each server, how far it was read.

    Raises:
        LabctlError: Docker refuses, or gives no answer; also in the middle.
    """
    marks = marks or {}
    return heapq.merge(
        *(_of_server(client, server, tail, since, marks.get(server.name) or Mark()) for server in servers), key=_taken
    )


def _of_server(client: Client, server: Server, tail: int | None, since: float | None, mark: Mark) -> Iterator[LogLine]:
    with explained(client.place):
        chunks = client.log_so_far(server.id, tail="all" if tail is None else tail, since=since)
        yield from _in_order(mark.set(split(server.name, line)) for line in split_lines(chunks) if line)


def _in_order(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """Lines in order of time: between standard output and standard error, Docker's times go back a little."""
    waiting: list[tuple[str, int, LogLine]] = []
    for number, line in enumerate(lines):
        key = (line.taken, number, line)
        if len(waiting) < BEHIND_LINES:
            heapq.heappush(waiting, key)
        else:
            yield heapq.heappushpop(waiting, key)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def _taken(line: LogLine) -> str:
    return line.taken


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """Turn a full folder for temporary files into one sentence."""
    try:
        yield
    except OSError as error:
        raise LabctlError(
            f"Cannot keep the servers' logs in {tempfile.gettempdir()}: {error.strerror or error}. "
            "Make room there, or name another folder with TMPDIR."
        ) from error


class LineFile:
    """Lines that are read more than once: they wait in files that vanish with it. Read it once at a time.

    Raises:
        LabctlError: there is no room for them, or reading the lines failed.
    """

    def __init__(self, lines: Iterable[LogLine]) -> None:
        self.count = 0
        self.last: LogLine | None = None
        self._files: dict[str, IO[bytes]] = {}
        weakref.finalize(self, _close, self._files)
        with no_room():
            for line in lines:
                file = self._files.get(line.server)
                if file is None:
                    # A file without a name: it is gone when the last handle is closed.
                    file = self._files[line.server] = tempfile.TemporaryFile()  # noqa: SIM115
                file.write(f"{line.taken} {line.text}\n".encode("utf-8", "replace"))
                self.count, self.last = self.count + 1, line
            for file in self._files.values():
                file.flush()

    def file(self, server: str) -> tuple[IO[bytes], int]:
        """A server's lines in the file, from the beginning, and how many bytes they are."""
        file = self._files.get(server)
        if file is None:
            return io.BytesIO(), 0
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return file, size

    def __iter__(self) -> Iterator[LogLine]:
        return self.those(lambda _: True)

    def those(self, wanted: Callable[[str], bool]) -> Iterator[LogLine]:
        """The lines whose text is wanted."""
        return heapq.merge(*(self._of(server, wanted) for server in self._files), key=_taken)

    def _of(self, server: str, wanted: Callable[[str], bool]) -> Iterator[LogLine]:
        file, _ = self.file(server)
        for line in file:
            taken, _, text = line.decode("utf-8").removesuffix("\n").partition(" ")
            if wanted(text):
                yield LogLine(server, taken, text)


def _close(opened: dict[str, IO[bytes]]) -> None:
    for file in opened.values():
        file.close()


def follow(client: Client, servers: Sequence[Server], tail: int | None = None) -> Iterator[LogLine | None]:
    """All lines there are in order of time, and then those that come, until the lab is gone. Raises LabctlError.

    Yields None where no line comes for a moment, so that the reader sees time pass.
    """
    marks = {server.name: Mark() for server in servers}
    yield from read(client, servers, tail, marks=marks)
    yield from Follower(client, list(servers), tail=tail, marks=marks).with_pauses()


class Follower:
    """Follows the logs and the containers of several servers at once; iterate over it for the lines in order of time.

    Lines that arrive within a few hundredths of a second of each other are sorted, so that what one server did
    before another also stands before it. A server that stops and starts again goes on. Ends when the lab is
    removed or `stop` was called; where the engine refuses or stops answering, it raises LabctlError.
    """

    def __init__(  # noqa: PLR0913 - what of whose logs is wanted
        self,
        client: Client,
        servers: list[Server],
        since: float | None = None,
        tail: int | None = None,
        marks: Mapping[str, Mark] | None = None,
        *,
        acts: Iterable[LogLine] | None = None,
        waiting: int = WAITING_LINES,
    ) -> None:
        self._client = client
        self._marks = marks or {}
        self._lines: queue.Queue[LogLine | None] = queue.Queue(waiting)
        self._waiting = waiting
        self._stopped = threading.Event()
        self._failed: LabctlError | None = None
        self._since = since
        self._tail: int | Literal["all"] = "all" if tail is None else tail
        self._threads = [threading.Thread(target=self._follow, args=(server,), daemon=True) for server in servers]
        for thread in self._threads:
            thread.start()
        if acts is not None:
            threading.Thread(target=self._watch, args=(acts,), daemon=True).start()

    def _watch(self, acts: Iterable[LogLine]) -> None:
        """Pass on what happens to the containers; that never ends, so nothing waits for its end."""
        try:
            for line in acts:
                self._put(line)
        except LabctlError as error:
            self._failed = self._failed or error

    def _follow(self, server: Server) -> None:
        since, tail = self._since, self._tail
        mark = self._marks.get(server.name) or Mark()
        begun = time.time()
        try:
            while True:
                told = -1
                if mark.last is not None:
                    # Without `since`: with it, an engine leaves out new lines after its clock was set back.
                    since, tail = None, self._missed(server, mark.last)
                    told = tail
                with explained(self._client.place):
                    stream = self._client.log_to_come(server.id, tail=tail, since=since)
                    for line in _behind(mark, told, (split(server.name, raw) for raw in split_lines(stream))):
                        if self._stopped.is_set():
                            return
                        self._put(line)
                if not self._comes_back(server):
                    return
                since, tail = begun, "all"
        except LabctlError as error:
            if not self._is_gone(server):
                self._failed = self._failed or error
        finally:
            self._put(None)

    def _is_gone(self, server: Server) -> bool:
        """Whether the engine reports a server's container as gone or going: the end of its log."""
        try:
            with explained(self._client.place):
                containers = self._client.inspected([server.id])
        except LabctlError:
            return False
        return all(container["State"].get("Status") in _GOING for container in containers)

    def _missed(self, server: Server, last: LogLine) -> int:
        """How many of a server's last lines include the last one that was read and all newer ones."""
        since = last.when.timestamp() - 1 if last.when else None
        with explained(self._client.place):
            return MORE_LINES + sum(1 for _ in split_lines(self._client.log_so_far(server.id, since=since)))

    def _put(self, line: LogLine | None) -> None:
        """Pass a line on, as soon as there is room for it or nobody follows."""
        while not self._stopped.is_set():
            try:
                self._lines.put(line, timeout=BACK_SECONDS)
            except queue.Full:
                continue
            return

    def _comes_back(self, server: Server) -> bool:
        """Wait until a stopped server runs again; its log goes on then. False where it is gone or nobody follows."""
        while not self._stopped.wait(BACK_SECONDS):
            with explained(self._client.place):
                containers = self._client.inspected([server.id])
            if not containers:
                return False
            if containers[0]["State"].get("Running"):
                return True
        return False

    def stop(self) -> None:
        """Let the iteration end; the threads end with the next line or with the process."""
        self._stopped.set()

    def take(self, seconds: float) -> list[LogLine]:
        """Wait up to that many seconds for lines, and return those there are, in order of time."""
        taken: list[LogLine] = []
        try:
            line = self._lines.get(timeout=seconds)
            while True:
                if line is not None:
                    taken.append(line)
                if len(taken) >= self._waiting:
                    break
                line = self._lines.get_nowait()
        except queue.Empty:
            pass
        return sorted(taken, key=lambda log_line: log_line.taken)

    def __iter__(self) -> Iterator[LogLine]:
        return (line for line in self.with_pauses() if line is not None)

    def with_pauses(self) -> Iterator[LogLine | None]:
        """The lines, and None where none came for a moment."""
        while not self._stopped.is_set():
            ended = self._failed is not None or not any(thread.is_alive() for thread in self._threads)
            lines = self.take(POLL_SECONDS)
            if lines:
                time.sleep(ORDER_SECONDS)
                lines = sorted(lines + self.take(0), key=lambda log_line: log_line.taken)
            yield from lines or (None,)
            if ended and (self._failed is not None or not lines):
                self._client.place.refuse_lost()
                if self._failed is not None:
                    raise self._failed
                return


def _behind(mark: Mark, most: int, lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """The lines behind a mark, which moves with them; not more than `most` stand before it.

    Times alone do not show it: after a clock was set back, today's lines have yesterday's times.
    """
    last, newest = mark.last, mark.newest
    before = last is not None
    for number, line in enumerate(lines):
        before = before and number < most
        if not before or line.taken > newest:
            yield mark.set(line)
        elif last is not None and (line.taken, line.text) == (last.taken, last.text):
            before = False
