"""Read the servers' logs from Docker: lines with the time at which Docker took them in."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import requests
from docker.errors import DockerException

from labctl.engine.client import explained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labctl.engine.client import Client
    from labctl.engine.labs import Server

POLL_SECONDS = 0.25
# Docker hands on the lines of several containers a few milliseconds apart; a reader notices a tenth of a second.
ORDER_SECONDS = 0.06
BACK_SECONDS = 0.3


@dataclass(frozen=True)
class LogLine:
    """One line of one server. `taken` is Docker's time of it, which orders the lines of one Docker host."""

    server: str
    taken: str
    text: str

    @property
    def when(self) -> datetime | None:
        """`taken` as a time with its zone; None where Docker gave none."""
        try:
            return datetime.fromisoformat(self.taken)
        except ValueError:
            return None


def split(server: str, raw: bytes) -> LogLine:
    """Split Docker's time stamp from a line of a server's log."""
    stamp, _, text = raw.decode("utf-8", "replace").rstrip("\r\n").partition(" ")
    # Docker drops zeros at the end of the fraction; nine digits make the stamps sort as text.
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return LogLine(server, f"{whole}.{fraction:0<9}Z", text)


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def read(client: Client, servers: list[Server], tail: int | None = None, since: float | None = None) -> list[LogLine]:
    """All lines there are, in the order in which Docker took them in. Raises LabctlError.

    Args:
        client: the engine.
        servers: whose.
        tail: only so many of each, the last ones.
        since: only from then on, in seconds since 1970.
    """
    found: list[LogLine] = []
    for server in servers:
        with explained(client.place):
            raw = client.logs(server.id, timestamps=True, tail=tail if tail is not None else "all", since=since)
        found += [split(server.name, line) for line in raw.split(b"\n") if line]
    return sorted(found, key=lambda line: line.taken)


class Follower:
    """Follows several servers' logs at once; iterate over it for the lines in order of time.

    Lines that arrive within a few hundredths of a second of each other are sorted, so that what one server did
    before another also stands before it. A server that stops and starts again goes on. Ends when the lab is
    removed or `stop` was called; where the way to the Docker host breaks, it raises LabctlError.
    """

    def __init__(
        self, client: Client, servers: list[Server], since: float | None = None, tail: int | None = None
    ) -> None:
        self._client = client
        self._lines: queue.Queue[LogLine | None] = queue.Queue()
        self._stopped = threading.Event()
        self._since = since
        self._tail: int | Literal["all"] = "all" if tail is None else tail
        self._threads = [threading.Thread(target=self._follow, args=(one,), daemon=True) for one in servers]
        for thread in self._threads:
            thread.start()

    def _follow(self, server: Server) -> None:
        seen, last, since, tail = "", "", self._since, self._tail
        begun = time.time()
        try:
            while True:
                stream = self._client.logs(server.id, stream=True, follow=True, timestamps=True, tail=tail, since=since)
                for raw in _lines(stream):
                    if self._stopped.is_set():
                        return
                    line = split(server.name, raw)
                    # Of a log that is read again, what was shown already is left out; in one reading, times may be
                    # equal, and go back a little between standard output and standard error.
                    if line.taken > seen:
                        last = max(last, line.taken)
                        self._lines.put(line)
                if not self._comes_back(server):
                    return
                seen, shown = last, LogLine(server.name, last, "").when
                since, tail = (shown.timestamp() - 1 if shown else begun), "all"
        except (DockerException, requests.exceptions.RequestException, OSError):
            # The container or the engine is gone: for a follower that is the end of this log.
            pass
        finally:
            self._lines.put(None)

    def _comes_back(self, server: Server) -> bool:
        """Wait until a stopped server runs again; its log goes on then. False where nobody follows any more."""
        while not self._stopped.wait(BACK_SECONDS):
            if self._client.inspect_container(server.id)["State"]["Running"]:
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
                line = self._lines.get_nowait()
        except queue.Empty:
            pass
        return sorted(taken, key=lambda one: one.taken)

    def __iter__(self) -> Iterator[LogLine]:
        while not self._stopped.is_set():
            ended = not any(thread.is_alive() for thread in self._threads)
            lines = self.take(POLL_SECONDS)
            if lines:
                time.sleep(ORDER_SECONDS)
                lines = sorted(lines + self.take(0), key=lambda one: one.taken)
            yield from lines
            if ended and not lines:
                self._client.place.refuse_lost()
                return
