"""Try connections from inside a lab: a helper in a server's network namespace that may do nothing but connect."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from labctl.engine import foreign_labels, sidecar
from labctl.engine.client import TIMEOUT_SECONDS
from labctl.isolation.targets import host_addresses
from labctl.shared import image_labels, lab_names
from labctl.shared.answer_shapes import shown
from labctl.shared.docker_api import DockerError, odd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from labctl.engine.labs import Lab, Server
    from labctl.shared.docker_api import Engine

LABEL_PROBE = lab_names.LABEL_PREFIX + "probe"
AT_ONCE = 64
"""Connections that one helper tries at a time; each takes two processes."""
AT_A_TIME = 1024
"""Connections in one question to the helper, so that the engine is not silent for too long."""
WAIT_SECONDS = 1
"""How long to wait for a connection that is dropped. On one Docker host an answer takes less than a millisecond."""
LIFE_SECONDS = 900
"""A helper ends by itself after that, should labctl be killed."""
JOIN_SECONDS = 15
"""Consul waits ten seconds for a member to answer."""
CHANGE_SECONDS = 30.0
"""An engine that is busy may make a helper, start it or remove it for so long."""
MEMORY_BYTES = 96 << 20
PROCESSES = 2 * AT_ONCE + 16

# Each connection is one line. A name is looked up, which nc's own limit of time does not hold for. Programs are called
# by their paths, because BusyBox's timeout would run its own nc.
_TRY = """
at_once=$1 wait=$2 number=0; shift 2; nc=$(command -v nc)
for one; do
    host=${one%:*} port=${one##*:}
    case $host in
        *[!0-9.]*) silence='timed out' && set -- timeout -s KILL 3 "$nc" -z -v -w "$wait" ;;
        *) silence= && set -- "$nc" -n -z -v -w "$wait" ;;
    esac
    (said=$("$@" "$host" "$port" 2>&1 </dev/null); printf '%s %s\\n' "$one" "${said:-$silence}") &
    number=$((number + 1))
    [ $((number % at_once)) -ne 0 ] || wait
done
wait
"""
# What speaks HTTP says who it is, and Consul its datacenter, which is called as its lab; whatever it says is cut short,
# on one line, and printable.
_ASK = """
nc=$(command -v nc)
for one; do
    (said=$(printf 'GET /v1/catalog/datacenters HTTP/1.0\\r\\n\\r\\n' |
        "$nc" -n -w 2 "${one%:*}" "${one##*:}" 2>/dev/null | head -c 1000 | tr -c '[:print:]' ' ')
    printf '%s %s\\n' "$one" "$said") &
done
wait
"""
# As _TRY, but from a port of ours (ADDRESS:PORT=OURS), and the connection stays for a while.
_HOLD = """
hold=$1; shift; nc=$(command -v nc)
for one; do
    where=${one%=*}
    (said=$(sleep "$hold" | timeout -s KILL $((hold + 2)) "$nc" -n -v -w "$hold" -p "${one##*=}" \\
        "${where%:*}" "${where##*:}" 2>&1 >/dev/null | tr '\\n' ' '); printf '%s %s\\n' "$where" "$said") &
