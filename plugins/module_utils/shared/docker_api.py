"""Use a Docker host's engine by its HTTP API: starting the docker command costs twenty times as much as a request.

Where the docker command would use a plain socket of this host, so does this, even if a context names it. Anything else
(TCP, TLS, SSH) is left to the docker command: `docker system dial-stdio` carries the same API over its standard input
and output.
"""

from __future__ import annotations

import calendar
import contextlib
import hashlib
import http.client
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from . import answer_shapes
from .http_deadline import MOST_BYTES, TimedConnection
from .parallel import each
from .plain_files import opened
from .process_limits import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import IO

DEFAULT_SOCKET = "/var/run/docker.sock"
# A stop waits ten seconds for each server, a `consul leave` up to thirty.
TIMEOUT_SECONDS = 120.0
AT_ONCE = 8
# How often a full queue of an engine is tried again, and how long the docker command may take to hang up.
QUEUE_SECONDS, HANG_UP_SECONDS = 0.02, 1.0
# Header of a piece of an exec's output: which stream, three zeros, how many bytes follow.
_FRAME = struct.Struct(">BxxxL")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,12})?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII)
_PLAIN = "unix://"
_SCHEMES = ("unix", "tcp", "ssh")
# The kernel's limit for a socket's path, without the zero at its end.
_LONGEST_SOCKET = 107
_MOST_OF_SETTINGS = 1 << 20
# Nobody reads more of an error of docker's; a builder's error has the whole command in it.
_MOST_SAID = 4000
_NO_ENGINE = "Cannot connect to the Docker daemon"
# A streamed answer must bring this many bytes in the time that any other answer has as a whole.
_WINDOW_BYTES = 20 * 1024
_PIECE = 1 << 16
# A follower waits as long as the timeout of a socket can be, which is less than 25 days.
_ENDLESS_SECONDS = 20 * 24 * 3600.0


def docker_folder() -> Path:
    """The folder with the docker command's settings; a user without a home has none, and so no settings."""
    try:
        return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    except (RuntimeError, KeyError):
        return Path(os.devnull)


def endpoint() -> str:
    """The address of the engine that the docker command would use here; "" where only it knows that."""
    host = os.environ.get("DOCKER_HOST", "")
    if host:
        return host
    folder = docker_folder()
    context = os.environ.get("DOCKER_CONTEXT", "")
    if not context:
        try:
            context = _read(folder / "config.json").get("currentContext", "")
        except (OSError, ValueError, AttributeError, RecursionError):
            context = ""
    if context in ("", "default"):
        return f"{_PLAIN}{DEFAULT_SOCKET}"
    try:
        # The docker command keeps each context in a folder that is named by its checksum.
        described = _read(folder / "contexts" / "meta" / hashlib.sha256(context.encode()).hexdigest() / "meta.json")
        host = described["Endpoints"]["docker"]["Host"]
        return host if isinstance(host, str) else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


def _read(path: Path) -> Any:
    with opened(path, _MOST_OF_SETTINGS) as file:
        return json.loads(file.read(_MOST_OF_SETTINGS))


def plain_socket() -> str | None:
    """The socket that the docker command would use here; None where it would use anything but a plain one."""
    where = endpoint()
    return where[len(_PLAIN) :] if where.startswith(_PLAIN) else None


def _port_problem(where: str) -> str | None:
    try:
        return "its port is 0" if urlsplit(where).port == 0 else None
    except ValueError as error:
        return f"it is no host with a port ({error})"


def address_problem(where: str) -> str | None:
    """One sentence about an address that no engine can have; None for a possible one."""
    scheme, separator, rest = where.strip().partition("://")
    problem = None
    if not separator:
        # The docker command takes it for a host, and "" for its own socket.
        return None
    if scheme not in _SCHEMES:
        problem = f"{answer_shapes.shown(scheme)} is none of {', '.join(_SCHEMES)}"
    elif scheme == "unix":
        try:
            size = len(os.fsencode(rest))
        except UnicodeEncodeError:
            size = 0
        if not size or "\0" in rest:
            problem = "it names no socket"
        elif size > _LONGEST_SOCKET:
            problem = f"the path of its socket has {size} bytes, and no more than {_LONGEST_SOCKET} are possible"
    elif scheme == "tcp":
        problem = _port_problem(where.strip())
    if problem is None:
        return None
    return (
        f"Cannot use {answer_shapes.shown(where)} as the address of a Docker Engine: {problem}. Set DOCKER_HOST, or "
        "choose a docker context, with one such as unix:///var/run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST."
    )


