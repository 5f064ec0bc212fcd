#!/usr/bin/env python3
"""Measure `labctl workshop up` against the plain docker command doing the same work with the same parallelism.

The same work, for each seat: a network, a gossip key that no command line shows (none with `--profile open`), three
servers with the same image, limits and data volumes, `consul join` until all are members, a leader; pace `real`. The
same parallelism: ten labs at a time.

The plain side is measured in two orders: lab by lab, as a person would write the script, and in labctl's own order,
where all labs are joined at once when all have started, because labs that have a leader take processor time from those
that start. All sides in turns, in one run: what counts is the ratio of the medians, because an absolute time means
nothing on a shared machine. Removing the labs is not timed.

    python bench/workshop.py --seats 1 10 30 --rounds 3
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from ours import image, workshop
from plain import PROFILES, Plain
from ratio import ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_ONCE = 10
NETWORK = IPv4Network("10.214.96.0/20")
SAMPLE_SECONDS = 0.5


def lab_by_lab(labs: list[Plain]) -> None:
    """Ten labs at a time, each from its network to its leader."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(Plain.up, labs))


def start_then_join(labs: list[Plain]) -> None:
    """Ten labs at a time are started, and then all are joined at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(Plain.start, labs))
    with ThreadPoolExecutor(len(labs)) as pool:
        list(pool.map(Plain.join, labs))


ORDERS = {"lab by lab": lab_by_lab, "start, then join": start_then_join}


@dataclass(frozen=True)
class Room:
    """What both sides bring up: so many labs of three servers with this image and profile."""

    image: str
    seats: int
    profile: str

    def by_hand(self, work: Callable[[list[Plain]], None]) -> float:
        """All seats with the docker command, in one of the orders; returns the wall seconds."""
        subnets = NETWORK.subnets(new_prefix=28)
        labs = [
            Plain(self.image, network=subnet, profile=self.profile)
            for _, subnet in zip(range(self.seats), subnets, strict=False)
        ]
        try:
            begun = time.monotonic()
            work(labs)
            return time.monotonic() - begun
        finally:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(Plain.down, labs))

    def by_labctl(self, *, sampled: bool = False) -> tuple[float, int]:
        """A workshop; returns the wall seconds and, where it is sampled, the peak memory of labctl and all below it."""
        with workshop(seats=self.seats, pace="real", profile=self.profile) as ours:
            with peak() if sampled else contextlib.nullcontext([0]) as found:
                seconds = ours.up()
            return seconds, found[0]


@contextlib.contextmanager
def peak() -> Iterator[list[int]]:
    """Sample the memory of this process's descendants; the list's first entry is the largest sum, in bytes.

    Proportional set size: pages that Ansible's workers share count once.
    """
    found, ended = [0], threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            found[0] = max(found[0], sum(map(_memory, _below(os.getpid()))))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def _below(pid: int) -> list[int]:
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(entry.parent.name)] = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
    found: list[int] = []
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level}
        found += level
    return found


def _memory(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def measured(room: Room, rounds: int, *, quiet: bool) -> dict[str, object]:
    """One size: every side so many times in turns. Returns the row of the table, and prints it unless `quiet`."""
    plain: dict[str, list[float]] = {order: [] for order in ORDERS}
    ours: list[float] = []
    for number in range(rounds):
        sides = [*ORDERS, "labctl"]
        for side in sides if number % 2 == 0 else reversed(sides):
            if side == "labctl":
                ours.append(room.by_labctl()[0])
            else:
                plain[side].append(room.by_hand(ORDERS[side]))
    _, memory = room.by_labctl(sampled=True)
    median = statistics.median(ours)
    ratios = {order: ratio(ours, seconds) for order, seconds in plain.items()}
    if not quiet:
        told = "   ".join(
            f"plain docker {order} {statistics.median(plain[order]):.2f} s, ratio {ratios[order]}" for order in ORDERS
        )
        a_seat = median / room.seats
        print(f"{room.seats:>3} seats   labctl {median:.2f} s, {a_seat:.2f} s a seat, {memory / 1e6:.0f} MB   {told}")
        sys.stdout.flush()
    return {
        "seats": room.seats,
        "plain": plain,
        "labctl": ours,
        "ratios": {order: dataclasses.asdict(compared) for order, compared in ratios.items()},
        "seconds_per_seat": median / room.seats,
        "peak_bytes": memory,
    }


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seats", type=int, nargs="+", default=[1, 10, 30], help="sizes (default 1 10 30)")
    parser.add_argument("--rounds", type=int, default=3, help="workshops of each size and kind (default 3)")
    parser.add_argument("--profile", choices=PROFILES, default="gossip", help="of both sides' labs (default gossip)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    name = image()
    # Not counted: it warms the page cache.
    first = Room(name, 1, options.profile)
    first.by_hand(lab_by_lab)
    first.by_labctl()
    rows = [measured(Room(name, seats, options.profile), options.rounds, quiet=options.json) for seats in options.seats]
    if options.json:
        told = {"rounds": options.rounds, "profile": options.profile, "image": name, "cores": os.cpu_count()}
        print(json.dumps({**told, "sizes": rows}))


if __name__ == "__main__":
    main()