done
wait
"""
HOLD_SECONDS = 2
HELD_AT_ONCE = 24
"""Each is five processes."""
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock")
_LOOK = 'for one; do [ ! -e "$one" ] || printf "%s\\n" "$one"; done; echo looked'


class Prober:
    """A running helper; its methods raise DockerError."""

    def __init__(self, engine: Engine, helper: str, hold_seconds: int = HOLD_SECONDS) -> None:
        self._engine, self._helper, self._hold_seconds = engine, helper, hold_seconds

    def connect(self, wheres: Sequence[str]) -> str:
        """Try each `ADDRESS:PORT`; a line for each with nc's words."""
        said = ""
        for begin in range(0, len(wheres), AT_A_TIME):
            part = wheres[begin : begin + AT_A_TIME]
            said += self._run(_TRY, str(AT_ONCE), str(WAIT_SECONDS), *part)
        return said

    def ask(self, wheres: Sequence[str]) -> str:
        """Say something to each `ADDRESS:PORT` that takes connections; a line for each with what it answered."""
        parts = [wheres[begin : begin + AT_ONCE // 2] for begin in range(0, len(wheres), AT_ONCE // 2)]
        return "".join(self._run(_ASK, *part) for part in parts)

    def hold(self, wheres: Mapping[str, int]) -> str:
        """Connect to each `ADDRESS:PORT` from a port of ours, and stay for a while; a line for each with nc's words."""
        words = [f"{where}={source}" for where, source in wheres.items()]
        return self._run(_HOLD, str(self._hold_seconds), *words)

    def _run(self, script: str, *words: str) -> str:
        doing = "trying connections from inside a lab"
        return self._engine.execute(self._helper, ["/bin/sh", "-c", script, "probe", *words], doing=doing)


@contextlib.contextmanager
def prober(engine: Engine, lab: Lab, server: str, hold_seconds: int = HOLD_SECONDS) -> Iterator[Prober]:
    """A helper in the network namespace of the server of that name, gone afterwards. Raises DockerError."""
    with _helper(engine, lab, f"container:{lab.server(server).id}", f"sleep {LIFE_SECONDS}") as helper:
        engine.within(CHANGE_SECONDS).change("start", [helper], doing=f"starting a helper for {server}")
        yield Prober(engine, helper, hold_seconds)


def addresses_of_host(engine: Engine, lab: Lab) -> tuple[str, ...]:
    """The Docker host's own addresses but for those of its bridges; of Docker's default bridge, too.

    A helper without rights in the host's network namespace reads them. Raises DockerError.
    """
    doing = "reading the Docker host's addresses"
    networks = engine.networks({"driver": "bridge"}, doing="listing networks")
    ours = (network for network in networks if network.get("Name") != "bridge")
    bridges = [
        str(pool.get("Subnet"))
        for network in ours
        for pool in (network.get("IPAM") or {}).get("Config") or []
        if pool.get("Subnet")
    ]
    with _helper(engine, lab, "host", "sleep 60") as helper:
        engine.change("start", [helper], doing="starting a helper")
        said = engine.execute(helper, ["ip", "-o", "-4", "addr"], doing=doing)
    try:
        return host_addresses(said, bridges)
    except ValueError as error:
        raise odd(f"{shown(said)} ({error})", doing) from error


@contextlib.contextmanager
def _helper(engine: Engine, lab: Lab, network: str, script: str) -> Iterator[str]:
    """A container that may do nothing but look and connect; removed whatever happens, by `down` if labctl is killed."""
    image, quick = _image(engine.within(TIMEOUT_SECONDS), lab), engine.within(CHANGE_SECONDS)
    helper = quick.create(
        {
            "Image": image,
            "Entrypoint": ["/bin/sh", "-c"],
            "Cmd": [f"exec {script}"],
            "User": "65534:65534",
            "Labels": {lab_names.LABEL_LAB: lab.name, lab_names.LABEL_OWNER: lab.owner, LABEL_PROBE: "verify"},
            "HostConfig": {
                "NetworkMode": network,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "ReadonlyRootfs": True,
                "AutoRemove": True,
                "Memory": MEMORY_BYTES,
                "PidsLimit": PROCESSES,
            },
        },
        doing="making a helper",
    )
    try:
        yield helper
    finally:
        sidecar.remove(quick, helper)


def _image(engine: Engine, lab: Lab) -> str:
    """An image that has nc: the lab's own, or another one where that was made before images had it."""
    listed = engine.get("/images/json", {"label": image_labels.VERSION}, doing="listing images")
    usable = [
        image
        for image in foreign_labels.left_out("image", listed)
        if image_labels.is_finished(image.get("Labels") or {})
    ]
    if not usable:
        raise DockerError(
            "No image on this Docker host has nc, which tries connections: `labctl image build` makes one."
        )
    own = (image for image in usable if lab.image in (image["Id"], *(image.get("RepoTags") or [])))
    return str(next(own, usable[0])["Id"])


def connections_of(engine: Engine, server: Server) -> str:
    """The tables of a server's sockets, as its kernel has them. Raises DockerError."""
    script = "cat /proc/net/tcp; cat /proc/net/tcp6 2>/dev/null || true"
    words = ["/bin/sh", "-c", script]
    return engine.execute(server.id, words, doing=f"looking at the connections of {server.name}")


def sockets_inside(engine: Engine, server: Server) -> list[str]:
    """An engine's sockets that a server's container has at their usual places. Raises DockerError."""
    said = engine.execute(
        server.id, ["/bin/sh", "-c", _LOOK, "look", *_SOCKETS], doing=f"looking for sockets in {server.name}"
    ).split()
    if said[-1:] != ["looked"]:
        raise DockerError(f"{server.name} could not be looked into for an engine's socket.")
    return said[:-1]


def join(engine: Engine, server: Server, addresses: Sequence[str]) -> tuple[int, str]:
    """Run `consul join ADDRESS...` in a server, as a learner would: its exit code and its words. Raises DockerError."""
    return engine.run(server.id, ["consul", "join", *addresses], doing=f"joining from {server.name}")


def join_by_api(server: Server, address: str) -> str:
    """Have a server's HTTP API join an address, which is all that `consul join` does; empty, or why it did not."""
    if server.api is None:
        return f"{server.name} publishes no HTTP API"
    try:
        server.api.request("PUT", f"/v1/agent/join/{address}", timeout=JOIN_SECONDS)
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def described(engine: Engine, lab: Lab) -> list[dict[str, Any]]:
    """Every container with the lab's label, as `docker inspect` has it, but for what is here to try connections."""
    containers = engine.containers({"label": f"{lab_names.LABEL_LAB}={lab.name}"}, doing=f"looking at {lab.name}")
    return [
        container
        for container in containers
        if LABEL_PROBE not in ((container.get("Config") or {}).get("Labels") or {})
    ]


def information(engine: Engine) -> dict[str, Any]:
    """What `docker info` says. Raises DockerError."""
    information: dict[str, Any] = engine.get("/info", doing="asking the engine about itself")
    return information


def members(servers: Iterable[Server]) -> frozenset[tuple[str, str]] | None:
    """The names and addresses that the servers of a lab count as members; None where one of them did not answer."""
    members: set[tuple[str, str]] = set()
    for server in servers:
        if server.api is None:
            return None
        try:
            members |= {
                (str(member["Name"]), str(member["Addr"])) for member in server.api.request("GET", "/v1/agent/members")
            }
        except (OSError, ValueError, TypeError, KeyError):
            return None
    return frozenset(members) or None
