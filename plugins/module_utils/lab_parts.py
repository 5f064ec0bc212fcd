"""The existing parts of a lab on this Docker host, read from Docker's labels: there is no other record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .shared import engine_lock, lab_names, label_values
from .shared.docker_api import DockerError, Engine, subnets_of
from .shared.lab_server import LabServer, doubles_of, server_inspected

# In which states, in Docker's words, a container has its network namespace.
WITH_NETWORK = ("running", "paused")


@dataclass(frozen=True)
class FaultHelper:
    """A helper that waits for the end of a fault: the server whose network it shares, and in which of its lives."""

    id: str
    server: str
    life: str


@dataclass(frozen=True)
class LabParts:
    """Everything on this Docker host that carries a lab's label; `profile` is "" where no part has one.

    `seed` is the fingerprint of what the lab's secrets are made from, "" where the config volume does not tell.

    `helpers` are all containers of ours that are no servers, `doubles` have the labels of a server that another one is,
    `waiting` are those of them that wait for the end of a
    fault. `networks` are names to be shown: Docker lets a network be called anything, also like the ID of another one,
    so parts are removed by their `network_ids`. `strangers` are sentences about things with the lab's label that are
    not ours, because others of their labels are invalid or missing.
    """

    servers: tuple[LabServer, ...] = ()
    owners: frozenset[str] = frozenset()
    size: int = 0
    helpers: tuple[str, ...] = ()
    doubles: tuple[str, ...] = ()
    waiting: tuple[FaultHelper, ...] = ()
    subnet: str = ""
    networks: tuple[str, ...] = ()
    network_ids: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    profile: str = ""
    seed: str = ""
    strangers: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Nothing is there."""
        return not (self.servers or self.helpers or self.doubles or self.networks or self.volumes)

    @property
    def lasting(self) -> tuple[str, ...]:
        """The helpers of lasting faults: those whose server still has the network that they share."""
        lives = {lab_server.id: lab_server.started for lab_server in self.servers if lab_server.state in WITH_NETWORK}
        return tuple(
            waiting.id
            for waiting in self.waiting
            if waiting.server in lives and waiting.life in ("", lives[waiting.server])
        )

    def names(self) -> list[str]:
        """Names of all parts, for the message of a `down` that left something."""
        return [server.container for server in self.servers] + [
            *(f"container {helper[:12]}" for helper in (*self.helpers, *self.doubles)),
            *(f"network {network}" for network in self.networks),
            *(f"volume {volume}" for volume in self.volumes),
        ]


def find(engine: Engine, lab: str) -> LabParts:
    """Read the existing parts of a lab from Docker's labels. Raises DockerError."""
    of_lab = {"label": f"{lab_names.LABEL_LAB}={lab}"}
    doing = f"looking for the lab {lab}"
    carrying = {
        "container": engine.containers(of_lab, doing=doing),
        "network": engine.networks(of_lab, doing=doing),
        "volume": engine.volumes(of_lab, doing=doing),
    }
    # Check each one's label ourselves, however the engine interprets a filter.
    carrying = {
        kind: [thing for thing in things if label_values.labels_of(thing).get(lab_names.LABEL_LAB) == lab]
        for kind, things in carrying.items()
    }
    containers, networks, volumes = (label_values.fitting(things) for things in carrying.values())
    # The caller may hold the lab's lock, and the holder removes it.
    volumes = [volume for volume in volumes if (volume.get("Labels") or {}).get(engine_lock.LABEL_LOCK) != lab]
    labelled = [container["Config"].get("Labels") or {} for container in containers]
    marked_by = {
        server_inspected(container): labels
        for container, labels in zip(containers, labelled)
        if lab_names.LABEL_SERVER in labels
    }
    doubles = doubles_of(lab, marked_by)
    servers = sorted((server for server in marked_by if server not in doubles), key=lambda server: server.name)
    marked = [marked_by[server] for server in servers]
    others_than_servers = [
        (container, labels) for container, labels in zip(containers, labelled) if lab_names.LABEL_SERVER not in labels
    ]
    helpers = [
        container for container, labels in others_than_servers if not labels.keys().isdisjoint(lab_names.HELPERS)
    ]
    unknown = [container for container, labels in others_than_servers if labels.keys().isdisjoint(lab_names.HELPERS)]
    others = [network.get("Labels") or {} for network in networks + volumes]
    subnets = [subnet for network in networks for subnet in subnets_of(network)]
    config = [volume for volume in volumes if volume["Name"] == lab_names.config_volume_name(lab)]
    profiles = marked or [volume.get("Labels") or {} for volume in config]
    sizes = [label_values.size(labels.get(lab_names.LABEL_PREFIX + "servers")) for labels in marked]
    return LabParts(
        servers=tuple(servers),
        owners=frozenset(
            labels[lab_names.LABEL_OWNER] for labels in labelled + others if labels.get(lab_names.LABEL_OWNER)
        ),
        size=max((size for size in sizes if size is not None), default=0),
        helpers=tuple(helper["Id"] for helper in helpers),
        doubles=tuple(double.id for double in doubles),
        waiting=tuple(
            map(_waiting, (helper for helper in helpers if lab_names.LABEL_FAULT in helper["Config"]["Labels"]))
        ),
        subnet=subnets[0] if subnets else "",
        networks=tuple(label_values.called(network) for network in networks),
        network_ids=tuple(network["Id"] for network in networks),
        volumes=tuple(volume["Name"] for volume in volumes),
        profile=lab_names.profile_of(profiles[0]) if profiles else "",
        seed=next((str((volume.get("Labels") or {}).get(lab_names.LABEL_SEED) or "") for volume in config), ""),
        strangers=(
            *(sentence for kind, things in carrying.items() for sentence in label_values.strangers(kind, things)),
            *map(_unknown, unknown),
            *map(_double, doubles),
        ),
    )


