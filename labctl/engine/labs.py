"""Find labs by their labels: the only state there is."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labctl.engine import foreign_labels
from labctl.engine.client import explained
from labctl.engine.docker_host import LOCAL_HOST, DockerHost
from labctl.errors import ExitCode, LabctlError
from labctl.shared import consul_versions, lab_names
from labctl.shared.consul_client import LOOPBACK
from labctl.shared.credentials import Keys
from labctl.shared.engine_lock import LABEL_HOLDER, LABEL_LOCK
from labctl.shared.lab_server import LabServer, doubles_of, fields_listed
from labctl.shared.lab_spec import RAFT_MULTIPLIER, LabSpec
from labctl.shared.server_status import Member

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.engine.client import Client
    from labctl.shared.consul_client import ConsulClient

_SERVER_NAME = re.compile(r"consul\d", re.ASCII)


@dataclass(frozen=True)
class Server(LabServer):
    """One server's container, and the way to it.

    `place` is where its engine is met; `keys` are for the HTTP API of a `full` lab.
    """

    place: DockerHost = LOCAL_HOST
    keys: Keys | None = field(default=None, repr=False, compare=False)

    @property
    def api(self) -> ConsulClient | None:
        """Its HTTP API, while it runs."""
        return replace(self.place.api(self.http_port), keys=self.keys) if self.http_port is not None else None

    @property
    def url(self) -> str | None:
        """Where a browser on the Docker host reaches its HTTP API, while it runs."""
        scheme = "http" if self.keys is None else "https"
        return f"{scheme}://{LOOPBACK}:{self.http_port}" if self.http_port is not None else None

    @property
    def member(self) -> Member:
        """The server's view, and the client that asks for it."""
        return Member(self.name, self.address, self.api if self.state == "running" else None)


@dataclass(frozen=True)
class Lab:
    """A lab as Docker's labels describe it.

    `spec` is what it was created with, Consul's version too; `replacements` are containers left by a killed change.
    """

    name: str
    owner: str
    workshop: str
    host: str
    spec: LabSpec
    image: str
    created: datetime
    expires: str | None
    servers: tuple[Server, ...]
    place: DockerHost = LOCAL_HOST
    replacements: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Servers that the lab was created with and that are gone."""
        have = {server.name for server in self.servers}
        return [name for name in lab_names.server_names(self.spec.servers) if name not in have]

    @property
    def raft_multiplier(self) -> int:
        """The factor of the servers' Raft timers. Consul before 0.7 has no such setting."""
        has = consul_versions.has(self.spec.version, "performance", unknown=True)
        return 1 if not has else RAFT_MULTIPLIER.get(self.spec.pace, RAFT_MULTIPLIER["teach"])

    @property
    def running(self) -> list[Server]:
        """The servers that run."""
        return [server for server in self.servers if server.state == "running"]

    def server(self, name: str) -> Server:
        """The server of that name. Raises LabctlError (usage)."""
        for server in self.servers:
            if server.name == name:
                return server
        have = ", ".join(server.name for server in self.servers)
        raise LabctlError(f"The lab {self.name} has no server {name!a}: it has {have}.", ExitCode.USAGE)


def _label(labels: dict[str, str], name: str) -> str:
    return labels.get(lab_names.LABEL_PREFIX + name, "")


def labs_from(summaries: Iterable[dict[str, Any]], host: str, place: DockerHost = LOCAL_HOST) -> list[Lab]:
    """Group container summaries, as a Docker host's list of containers gives them, into labs in order of name."""
    grouped: dict[str, dict[Server, dict[str, Any]]] = {}
    for summary in foreign_labels.left_out("container", summaries):
        labels = summary.get("Labels") or {}
        if lab_names.LABEL_SERVER in labels and lab_names.LABEL_LAB in labels:
            server = Server(**fields_listed(summary), place=place)
            grouped.setdefault(labels[lab_names.LABEL_LAB], {})[server] = summary
    labs = []
    for name, everything in sorted(grouped.items()):
        servers, replacements = _in_place(name, everything)
        parts = [everything[server] for server in servers]
        newest = max(parts, key=lambda part: part["Created"])
        labels = newest["Labels"]
        labs.append(
            Lab(
                name=name,
                owner=_label(labels, "owner"),
                workshop=_label(labels, "workshop"),
                host=host,
                spec=LabSpec.from_labels(labels, len(parts)),
                image=newest["Image"],
                created=datetime.fromtimestamp(min(part["Created"] for part in parts), tz=UTC),
                expires=_label(labels, "expires") or None,
                servers=tuple(sorted(servers, key=lambda server: server.name)),
                place=place,
                replacements=replacements,
            )
        )
    return labs