class DockerError(Exception):
    """Docker's error, as a sentence; `failure` is the kind that labctl turns into an exit code.

    `status` is the HTTP status of an engine's refusal, 0 without an answer; `late` are the seconds
    of a wait in vain for an answer, None where the failure was not a timeout.
    """

    def __init__(
        self, sentence: str, failure: str = "failed", said: str = "", status: int = 0, late: float | None = None
    ) -> None:
        super().__init__(sentence)
        self.late = late
        self.sentence = sentence
        self.failure = failure
        self.said = said
        self.status = status

    @property
    def is_no_such_file(self) -> bool:
        """Whether the engine answered that the container exists and the file in it does not."""
        return self.status == http.client.NOT_FOUND and "no such container" not in self.said.lower()


# Words of docker or the kernel, in lower case, and the sentence that helps. First match wins.
_KNOWN: dict[str, str] = {
    "permission denied while trying to connect": (
        "You do not have permission to use the Docker socket: join the group `docker` "
        "(`sudo usermod -aG docker $USER`, then log in again) or run this with sudo."
    ),
    "cannot connect to the docker daemon": (
        "The Docker Engine does not answer: start it (`sudo systemctl start docker`), "
        "or let `labctl doctor --fix` do it."
    ),
    "is not a docker command": "Docker Compose v2 is not installed here: `labctl doctor --fix` installs it.",
    "no space left on device": (
        "The Docker host's disk is full: free some space (`docker system df` shows what Docker uses) and try again."
    ),
}


def explain(said: str, doing: str) -> str:
    """Make one sentence from docker's output while it was `doing` something (`starting the servers`)."""
    lower = said.lower()
    for sign, sentence in _KNOWN.items():
        if sign in lower:
            return sentence
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()] or lines
    last = telling[-1] if telling else "it said nothing"
    return f"Docker failed while {doing}: {last if len(last) <= _MOST_SAID else f'{last[:_MOST_SAID].rstrip()}...'}"


def not_installed() -> DockerError:
    """The sentence for a host that has no docker command."""
    return DockerError(
        "The docker command is not installed on this Docker host: `make demo` or `labctl doctor --fix` installs it."
    )


class _Connection(TimedConnection):
    """HTTP over the engine's socket, or over the docker command."""

    def __init__(self, path: str | None, timeout: float, most: int = MOST_BYTES) -> None:
        super().__init__("docker", timeout=timeout, most=most)
        self.path = path
        self.process: subprocess.Popen[bytes] | None = None
        # The docker command's error for a connection that it could not make; known after `close`.
        self.said = ""

    def connect(self) -> None:
        """Open the connection. Raises OSError."""
        if self.path is not None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            while True:
                self.sock.settimeout(self.left())
                try:
                    self.sock.connect(self.path)
                except BlockingIOError:
                    # With a timeout, connecting fails at once while the engine's queue is full, and does not wait.
                    time.sleep(QUEUE_SECONDS)
                else:
                    return
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(self.left())
        with theirs:
            command = ["docker", "system", "dial-stdio"]
            # In its own session, so that everything it starts, such as ssh, is ended with it.
            self.process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                start_new_session=True,
            )

    def close(self) -> None:
        """Hang up; the docker command then ends by itself, and is ended where it does not."""
        super().close()
        if self.process is not None:
            process, self.process = self.process, None
            self.said = _last_words(process)


def _last_words(process: subprocess.Popen[bytes]) -> str:
    """The docker command's error output, after it was ended where it does not end by itself."""
    for _attempt in range(2):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=HANG_UP_SECONDS)[1].decode("utf-8", "replace")
        end(process)
    return ""