def _waiting(helper: dict[str, Any]) -> FaultHelper:
    mode = (helper.get("HostConfig") or {}).get("NetworkMode") or ""
    server = mode[len("container:") :] if mode.startswith("container:") else ""
    return FaultHelper(helper["Id"], server, helper["Config"]["Labels"].get(lab_names.LABEL_FAULT_LIFE, ""))


def _double(double: LabServer) -> str:
    name = label_values.called({"Name": double.container})
    return (
        f"The container {name} has the labels of {double.name}, and another one is that server: it is none, and goes "
        "with the lab. Remove it (`docker rm`) if nobody needs it."
    )


def _unknown(container: dict[str, Any]) -> str:
    name = container["Name"].lstrip("/")
    return (
        f"The container {name} has the label {lab_names.LABEL_LAB} and is neither a server nor a helper of labctl, so "
        "it is left alone: remove it if it is yours (`docker rm`)."
    )


def members_of(lab: str) -> list[dict[str, Any]]:
    """A lab's servers on this Docker host, as the fact `consul_lab_members`; none is no lab. Raises DockerError."""
    problem = lab_names.name_problem(lab)
    if problem:
        raise DockerError(lab_names.name_sentence(lab, problem), "usage")
    return [server.fact() for server in find(Engine(), lab).servers]


def refuse_foreign(lab: str, owner: str, parts: LabParts, *, removing: bool = False) -> None:
    """Raise DockerError where the lab carries the label of another owner; `removing` adds how it can be removed."""
    others = sorted(parts.owners - {owner})
    if others:
        removes = f"`labctl down {lab} --force`, or consul_lab_force=true, removes it anyway"
        if owner in parts.owners:
            # Neither another name nor another owner helps here.
            raise DockerError(
                f"A part of the lab {lab} on this Docker host belongs to {others[0]}, not to {owner}: {removes}, or "
                f"let {others[0]} remove it (`docker ps -a --filter label={lab_names.LABEL_LAB}={lab}` lists the "
                "containers).",
                "refused",
            )
        raise DockerError(
            f"The lab {lab} on this Docker host belongs to {others[0]}, not to {owner}: "
            f"{removes if removing else 'choose another name'}, or set LABCTL_OWNER={others[0]} if that is you.",
            "refused",
        )


def refuse_profile(lab: str, profile: str, parts: LabParts) -> None:
    """Raise DockerError where the existing lab has another profile."""
    sentence = lab_names.profile_sentence(lab, parts.profile or profile, profile)
    if sentence:
        raise DockerError(sentence, "refused")
