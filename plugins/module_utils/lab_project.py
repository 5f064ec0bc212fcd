"""Changes to a lab's Compose project on this Docker host: start, stop, remove and prove it.

All of it is safe to repeat after it was killed at any point.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .docker_cli import LONG_SECONDS
from .lab_machine import MACHINE, Machine
from .lab_parts import LabParts, find, refuse_foreign
from .shared import host_routes, lab_names, label_values, plain_files, subnets
from .shared.docker_api import DockerError, Engine, subnets_of
from .shared.lab_server import LabServer, server_inspected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from .docker_cli import Docker

SUBNET_TRIES = 24
STOP_SECONDS = 10
# Docker's words for a container with a process in it.
ALIVE = ("running", "paused", "restarting")
# runc's words, through Docker and Compose.
_NO_PROGRAM = re.compile(r'exec: "[^"]*": (?:executable file not found|stat \S+: no such file)|exec format error')
# The engine's words for a container that came or went since Compose looked.
_STILL_BUSY = re.compile(
    r"name \S+ is already in use by container|removal of container \S+ is already in progress|no such container",
    re.IGNORECASE,
)
_PORT = re.compile(r"\b127\.0\.0\.1:(\d+)")
# The names of a lab's kinds of parts, for the sentence about one that is not the lab's.
_PARTS = {"container": "a server", "volume": "a volume", "network": "the network"}


@dataclass
class Outcome:
    """The actions, as short phrases, and the project files before and after."""

    actions: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""


# Docker's time for an event that never happened.
_NEVER = "0001-01-01"


class LabProject:
    """A lab's Compose project on this Docker host, for changes after `keep` has confirmed that the lab is still held.

    Raises DockerError with one sentence where something cannot be done.
    """

    def __init__(  # noqa: PLR0913 - whose lab it is, and where
        self,
        docker: Docker,
        lab: str,
        owner: str,
        folder: Path,
        keep: Callable[[], None] = lambda: None,
        *,
        machine: Machine = MACHINE,
    ) -> None:
        self.docker = docker
        self.engine = Engine()
        self.lab = lab
        self.owner = owner
        self.folder = folder
        self.keep = keep
        self.force = False
        self.machine = machine
        self.subnet = ""
        self.outcome = Outcome()
        self._routes: list[ipaddress.IPv4Network] = []

    def parts(self) -> LabParts:
        """The parts that exist. Raises DockerError (refused) where one is somebody else's, unless forced.

        Somebody may have come since the last look, and nothing of theirs is named, started or removed.
        """
        now = find(self.engine, self.lab)
        if not self.force:
            refuse_foreign(self.lab, self.owner, now, removing=True)
        return now

    # -- present ---------------------------------------------------------------------------------------------

    def servers_now(self, servers: int) -> tuple[LabServer, ...]:
        """The lab's servers as Docker has them now, once the lab was made present."""
        names = [lab_names.container_name(self.lab, name) for name in lab_names.server_names(servers)]
        return tuple(
            server_inspected(container) for container in self.engine.inspected(names, doing="looking at the servers")
        )

    def plan(self, parts: LabParts, pool: str, subnet: str) -> list[ipaddress.IPv4Network]:
        """The subnets to try, in order: the lab's own, the one that was asked for, or free ones of the pool."""
        if parts.subnet:
            if subnet and subnet != parts.subnet:
                raise DockerError(
                    f"The lab {self.lab} has the subnet {parts.subnet} and keeps it while it exists: "
                    f"`labctl down {self.lab}` first, then start it with {subnet}.",
                    "refused",
                )
            return [ipaddress.IPv4Network(parts.subnet)]
        taken = self._taken()
        self._routes = _routes(self.machine.routes)
        try:
            if not subnet:
                return self._free(subnets.parse(pool), taken)
            wanted = subnets.parse(subnet)
        except ValueError as error:
            raise DockerError(f"The lab {self.lab} was not started: {error}.", "usage") from error
        obstacle = self._obstacle(wanted, taken)
        if obstacle:
            raise DockerError(
                f"The subnet {subnet} is taken by {obstacle}: choose another, or leave it out.", "refused"
            )
        return [wanted]

    def _free(
        self, pool: ipaddress.IPv4Network, taken: dict[ipaddress.IPv4Network, str]
    ) -> list[ipaddress.IPv4Network]:
        free: list[ipaddress.IPv4Network] = subnets.free(self.lab, pool, taken, SUBNET_TRIES, self._routes)
        if not free:
            first = self._obstacle(next(subnets.candidates(self.lab, pool)), taken)
            raise DockerError(
                f"All subnets of {pool} are taken, one of them by {first}: choose other addresses with --subnet-pool "
                "(consul_lab_subnet_pool), or remove labs that nobody needs, which `labctl ls` shows.",
                "refused",
            )
        return free

    def _obstacle(self, subnet: ipaddress.IPv4Network, taken: dict[ipaddress.IPv4Network, str]) -> str:
        """The network or route that has a subnet, or a part of it; "" where it is free."""
        for other, name in taken.items():
            if subnet.overlaps(other):
                return f"{name} ({other})"
        route = next((network for network in self._routes if host_routes.is_in_the_way(network, subnet)), None)
        return f"a route of this host to {route}" if route else ""

    def notes(self, parts: LabParts) -> list[str]:
        """Notes for the maker of a lab in a new subnet."""
        chosen = ipaddress.IPv4Network(self.subnet) if self.subnet and not parts.subnet else None
        route = host_routes.around(self._routes, chosen) if chosen else None
        if route is None:
            return []
        said = (
            f"The subnet {chosen} of the lab {self.lab} is a part of {route}, to which this Docker host has a route, "
            "as to a VPN. Here, these addresses are the lab's while it exists; choose others with --subnet-pool "
            "(consul_lab_subnet_pool) where somebody needs them."
        )
        return [said]

    def _taken(self) -> dict[ipaddress.IPv4Network, str]:
        """The subnets of all networks, and the network of each. Two networks may have the same name."""
        networks = self.engine.networks({"driver": "bridge"}, doing="listing the networks")
        project = lab_names.project_name(self.lab)
        if any(network["Name"] == project for network in networks):
            raise self._taken_name("network", project, "network rm")
        return {
            ipaddress.IPv4Network(subnet, strict=False): f"the Docker network {label_values.called(network)}"
            for network in networks
            for subnet in subnets_of(network)
        }

    def environment(self, subnet: ipaddress.IPv4Network, servers: int, http_port: int) -> str:
        """The text of `.env`, which sets the variables of the Compose text: addresses and ports."""
        lines = [f"LAB_SUBNET={subnet}"]
        for number, address in enumerate(subnets.addresses(subnet, servers)):
            lines.append(f"CONSUL{number + 1}_ADDRESS={address}")
            lines.append(f"CONSUL{number + 1}_HTTP_PORT={http_port + number if http_port else ''}")
        return "\n".join(lines) + "\n"

    def write(self, compose: str, environment: str) -> None:
        """Write the project's files where they differ, each atomically."""
        for name, text in (("compose.yaml", compose), (".env", environment)):
            path = self.folder / name
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            self.outcome.before += old
            self.outcome.after += text
            if old == text:
                continue
            try:
                plain_files.write_whole(path, text)
            except OSError as error:
                raise DockerError(
                    f"The lab's Compose project could not be written to {path}: {error.strerror}."
                ) from error

    def refuse_taken_names(self, parts: LabParts, servers: int) -> None:
        """Raise where a container or volume that is not this lab's has a name that this lab needs."""
        called = {"name": f"{lab_names.project_name(self.lab)}-"}
        names = [lab_names.container_name(self.lab, name) for name in lab_names.server_names(servers)]
        listed = self.engine.container_names(called, doing="looking for containers of the same name")
        self._refuse_taken("container", names, listed, {server.container for server in parts.servers}, "rm -f")
        names.append(lab_names.config_volume_name(self.lab))
        volumes = self.engine.volumes(called, doing="looking for volumes of the same name")
        self._refuse_taken("volume", names, [volume["Name"] for volume in volumes], set(parts.volumes), "volume rm")
        self._refuse_in_project({server.id for server in parts.servers})

    def _refuse_in_project(self, ours: set[str]) -> None:
        """Raise where Compose would take a container that is not this lab's for a server, or for one too many."""
        of_project = {"label": f"com.docker.compose.project={lab_names.project_name(self.lab)}"}
        listed = self.engine.get("/containers/json", of_project, all=1, doing="looking for containers of the project")
        for container in listed:
            labels = container.get("Labels") or {}
            # Compose, too, leaves a container of another service alone.
            is_in_question = labels.get("com.docker.compose.service") in lab_names.server_names(max(lab_names.SIZES))
            if container["Id"] in ours or labels.get("com.docker.compose.oneoff") == "True" or not is_in_question:
                continue
            name = (container.get("Names") or [container["Id"][:12]])[0].lstrip("/")
            raise DockerError(
                f"The container {label_values.called({'Name': name})} has Compose's labels of the lab {self.lab} and "
                "is no server of it, so Compose might remove it, or a server: remove it yourself (`docker rm -f`), or "
                "choose another name for the lab.",
                "refused",
            )

    def _refuse_taken(self, kind: str, names: list[str], listed: list[str], ours: set[str], remove: str) -> None:
        for name in names:
            if name in listed and name not in ours:
                raise self._taken_name(kind, name, remove)

    def _taken_name(self, kind: str, name: str, remove: str) -> DockerError:
        return DockerError(
            f"A {kind} named {name} exists and is not {_PARTS[kind]} of the lab {self.lab}: "
            f"remove it (`docker {remove} {name}`), or choose another name for the lab.",
            "refused",
        )

    def compose_up(self) -> None:
        """Make Compose bring the project to what its files describe, and nothing else. Raises DockerError."""
        self.keep()
        given = (self.folder / ".env").read_text(encoding="utf-8").splitlines()
        # No --remove-orphans: containers that are no servers of the lab are not ours to remove. No --progress: Compose
        # before 2.19 does not know it, and into a pipe every version writes plain lines.
        self.docker.run(
            "compose", "--project-name", lab_names.project_name(self.lab), "--project-directory", str(self.folder),
            "--file", str(self.folder / "compose.yaml"), "--env-file", str(self.folder / ".env"),
            "up", "--detach", "--no-build",
            doing="starting the servers",
            # A variable of the user's shell would win over the file.
            without=[line.partition("=")[0] for line in given],
            seconds=LONG_SECONDS,
        )  # fmt: skip

    def forget_addresses(self, before: LabParts) -> bool:
        """Remove the network and the servers on it, whose data stays: Compose makes both again.

        An engine that died while it started a server may hold the server's address for nobody, as long as the network
        is there. False where a server ran `before`: its cluster is not taken apart for another server's address.
        """
        if any(server.state in ALIVE for server in before.servers):
            return False
        now = self.parts()
        self.remove("container", [server.id for server in now.servers])
        self.remove("network", list(now.network_ids))
        self.outcome.actions.append("recreated the network, whose addresses were blocked")
        return True

    def settle(self, parts: LabParts) -> bool:
        """Finish what a killed change left: containers that were to replace others. Returns whether there were any.

        Compose creates a replacement under another name, removes the server's container, renames the replacement and
        starts it. Where the server's container still exists, the replacement never ran, and is removed; otherwise it is
        the server's now. Compose itself would recognize it under any name, and of two of them might keep either.
        """
        taken = {lab_server.container for lab_server in parts.servers}
        left = [
            lab_server
            for lab_server in parts.servers
            if lab_names.is_replacement(lab_server.container, self.lab, lab_server.name)
        ]
        # Of several, one that runs is the server's.
        for lab_server in sorted(
            left, key=lambda lab_server: (lab_server.started.startswith(_NEVER), lab_server.container)
        ):
            name = lab_names.container_name(self.lab, lab_server.name)
            self.keep()
            if name not in taken:
                taken.add(name)
                self._rename(lab_server, name)
                self.outcome.actions.append(f"named {lab_server.container} {name} again")
            elif lab_server.started.startswith(_NEVER):
                self.remove("container", [lab_server.id])
                self.outcome.actions.append(f"removed {lab_server.container}, which a killed change left")
        return bool(left)

    def _rename(self, server: LabServer, name: str) -> None:
        """Give a server's container its name. Raises DockerError, refused where that is somebody else's."""
        try:
            self.engine.change("rename", [server.id], name=name, doing="naming a server")
        except DockerError as error:
            for container in self.engine.inspected([name], doing="looking who has a server's name"):
                if container["Id"] == server.id:
                    return
                image = label_values.called({"Name": (container.get("Config") or {}).get("Image")})
                raise DockerError(
                    f"Cannot give {server.name} of the lab {self.lab} its name {name} back, which a killed change took "
                    f"from it: the container {container['Id'][:12]} of the image {image} has it. Rename that one "
                    f"(`docker rename {name} NEW`) or remove it, then run the same command again.",
                    "refused",
                ) from error
            raise

    # -- stop, start, remove ---------------------------------------------------------------------------------

    def choose(self, parts: LabParts, server: str) -> list[LabServer]:
        """The servers that a command is for: all, or the named one. Raises where there is no such server."""
        if not parts.servers:
            raise DockerError(f"There is no lab {self.lab} on this Docker host: `labctl up {self.lab}` starts it.")
        if not server:
            return list(parts.servers)
        chosen = [each_server for each_server in parts.servers if each_server.name == server]
        if not chosen:
            names = ", ".join(each_server.name for each_server in parts.servers)
            raise DockerError(f"The lab {self.lab} has no server {server!a}: it has {names}.", "usage")
        return chosen

    def stop(self, servers: list[LabServer]) -> None:
        """Stop servers; their data and addresses stay."""
        self.keep()
        running = [lab_server for lab_server in servers if lab_server.state in ALIVE]
        paused = [lab_server.id for lab_server in running if lab_server.state == "paused"]
        self.engine.change("unpause", paused, doing="waking paused servers to stop them")
        if running:
            ids = [lab_server.id for lab_server in running]
            self.engine.change("stop", ids, t=STOP_SECONDS, doing="stopping the servers")
            self.outcome.actions += [f"stopped {lab_server.name}" for lab_server in running]

    def start(self, servers: list[LabServer]) -> None:
        """Start servers that do not run."""
        self.keep()
        stopped = [lab_server for lab_server in servers if lab_server.state != "running"]
        if stopped:
            self.wake(stopped)
            self._start([lab_server.id for lab_server in stopped if lab_server.state != "paused"])
            self.outcome.actions += [f"started {lab_server.name}" for lab_server in stopped]

    def wake(self, servers: Iterable[LabServer]) -> None:
        """Wake those servers that are paused: the engine starts none of them, and Compose fails for them."""
        paused = [lab_server.id for lab_server in servers if lab_server.state == "paused"]
        self.engine.change("unpause", paused, doing="waking paused servers")

    def _start(self, ids: list[str]) -> None:
        try:
            self.engine.change("start", ids, doing="starting the servers")
        except DockerError as error:
            raise port_error(error) or error from error

    def absent(self, parts: LabParts) -> LabParts:
        """Remove everything that carries the lab's label, and look again until nothing is left. Raises DockerError."""
        for _attempt in range(5):
            if parts.empty:
                break
            ids = [*(server.id for server in parts.servers), *parts.helpers, *parts.doubles]
            self.remove("container", ids)
            self.remove("network", list(parts.network_ids))
            self.remove("volume", list(parts.volumes))
            try:
                parts = self.parts()
            except DockerError:
                # All that was known is removed, so who looks again finds no lab; and these would stay.
                self.remove_files()
                raise
        if not parts.empty:
            raise DockerError(
                f"The lab {self.lab} could not be removed whole; left are {', '.join(parts.names())}: "
                "look at them with `docker inspect`, then run `labctl down` again."
            )
        return parts

    def remove(self, kind: str, ids: list[str]) -> None:
        """Remove parts of the lab; the next look shows whether they are gone. Raises DockerError."""
        if ids:
            self.keep()
        try:
            self.engine.remove(kind, ids, doing=f"removing the {kind}s of the lab {self.lab}")
        except DockerError as error:
            # It is already gone, or going: the next look shows it. Any other error is the reason that a user needs.
            if not re.search(
                r"no such|not found|already in progress|active endpoints|in use", error.said, re.IGNORECASE
            ):
                raise

    def remove_files(self) -> None:
        """Remove the project's files; the folder only where nothing else is in it."""
        for name in ("compose.yaml", ".env", "compose.yaml.new", ".env.new", "lock"):
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def is_still_busy(error: DockerError) -> bool:
    """Whether Compose met unfinished work of the engine for another command, which goes on even if that was killed."""
    return _STILL_BUSY.search(error.said) is not None


