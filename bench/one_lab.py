#!/usr/bin/env python3
"""Measure `labctl up` against the plain docker command doing the same work, in turns, in one run.

The same work: a network, three servers with the same image, limits and data volumes, `consul join` until all
are members, a leader. Times are wall seconds of whole processes; what counts is the ratio of the medians,
because an absolute time means nothing on a shared machine. Removing the labs is not timed.

    python bench/one_lab.py --rounds 9
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sysconfig
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LABCTL = str(Path(sysconfig.get_path("scripts")) / "labctl")
POLL_SECONDS = 0.05
GIVE_UP_SECONDS = 60.0
SERVERS = ("consul1", "consul2", "consul3")
HARDENING = (
    "--user", "8500:8500", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true",
    "--memory", "256m", "--memory-swap", "256m", "--pids-limit", "256", "--tmpfs", "/tmp:size=16m,mode=1777",
)  # fmt: skip
SETTINGS = "performance { raft_multiplier = 1 } autopilot { cleanup_dead_servers = false }"


def docker(*words: str, check: bool = True) -> str:
    """Run docker and return what it printed."""
    return subprocess.run(["docker", *words], check=check, capture_output=True, text=True).stdout


@dataclass
class Plain:
    """The lab by hand, with the docker command only."""

    image: str
    name: str = field(default_factory=lambda: f"bench-plain-{secrets.token_hex(3)}")
    network: IPv4Network = field(default_factory=lambda: IPv4Network("10.214.77.0/28"))

    def up(self) -> None:
        """Network, servers, join until all are members, leader."""
        self.start()
        self.join()

    def start(self) -> None:
        """Network and servers."""
        docker("network", "create", "--subnet", str(self.network), self.name)
        for server, address in zip(SERVERS, self._addresses(), strict=True):
            volume = f"{self.name}-{server}:/consul/data"
            docker(
                "run", "--detach", "--name", f"{self.name}-{server}", "--network", self.name, "--ip", address,
                *HARDENING, "--volume", volume, "--publish", "127.0.0.1::8500", self.image,
                "agent", "-server", "-bootstrap-expect", "3", "-data-dir", "/consul/data", "-node", server,
                "-bind", address, "-client", "0.0.0.0", "-datacenter", self.name, "-log-level", "debug",
                "-hcl", SETTINGS,
            )  # fmt: skip

    def join(self) -> None:
        """Join until all are members, leader."""
        first, others = f"{self.name}-{SERVERS[0]}", self._addresses()[1:]
        self._until("members", lambda: self._joined(first, others))
        self._until("leader", lambda: "leader" in self._asked(first, "operator", "raft", "list-peers"))

    def _addresses(self) -> list[str]:
        return [str(self.network[number + 2]) for number in range(len(SERVERS))]

    @staticmethod
    def _asked(container: str, *words: str) -> str:
        return docker("exec", container, "consul", *words, check=False)

    def _joined(self, first: str, others: list[str]) -> bool:
        # `consul join A B` also succeeds when it reached only one of them: counting is the proof.
        self._asked(first, "join", *others)
        return self._asked(first, "members").count("alive") == len(SERVERS)

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        ends = time.monotonic() + GIVE_UP_SECONDS
        while not holds():
            if time.monotonic() > ends:
                raise SystemExit(f"the plain lab had no {what} after {GIVE_UP_SECONDS:.0f} seconds")
            time.sleep(POLL_SECONDS)

    def down(self) -> None:
        """Remove what `up` made."""
        docker("rm", "--force", *(f"{self.name}-{server}" for server in SERVERS), check=False)
        docker("network", "rm", self.name, check=False)
        docker("volume", "rm", "--force", *(f"{self.name}-{server}" for server in SERVERS), check=False)


def timed(*words: str) -> float:
    """Run a command to its end and return its wall seconds. Ends the bench where it fails."""
    begun = time.monotonic()
    process = subprocess.run(words, check=False, capture_output=True, text=True)
    seconds = time.monotonic() - begun
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}: {process.stderr.strip()}")
    return seconds


def timed_plain(image: str) -> float:
    """One lab by hand; returns its wall seconds."""
    lab = Plain(image)
    try:
        begun = time.monotonic()
        lab.up()
        return time.monotonic() - begun
    finally:
        lab.down()


def timed_labctl(series: dict[str, list[float]]) -> None:
    """One lab with labctl, and while it is there the commands that look at it."""
    lab = f"bench-{secrets.token_hex(3)}"
    try:
        series["labctl up"].append(timed(LABCTL, "up", lab, "--pace", "real", "--json"))
        series["second up"].append(timed(LABCTL, "up", lab, "--pace", "real", "--json"))
        for look in ("status", "members"):
            series[look].append(timed(LABCTL, look, lab))
        series["ls"].append(timed(LABCTL, "ls"))
        series["--help"].append(timed(LABCTL, "--help"))
    finally:
        subprocess.run([LABCTL, "down", lab], check=False, capture_output=True)


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="labs of each kind (default 9)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    timed(LABCTL, "image", "build")
    image = json.loads(subprocess.run([LABCTL, "image", "ls", "--json"], check=True, capture_output=True).stdout)[0][
        "name"
    ]
    series: dict[str, list[float]] = {
        name: [] for name in ("plain docker", "labctl up", "second up", "status", "members", "ls", "--help")
    }
    # The first of each is not counted: it warms the page cache.
    timed_plain(image)
    timed_labctl({name: [] for name in series})
    for number in range(options.rounds):
        if number % 2:
            timed_labctl(series)
            series["plain docker"].append(timed_plain(image))
        else:
            series["plain docker"].append(timed_plain(image))
            timed_labctl(series)
    medians = {name: statistics.median(values) for name, values in series.items()}
    ratio = medians["labctl up"] / medians["plain docker"]
    if options.json:
        print(json.dumps({"rounds": options.rounds, "seconds": series, "medians": medians, "ratio": ratio}))
        return
    print(f"{options.rounds} rounds, {os.cpu_count()} cores, image {image}")
    for name, values in series.items():
        print(f"{name:<13} median {medians[name]:6.2f} s   min {min(values):6.2f}   max {max(values):6.2f}")
    print(f"labctl up / plain docker: {ratio:.2f}")


if __name__ == "__main__":
    main()
