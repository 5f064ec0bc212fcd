"""Reach Docker hosts over SSH: one connection for each, through which the engine and the servers answer here.

One ssh per Docker host forwards the engine's socket, and the ports of servers, to Unix sockets in a folder that only
this user may enter. So every client of an engine or a server works over SSH as well, after one handshake. The ssh
ends with labctl, even a killed one: its command on the Docker host reads a pipe that labctl holds.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import os
import selectors
import subprocess
import threading
import time
from typing import IO, TYPE_CHECKING, cast

from labctl.engine import ssh_command
from labctl.engine.docker_host import DockerHost
from labctl.engine.ssh_sockets import SocketFolder
from labctl.errors import LabctlError
from labctl.shared import process_limits
from labctl.shared.consul_client import LOOPBACK, ConsulClient
from labctl.shared.docker_api import DEFAULT_SOCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from labctl.engine.ssh_command import Address, Greeting

# For what ssh itself does not limit, such as a proxy that hangs or a slow look-up of the login.
GREETING_SECONDS = 20.0
FORWARD_SECONDS = 15.0
# A forwarded connection breaks a moment before ssh notices that all of them did.
_BREAKING_SECONDS = 0.2
_PIECE = 65_536


class Connection(DockerHost):
    """A connection to one Docker host, from now until `close` or the end of labctl.

    Args:
        address: where it is.
        name: what it is called in what labctl says; its address by default.
        within: how long it may take to connect, in seconds, where that is less than usual.

    Raises:
        LabctlError: it was not reached, or Docker is not to be had there.
    """

    def __init__(self, address: Address, name: str = "", within: float | None = None) -> None:
        self._patience = GREETING_SECONDS if within is None else min(within, GREETING_SECONDS)
        self.address = address
        self.name = name or address.url
        self._lock = threading.Lock()
        self._forwarded: set[int] = set()
        self._there = address.socket or DEFAULT_SOCKET
        self._folder = SocketFolder()
        self.process: subprocess.Popen[bytes] | None = None
        self._said: _LastWords | None = None
        try:
            self._refuse_absent_key()
            self.socket = str(self._connect())
        except BaseException:
            self.close()
            raise
        atexit.register(self.close)

    @property
    def alive(self) -> bool:
        """Whether its ssh still runs."""
        return self.process is not None and self.process.poll() is None

    def api(self, port: int) -> ConsulClient:
        """The HTTP API behind a port of the Docker host's loopback; `forward_ports` forwards that port."""
        return ConsulClient(port, str(self._way(port)))

    def forward_ports(self, ports: Iterable[int]) -> None:
        """Forward those of these ports that are not forwarded yet, in one call. Raises LabctlError."""
        with self._lock:
            new = sorted(set(ports) - self._forwarded)
            if new:
                self._forward([(self._way(port), f"{LOOPBACK}:{port}") for port in new])
                self._forwarded |= set(new)

    def explain(self, error: Exception) -> LabctlError | None:
        """Why the engine gave no answer: the connection is lost, Docker stopped there, or sshd forwards nothing."""
        if not _is_no_answer(error):
            return None
        if self._is_breaking():
            return ssh_command.lost(self.name)
        # To ssh, a socket that it may not forward and one that nobody listens on are the same.
        return ssh_command.forbidden(self.name) if self._docker_answers_there() else ssh_command.stopped(self.name)

    def refuse_lost(self) -> None:
        """Raise LabctlError where the connection is lost."""
        if self._is_breaking():
            raise ssh_command.lost(self.name)

    def environment(self) -> dict[str, str]:
        """The environment in which the docker command meets this engine."""
        kept = {name: value for name, value in os.environ.items() if name not in {"DOCKER_CONTEXT", "DOCKER_HOST"}}
        return kept | {"DOCKER_HOST": f"unix://{self.socket}"}

    def shell(self) -> list[str]:
        """The arguments that run a shell on the Docker host, over the open connection."""
        return ssh_command.shell(self._control)

    def close(self) -> None:
        """Hang up, and remove the sockets."""
        atexit.unregister(self.close)
        process, self.process = self.process, None
        if process is not None:
            # With all that it started, as a proxy.
            process_limits.end(process)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        if self._said is not None:
            self._said.close()
        self._folder.remove()

    # -- connecting ------------------------------------------------------------------------------------------

    @property
    def _control(self) -> Path:
        return self._folder.path / "control"

    def _way(self, port: int) -> Path:
        return self._folder.path / str(port)

    def _refuse_absent_key(self) -> None:
        key = self.address.key
        if key is not None and not key.is_file():
            raise ssh_command.not_connected(self.name, self.address, "no such identity")

    def _connect(self) -> Path:
        """Start ssh, and return the socket on which the engine answers here. Raises LabctlError."""
        engine = self._folder.path / "docker.sock"
        words = ssh_command.master(self.address, self._control, engine)
        try:
            # In its own session: Ctrl-C is for labctl, which may still have to heal faults over this connection.
            self.process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except FileNotFoundError as error:
            raise LabctlError(
                "The program ssh is not installed here: install your system's OpenSSH client (`openssh-client`)."
            ) from error
        self._said = _LastWords(cast("IO[bytes]", self.process.stderr))
        greeting = self._greeted(self.process, cast("IO[bytes]", self.process.stdout))
        if greeting.state != "ready":
            raise ssh_command.no_docker(self.name, self.address, greeting)
        if greeting.socket != self._there:
            engine, self._there = self._folder.path / "named.sock", greeting.socket
            self._forward([(engine, greeting.socket)])
        return engine

    def _greeted(self, process: subprocess.Popen[bytes], out: IO[bytes]) -> Greeting:
        """Wait for the greeting of the script on the Docker host. Raises LabctlError."""
        instead = ""
        for line in lines_until(out, time.monotonic() + self._patience):
            if greeting := ssh_command.greeting(line):
                return greeting
            instead = line.strip() or instead
        try:
            process.wait(_BREAKING_SECONDS)
        except subprocess.TimeoutExpired:
            raise ssh_command.not_connected(self.name, self.address, f"nothing within {self._patience:.0f} s") from None
        # A login without a shell answers on standard output.
        raise ssh_command.not_connected(self.name, self.address, self._told().strip() or instead)

    def _forward(self, ways: list[tuple[Path, str]]) -> None:
        """Make the connection forward more. Raises LabctlError."""
        if not self.alive:
            raise ssh_command.lost(self.name)
        try:
            done = process_limits.run(ssh_command.forward(self._control, ways), FORWARD_SECONDS)
            said = done.err.strip().splitlines()[-1:] if done.code else []
        except (OSError, process_limits.NotEndedError) as error:
            said = [str(error)]
        if not all(here.exists() for here, _ in ways):
            if not self.alive:
                raise ssh_command.lost(self.name)
            why = said[0] if said else "ssh gave no reason"
            raise LabctlError(f"Could not forward another port to the Docker host {self.name}: {why}.")

    # -- looking at it ---------------------------------------------------------------------------------------

    def _told(self) -> str:
        """The end of ssh's output."""
        return "" if self._said is None else self._said.text()

    def _docker_answers_there(self) -> bool:
        """Whether the docker command of the Docker host gets an answer."""
        words = ssh_command.ask_docker(self._control, self._there)
        with contextlib.suppress(process_limits.NotEndedError, OSError):
            return process_limits.run(words, FORWARD_SECONDS).code == 0
        return False

    def _is_breaking(self) -> bool:
        """Whether ssh has ended or is about to."""
        process = self.process
        if process is None:
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_BREAKING_SECONDS)
        return process.poll() is not None


