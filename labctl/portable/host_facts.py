"""What a Docker host has and holds: cores, memory, disk, engine, networks, labs, clock. It only looks.

labctl asks this machine with it, and Ansible ships it to the Docker hosts as a module, so that both say the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROC = Path("/proc")
LISTEN = "0A"
_LABEL = "raft-labctl."
# What a plan wants to know of a lab; the labels of DESIGN, with these names.
_OF_LAB = ("owner", "workshop", "seat", "number", "servers", "http-port")
_OF_REAPER = ("reaper", "owner", "expires")


def read(engine: Any, problems: tuple[type[Exception], ...]) -> dict[str, Any]:
    """Everything; what the engine does not tell is None, with the reason as `problem`.

    Args:
        engine: a `docker_api.Engine`.
        problems: what it raises.
    """
    facts: dict[str, Any] = {
        "cores": cores(),
        "memory": memory(),
        "ports": sorted(ports()),
        "routes": routes(),
        "engine": None,
        "api": None,
        "compose": None,
        "disk_free": None,
        "disk_root": None,
        "networks": [],
        "labs": [],
        "images": [],
        "reapers": [],
        "problem": None,
    }
    try:
        facts.update(_of_engine(engine))
    except problems as error:
        facts["problem"] = str(error)
    facts["clock"] = time.time()
    return facts


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def memory() -> dict[str, int]:
    """Bytes of memory: `total`, and what is `free` for new programs."""
    try:
        text = (PROC / "meminfo").read_text(encoding="ascii")
    except OSError:
        return {"total": 0, "free": 0}
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in text.splitlines() if line.endswith("kB")}
    return {"total": found.get("MemTotal", 0), "free": found.get("MemAvailable", 0)}


def ports() -> set[int]:
    """The TCP ports on which somebody listens."""
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == LISTEN:
                found.add(int(words[1].rpartition(":")[2], 16))
    return found


def routes() -> str:
    """The table of routes as the kernel writes it; `lab_subnets.routes` reads it."""
    try:
        return (PROC / "net" / "route").read_text(encoding="ascii")
    except OSError:
        return ""


def _of_engine(engine: Any) -> dict[str, Any]:
    version = engine.get("/version", doing="asking for the engine's version")
    info = engine.get("/info", doing="asking what the engine has")
    labelled = {"label": f"{_LABEL}lab"}
    containers = engine.get("/containers/json", labelled, all=1, doing="listing the labs")
    reapers = engine.get("/containers/json", {"label": f"{_LABEL}reaper"}, all=1, doing="listing the workshops' ends")
    root = info.get("DockerRootDir", "")
    return {
        "name": info.get("Name"),
        "engine": version.get("Version"),
        "api": version.get("ApiVersion"),
        "compose": _compose(),
        "disk_root": root,
        "disk_free": _disk(root),
        "networks": [_network(one) for one in engine.networks({"driver": "bridge"}, doing="listing the networks")],
        "labs": _labs(containers),
        "images": _images(engine),
        "reapers": [
            {"state": one["State"], **_marks(one.get("Labels") or {}, ("reaper", "owner", "expires"))}
            for one in reapers
        ],
    }


def _compose() -> str | None:
    try:
        process = subprocess.run(
            ["docker", "compose", "version", "--short"], capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = process.stdout.decode("utf-8", "replace").strip().lstrip("v")
    return said if process.returncode == 0 and said else None


def _disk(root: str) -> int | None:
    try:
        return shutil.disk_usage(root).free
    except OSError:
        # An engine in a virtual machine has its disk elsewhere.
        return None


def _network(one: dict[str, Any]) -> dict[str, Any]:
    subnets = [config["Subnet"] for config in one["IPAM"].get("Config") or [] if ":" not in config["Subnet"]]
    return {"name": one["Name"], "subnets": subnets, "lab": (one.get("Labels") or {}).get(f"{_LABEL}lab")}


def _marks(labels: dict[str, str], names: tuple[str, ...] = _OF_LAB) -> dict[str, str]:
    return {name: labels[_LABEL + name] for name in names if _LABEL + name in labels}


def _labs(containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The labs, each with the labels of one of its servers and how many of them run."""
    found: dict[str, dict[str, Any]] = {}
    for one in containers:
        labels = one.get("Labels") or {}
        if f"{_LABEL}server" not in labels:
            continue
        lab = found.setdefault(labels[f"{_LABEL}lab"], {"lab": labels[f"{_LABEL}lab"], "running": 0, **_marks(labels)})
        lab["running"] += one["State"] == "running"
    return [found[name] for name in sorted(found)]


def _images(engine: Any) -> list[dict[str, Any]]:
    listed = engine.get("/images/json", {"label": f"{_LABEL}consul-version"}, doing="listing the images")
    return [
        {"id": one["Id"], "names": one.get("RepoTags") or [], "labels": one.get("Labels") or {}, "size": one["Size"]}
        for one in listed
    ]
