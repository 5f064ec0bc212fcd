"""Helpers: containers in a server's network namespace that may change that network and nothing else."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from labctl.engine import foreign_labels
from labctl.shared import lab_names
from labctl.shared.docker_api import DockerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from labctl.engine.labs import Lab, Server
    from labctl.shared.docker_api import Engine

LABEL_FAULT = lab_names.LABEL_FAULT
WITH_NETWORK = frozenset({"running", "paused"})
"""In which states, in Docker's words, a container has its network namespace."""
MEMORY_BYTES = 48 << 20
PROCESSES = 16
_GOING = ("no such container", "already in progress")


def of_faults(engine: Engine, lab: Lab) -> list[dict[str, Any]]:
    """The helpers that wait for the end of a lab's faults, as Docker lists them. Raises DockerError."""
    label = {"label": f"{lab_names.LABEL_LAB}={lab.name}"}
    return with_fault(engine.get("/containers/json", label, all=1, doing="listing faults"), lab)


def with_fault(listed: Iterable[dict[str, Any]], lab: Lab) -> list[dict[str, Any]]:
    """The containers in Docker's list that serve a fault of this lab and belong to its owner."""
    return [
        container
        for container in foreign_labels.left_out("container", listed)
        if _is_of(lab, container.get("Labels") or {})
    ]


def _is_of(lab: Lab, labels: Mapping[str, str]) -> bool:
    """Whether it is a helper of a lab's: anybody may write the lab's name on a container."""
    whose = labels.get(lab_names.LABEL_LAB), labels.get(lab_names.LABEL_OWNER, "")
    return LABEL_FAULT in labels and lab_names.LABEL_SERVER not in labels and whose == (lab.name, lab.owner)


def server_of(helper: Mapping[str, Any]) -> str:
    """The ID of the container whose network a listed helper shares; "" where it shares none."""
    mode = str((helper.get("HostConfig") or {}).get("NetworkMode") or "")
    return mode.removeprefix("container:") if mode.startswith("container:") else ""


def life_of(engine: Engine, container: str) -> str:
    """When a container was started last, as Docker writes it: another time is another network. Raises DockerError.

    "" where the container is gone.
    """
    containers = engine.inspected([container], doing="looking whether a server was started again")
    return str(containers[0]["State"]["StartedAt"]) if containers else ""


@contextlib.contextmanager
def started(engine: Engine, lab: Lab, server: Server, script: str, labels: Mapping[str, str]) -> Iterator[str]:
    """Start a helper in a server's network namespace, and give its ID. It stays, unless something fails.

    Raises DockerError.
    """
    helper = engine.create(
        {
            "Image": lab.image,
            "Entrypoint": ["/bin/sh", "-c"],
            "Cmd": [script],
            "User": "0:0",
            "Labels": {
                lab_names.LABEL_LAB: lab.name,
                lab_names.LABEL_OWNER: lab.owner,
                lab_names.LABEL_HELPER: "network",
                **labels,
            },
            "HostConfig": {
                "NetworkMode": f"container:{server.id}",
                "CapDrop": ["ALL"],
                "CapAdd": ["NET_ADMIN"],
                "SecurityOpt": ["no-new-privileges"],
                "ReadonlyRootfs": True,
                "AutoRemove": True,
                "Memory": MEMORY_BYTES,
                "PidsLimit": PROCESSES,
            },
        },
        doing=f"making a helper for {server.name}",
    )
    try:
        engine.change("start", [helper], doing=f"starting a helper for {server.name}")
        yield helper
    except BaseException:
        with contextlib.suppress(DockerError):
            remove(engine, helper)
        raise


def remove(engine: Engine, helper: str) -> None:
    """Remove a helper; it may be gone, or just going because its fault is over. Raises DockerError."""
    try:
        engine.remove("container", [helper], doing="removing a helper")
    except DockerError as error:
        if not any(sign in error.said.lower() for sign in _GOING):
            raise
