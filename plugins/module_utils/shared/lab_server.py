"""A server of a lab as the engine has it: the same whether its container was listed or inspected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from . import lab_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class LabServer:
    """One server's container.

    `state` is Docker's word (`running`, `exited`, `paused`, ...); `http_port` is None while it does not run; `started`
    is when it last was, as Docker writes it, and known of one that was inspected.
    """

    name: str
    container: str
    id: str
    state: str
    address: str
    http_port: int | None
    profile: str = lab_names.DEFAULT_PROFILE
    started: str = ""

    def fact(self) -> dict[str, Any]:
        """The shape for roles and labctl."""
        return {
            "name": self.name,
            "container": self.container,
            "state": self.state,
            "address": self.address,
            "http_port": self.http_port,
            "profile": self.profile,
        }


Kind = TypeVar("Kind", bound=LabServer)


def fields_listed(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A server's fields, from the engine's list of containers."""
    labels = summary["Labels"]
    profile = lab_names.profile_of(labels)
    inside = lab_names.HTTP_PORTS.get(profile)
    ports = [port for port in summary.get("Ports") or [] if port["PrivatePort"] == inside and port.get("PublicPort")]
    return {
        "name": labels[lab_names.LABEL_SERVER],
        "container": name_listed(summary),
        "id": summary["Id"],
        "state": summary["State"],
        "address": _address(summary),
        "http_port": int(ports[0]["PublicPort"]) if ports else None,
        "profile": profile,
    }


def name_listed(summary: Mapping[str, Any]) -> str:
    """A listed container's name; one that is being removed may have none."""
    names = summary.get("Names") or [summary["Id"][:12]]
    return str(names[0]).lstrip("/")


def server_inspected(container: Mapping[str, Any]) -> LabServer:
    """A server from the answer of `docker container inspect`."""
    labels = container["Config"].get("Labels") or {}
    profile = lab_names.profile_of(labels)
    ports = (container.get("NetworkSettings") or {}).get("Ports") or {}
    bindings = ports.get(f"{lab_names.HTTP_PORTS.get(profile, 0)}/tcp") or [{}]
    return LabServer(
        name=labels[lab_names.LABEL_SERVER],
        container=str(container["Name"]).lstrip("/"),
        id=container["Id"],
        state=container["State"]["Status"],
        address=_address(container),
        http_port=int(bindings[0].get("HostPort") or 0) or None,
        profile=profile,
        started=container["State"]["StartedAt"],
    )


def _address(container: Mapping[str, Any]) -> str:
    """The address on the lab's network: the current one, else the one for when it runs again."""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    first: Mapping[str, Any] = next((network for network in networks.values() if network), {})
    return str(first.get("IPAddress") or (first.get("IPAMConfig") or {}).get("IPv4Address") or "")


def doubles_of(lab: str, servers: Iterable[Kind]) -> list[Kind]:
    """Containers with the labels of a server that another container is."""
    servers = list(servers)
    called: dict[str, list[str]] = {}
    for server in servers:
        called.setdefault(server.name, []).append(server.container)
    return [
        server for server in servers if lab_names.is_beside(server.container, lab, server.name, called[server.name])
    ]
