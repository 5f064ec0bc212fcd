"""Names of a lab, and of its parts on a Docker host.

A lab's name becomes a container name, a DNS label (Consul's datacenter) and a Compose project, so it
keeps to what all three allow.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 63
LABEL_PREFIX = "raft-labctl."
LABEL_LAB = "raft-labctl.lab"
LABEL_OWNER = "raft-labctl.owner"
LABEL_SERVER = "raft-labctl.server"
LABEL_FAULT = "raft-labctl.fault"
LABEL_FAULT_LIFE = "raft-labctl.fault-life"
"""When the server of a fault's helper was started, as Docker writes it: the fault is over in its next life."""
LABEL_HELPER = "raft-labctl.helper"
"""The purpose of a container that is no server."""
LABEL_WORKSHOP = "raft-labctl.workshop"
# On the container that waits for a workshop's end: the workshop, and when (UTC, to the second).
LABEL_REAPER = "raft-labctl.reaper"
LABEL_EXPIRES = "raft-labctl.expires"
# Also on it: which labs of the workshop it removes. One without it, of an older labctl, removes those of any owner.
LABEL_REMOVES = "raft-labctl.removes"
OWNED = "owned"
REAPER_WAITS = ("running", "restarting", "paused")
"""States of such a container in which it ends the workshop, or will again."""
LABEL_PROFILE = "raft-labctl.profile"
LABEL_SEED = "raft-labctl.seed"
"""On the config volume: the fingerprint of the seed that its secrets were made from."""
HELPERS = (LABEL_HELPER, LABEL_FAULT, "raft-labctl.probe", "raft-labctl.reserved-servers")
"""One of these is on every container of a lab that is no server; a container without one was made by somebody else."""

_ALLOWED = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_NOT_ALLOWED = re.compile(r"[^a-z0-9]+")
SIZES = (1, 3, 5, 7)
PROFILES = ("open", "gossip", "full")
"""What a lab's servers require: nothing; the gossip key; that, a token and TLS."""
DEFAULT_PROFILE = "gossip"
HTTP_PORTS = {"open": 8500, "gossip": 8500, "full": 8501}
"""The port of a server's HTTP API inside its container; those of a `full` lab speak HTTPS only."""


def name_problem(name: str) -> str | None:
    """Say why `name` cannot be a lab's name, as the end of a sentence; None where it can."""
    if not name:
        return "it is empty"
    if len(name) > LONGEST:
        return f"it has {len(name)} characters and {LONGEST} is the most"
    if not _ALLOWED.fullmatch(name):
        return "it may hold only a-z, 0-9 and '-', and must begin and end with a letter or digit"
    return None


def name_sentence(name: str, problem: str) -> str:
    """One sentence that refuses `name`; control characters in it are shown, not sent to the terminal."""
    shown = ascii(name if len(name) <= LONGEST else name[:LONGEST] + "...")
    return f"{shown} cannot be the name of a lab: {problem}; for example `ada` or `raft-101`."


def name_from_user(user: str) -> str:
    """Make a lab's name from a login name: `Ada.Lovelace` gives `ada-lovelace`; falls back to `lab`."""
    name = _NOT_ALLOWED.sub("-", user.lower()).strip("-")[:LONGEST].strip("-")
    return name or "lab"


def size_problem(servers: int) -> str | None:
    """Say why a lab cannot have that many servers; None where it can."""
    if servers in SIZES:
        return None
    return (
        f"A lab cannot have {servers} servers: choose 1, 3, 5 or 7, "
        "because an even number adds a server without surviving one more failure."
    )


def profile_of(labels: dict[str, str]) -> str:
    """The profile in a container's or a volume's labels; the default for one that is older than profiles."""
    return labels.get(LABEL_PROFILE) or DEFAULT_PROFILE


def profile_sentence(lab: str, has: str, wanted: str) -> str | None:
    """One sentence that refuses to change the profile of an existing lab; None where it stays the same."""
    if has == wanted:
        return None
    return (
        f"The lab {lab} has the profile {has} and keeps it while it exists: `labctl down {lab}` removes it with its "
        f"data, then start it with the profile {wanted}."
    )


def project_name(lab: str) -> str:
    """The Compose project and the network of a lab."""
    return f"labctl-{lab}"


def container_name(lab: str, server: str) -> str:
    """The container, and the data volume, of one server."""
    return f"labctl-{lab}-{server}"


def is_replacement(container: str, lab: str, server: str) -> bool:
    """Whether a container has the temporary name that Compose gives to the replacement of a server's container.

    One that keeps it was left by a killed change.
    """
    return re.fullmatch(f"[0-9a-f]{{12}}_{re.escape(container_name(lab, server))}", container, re.ASCII) is not None


def is_beside(container: str, lab: str, server: str, others: Iterable[str]) -> bool:
    """Whether a container with a server's labels is not the server, because another one is: `others` are all such.

    The server is the one with its name, else its replacement, else the first by name.
    """

    def rank(name: str) -> tuple[bool, bool, str]:
        return name != container_name(lab, server), not is_replacement(name, lab, server), name

    first = min(others, key=rank, default=container)
    return container != first and not is_replacement(container, lab, server)


def config_volume_name(lab: str) -> str:
    """The volume with the lab's secrets, and the settings that old Consul versions read from a file."""
    return f"labctl-{lab}-config"


def server_names(servers: int) -> list[str]:
    """`consul1`, `consul2`, ... in order."""
    return [f"consul{number}" for number in range(1, servers + 1)]


def stamp(seconds: int) -> str:
    """A moment, in seconds since 1970, as labels have it: `2026-11-24T18:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