class Allowance:
    """How long all requests of a command may take together, however many they are.

    Args:
        seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._asking = 0
        self.give(seconds)

    def give(self, seconds: float) -> None:
        """Set the time limit of the requests from now on."""
        with self._lock:
            self._given, self._waited = seconds, 0.0
            self._since = time.monotonic()
            self._ends = self._since + seconds

    @property
    def left(self) -> float:
        """The rest of it, in seconds."""
        return max(0.0, self._ends - time.monotonic())

    @property
    def waited(self) -> float:
        """How many seconds of it were spent waiting for answers; the command's own work is no fault of the engine."""
        with self._lock:
            return self._waited + (time.monotonic() - self._since if self._asking else 0.0)

    @property
    def is_engines_fault(self) -> bool:
        """Whether most of it was spent waiting for answers."""
        return self.waited >= self._given / 2

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """The block waits for an answer; parallel waits count once."""
        with self._lock:
            if not self._asking:
                self._since = time.monotonic()
            self._asking += 1
        try:
            yield
        finally:
            with self._lock:
                self._asking -= 1
                if not self._asking:
                    self._waited += time.monotonic() - self._since


class _Coming(io.RawIOBase):
    """A streamed answer; every read raises DockerError."""

    def __init__(
        self, engine: Engine, connection: _Connection, answer: http.client.HTTPResponse, doing: str, *, endless: bool
    ) -> None:
        self._engine, self._connection, self._answer, self._doing = engine, connection, answer, doing
        self._endless = endless
        self._waited, self._came = 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what has come, and wait if nothing has."""
        if self._came >= _WINDOW_BYTES:
            self._waited, self._came = 0.0, 0
        most = _ENDLESS_SECONDS if self._endless else self._engine.time_for(self._doing, self._waited)
        begun = time.monotonic()
        with self._engine.asking(self._connection, self._doing, self._waited):
            self._connection.ends = begun + most
            piece = self._answer.read1(len(buffer))
            if not piece and self._answer.length:
                raise http.client.IncompleteRead(b"", self._answer.length)
        self._waited += time.monotonic() - begun
        self._came += len(piece)
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Hang up."""
        self._answer.close()
        self._connection.close()
        super().close()


