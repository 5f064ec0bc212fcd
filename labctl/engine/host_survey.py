"""Survey of a Docker host: cores, memory, disk, engine, networks, labs, clock. Read-only.

The engine reports what it knows; a small shell script, which runs on any host, reports the rest.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from labctl.engine import foreign_labels
from labctl.engine.client import explained
from labctl.engine.images import list_images
from labctl.shared import host_routes, lab_names, label_values
from labctl.shared.docker_api import subnets_of

if TYPE_CHECKING:
    from labctl.engine.client import Client

_LABEL = lab_names.LABEL_PREFIX
_OF_LAB = ("owner", "workshop", "seat", "number", "servers", "http-port", "consul-version")
# An address and a port in the kernel's tables of sockets.
_PORT = re.compile(r"\b[0-9A-F]+:([0-9A-F]{4})\b")
# A room full of people waits: a host that takes longer is left out.
LOOK_SECONDS = 60.0
# No count of cores, sizes or seconds is longer.
_MOST_DIGITS = 18
_MEMORY = {"total": "MemTotal:", "free": "MemAvailable:"}
_OF_REAPER = ("reaper", "owner", "expires", "removes")
# Each line begins with its kind; 0A is a listening socket. A host without /proc prints less, which is not a failure.
_SCRIPT = r"""
echo "cores $(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null)"
awk '/^Mem(Total|Available):/ {print $1, $2}' /proc/meminfo 2>/dev/null
echo "disk $(df -Pk ROOT 2>/dev/null | awk 'NR == 2 {print $4}')"
echo "compose $(docker compose version --short 2>/dev/null)"
sed 's/^/route /' /proc/net/route 2>/dev/null
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" {print "port", $2}'
echo "clock $(date +%s)"
"""


def read(client: Client, seconds: float = LOOK_SECONDS) -> dict[str, Any]:
    """Everything that a plan needs to know about a Docker host. Raises LabctlError where it is not reached.

    Returns:
        Sizes in bytes, the clock in seconds since 1970, labs and workshops' ends with the labels that they carry; None
        for what the host does not report.
    """
    client = client.hurried(seconds)
    with explained(client.place):
        info = client.info()
        version = client.version()
        labelled = foreign_labels.left_out("container", client.containers(filters={"label": f"{_LABEL}lab"}))
        networks = client.networks(filters={"driver": "bridge"})
        kept = foreign_labels.left_out("network", client.networks(filters={"label": f"{_LABEL}lab"}))
        kept += foreign_labels.left_out("volume", client.volumes(filters={"label": f"{_LABEL}lab"}))
        reapers = foreign_labels.left_out("container", client.containers(filters={"label": f"{_LABEL}reaper"}))
    root = str(info.get("DockerRootDir") or "/")
    text = client.place.script(survey_script(root))
    said = answer_of(text)
    return {
        "engine": version.get("Version"),
        "api": version.get("ApiVersion"),
        "compose": said["compose"].lstrip("v") or None,
        "cores": _number(said["cores"]) or int(info.get("NCPU") or 1),
        "memory": {name: _bytes(said[word]) for name, word in _MEMORY.items()},
        "disk_root": root,
        "disk_free": _bytes(said["disk"]),
        "clock": _number(said["clock"]),
        "ports": sorted({int(port, 16) for port in _PORT.findall(said["port"])}),
        "routes": [str(network) for network in host_routes.routes(_table(text))],
        "networks": [_network(network) for network in networks],
        "labs": _labs(labelled, kept),
        "images": [image.version for image in list_images(client)],
        "reapers": [{"state": reaper["State"], **_marks(reaper.get("Labels") or {}, _OF_REAPER)} for reaper in reapers],
    }


def survey_script(root: str) -> str:
    """The command line for a Docker host's shell."""
    return _SCRIPT.replace("ROOT", shlex.quote(root))


def _table(text: str) -> str:
    """The table of routes out of what the script printed."""
    return "\n".join(line.removeprefix("route ") for line in text.splitlines() if line.startswith("route "))


class _Said(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def answer_of(text: str) -> _Said:
    """The output of the script, by the first word of each line; several lines of one kind with a blank between."""
    answer = _Said()
    for line in text.splitlines():
        kind, _, value = line.partition(" ")
        answer[kind] = f"{answer[kind]} {value.strip()}".strip()
    return answer


def _number(text: str) -> int | None:
    """Its last word as a number, since a login shell may print other lines. None if it is not a number."""
    return label_values.number(text.rpartition(" ")[2], _MOST_DIGITS)


def _bytes(text: str) -> int | None:
    """The same for KiB, in bytes. A disk with 0 of them is full, not unknown."""
    kibibytes = _number(text)
    return None if kibibytes is None else kibibytes * 1024


def _network(network: dict[str, Any]) -> dict[str, Any]:
    lab = (network.get("Labels") or {}).get(f"{_LABEL}lab")
    return {"name": label_values.called(network), "subnets": subnets_of(network), "lab": lab}


def _marks(labels: dict[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: labels[_LABEL + name] for name in names if _LABEL + name in labels}


def _labs(containers: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The labs with their labels and how many servers run; also those of which only a network or a volume is left.

    `seed`, the fingerprint of what its secrets were made from, is read from the volume that has them.
    """
    labs: dict[str, dict[str, Any]] = {}
    for container in containers:
        labels = container.get("Labels") or {}
        lab = labs.setdefault(labels[f"{_LABEL}lab"], {"lab": labels[f"{_LABEL}lab"], "running": 0})
        lab |= _marks(labels, _OF_LAB)
        lab["running"] += container["State"] == "running" and f"{_LABEL}server" in labels
    for other in others:
        labels = other.get("Labels") or {}
        lab = labs.setdefault(labels[f"{_LABEL}lab"], {"lab": labels[f"{_LABEL}lab"], "running": 0})
        for name, value in _marks(labels, _OF_LAB).items():
            lab.setdefault(name, value)
        if other.get("Name") == lab_names.config_volume_name(lab["lab"]):
            lab |= _marks(labels, ("seed",))
    return [labs[name] for name in sorted(labs)]
