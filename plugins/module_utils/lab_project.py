"""One lab on this Docker host: a Compose project that labels describe and nothing else remembers.

`find` reads what exists, `LabProject.present` makes it what the Compose text says, `absent` removes it and
proves that nothing is left. All are safe to repeat after they were killed at any point.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import http.client
import io
import ipaddress
import json
import os
import re
import secrets
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils import lab_names, lab_subnets
from ansible.module_utils.docker_cli import Docker, DockerError

if TYPE_CHECKING:
    from collections.abc import Iterator

HTTP_PORT = "8500/tcp"
SERVER_UID = 8500
GOSSIP_KEY_BYTES = 32
CONFIG_FOLDER = "/consul/config"
GOSSIP_FILE = "gossip.json"
SUBNET_TRIES = 24
STOP_SECONDS = "10"
LEAVE_SECONDS = 30.0
LOCK_SECONDS = 120.0
ROUTES = Path("/proc/net/route")
# Docker's words for a container with a process in it.
ALIVE = ("running", "paused", "restarting")
_PORT = re.compile(r"\b127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Server:
    """One server's container as Docker has it; `http_port` is None while it does not run."""

    name: str
    container: str
    id: str
    state: str
    started: str
    address: str
    http_port: int | None

    def fact(self) -> dict[str, Any]:
        """The shape that roles and labctl get."""
        return {
            "name": self.name,
            "container": self.container,
            "state": self.state,
            "address": self.address,
            "http_port": self.http_port,
        }


@dataclass(frozen=True)
class Found:
    """Everything on this Docker host that carries a lab's label."""

    servers: tuple[Server, ...] = ()
    owners: frozenset[str] = frozenset()
    size: int = 0
    helpers: tuple[str, ...] = ()
    subnet: str = ""
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Nothing is there."""
        return not (self.servers or self.helpers or self.networks or self.volumes)

    def parts(self) -> list[str]:
        """Names of all that is there, for the message of a `down` that left something."""
        return [server.container for server in self.servers] + [
            *(f"container {one[:12]}" for one in self.helpers),
            *(f"network {one}" for one in self.networks),
            *(f"volume {one}" for one in self.volumes),
        ]


@dataclass
class Outcome:
    """What was done, as short phrases, and what the project files were and are."""

    actions: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""


def _server(container: dict[str, Any]) -> Server:
    labels = container["Config"].get("Labels") or {}
    networks = list((container["NetworkSettings"].get("Networks") or {}).values())
    address = ""
    if networks:
        fixed = (networks[0].get("IPAMConfig") or {}).get("IPv4Address", "")
        address = networks[0].get("IPAddress") or fixed
    bindings = (container["NetworkSettings"].get("Ports") or {}).get(HTTP_PORT) or []
    return Server(
        name=labels[lab_names.LABEL_SERVER],
        container=container["Name"].lstrip("/"),
        id=container["Id"],
        state=container["State"]["Status"],
        started=container["State"]["StartedAt"],
        address=address,
        http_port=int(bindings[0]["HostPort"]) if bindings else None,
    )


def find(docker: Docker, lab: str) -> Found:
    """Read from Docker's labels what exists of a lab. Raises DockerError."""
    of_lab = f"label={lab_names.LABEL_LAB}={lab}"
    doing = f"looking for the lab {lab}"
    containers = docker.inspect("container", docker.ids("container", of_lab, doing=doing), doing)
    networks = docker.inspect("network", docker.ids("network", of_lab, doing=doing), doing)
    volumes = docker.inspect("volume", docker.ids("volume", of_lab, doing=doing), doing)
    labelled = [container["Config"].get("Labels") or {} for container in containers]
    servers = [one for one, labels in zip(containers, labelled) if lab_names.LABEL_SERVER in labels]
    helpers = [one["Id"] for one, labels in zip(containers, labelled) if lab_names.LABEL_SERVER not in labels]
    others = [one.get("Labels") or {} for one in networks + volumes]
    subnets = [config["Subnet"] for one in networks for config in one["IPAM"].get("Config") or []]
    sizes = [labels.get(lab_names.LABEL_PREFIX + "servers", "0") for labels in labelled]
    return Found(
        servers=tuple(sorted(map(_server, servers), key=lambda server: server.name)),
        owners=frozenset(
            labels[lab_names.LABEL_OWNER] for labels in labelled + others if labels.get(lab_names.LABEL_OWNER)
        ),
        size=max((int(size) for size in sizes if size.isdecimal()), default=0),
        helpers=tuple(helpers),
        subnet=subnets[0] if subnets else "",
        networks=tuple(one["Name"] for one in networks),
        volumes=tuple(one["Name"] for one in volumes),
    )


