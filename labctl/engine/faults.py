"""Disturb servers: Docker's own signals for their processes, rules in their network namespaces for their network.

The rules are put there by a helper: a container in the server's network namespace that may change that network and
nothing else. It waits until the fault's lease is over, takes the rules away and is gone. Should it be killed, the
kernel itself forgets whom the rules are for.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from labctl.engine.client import explained
from labctl.faults import rules
from labctl.portable import lab_names
from labctl.portable.docker_api import DockerError, Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab, Server

LABEL_FAULT = lab_names.LABEL_PREFIX + "fault"
LABEL_WORDS = lab_names.LABEL_PREFIX + "fault-words"
LABEL_TARGET = lab_names.LABEL_PREFIX + "fault-target"
LABEL_UNTIL = lab_names.LABEL_PREFIX + "fault-until"
HELPER_MEMORY_BYTES = 48 << 20
HELPER_PROCESSES = 16
AT_ONCE = 8
# Lists the tables, deletes those with our prefix ($0), or the one of a fault ($1), and the delay where all are meant or
# that fault is one ($2), known by its handle ($3); then lists what is left.
_CLEAN = """
tables=$(nft list tables) && echo "$tables"
for table in $(echo "$tables" | while read -r _ family name; do echo "$family:$name"; done); do
  case "$table" in inet:"$0"${1:-*}) nft delete table inet "${table#inet:}" ;; esac
done
if [ -z "$1" ] || [ -n "$2" ]; then
  tc qdisc show dev eth0 | while read -r _ _ handle _; do
    [ "$handle" = "$3:" ] && echo delayed && tc qdisc del dev eth0 root
  done
