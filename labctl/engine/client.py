"""Connect to the Docker Engine that the docker command uses, or to one over SSH, and say why that fails.

Requests go where the modules' requests go: to the engine's socket, or through the docker command where only that
knows the way. Every answer has a deadline and a checked shape, and no library has to be loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from labctl.engine import log_frames
from labctl.engine.docker_host import LOCAL_HOST, DockerHost
from labctl.errors import ExitCode, LabctlError
from labctl.shared.docker_api import (
    DEFAULT_SOCKET,
    Allowance,
    DockerError,
    Engine,
    broken_off,
    document_of,
    endpoint,
    seconds_told,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

    from labctl.engine.ssh_command import Address
    from labctl.shared.credentials import Keys

TIMEOUT_SECONDS = 20
PIECE = 65_536
MOST_EVENT = 1 << 20
"""No event is that long."""
LOAD_SECONDS = 600
"""How long an engine may be silent while it loads an image."""
LATE_SECONDS = 5
"""The most by which all requests of a command with a deadline may overrun it."""
SSH = "ssh://"
# What the docker command says before the reason: its settings name no engine; the one that they name is not reached.
_NO_SETTINGS, _NO_STREAM = "unable to resolve docker endpoint:", "failed to open the raw stream connection:"
_MOST_SAID = 400


class Client:
    """A connection to an engine. Requests raise DockerError, which `explained` turns into a sentence for users.

    Args:
        place: where the engine is reached.
        host: the Docker host's name, as `labctl ls` shows it; by default as the docker command knows it.
        allowance: the time for all its requests together; None for a command that never gives up.
    """

    def __init__(self, place: DockerHost = LOCAL_HOST, host: str = "", allowance: Allowance | None = None) -> None:
        self.place = place
        self.allowance = allowance
        self._host = host
        self._engine = Engine(TIMEOUT_SECONDS, place.socket, allowance)
        self.keys: dict[tuple[str, ...], Keys] = {}
        """The credentials of the `full` labs that were found, by the IDs of their containers: each is read once."""

    @property
    def host(self) -> str:
        """The Docker host as a user knows it."""
        return self._host or host_name()

    def hurried(self, seconds: float) -> Client:
        """The same engine, with a limit in seconds on the wait for all answers together."""
        other = Client(self.place, self._host, Allowance(seconds))
        other.keys = self.keys
        return other

    def give(self, seconds: float) -> None:
        """Limit the total time of all requests from now on, for a command that has some seconds."""
        if self.allowance is not None:
            self.allowance.give(seconds + LATE_SECONDS)

    def containers(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Containers, also stopped ones, as the engine lists them."""
        return list(self._engine.get("/containers/json", filters, all=1, doing="listing containers"))

    def images(self, *, filters: dict[str, str] | None = None) -> list[dict[str, Any]]:
        """Images, as the engine lists them."""
        return list(self._engine.get("/images/json", filters, doing="listing images"))

    def networks(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Networks, as the engine lists them."""
        return self._engine.networks(filters, doing="listing networks")

    def volumes(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Volumes, as the engine lists them."""
        return self._engine.volumes(filters, doing="listing volumes")

    def info(self) -> dict[str, Any]:
        """The engine's own description. Raises LabctlError."""
        return self._document("/info", "asking the engine about itself")

    def version(self) -> dict[str, Any]:
        """The engine's version. Raises LabctlError."""
        return self._document("/version", "asking which engine it is")

    def _document(self, path: str, doing: str) -> dict[str, Any]:
        with explained(self.place):
            return dict(self._engine.get(path, doing=doing))

    def inspected(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """Containers as `docker inspect` has them; those that are not there are left out."""
        return self._engine.inspected(ids, doing="looking at containers")

    def events_so_far(self, *, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        """The events that the engine still has, oldest first."""
        # Without `until`, an engine would wait for events up to a time that its clock has not reached.
        until = _moment(self._engine.get("/info", doing="asking for the time"))
        query = {"since": "0", "until": f"{until:.6f}", "filters": json.dumps(filters)}
        doing = "asking what was done to containers"
        said = self._engine.ask("GET", "/events", query, doing=doing)
        return [document_of(line, doing) for line in said.splitlines() if line.strip()]

    def events_to_come(self, *, filters: dict[str, list[str]], since: float) -> Iterator[dict[str, Any]]:
        """Events from a time on, for ever."""
        doing = "following what is done to containers"
        query = {"since": f"{int(since)}", "filters": json.dumps(filters)}
        with self._engine.open("/events", query, doing=doing, endless=True) as answer:
            for line in iter(lambda: answer.readline(MOST_EVENT), b""):
                if line.strip():
                    yield document_of(line, doing)

    def log_so_far(self, container: str, *, tail: int | str = "all", since: float | None = None) -> Iterator[bytes]:
        """A container's log up to now as it comes, each line with Docker's time in front."""
        return self._log(container, tail, since, follow=False)

    def log_to_come(self, container: str, *, tail: int | str = "all", since: float | None = None) -> Iterator[bytes]:
        """A container's log up to now, and then new lines, until the container stops."""
        return self._log(container, tail, since, follow=True)

    def _log(self, container: str, tail: int | str, since: float | None, *, follow: bool) -> Iterator[bytes]:
        doing = "following a server's log" if follow else "reading a server's log"
        query: dict[str, Any] = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow), "tail": tail}
        if since is not None:
            query["since"] = f"{since:.9f}"
        path = f"/containers/{quote(container, safe='')}/logs"
        with self._engine.open(path, query, doing=doing, endless=follow) as answer:
            try:
                yield from log_frames.frames(answer)
            except log_frames.BrokenLogError as error:
                raise broken_off(error, doing) from error

    def saved_image(self, name: str) -> Iterator[bytes]:
        """An image as a tar, in pieces."""
        # An engine may pack for a while before the first byte comes.
        patient = Engine(LOAD_SECONDS, self.place.socket, self.allowance)
        with patient.open(f"/images/{quote(name)}/get", doing="saving an image") as answer:
            while piece := answer.read1(PIECE):
                yield piece

    def load_image(self, file: IO[bytes]) -> None:
        """Make the engine load the rest of a file, a tar of images."""
        doing = "loading an image"
        patient = Engine(LOAD_SECONDS, self.place.socket, self.allowance)
        with patient.send("/images/load", file, {"quiet": 1}, doing=doing) as answer:
            for line in iter(lambda: answer.readline(MOST_EVENT), b""):
                if line.strip() and (wrong := document_of(line, doing).get("error")) is not None:
                    raise DockerError(f"Docker failed while {doing}: {wrong}", said=str(wrong))

    def archive(self, container: str, path: str) -> bytes:
        """A folder of a container, also of one that does not run, as a tar."""
        return self._engine.get_files(container, path, doing="reading a lab's token")


def _moment(said: Any) -> float:
    """The engine's clock, in seconds since 1970; this machine's where the engine does not answer."""
    try:
        return datetime.fromisoformat(said["SystemTime"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return time.time()


def connect(within: float | None = None) -> Client:
    """A client of the engine that the docker command uses.

    Whether a local engine answers shows with the first request. Raises LabctlError where one over SSH cannot be
    reached; `within` limits in seconds how long that may take.
    """
    where = address() or ""
    if not where.startswith(SSH):
        return Client()
    from labctl.engine.ssh_command import address_of  # noqa: PLC0415 - only for another host

    return connect_to(address_of(where), within=within)


def connect_within(seconds: float, late: float | None = None) -> Client:
    """The same for a command that gives up after that many seconds: a slow engine costs it hardly more."""
    most = seconds + (LATE_SECONDS if late is None else late)
    return (connect(most) if most < TIMEOUT_SECONDS else connect()).hurried(most)


def connect_to(there: Address, name: str = "", within: float | None = None) -> Client:
    """A client of a Docker host over SSH, by its one connection. Raises LabctlError where it is not reached.

    Args:
        there: its address.
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


def explain(error: DockerError, place: DockerHost = LOCAL_HOST) -> LabctlError:
    """Turn what the engine at a place raised into one sentence."""
    # The sentence of a remote place says all there is to say about its socket; and an engine that refuses has answered.
    not_met = None if place.name or error.status else _not_met(error.said)
    if not_met is not None:
        return not_met
    where = place.name or address() or DEFAULT_SOCKET
    if error.late is not None:
        return LabctlError(
            f"Cannot learn anything from the Docker Engine at {where}: it did not answer within "
            f"{seconds_told(error.late)} seconds. Look at its log (`journalctl -u docker`), restart it, then run the "
            "same command again."
        )
    return LabctlError(error.sentence, ExitCode.USAGE if error.failure == "usage" else ExitCode.FAILED)


def _not_met(said: str) -> LabctlError | None:
    """Why the engine that the docker command uses was not met, by what was said; None where that says no such thing."""
    lower = said.lower()
    if _NO_SETTINGS in lower:
        return LabctlError(
            f"Cannot tell which Docker Engine is meant: {_behind(_NO_SETTINGS, said)}. Correct DOCKER_HOST, "
            "DOCKER_CONTEXT or the certificates that it says, or use this machine's own engine: `unset DOCKER_HOST "
            "DOCKER_CONTEXT; docker context use default`."
        )
    if "permission denied while" in lower or (_NO_STREAM in lower and "permission denied" in lower):
        return LabctlError(
            "You do not have permission to use the Docker socket: join the group `docker` "
            "(`sudo usermod -aG docker $USER`, then log in again) or run labctl with sudo."
        )
    if not any(sign in lower for sign in (_NO_STREAM, "connection aborted", "cannot connect to")):
        return None
    chosen = address()
    if chosen is None:
        return LabctlError(
            f"No Docker Engine answers at {DEFAULT_SOCKET}: `labctl doctor --fix` starts it, "
            "and installs it where it is missing."
        )
    why = f" ({_behind(_NO_STREAM, said)})" if _NO_STREAM in lower else ""
    return LabctlError(
        f"No Docker Engine answers at {chosen}{why}: start that one, or correct DOCKER_HOST or the docker context that "
        "names it."
    )


def _behind(sign: str, said: str) -> str:
    """What of a text comes after a sign, as a part of a sentence."""
    lines = said[said.lower().index(sign) + len(sign) :].strip().splitlines() or ["it does not say why"]
    return lines[0].rstrip(".")[:_MOST_SAID]


@contextlib.contextmanager
def explained(place: DockerHost = LOCAL_HOST) -> Iterator[None]:
    """Turn what the engine at a place raises inside into a LabctlError."""
    try:
        yield
    except DockerError as error:
        raise place.explain(error) or explain(error, place) from error


def refused(sentence: str) -> LabctlError:
    """An error with the exit code for `not yours` and `would not fit`."""
    return LabctlError(sentence, ExitCode.REFUSED)