def refuse_foreign(lab: str, owner: str, found: Found) -> None:
    """Raise DockerError where the lab carries the label of another owner."""
    others = sorted(found.owners - {owner})
    if others:
        raise DockerError(
            f"The lab {lab} on this Docker host belongs to {others[0]}, not to {owner}: choose another name, "
            f"or set LABCTL_OWNER={others[0]} if that is you.",
            "refused",
        )


@contextlib.contextmanager
def locked(folder: Path, lab: str, *, must: bool) -> Iterator[tuple[int, ...]]:
    """Hold the lab's lock; yields the descriptors that docker processes must inherit.

    A killed command's docker may still be working: whoever comes next waits for it, so that nothing is
    created behind the back of a `down`. With `must` false a folder that cannot be written is no hindrance.
    """
    path = folder / "lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if not must:
            yield ()
            return
        raise DockerError(
            f"The lab's Compose project cannot be kept in {folder} ({error.strerror}): make that folder writable, "
            "or name another state folder with XDG_STATE_HOME."
        ) from error
    try:
        _wait_for(handle, lab)
        # `down` removes the folder with the lock in it: make sure that ours is the one on disk.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists() or not os.path.samestat(path.stat(), os.fstat(handle)):
            with locked(folder, lab, must=must) as handles:
                yield handles
            return
        yield (handle,)
    finally:
        os.close(handle)


def _wait_for(handle: int, lab: str) -> None:
    ends = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends:
                raise DockerError(
                    f"Another command has been working on the lab {lab} for {LOCK_SECONDS:.0f} seconds: "
                    "wait until it has ended, then try again."
                ) from None
            time.sleep(0.1)
        else:
            return