class _LastWords:
    """The end of what ssh says on standard error: a Docker host may say more than any disk or memory holds."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._end = b""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def text(self) -> str:
        """What was said last, which is all of it where ssh has ended."""
        self._reading.join(_BREAKING_SECONDS)
        return self._end.decode("utf-8", "replace")

    def close(self) -> None:
        """Read no more; whoever left ssh's session and keeps the pipe open keeps its reader as well."""
        self._reading.join(_BREAKING_SECONDS)
        if not self._reading.is_alive():
            self._stream.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(self._stream.fileno(), _PIECE):
                self._end = (self._end + piece)[-_PIECE:]


def _is_no_answer(error: Exception) -> bool:
    """Whether a connection to the engine breaks at once: ssh accepts it for the other side, and then hangs up."""
    cause = error.__cause__
    return isinstance(cause, (OSError, http.client.HTTPException)) and not isinstance(cause, TimeoutError)


def lines_until(stream: IO[bytes], ends: float) -> Iterable[str]:
    """Lines as they come, until the stream or the time ends."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while (left := ends - time.monotonic()) > 0:
            if not selector.select(left):
                return
            piece = os.read(stream.fileno(), _PIECE)
            if not piece:
                return
            # The end of a line that is too long to be a greeting will do.
            *whole, rest = (rest[-_PIECE:] + piece).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in whole)


# -- one connection for each Docker host ------------------------------------------------------------------------

OPEN_TUNNELS: dict[Address, Connection] = {}
_OPENING: dict[Address, threading.Lock] = {}
_ALL = threading.Lock()


def connection(
    address: Address,
    name: str = "",
    within: float | None = None,
    connect: Callable[[Address, str, float | None], Connection] = Connection,
) -> Connection:
    """The connection to that Docker host: the one that is open, or a new one, `within` so many seconds.

    Raises LabctlError.

    A slow host delays no other.
    """
    with _ALL:
        opening = _OPENING.setdefault(address, threading.Lock())
    with opening:
        there = OPEN_TUNNELS.get(address)
        if there is not None and there.alive:
            return there
        if there is not None:
            there.close()
        OPEN_TUNNELS[address] = connect(address, name, within)
        return OPEN_TUNNELS[address]


def close_all() -> None:
    """Hang up everywhere."""
    while OPEN_TUNNELS:
        OPEN_TUNNELS.popitem()[1].close()
