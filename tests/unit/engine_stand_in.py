"""A stand-in for a client of an engine: its answers, as plain data."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labctl.engine.docker_host import LOCAL_HOST, DockerHost
from labctl.shared.docker_api import DockerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

    from labctl.shared.credentials import Keys


def container(lab: str, server: str, **changed: Any) -> dict[str, Any]:
    """One entry of Docker's list of containers, for a server of a lab; `labels` are added to its own."""
    number = int(server.removeprefix("consul"))
    labels = {
        "raft-labctl.lab": lab,
        "raft-labctl.owner": "ada",
        "raft-labctl.server": server,
        "raft-labctl.servers": "3",
        "raft-labctl.pace": "teach",
        "raft-labctl.consul-version": "1.8.7",
        **changed.pop("labels", {}),
    }
    port = changed.pop("port", 30_000 + number)
    return {
        "Id": f"{lab}-{server}",
        "Names": [f"/labctl-{lab}-{server}"],
        "Image": "raft-labctl/consul:1.8.7",
        "Created": 1_700_000_000 + number,
        "State": "running",
        "Labels": labels,
        "Ports": [{"PrivatePort": 8500, "PublicPort": port, "IP": "127.0.0.1"}, {"PrivatePort": 8300}] if port else [],
        "NetworkSettings": {"Networks": {f"labctl-{lab}": {"IPAddress": f"10.213.0.{number + 1}"}}},
        **changed,
    }


def lab(name: str, **changed: Any) -> list[dict[str, Any]]:
    """The three servers of a lab."""
    return [container(name, f"consul{number}", **dict(changed)) for number in (1, 2, 3)]


def image(version: str, **changed: Any) -> dict[str, Any]:
    """One entry of Docker's list of images, for an image of labs."""
    return {
        "Id": f"sha256:{version}",
        "RepoTags": [f"raft-labctl/consul:{version}"],
        "Labels": {
            "raft-labctl.consul-version": version,
            "raft-labctl.image-source": changed.pop("source", "debian"),
            "raft-labctl.image-state": "checked",
            "raft-labctl.image-layout": "1",
            "raft-labctl.image-tools": "ip nc nft",
        },
        "Size": 132_000_000,
        "Created": 1_700_000_000,
        **changed,
    }


@dataclass
class FakeEngine:
    """Answers as a client does; a log is a list of (seconds to wait, bytes).

    `so_far` is a log without its later lines.
    `again` are the logs of containers that come back after their stream has ended. `files` has a tar for each container
    with the volume of a full lab, and `asked` lists the containers that were asked for it.
    """

    container_list: list[dict[str, Any]] = field(default_factory=list)
    network_list: list[dict[str, Any]] = field(default_factory=list)
    volume_list: list[dict[str, Any]] = field(default_factory=list)
    image_list: list[dict[str, Any]] = field(default_factory=list)
    streams: dict[str, list[tuple[float, bytes]]] = field(default_factory=dict)
    so_far: dict[str, bytes] = field(default_factory=dict)
    again: dict[str, list[tuple[float, bytes]]] = field(default_factory=dict)
    sinces: list[float | None] = field(default_factory=list)
    tails: list[int | str] = field(default_factory=list)
    image: list[bytes] = field(default_factory=list)
    loads: list[dict[str, Any]] = field(default_factory=list)
    loaded: int = 0
    error: Exception | None = None
    place: DockerHost = LOCAL_HOST
    host: str = "local"
    keys: dict[tuple[str, ...], Keys] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    events_later: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    filters: list[dict[str, list[str]]] = field(default_factory=list)

    allowance: None = None

    def give(self, _seconds: float) -> None:
        """It needs no time."""

    def hurried(self, _seconds: float) -> FakeEngine:
        """The same: it answers at once."""
        return self

    def archive(self, container: str, path: str) -> bytes:
        """A tar out of `files`; a container that is not there has none."""
        self.asked.append((container, path))
        if container not in self.files:
            raise DockerError(f"No such container: {container}", said=f"No such container: {container}", status=404)
        return self.files[container]

    def _fits(self, labels: dict[str, str] | None, filters: dict[str, str] | None) -> bool:
        name, sign, value = (filters or {}).get("label", "").partition("=")
        return not name or (name in (labels or {}) and (not sign or (labels or {})[name] == value))

    def containers(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        if self.error:
            raise self.error
        return [container_ for container_ in self.container_list if self._fits(container_["Labels"], filters)]

    def networks(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        return [network for network in self.network_list if self._fits(network["Labels"], filters)]

    def volumes(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        return [volume for volume in self.volume_list if self._fits(volume["Labels"], filters)]

    def images(self, *, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        return [image for image in self.image_list if self._fits(image["Labels"], filters)]

    def version(self) -> dict[str, Any]:
        """An engine of this machine's kind."""
        return {"Arch": "amd64"}

    def inspected(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """Those whose state is known; one that has stopped comes back once where `again` has its log."""
        lines = []
        for container_ in ids:
            if container_ in self.again:
                self.streams[container_] = self.again.pop(container_)
                lines.append({"Id": container_, "Config": {}, "State": {"Status": "running", "Running": True}})
            elif container_ in self.states:
                lines.append({"Id": container_, "Config": {}, "State": self.states[container_]})
        return lines

    def events_so_far(self, *, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        self.filters.append(filters)
        return self.events

    def events_to_come(self, *, filters: dict[str, list[str]], since: float) -> Iterator[dict[str, Any]]:
        self.filters.append(filters)
        self.sinces.append(since)
        for seconds, event in self.events_later:
            time.sleep(seconds)
            yield event

    def log_to_come(self, container: str, *, tail: int | str = "all", since: float | None = None) -> Iterator[bytes]:
        self.tails.append(tail)
        self.sinces.append(since)
        return self._stream(container)

    def log_so_far(self, container: str, *, tail: int | str = "all", since: float | None = None) -> Iterator[bytes]:
        self.tails.append(tail)
        self.sinces.append(since)
        return iter([self.so_far[container]]) if container in self.so_far else self._stream(container)

    def _stream(self, container: str) -> Iterator[bytes]:
        for seconds, chunk in self.streams[container]:
            time.sleep(seconds)
            yield chunk
        if self.error:
            raise self.error

    def saved_image(self, _name: str) -> Iterator[bytes]:
        yield from self.image
        if self.error:
            raise self.error

    def load_image(self, _file: IO[bytes]) -> None:
        self.loaded += 1
        self.image_list = self.loads + self.image_list