def _in_place(lab: str, servers: Iterable[Server]) -> tuple[list[Server], tuple[str, ...]]:
    """A lab's servers, and the containers that were to replace one; a replacement counts while its server exists."""
    doubles = doubles_of(lab, servers)
    servers = [server for server in servers if server not in doubles]
    left = [server for server in servers if lab_names.is_replacement(server.container, lab, server.name)]
    there = {server.name for server in servers if server not in left}
    kept = [server for server in servers if server not in left or server.name not in there]
    return kept, tuple(sorted(server.container for server in left))


def list_labs(client: Client, name: str | None = None) -> list[Lab]:
    """The labs of the client's Docker host, all or the one of that name, their ports forwarded. Raises LabctlError."""
    label = f"{lab_names.LABEL_LAB}={name}" if name else lab_names.LABEL_LAB
    with explained(client.place):
        summaries = client.containers(filters={"label": label})
        labs = [lab for lab in labs_from(summaries, client.host, client.place) if name in {None, lab.name}]
    ports = [server.http_port for lab in labs for server in lab.running if server.http_port is not None]
    client.place.forward_ports(ports)
    return [_with_keys(client, lab) for lab in _with_ends(client, labs)]


def _with_ends(client: Client, labs: list[Lab]) -> list[Lab]:
    """The labs with their ends: a seat ends with its workshop, whose end is a container's label."""
    if not any(lab.workshop for lab in labs):
        return labs
    with explained(client.place):
        waiting = client.containers(filters={"label": lab_names.LABEL_REAPER})
    ends: dict[tuple[str, str], str] = {}
    for container in foreign_labels.left_out("container", waiting):
        if container["State"] not in lab_names.REAPER_WAITS:
            continue
        # A container of another owner's workshop with the same name does not end this one.
        whose = container["Labels"][lab_names.LABEL_REAPER], _label(container["Labels"], "owner")
        ends[whose] = max(ends.get(whose, ""), _label(container["Labels"], "expires"))
    return [
        replace(lab, expires=ends.get((lab.workshop, lab.owner)) or lab.expires) if lab.workshop else lab
        for lab in labs
    ]


def _with_keys(client: Client, lab: Lab) -> Lab:
    """The lab with the credentials of its servers, which are read at the first request."""
    if lab.spec.profile != "full":
        return lab
    ids = tuple(server.id for server in lab.servers)
    keys = client.keys.setdefault(ids, Keys(lab.name, ids, lambda container, path: _archive(client, container, path)))
    return replace(lab, servers=tuple(replace(server, keys=keys) for server in lab.servers))


def _archive(client: Client, container: str, path: str) -> bytes:
    """A folder of a container as a tar. Raises OSError: a server that cannot be asked is one that does not answer."""
    try:
        with explained(client.place):
            return client.archive(container, path)
    except LabctlError as error:
        raise OSError(str(error)) from error


def find_lab(client: Client, name: str) -> Lab | None:
    """The lab of that name, or None."""
    return next(iter(list_labs(client, name)), None)