class LabProject:
    """A lab's Compose project on this Docker host: what changes it.

    Raises DockerError with one sentence where something cannot be done.
    """

    def __init__(self, docker: Docker, lab: str, owner: str, folder: Path) -> None:
        self.docker = docker
        self.lab = lab
        self.owner = owner
        self.folder = folder
        self.outcome = Outcome()

    # -- present ---------------------------------------------------------------------------------------------

    def plan(self, found: Found, pool: str, subnet: str) -> list[ipaddress.IPv4Network]:
        """The subnets to try, in order: the lab's own, the one that was asked for, or free ones of the pool."""
        if found.subnet:
            if subnet and subnet != found.subnet:
                raise DockerError(
                    f"The lab {self.lab} has the subnet {found.subnet} and keeps it while it exists: "
                    f"`labctl down {self.lab}` first, then start it with {subnet}.",
                    "refused",
                )
            return [ipaddress.IPv4Network(found.subnet)]
        taken = self._taken()
        try:
            if not subnet:
                free = lab_subnets.free(self.lab, lab_subnets.parse(pool), taken.values(), SUBNET_TRIES)
                if free:
                    return free
                raise DockerError(f"All subnets of {pool} are taken: `labctl ls` shows the labs there are.", "refused")
            wanted = lab_subnets.parse(subnet)
        except ValueError as error:
            raise DockerError(f"The lab {self.lab} was not started: {error}.", "usage") from error
        for name, other in taken.items():
            if wanted.overlaps(other):
                raise DockerError(
                    f"The subnet {subnet} is taken by {name} ({other}): choose another, or leave it out.", "refused"
                )
        return [wanted]

    def _taken(self) -> dict[str, ipaddress.IPv4Network]:
        doing = "listing the networks"
        networks = self.docker.inspect("network", self.docker.ids("network", "driver=bridge", doing=doing), doing)
        taken = {
            f"the Docker network {one['Name']}": ipaddress.IPv4Network(config["Subnet"], strict=False)
            for one in networks
            for config in one["IPAM"].get("Config") or []
            if ":" not in config["Subnet"]
        }
        # Docker Desktop's engine has its own routes elsewhere; then there is nothing to read here.
        with contextlib.suppress(OSError):
            for route in lab_subnets.routes(ROUTES.read_text(encoding="ascii")):
                taken.setdefault(f"a route of this host to {route}", route)
        return taken

    def environment(self, subnet: ipaddress.IPv4Network, servers: int, http_port: int) -> str:
        """The text of `.env`, which fills in what Compose text leaves open: addresses and ports."""
        lines = [f"LAB_SUBNET={subnet}"]
        for number, address in enumerate(lab_subnets.addresses(subnet, servers)):
            lines.append(f"CONSUL{number + 1}_ADDRESS={address}")
            lines.append(f"CONSUL{number + 1}_HTTP_PORT={http_port + number if http_port else ''}")
        return "\n".join(lines) + "\n"

    def write(self, compose: str, environment: str) -> None:
        """Write the project's files where they differ, each at once and whole."""
        for name, text in (("compose.yaml", compose), (".env", environment)):
            path = self.folder / name
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            self.outcome.before += old
            self.outcome.after += text
            if old == text:
                continue
            try:
                new = path.with_name(path.name + ".new")
                new.write_text(text, encoding="utf-8")
                new.chmod(0o600)
                new.replace(path)
            except OSError as error:
                raise DockerError(
                    f"The lab's Compose project could not be written to {path}: {error.strerror}."
                ) from error

    def refuse_taken_names(self, found: Found, servers: int) -> None:
        """Raise where a container or volume that is not this lab's has a name that this lab needs."""
        names = [lab_names.container_name(self.lab, name) for name in lab_names.server_names(servers)]
        ours = {server.container for server in found.servers}
        doing = "looking for containers of the same name"
        listed = self.docker.run(
            "container", "ls", "-a", "--filter", f"name={lab_names.project_name(self.lab)}-",
            "--format", "{{.Names}}", doing=doing,
        ).split()  # fmt: skip
        for name in names:
            if name in listed and name not in ours:
                raise DockerError(
                    f"A container named {name} exists and is not a server of the lab {self.lab}: "
                    f"rename or remove it (`docker rm -f {name}`), or choose another name for the lab.",
                    "refused",
                )

    def provide_configuration(self, found: Found, image: str, settings: dict[str, Any]) -> None:
        """Make the volume that holds the gossip key, and what old Consul versions read from a file.

        The key is made here, goes over a pipe into the volume and is nowhere else. A helper container that
        is never started carries it in. Once servers exist the key is in use, and only settings are written.
        """
        volume = lab_names.config_volume_name(self.lab)
        in_use = bool(found.servers) and volume in found.volumes
        if in_use and not settings:
            return
        labels = [
            "--label", f"{lab_names.LABEL_LAB}={self.lab}",
            "--label", f"{lab_names.LABEL_OWNER}={self.owner}",
        ]  # fmt: skip
        self.docker.run("volume", "create", *labels, volume, doing="making the volume for the gossip key")
        helper = self.docker.run(
            "container", "create", *labels, "--network", "none", "--volume", f"{volume}:{CONFIG_FOLDER}", image,
            doing=f"preparing the gossip key with the image {image}",
        ).strip()  # fmt: skip
        try:
            files = {"settings.json": (json.dumps(settings).encode(), 0o644)} if settings else {}
            if not in_use and not self._has_key(helper):
                files[GOSSIP_FILE] = (gossip_configuration(), 0o600)
                self.outcome.actions.append("made a gossip key")
            if files:
                self.docker.run(
                    "cp", "-", f"{helper}:{CONFIG_FOLDER}", stdin=archive(files), doing="storing the gossip key"
                )
        finally:
            self.docker.run("container", "rm", "-f", helper, doing="removing a helper container")

    def _has_key(self, helper: str) -> bool:
        try:
            self.docker.run("cp", f"{helper}:{CONFIG_FOLDER}/{GOSSIP_FILE}", "-", doing="looking for the gossip key")
        except DockerError:
            return False
        return True

    def compose_up(self) -> None:
        """Let Compose make the project what its files say. Raises DockerError."""
        self.docker.run(
            "compose", "--project-directory", str(self.folder), "--file", str(self.folder / "compose.yaml"),
            "--progress", "plain", "up", "--detach", "--remove-orphans", "--no-build",
            doing="starting the servers",
        )  # fmt: skip

    def leave(self, server: Server, remaining: list[Server]) -> None:
        """Let a server leave the cluster for good, and wait until the others do not count it any more."""
        self.docker.run("exec", server.id, "consul", "leave", doing=f"letting {server.name} leave the cluster")
        ends = time.monotonic() + LEAVE_SECONDS
        while any(server.address in self._peers(other) for other in remaining):
            if time.monotonic() >= ends:
                raise DockerError(
                    f"{server.name} was told to leave and the others still count it as a voter after "
                    f"{LEAVE_SECONDS:.0f} seconds: `labctl status {self.lab}` shows their views.",
                    "not_ready",
                )
            time.sleep(0.2)
        self.outcome.actions.append(f"{server.name} left the cluster")

    @staticmethod
    def _peers(server: Server) -> str:
        """The peers that a server knows, as the text of its answer; empty where it gives none."""
        if server.http_port is None:
            return ""
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=2)
        try:
            connection.request("GET", "/v1/status/peers")
            return connection.getresponse().read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def shrink(self, found: Found, servers: int) -> list[Server]:
        """Let the servers beyond the new size leave, the last first. Returns them."""
        keep = set(lab_names.server_names(servers))
        surplus = [server for server in reversed(found.servers) if server.name not in keep]
        remaining = [server for server in found.servers if server.name in keep]
        joined = any(self._peers(server).count(":") > 1 for server in remaining)
        for server in surplus:
            if joined and any(other.state != "running" for other in [server, *remaining]):
                raise DockerError(
                    f"The lab {self.lab} can only get smaller while all its servers run, because a server that leaves "
                    f"asks the leader: `labctl start {self.lab}` first.",
                    "refused",
                )
            if joined:
                self.leave(server, remaining)
        return surplus

    def forget(self, servers: list[Server]) -> None:
        """Remove the data volumes of servers that have left."""
        for server in servers:
            volume = lab_names.container_name(self.lab, server.name)
            self.docker.run("volume", "rm", "-f", volume, doing=f"removing the data of {server.name}")

    # -- stop, start, remove ---------------------------------------------------------------------------------

    def choose(self, found: Found, server: str) -> list[Server]:
        """The servers that a command is about: all, or the named one. Raises where there is none such."""
        if not found.servers:
            raise DockerError(f"There is no lab {self.lab} on this Docker host: `labctl up {self.lab}` starts it.")
        if not server:
            return list(found.servers)
        chosen = [one for one in found.servers if one.name == server]
        if not chosen:
            names = ", ".join(one.name for one in found.servers)
            raise DockerError(f"The lab {self.lab} has no server {server!a}: it has {names}.", "usage")
        return chosen

    def stop(self, servers: list[Server]) -> None:
        """Stop servers; their data and addresses stay."""
        running = [one for one in servers if one.state in ALIVE]
        paused = [one.id for one in running if one.state == "paused"]
        if paused:
            self.docker.run("container", "unpause", *paused, doing="waking paused servers to stop them")
        if running:
            ids = [one.id for one in running]
            self.docker.run("container", "stop", "--time", STOP_SECONDS, *ids, doing="stopping the servers")
            self.outcome.actions += [f"stopped {one.name}" for one in running]

    def start(self, servers: list[Server]) -> None:
        """Start servers that do not run."""
        stopped = [one for one in servers if one.state != "running"]
        if stopped:
            paused = [one.id for one in stopped if one.state == "paused"]
            if paused:
                self.docker.run("container", "unpause", *paused, doing="waking paused servers")
            ids = [one.id for one in stopped if one.state != "paused"]
            if ids:
                self._start(ids)
            self.outcome.actions += [f"started {one.name}" for one in stopped]

    def _start(self, ids: list[str]) -> None:
        try:
            self.docker.run("container", "start", *ids, doing="starting the servers")
        except DockerError as error:
            raise port_error(error) or error from error

    def absent(self, found: Found) -> Found:
        """Remove all that carries the lab's label, and look again until nothing is left. Raises DockerError."""
        for _ in range(5):
            if found.empty:
                break
            ids = [server.id for server in found.servers] + list(found.helpers)
            self._remove("container", ["rm", "--force", "--volumes"], ids)
            self._remove("network", ["rm"], list(found.networks))
            self._remove("volume", ["rm", "--force"], list(found.volumes))
            found = find(self.docker, self.lab)
        if not found.empty:
            raise DockerError(
                f"The lab {self.lab} could not be removed whole; left are {', '.join(found.parts())}: "
                "look at them with `docker inspect`, then run `labctl down` again."
            )
        return found

    def _remove(self, kind: str, words: list[str], ids: list[str]) -> None:
        if not ids:
            return
        try:
            self.docker.run(kind, *words, *ids, doing=f"removing the {kind}s of the lab {self.lab}")
        except DockerError as error:
            # Gone already, or going: the next look tells. Anything else is the reason that a user needs.
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


def gossip_configuration() -> bytes:
    """A new gossip key as a Consul configuration file."""
    key = base64.b64encode(secrets.token_bytes(GOSSIP_KEY_BYTES)).decode("ascii")
    return json.dumps({"encrypt": key}).encode("ascii")


def archive(files: dict[str, tuple[bytes, int]]) -> bytes:
    """A tar of files that belong to the image's user; `files` maps a name to content and mode."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            entry.uid = entry.gid = SERVER_UID
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def port_error(error: DockerError) -> DockerError | None:
    """The sentence for a port that somebody else has; None where the failure is another one."""
    lower = error.said.lower()
    if "port is already allocated" not in lower and "address already in use" not in lower:
        return None
    port = _PORT.search(error.said)
    return DockerError(
        f"{f'Port {port.group(1)}' if port else 'A port'} on this Docker host's loopback is taken: "
        "choose another with --http-port, or leave it out and Docker finds a free one.",
        "refused",
        error.said,
    )


def subnet_is_taken(error: DockerError) -> bool:
    """Whether Docker refused a network because its subnet is somebody else's."""
    return "overlap" in error.said.lower()
