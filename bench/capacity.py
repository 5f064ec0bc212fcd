#!/usr/bin/env python3
"""Measure what a server of a lab takes at rest: memory, processor time, disk. The guide's table comes from it.

For each pace a workshop is brought up and left alone; then the kernel's own counters of every server's container are
read twice. Run it as root on the Docker host, on a machine that does nothing else.

    python bench/capacity.py --seats 10 --rest 60 --seconds 120
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import docker as docker_library
from ours import image, workshop

PACES = ("real", "teach")
HOUR = 3600


@dataclass(frozen=True)
class Sample:
    """One server's container: bytes of memory that are its own, seconds of processor time, bytes of log and data."""

    memory: int
    cpu: float
    disk: int


@dataclass(frozen=True)
class Taken:
    """What a server takes at rest, by pace: medians and the largest, a share of one core, bytes for an hour."""

    pace: str
    servers: int
    memory: int
    most_memory: int
    core_share: float
    disk_an_hour: int
    disk_at_first: int


def sampled(name: str) -> dict[str, Sample]:
    """Every server's container of a workshop, by name."""
    client = docker_library.from_env()
    found = {}
    for container in client.containers.list(filters={"label": f"raft-labctl.workshop={name}"}):
        stats = cast("dict[str, Any]", container.stats(stream=False))
        memory = stats["memory_stats"]
        details = memory["stats"]
        # Pages of files are given back when somebody needs them.
        files = details.get("total_inactive_file", details.get("inactive_file", 0))
        data = [
            Path(mount["Source"]) for mount in container.attrs["Mounts"] if mount["Type"] == "volume" and mount["RW"]
        ]
        disk = sum(file.stat().st_blocks * 512 for folder in data for file in folder.rglob("*") if file.is_file())
        disk += Path(container.attrs["LogPath"]).stat().st_size
        found[str(container.name)] = Sample(
            memory["usage"] - files, stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, disk
        )
    return found


def taken(pace: str, seats: int, rest: float, seconds: float) -> Taken:
    """Bring a workshop up, leave it alone, and look twice."""
    with workshop(seats=seats, pace=pace) as ours:
        ours.up()
        time.sleep(rest)
        begun, before = time.monotonic(), sampled(ours.name)
        time.sleep(seconds)
        after = sampled(ours.name)
        passed = time.monotonic() - begun
    both = [(before[key], after[key]) for key in before.keys() & after.keys()]
    return Taken(
        pace=pace,
        servers=len(both),
        memory=int(statistics.median(new.memory for _, new in both)),
        most_memory=max(new.memory for _, new in both),
        core_share=statistics.mean(new.cpu - old.cpu for old, new in both) / passed,
        disk_an_hour=int(statistics.mean(new.disk - old.disk for old, new in both) / passed * HOUR),
        disk_at_first=int(statistics.mean(old.disk for old, _ in both)),
    )


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seats", type=int, default=10, help="seats of each workshop (default 10)")
    parser.add_argument("--rest", type=float, default=60.0, help="seconds before the first look (default 60)")
    parser.add_argument("--seconds", type=float, default=120.0, help="seconds between the looks (default 120)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    image()
    found = [taken(pace, options.seats, options.rest, options.seconds) for pace in PACES]
    if options.json:
        print(json.dumps([asdict(one) for one in found]))
        return
    for one in found:
        print(
            f"{one.pace:<6} {one.servers} servers   {one.memory / 2**20:.0f} MiB each, at most "
            f"{one.most_memory / 2**20:.0f}   {one.core_share:.2%} of a core each   disk {one.disk_at_first / 1e6:.1f} "
            f"MB at first, {one.disk_an_hour / 1e6:.1f} MB more an hour"
        )


if __name__ == "__main__":
    main()