def leftovers(client: Client, own: str = "") -> dict[str, str]:
    """Labs that have a helper, a network or a volume, even without servers, as after a killed `down`.

    A lock with the mark `own` is the caller's and does not count. Returns each lab's name and its owner.
    """
    with explained(client.place):
        filters = {"label": lab_names.LABEL_LAB}
        listed = {
            "container": client.containers(filters=filters),
            "network": client.networks(filters=filters),
            "volume": client.volumes(filters=filters),
        }
    labelled = [thing["Labels"] for kind, things in listed.items() for thing in foreign_labels.left_out(kind, things)]
    labelled = [labels for labels in labelled if labels and lab_names.LABEL_LAB in labels]
    if own:
        labelled = [labels for labels in labelled if own not in labels.get(LABEL_HOLDER, "")]
    # The holder of a lock is only working on the lab; the other parts show who owns the lab.
    labelled.sort(key=lambda labels: LABEL_LOCK not in labels)
    return {labels[lab_names.LABEL_LAB]: _label(labels, "owner") for labels in labelled}


def owners_of(client: Client, name: str, own: str = "") -> frozenset[str]:
    """The owners of a lab's parts; empty where the lab has none. A lock with the mark `own` is the caller's.

    A lock of somebody else does not make them the owner of a lab that has other parts.
    """
    with explained(client.place):
        filters = {"label": f"{lab_names.LABEL_LAB}={name}"}
        listed = {
            "container": client.containers(filters=filters),
            "network": client.networks(filters=filters),
            "volume": client.volumes(filters=filters),
        }
    labelled = [
        thing["Labels"] or {} for kind, things in listed.items() for thing in foreign_labels.left_out(kind, things)
    ]
    labelled = [labels for labels in labelled if labels.get(lab_names.LABEL_LAB) == name]
    locks = [labels for labels in labelled if LABEL_LOCK in labels]
    parts = [labels for labels in labelled if LABEL_LOCK not in labels]
    others = [labels for labels in locks if not own or own not in labels.get(LABEL_HOLDER, "")]
    return frozenset(_label(labels, "owner") for labels in parts or others)


def choose_lab(client: Client, name: str | None, owner: str = "") -> Lab:
    """The named lab, else the only one of `owner`, else the only one there is.

    Raises LabctlError that says how to start or name one.
    """
    if name is not None:
        if problem := lab_names.name_problem(name):
            raise LabctlError(lab_names.name_sentence(name, problem), ExitCode.USAGE)
        chosen = find_lab(client, name)
        if chosen is None:
            raise LabctlError(_no_such_lab(name, [lab.name for lab in list_labs(client)]))
        return chosen
    labs = list_labs(client)
    if not labs:
        raise LabctlError("No lab is there: `labctl up` starts one.")
    mine = [lab for lab in labs if lab.owner == owner]
    candidates = mine or labs
    if not mine and owner and len(labs) > 1:
        raise LabctlError(
            f"You have no lab on this Docker host: `labctl up` starts one. The {len(labs)} labs that are there belong "
            "to others: `labctl ls` lists them, and you may name one of them."
        )
    if len(candidates) > 1:
        names = ", ".join(lab.name if lab.owner == owner else f"{lab.name} of {lab.owner}" for lab in candidates)
        raise LabctlError(several_labs(names), ExitCode.USAGE)
    return candidates[0]


def several_labs(names: str) -> str:
    """The sentence where no lab was named and several could be meant."""
    return f"Several labs are there, so name the one you mean: {names}. LABCTL_LAB can name it, too."


def _no_such_lab(name: str, there: list[str]) -> str:
    if _SERVER_NAME.fullmatch(name):
        return (
            f"There is no lab {name} on this Docker host; a server is named with --server NAME, or after the lab. "
            "`labctl ls` lists the labs."
        )
    if near := near_names(name, there):
        return (
            f"There is no lab {name} on this Docker host; did you mean {near}? `labctl up {name}` starts a new one, "
            "`labctl ls` lists them."
        )
    return f"There is no lab {name} on this Docker host: `labctl up {name}` starts it, `labctl ls` lists them."


def near_names(name: str, there: Iterable[str]) -> str:
    """The lab that a mistyped name may mean; "" where none is close."""
    return next(iter(difflib.get_close_matches(name, sorted(there), n=1, cutoff=0.75)), "")
