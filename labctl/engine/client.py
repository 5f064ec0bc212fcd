"""Connect to the Docker Engine that the docker command uses, or to one over SSH, and say why that fails.

What only reads lists asks the engine's socket itself, as the modules do: loading Docker's Python library takes longer
than everything that `labctl ls` does besides. Whatever else is asked of a client is the library's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from labctl.engine import log_frames
from labctl.engine.docker_host import LOCAL_HOST, DockerHost
from labctl.errors import ExitCode, LabctlError
from labctl.shared.docker_api import (
    DEFAULT_SOCKET,
    Allowance,
    DockerError,
    Engine,
    carrying,
    document_of,
    endpoint,
    odd,
    plain_socket,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import docker

    from labctl.engine.ssh_command import Address
    from labctl.shared.credentials import Keys

TIMEOUT_SECONDS = 20
LATE_SECONDS = 5
"""By how much all the questions of a command may be late that is given some seconds."""
SSH = "ssh://"


class Client:
    """A connection to an engine: `docker.APIClient`, but for its lists.

    Args:
        place: where the engine is met.
        host: the Docker host's name, as `labctl ls` shows it; by default as the docker command knows it.
        allowance: what all its questions may take together; None for a command that gives up at no time.
    """

    def __init__(self, place: DockerHost = LOCAL_HOST, host: str = "", allowance: Allowance | None = None) -> None:
        self.place = place
        self.allowance = allowance
        self._host = host
        quick = place.socket is not None or plain_socket() is not None
        self._engine = Engine(TIMEOUT_SECONDS, place.socket, allowance) if quick else None
        self._loaded: docker.APIClient | None = None
        self.keys: dict[tuple[str, ...], Keys] = {}
        """The access to the `full` labs that were found, by the IDs of their containers: each is read once."""

    @property
    def host(self) -> str:
        """The Docker host as a user knows it."""
        return self._host or host_name()

    def hurried(self, seconds: float) -> Client:
        """The same engine, asked by somebody who waits no longer than so many seconds for all answers together."""
        other = Client(self.place, self._host, Allowance(seconds))
        other.keys = self.keys
        return other

    def give(self, seconds: float) -> None:
        """Let what is asked from now on take so long together, for a command that has some seconds."""
        if self.allowance is not None:
            self.allowance.give(seconds + LATE_SECONDS)

    @property
    def library(self) -> docker.APIClient:
        """Docker's own client. Raises LabctlError where no engine answers or this user may not use it."""
        # It knows whole seconds.
        left = TIMEOUT_SECONDS if self.allowance is None else min(TIMEOUT_SECONDS, 1 + int(self.allowance.left))
        if self._loaded is None:
            self._loaded = _connected_library(self.place, left)
        self._loaded.timeout = left
        return self._loaded

    def __getattr__(self, name: str) -> Any:
        """Everything but lists is the library's."""
        return getattr(self.library, name)

    def containers(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Containers, also stopped ones, as the engine lists them."""
        if self._engine is None:
            return carrying(self.library.containers(all=True, filters=filters), filters)
        return list(self._engine.get("/containers/json", filters, all=1, doing="listing containers"))

    def images(self, *, filters: dict[str, str] | None = None) -> list[dict[str, Any]]:
        """Images, as the engine lists them."""
        if self._engine is None:
            return carrying(self.library.images(filters=filters), filters)
        return list(self._engine.get("/images/json", filters, doing="listing images"))

    def networks(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Networks, as the engine lists them."""
        if self._engine is None:
            return carrying(self.library.networks(filters=filters), filters)
        return self._engine.networks(filters, doing="listing networks")

    def volumes(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Volumes, as the engine lists them."""
        if self._engine is None:
            return carrying(self.library.volumes(filters=filters)["Volumes"] or [], filters)
        return self._engine.volumes(filters, doing="listing volumes")

    def info(self) -> dict[str, Any]:
        """What the engine says of itself. Raises LabctlError."""
        return self._document("/info", "asking the engine about itself")

    def version(self) -> dict[str, Any]:
        """Which engine it is. Raises LabctlError."""
        return self._document("/version", "asking which engine it is")

    def _document(self, path: str, doing: str) -> dict[str, Any]:
        if self._engine is None:
            return dict(getattr(self.library, path[1:])())
        with explained(self.place):
            return dict(self._engine.get(path, doing=doing))

    def inspected(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """Containers as `docker inspect` has them; those that are not there are left out."""
        return self._asked().inspected(ids, doing="looking at containers")

    def events_so_far(self, *, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        """The events that the engine still has, oldest first."""
        # An engine waits for the events of a time that its own clock has not reached.
        until = _moment(self._asked().get("/info", doing="asking for the time"))
        query = {"since": "0", "until": f"{until:.6f}", "filters": json.dumps(filters)}
        doing = "asking what was done to containers"
        said = self._asked().ask("GET", "/events", query, doing=doing)
        return [document_of(line, doing) for line in said.splitlines() if line.strip()]

    def events_to_come(self, *, filters: dict[str, list[str]], since: float) -> Iterator[dict[str, Any]]:
        """Events from a time on, for ever."""
        yield from self.library.events(since=int(since), filters=filters, decode=True)

    def _asked(self) -> Engine:
        """The engine itself, also where only the docker command knows the way to it."""
        return self._engine or Engine(TIMEOUT_SECONDS, self.place.socket, self.allowance)

    def log_so_far(self, container: str, *, tail: int | str = "all", since: float | None = None) -> Iterator[bytes]:
        """A container's log up to now as it comes, each line with Docker's time in front."""
        return log_frames.log_so_far(self.library, container, tail=tail, since=since, timeout=TIMEOUT_SECONDS)

    def archive(self, container: str, path: str) -> bytes:
        """A folder of a container, also of one that does not run, as a tar."""
        if self._engine is None:
            return b"".join(self.library.get_archive(container, path)[0])
        return self._engine.get_files(container, path, doing="reading a lab's token")


def _moment(said: Any) -> float:
    """What time it is where an engine runs, in seconds since 1970; where it does not say, as here."""
    try:
        return datetime.fromisoformat(said["SystemTime"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return time.time()


def connect(within: float | None = None) -> Client:
    """A client of the engine that the docker command uses.

    Whether an engine here answers shows with the first question. Raises LabctlError where one over SSH is not reached,
    for whoever has so little time `within` so many seconds.
    """
    where = address() or ""
    if not where.startswith(SSH):
        return Client()
    from labctl.engine.ssh_command import address_of  # noqa: PLC0415 - only for another host

    return connect_to(address_of(where), within=within)


def connect_within(seconds: float, late: float | None = None) -> Client:
    """The same for a command that gives up after so many seconds: an engine that is slow costs it hardly more."""
    most = seconds + (LATE_SECONDS if late is None else late)
    return (connect(most) if most < TIMEOUT_SECONDS else connect()).hurried(most)


def connect_to(there: Address, name: str = "", within: float | None = None) -> Client:
    """A client of a Docker host over SSH, by its one connection. Raises LabctlError where it is not reached.

    Args:
        there: where it is.
        name: what it is called; its address by default.
        within: how long that may take, in seconds, where it is less than usual.
    """
    from labctl.engine import ssh_tunnel  # noqa: PLC0415 - only for another host

    connection = ssh_tunnel.connection(there, name, within)
    return Client(connection, connection.name)


def address() -> str | None:
    """The engine's address: DOCKER_HOST, else the context that the docker command takes; None means the default."""
    where = endpoint()
    return None if where in {"", f"unix://{DEFAULT_SOCKET}"} and not os.environ.get("DOCKER_HOST") else where


def host_name() -> str:
    """The Docker host as a user knows it: `local`, or what DOCKER_HOST says."""
    where = address()
    return "local" if where is None or where.startswith("unix://") else where


def is_elsewhere() -> bool:
    """Whether the docker command's engine is reached over a network, and so on another machine."""
    return not (address() or "unix://").startswith("unix://")


def explain(error: Exception, place: DockerHost = LOCAL_HOST) -> LabctlError:
    """Turn what the engine at a place, or the Docker library, raised into one sentence."""
    said = error.said if isinstance(error, DockerError) else str(error)
    lower = said.lower()
    # Of another host, its place has said all that is to be said of a socket.
    if not place.name and "permission denied" in lower:
        return LabctlError(
            "You do not have permission to use the Docker socket: join the group `docker` "
            "(`sudo usermod -aG docker $USER`, then log in again) or run labctl with sudo."
        )
    where = place.name or address() or DEFAULT_SOCKET
    signs = ("no such file", "connection refused", "connection aborted", "cannot connect to")
    if not place.name and any(sign in lower for sign in signs):
        return LabctlError(
            f"No Docker Engine answers at {where}: `labctl doctor --fix` starts it, "
            "and installs it where it is missing."
        )
    if (seconds := _waited(error)) is not None:
        return LabctlError(
            f"Cannot learn anything from the Docker Engine at {where}: it did not answer within {seconds} "
            "seconds. Look at its log (`journalctl -u docker`), restart it, then run the same command again."
        )
    if isinstance(error, DockerError):
        return LabctlError(error.sentence)
    if explanation := getattr(error, "explanation", None):
        return LabctlError(f"Docker refused: {str(explanation).strip()}")
    return LabctlError(f"Talking to Docker at {where} failed: {said.splitlines()[0] if said else type(error).__name__}")


def _waited(error: Exception) -> str | None:
    """For how many seconds an answer was waited in vain; None where it was not for want of time."""
    if isinstance(error, DockerError):
        return None if error.late is None else f"{error.late:.0f}"
    if not type(error).__name__.endswith("Timeout"):
        return None
    # Docker's library knows what it was told, and says it only in words.
    told = re.search(r"timeout=(\d+(?:\.\d+)?)", str(error))
    return f"{float(told[1]):.0f}" if told else f"{TIMEOUT_SECONDS}"


def _is_of_docker(error: Exception) -> bool:
    """Whether the engine or the Docker library raised it; asked without loading the library."""
    parents = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return isinstance(error, DockerError) or not parents.isdisjoint({"docker", "requests"})


@contextlib.contextmanager
def explained(place: DockerHost = LOCAL_HOST) -> Iterator[None]:
    """Let what the engine at a place, or the Docker library, raises inside come out as a LabctlError."""
    try:
        yield
    except Exception as error:
        if _is_of_docker(error):
            raise place.explain(error) or explain(error, place) from error
        raise


@contextlib.contextmanager
def _sensible() -> Iterator[None]:
    """Let what Docker's library stumbles over, in an answer that no engine gives, be one sentence."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise odd(f"its version is none ({type(error).__name__})", "asking which engine it is") from error


def _connected_library(place: DockerHost, seconds: int = TIMEOUT_SECONDS) -> docker.APIClient:
    import docker  # noqa: PLC0415 - takes longer to load than most commands to run

    with explained(place), _sensible():
        where = f"unix://{place.socket}" if place.socket else address()
        return docker.APIClient(
            base_url=where,
            version="auto",
            timeout=seconds,
            tls=uses_tls(where),
        )


def uses_tls(where: str | None) -> docker.tls.TLSConfig | bool:
    """TLS as DOCKER_CERT_PATH and DOCKER_TLS_VERIFY have it, the docker command's own variables."""
    folder = os.environ.get("DOCKER_CERT_PATH")
    if not folder or where is None or not where.startswith("tcp://"):
        return False
    import docker  # noqa: PLC0415

    verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
    return docker.tls.TLSConfig(
        client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"), ca_cert=f"{folder}/ca.pem", verify=verify
    )


def refused(sentence: str) -> LabctlError:
    """An error with the exit code for `not yours` and `would not fit`."""
    return LabctlError(sentence, ExitCode.REFUSED)