class Engine:
    """A Docker Engine. Every method raises DockerError with one sentence.

    Args:
        timeout: seconds until a request counts as unanswered, for the whole of its answer.
        path: the engine's socket; None is the engine that the docker command would use.
        allowance: what all requests of a command have together; None for one that may take as long as it takes.
    """

    def __init__(
        self, timeout: float = TIMEOUT_SECONDS, path: str | None = None, allowance: Allowance | None = None
    ) -> None:
        self._problem = address_problem(endpoint()) if path is None else None
        self._socket = plain_socket() if path is None else path
        self._timeout = timeout
        self._allowance = allowance

    def within(self, seconds: float) -> Engine:
        """The same engine, for a request that is not worth a longer wait."""
        return self._like(min(seconds, self._timeout), self._allowance)

    def sharing(self, allowance: Allowance | None) -> Engine:
        """The same engine, for a command whose requests all share that time."""
        return self._like(self._timeout, allowance)

    def at_the_end(self, seconds: float) -> Engine:
        """The same engine, for requests that must be made even if a command's time is over."""
        return self._like(seconds, None)

    def _like(self, timeout: float, allowance: Allowance | None) -> Engine:
        other = Engine(timeout, self._socket, allowance)
        other._problem = self._problem
        return other

    def ask(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: Any = None,
        *,
        doing: str,
    ) -> bytes:
        """Send one request (`body`: bytes are a tar, anything else is sent as JSON) and return the answer's body."""
        sent, kind = (body, "application/x-tar") if isinstance(body, bytes) else (None, "application/json")
        if sent is None and body is not None:
            sent = json.dumps(body).encode()
        timeout = self.time_for(doing)
        connection = _Connection(self._socket, timeout)
        with self.asking(connection, doing):
            connection.request(method, _target(path, query), sent, {"Content-Type": kind} if sent is not None else {})
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise _refusal(answer.status, content, doing)
        return content

    def open(
        self, path: str, query: dict[str, Any] | None = None, *, doing: str, endless: bool = False
    ) -> io.BufferedReader:
        """The streamed answer to a GET, to be closed by the caller.

        Each read must come in time, or it raises DockerError too; but the reader of an `endless` answer waits.
        """
        return self._opened("GET", path, query, doing=doing, endless=endless)

    def send(self, path: str, file: IO[bytes], query: dict[str, Any] | None = None, *, doing: str) -> io.BufferedReader:
        """Send the rest of a file, a tar, and return the answer as `open` does."""
        return self._opened("POST", path, query, doing=doing, file=file)

    def _opened(  # noqa: PLR0913 - what is asked, and how it is read
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None,
        *,
        doing: str,
        endless: bool = False,
        file: IO[bytes] | None = None,
    ) -> io.BufferedReader:
        connection = _Connection(self._socket, self.time_for(doing), sys.maxsize)
        headers = {}
        if file is not None:
            size = os.fstat(file.fileno()).st_size - file.tell()
            headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
        with self.asking(connection, doing):
            connection.request(method, _target(path, query), file, headers)
            # Sending takes its own time, a piece at a time.
            connection.ends = time.monotonic() + connection.timeout
            answer = connection.getresponse()
            content = answer.read(MOST_BYTES) if answer.status >= http.client.BAD_REQUEST else b""
        if answer.status >= http.client.BAD_REQUEST:
            connection.close()
            raise _refusal(answer.status, content, doing)
        return io.BufferedReader(_Coming(self, connection, answer, doing, endless=endless), _PIECE)

    def time_for(self, doing: str, waited: float = 0.0) -> float:
        """How long the rest of an answer may take, after a wait of `waited`.

        Raises DockerError where the command's time is over, or where no engine can be.
        """
        if self._problem is not None:
            raise DockerError(self._problem, "usage")
        shared, most = self._allowance, max(0.0, self._timeout - waited)
        if shared is None:
            return most
        if left := shared.left:
            return min(left, most)
        if shared.is_engines_fault:
            raise _late(shared.waited, doing)
        raise DockerError(
            f"Cannot go on with {doing}: the time of this command is over, and not by the Docker Engine, for which it "
            f"waited {seconds_told(shared.waited)} seconds. Look what this machine is busy with, then run the same "
            "command again."
        )

    @contextlib.contextmanager
    def asking(self, connection: _Connection, doing: str, waited: float = 0.0) -> Iterator[None]:
        """Turn errors with an answer into DockerError, and close the connection then.

        `waited` is how long this answer was waited for before.
        """
        shared, begun = self._allowance, time.monotonic() - waited
        try:
            with shared.waiting() if shared is not None else contextlib.nullcontext():
                yield
        except TimeoutError as error:
            is_over = shared is not None and not shared.left
            waited = shared.waited if shared and is_over else time.monotonic() - begun
            connection.close()
            raise _late(waited, doing) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error, connection.said, doing) from error
        except BaseException:
            connection.close()
            raise

    @staticmethod
    def _unreachable(error: Exception, said: str, doing: str) -> DockerError:
        if isinstance(error, FileNotFoundError) and error.filename == "docker":
            return not_installed()
        if isinstance(error, PermissionError):
            said = "permission denied while trying to connect"
        elif isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
            said = _NO_ENGINE
        if not said and isinstance(error, (http.client.IncompleteRead, http.client.RemoteDisconnected)):
            is_begun = isinstance(error, http.client.IncompleteRead)
            return broken_off("it hung up" if is_begun else "it hung up before it said anything", doing)
        return DockerError(explain(said or f"{type(error).__name__}: {error}", doing), said=said or str(error))

    def get(
        self,
        path: str,
        filters: dict[str, str] | None = None,
        *,
        doing: str,
        **query: Any,
    ) -> Any:
        """Get a JSON document and check its shape; `filters` are Docker's own, one value each."""
        if filters:
            query["filters"] = json.dumps({name: [value] for name, value in filters.items()})
        document = read_answer(self.ask("GET", path, query, doing=doing), answer_shapes.shape_of(path), doing)
        if filters and "label" in filters:
            if path == "/volumes":
                return {**document, "Volumes": carrying(document.get("Volumes") or [], filters)}
            return carrying(document, filters)
        return document

    # -- what there is ---------------------------------------------------------------------------------------

    def containers(self, filters: dict[str, str], *, doing: str) -> list[dict[str, Any]]:
        """Containers, also stopped ones, as `docker inspect` has them; one that is gone meanwhile is left out."""
        listed = self.get("/containers/json", filters, all=1, doing=doing)
        return self.inspected([container["Id"] for container in listed], doing=doing)

    def container_names(self, filters: dict[str, str], *, doing: str) -> list[str]:
        """Names of containers, also stopped ones."""
        listed = self.get("/containers/json", filters, all=1, doing=doing)
        return [name.lstrip("/") for container in listed for name in container.get("Names") or []]

    def inspected(self, containers: Iterable[str], *, doing: str) -> list[dict[str, Any]]:
        """Containers by ID or name, as `docker inspect` has them; those that are not there are left out."""
        documents = []
        for container in containers:
            try:
                documents.append(self.get(f"/containers/{_part(container)}/json", doing=doing))
            except DockerError as error:
                if "no such container" not in error.said.lower():
                    raise
        return documents

    def networks(self, filters: dict[str, str], *, doing: str) -> list[dict[str, Any]]:
        """Networks as `docker inspect` has them."""
        networks: list[dict[str, Any]] = self.get("/networks", filters, doing=doing)
        return networks

    def volumes(self, filters: dict[str, str], *, doing: str) -> list[dict[str, Any]]:
        """Volumes as `docker inspect` has them."""
        return self.get("/volumes", filters, doing=doing).get("Volumes") or []

    def log(self, container: str, stream: str, *, lines: int, since: float, doing: str) -> str:
        """The last lines of a container on a stream, `stdout` or `stderr`, since a time.

        The time is in seconds since 1970.
        """
        query = {stream: 1, "tail": lines, "since": f"{since:.6f}"}
        return _output(self.ask("GET", f"/containers/{_part(container)}/logs", query, doing=doing))

    # -- what changes something ------------------------------------------------------------------------------

    def create(self, body: dict[str, Any], *, doing: str, name: str = "") -> str:
        """Make a container from the API's own description of one; Docker names it if nobody does. Returns its ID."""
        query = {"name": name} if name else None
        said = self.ask("POST", "/containers/create", query, body, doing=doing)
        return str(read_answer(said, answer_shapes.MADE, doing)["Id"])

    def put_files(self, container: str, folder: str, archive: bytes, *, doing: str) -> None:
        """Unpack a tar in a folder of a container."""
        self.ask("PUT", f"/containers/{_part(container)}/archive", {"path": folder}, archive, doing=doing)

    def get_files(self, container: str, path: str, *, doing: str) -> bytes:
        """A file or a folder of a container, also of one that does not run, as a tar."""
        return self.ask("GET", f"/containers/{_part(container)}/archive", {"path": path}, doing=doing)

    def has_file(self, container: str, path: str, *, doing: str) -> bool:
        """Whether a container has a small file. No clear answer is not a no: it raises."""
        try:
            # Not HEAD: its answer has no words, and so does not distinguish a missing file from a missing container.
            self.get_files(container, path, doing=doing)
        except DockerError as error:
            if error.is_no_such_file:
                return False
            raise
        return True

    def change(self, verb: str, containers: Iterable[str], *, doing: str, **query: Any) -> None:
        """`start`, `stop` or `unpause` containers, several at once."""
        each(
            lambda container: self.ask("POST", f"/containers/{_part(container)}/{verb}", query, doing=doing),
            containers,
            AT_ONCE,
        )

    def remove(self, kind: str, things: Iterable[str], *, doing: str) -> None:
        """Remove containers, with their unnamed volumes and whatever their state, networks or volumes."""
        query = {"container": {"force": 1, "v": 1}, "network": {}, "volume": {"force": 1}}[kind]
        each(lambda thing: self.ask("DELETE", f"/{kind}s/{_part(thing)}", query, doing=doing), things, AT_ONCE)

    def execute(self, container: str, words: list[str], *, doing: str) -> str:
        """Run a command in a container to its end. Returns its output; raises where it failed."""
        code, said = self.run(container, words, doing=doing)
        if code != 0:
            raise DockerError(explain(said, doing), said=said)
        return said

    def run(self, container: str, words: list[str], *, doing: str) -> tuple[int, str]:
        """Run a command in a container. Returns its exit code, -1 where it has none, and its output."""
        wanted = {"AttachStdout": True, "AttachStderr": True, "Cmd": words}
        said_of_it = self.ask("POST", f"/containers/{_part(container)}/exec", body=wanted, doing=doing)
        made = read_answer(said_of_it, answer_shapes.MADE, doing)
        path = f"/exec/{_part(made['Id'])}"
        said = _output(self.ask("POST", f"{path}/start", body={"Detach": False, "Tty": False}, doing=doing))
        code = self.get(f"{path}/json", doing=doing).get("ExitCode")
        return -1 if code is None else int(code), said