fi
echo -- && nft list tables && tc qdisc show dev eth0
"""


@dataclass(frozen=True)
class ActiveFault:
    """A fault of the network that a lab has now.

    Attributes:
        id: its name.
        words: what was asked for, as in `isolate consul2`.
        servers: whose network it changes.
        until: when its lease is over.
    """

    id: str
    words: str
    servers: tuple[str, ...]
    until: datetime | None

    def seconds_left(self, now: datetime) -> float | None:
        """How long it still lasts, in seconds, not less than 0."""
        return None if self.until is None else round(max((self.until - now).total_seconds(), 0.0), 1)


def active(client: Client, lab: str) -> list[ActiveFault]:
    """The faults of the network that a lab has now, in the order in which they end. Raises LabctlError."""
    with explained():
        listed = client.containers(filters={"label": f"{lab_names.LABEL_LAB}={lab}"})
    found: dict[str, list[dict[str, str]]] = {}
    for one in _of_faults(listed):
        found.setdefault(one["Labels"][LABEL_FAULT], []).append(one["Labels"])
    faults = [
        ActiveFault(
            fault,
            labels[0].get(LABEL_WORDS, ""),
            tuple(sorted(one.get(LABEL_TARGET, "") for one in labels)),
            _moment(labels[0].get(LABEL_UNTIL, "")),
        )
        for fault, labels in found.items()
    ]
    return sorted(faults, key=lambda one: (one.until or datetime.max.replace(tzinfo=UTC), one.id))


def _helpers(engine: Engine, lab: str) -> list[dict[str, Any]]:
    label = {"label": f"{lab_names.LABEL_LAB}={lab}"}
    return _of_faults(engine.get("/containers/json", label, all=1, doing="listing faults"))


def _of_faults(listed: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in listed if (one.get("Labels") or {}).get(LABEL_FAULT)]


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def change(lab: Lab, changes: Mapping[str, rules.Change], fault: str, words: str, seconds: float) -> None:
    """Put a fault into the network of each of these servers, into all of them or into none. Raises LabctlError."""
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    engine = Engine()

    def apply(name: str) -> None:
        labels = {LABEL_FAULT: fault, LABEL_WORDS: words, LABEL_TARGET: name, LABEL_UNTIL: until.isoformat()}
        script = f"sleep {seconds:.3f}; {rules.undo(fault, changes[name])}"
        with _helper(engine, lab, lab.server(name), script, labels) as helper:
            # From here on: what the helper waited for to be made does not count.
            left = max((until - datetime.now(UTC)).total_seconds(), 0.001)
            try:
                engine.execute(helper, rules.apply(fault, changes[name], left), doing=f"disturbing {name}")
            except DockerError as error:
                raise _explained(error, name) from error

    with explained():
        try:
            _each(apply, changes)
        except BaseException:
            with contextlib.suppress(DockerError):
                _clean(engine, lab, [lab.server(name) for name in changes], fault)
            raise


def _explained(error: DockerError, name: str) -> DockerError:
    """Say in one sentence why the kernel took no rule."""
    said = error.said.lower()
    if "file exists" in said or "exclusivity flag" in said:
        return DockerError(f"{name} has a delay already: heal that one first.", said=error.said)
    if rules.NO_QUEUE in said:
        return DockerError(
            "The Docker host's kernel cannot delay packets: load the module (`sudo modprobe sch_netem`), or "
            "take `labctl fault loss` or `labctl fault rate`, which need nftables alone.",
            said=error.said,
        )
    if "not permitted" in said or "not supported" in said or "could not process rule" in said:
        return DockerError(
            f"The network of {name} took no rule: the Docker host's kernel has no nftables, or lets no container "
            "use them, so only kill, stop and pause are left.",
            said=error.said,
        )
    return error


def heal(lab: Lab, fault: str | None = None) -> dict[str, set[str]]:
    """Take one fault, or all of them, out of the network of every server that runs, and look that they are gone.

    Returns:
        Which faults each server had.

    Raises:
        LabctlError: a rule is still there, or Docker failed.
    """
    with explained():
        return _clean(Engine(), lab, lab.running, fault)


def _clean(engine: Engine, lab: Lab, servers: Sequence[Server], fault: str | None) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    helpers = _helpers(engine, lab.name)
    # A delay has no name in the kernel: its helper says which fault it is.
    late = {
        one["Labels"][LABEL_FAULT]
        for one in helpers
        if one["Labels"].get(LABEL_WORDS, "").startswith("delay ") and fault in {None, one["Labels"][LABEL_FAULT]}
    }

    def clean(name: str) -> None:
        with _helper(engine, lab, lab.server(name), "sleep 60", {}) as helper:
            words = ["/bin/sh", "-c", _CLEAN, rules.PREFIX, fault or "", "delay" if late else "", rules.QUEUE]
            before, _, after = engine.execute(helper, words, doing=f"healing {name}").partition("--")
            engine.remove("container", [helper], doing="removing a helper")
        had, left = rules.faults_in(before), rules.faults_in(after)
        found[name] = had if fault is None else had & {fault}
        if "delayed" in before:
            found[name] |= late
        if f"{rules.QUEUE}:" in after:
            raise DockerError(f"{name} still has a delay: `labctl fault heal` again.")
        if still := left & found[name]:
            raise DockerError(f"{name} still has rules of the fault {min(still)}: `labctl fault heal` again.")

    _each(clean, [server.name for server in servers])
    # The helpers would take rules away that are not there any more, or that are another fault's of the same name.
    ended = [one["Id"] for one in helpers if fault in {None, one["Labels"][LABEL_FAULT]}]
    engine.remove("container", ended, doing="removing the helpers of a fault")
    return found


@contextlib.contextmanager
def _helper(engine: Engine, lab: Lab, server: Server, script: str, labels: dict[str, str]) -> Any:
    """Start a helper in a server's network namespace. It stays, unless something fails."""
    helper = engine.create(
        {
            "Image": lab.image,
            "Entrypoint": ["/bin/sh", "-c"],
            "Cmd": [script],
            "User": "0:0",
            "Labels": {lab_names.LABEL_LAB: lab.name, lab_names.LABEL_OWNER: lab.owner, **labels},
            "HostConfig": {
                "NetworkMode": f"container:{server.id}",
                "CapDrop": ["ALL"],
                "CapAdd": ["NET_ADMIN"],
                "SecurityOpt": ["no-new-privileges"],
                "ReadonlyRootfs": True,
                "AutoRemove": True,
                "Memory": HELPER_MEMORY_BYTES,
                "PidsLimit": HELPER_PROCESSES,
            },
        },
        doing=f"making a helper for {server.name}",
    )
    try:
        engine.change("start", [helper], doing=f"starting a helper for {server.name}")
        yield helper
    except BaseException:
        with contextlib.suppress(DockerError):
            engine.remove("container", [helper], doing="removing a helper")
        raise


def signal(verb: str, servers: Iterable[Server]) -> None:
    """Do `kill`, `stop`, `start`, `pause` or `unpause` to servers' processes, all at once. Raises LabctlError."""
    query: dict[str, dict[str, Any]] = {"kill": {"signal": "KILL"}, "stop": {"t": 5}}
    doing = {"kill": "killing", "stop": "stopping", "start": "starting", "pause": "pausing", "unpause": "resuming"}
    with explained():
        Engine().change(verb, [one.id for one in servers], doing=f"{doing[verb]} servers", **query.get(verb, {}))


def transfer(leader: Server, identity: str | None) -> None:
    """Let the leader hand its leadership over, to the server of that ID or to whom it chooses. Raises LabctlError."""
    words = ["consul", "operator", "raft", "transfer-leader", *([f"-id={identity}"] if identity else [])]
    with explained():
        Engine().execute(leader.id, words, doing=f"asking {leader.name} to hand its leadership over")


def note(servers: Iterable[Server], line: str) -> None:
    """Write a line into servers' logs, where their own lines are. Raises LabctlError."""
    engine, ids = Engine(), {one.name: one.id for one in servers}

    def write(name: str) -> None:
        words = ["/bin/sh", "-c", 'printf "%s\\n" "$0" > /proc/1/fd/1', line]
        engine.execute(ids[name], words, doing=f"noting a fault in the log of {name}")

    with explained():
        _each(write, ids)


def _each(work: Callable[[str], None], names: Iterable[str]) -> None:
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        done = [pool.submit(work, name) for name in names]
    for one in done:
        one.result()