def address_is_held(error: DockerError) -> bool:
    """Whether a server's fixed address is in use on the lab's own network: Docker's words name no port then."""
    said = error.said.lower()
    return "address already in use" in said and not re.search(r"\bbind\b|\blisten\b|[0-9]:[0-9]", said)


def address_error(error: DockerError, lab: str) -> DockerError | None:
    """The sentence for an address that is never released; None where the failure is another one."""
    if not address_is_held(error):
        return None
    return DockerError(
        f"An address of the lab {lab} is held on its network by something that is no server of it. Remove what "
        f"`docker network inspect {lab_names.project_name(lab)}` shows; where that is nothing, as after an engine that "
        f"died, run `labctl stop {lab}`, and then `labctl up {lab}`, which makes the network again and keeps the data.",
        said=error.said,
    )


def _routes(table: Path) -> list[ipaddress.IPv4Network]:
    # Docker Desktop's engine has its own routes elsewhere; then there is nothing to read here.
    with contextlib.suppress(OSError):
        networks: list[ipaddress.IPv4Network] = host_routes.routes(table.read_text(encoding="ascii"))
        return networks
    return []


def port_error(error: DockerError) -> DockerError | None:
    """The sentence for a port that somebody else has; None where the failure is another one."""
    lower = error.said.lower()
    if address_is_held(error) or ("port is already allocated" not in lower and "address already in use" not in lower):
        return None
    port = _PORT.search(error.said)
    return DockerError(
        f"{f'Port {port.group(1)}' if port else 'A port'} on this Docker host's loopback is taken: "
        "choose another with --http-port, or leave it out and Docker finds a free one.",
        "refused",
        error.said,
    )


def image_error(error: DockerError, image: str) -> DockerError | None:
    """The sentence for an image in which consul is missing or cannot run; None where the failure is another one."""
    match = _NO_PROGRAM.search(error.said)
    if match is None:
        return None
    return DockerError(
        f"The image {image} on this Docker host cannot run consul ({match.group(0)}): remove it there with "
        f"`docker image rm --force {image}`, and the next `up` makes it again.",
        said=error.said,
    )


def subnet_is_taken(error: DockerError) -> bool:
    """Whether Docker refused a network because its subnet is somebody else's."""
    return "overlap" in error.said.lower()