def carrying(things: Iterable[dict[str, Any]], filters: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """The listed objects that carry the requested label, however the engine interprets a filter."""
    name, has_value, value = (filters or {}).get("label", "").partition("=")
    if not name:
        return list(things)
    labelled = ((thing, thing.get("Labels") or {}) for thing in things)
    return [thing for thing, labels in labelled if name in labels and (not has_value or labels[name] == value)]


def moment(stamp: str) -> float:
    """Seconds since 1970 of a time as engines write it, by RFC 3339. Raises DockerError if it is not one."""
    no_moment = odd(f"{answer_shapes.shown(stamp)} is no moment", "being asked when something was")
    match = _STAMP.fullmatch(stamp.upper())
    if match is None:
        raise no_moment
    whole, rest, sign, hours, minutes = match.groups()
    ahead = int(f"{sign}1") * (int(hours) * 3600 + int(minutes) * 60) if sign else 0
    try:
        return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - ahead + float(f"0{rest or ''}")
    except ValueError:
        # A date in no calendar.
        raise no_moment from None


def subnets_of(network: Mapping[str, Any]) -> list[str]:
    """The IPv4 subnets of a network, as the engine lists it. A driver that gives no addresses names none."""
    configured = (network.get("IPAM") or {}).get("Config") or []
    return [pool["Subnet"] for pool in configured if pool.get("Subnet") and ":" not in pool["Subnet"]]


def _target(path: str, query: dict[str, Any] | None) -> str:
    # No version in the path: the engine then uses its newest one.
    return path + (f"?{urlencode(query)}" if query else "")


def _late(seconds: float, doing: str) -> DockerError:
    return DockerError(
        f"The Docker Engine did not answer within {seconds_told(seconds)} seconds while {doing}.", late=seconds
    )


def seconds_told(seconds: float) -> str:
    """Seconds as a readable number, as exactly as it matters."""
    return f"{seconds:.2g}" if seconds < 9.95 else f"{seconds:.0f}"  # noqa: PLR2004


def _refusal(status: int, content: bytes, doing: str) -> DockerError:
    said = message_of(content)
    return DockerError(explain(said, doing), said=said, status=status)


def _part(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe="")


def read_answer(said: bytes, shape: Callable[[Any, str], answer_shapes.Mismatch | None], doing: str) -> Any:
    """An engine's answer in its shape. Raises DockerError."""
    try:
        document = json.loads(said)
    except (ValueError, RecursionError):
        raise odd(f"it is no JSON, but {answer_shapes.shown(said)}", doing) from None
    if (wrong := shape(document, "it")) is not None:
        raise odd(str(wrong), doing)
    return document


def document_of(said: bytes, doing: str) -> dict[str, Any]:
    """An object from the engine, such as one event of a stream. Raises DockerError."""
    document: dict[str, Any] = read_answer(said, answer_shapes.object_of_any, doing)
    return document


def broken_off(why: object, doing: str) -> DockerError:
    """The error of an answer that broke off."""
    return DockerError(
        f"Cannot finish {doing}: the Docker Engine's answer broke off ({why}). Look at its log (`journalctl -u "
        "docker`), then run the same command again."
    )


def odd(what: str, doing: str) -> DockerError:
    """The error of an answer that no engine gives."""
    return DockerError(
        f"Cannot make sense of what the Docker Engine answered while {doing}: {what}. Check what answers there "
        "(`docker version`), then run the same command again."
    )


def message_of(content: bytes) -> str:
    """The engine's message for a request that it refuses."""
    text = content.decode("utf-8", "replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return text.strip()


def _output(stream: bytes) -> str:
    """The text of an exec's two streams, in the order in which the pieces came."""
    pieces, at = [], 0
    while len(stream) - at >= _FRAME.size:
        _which, length = _FRAME.unpack_from(stream, at)
        at += _FRAME.size
        pieces.append(stream[at : at + length])
        at += length
    return b"".join(pieces).decode("utf-8", "replace")
