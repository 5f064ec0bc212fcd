#!/usr/bin/env python3
"""Measure `labctl workshop up` against the plain docker command doing the same work with the same parallelism.

The same work, for each seat: a network, three servers with the same image, limits and data volumes, `consul join`
until all are members, a leader; pace `real`. The same parallelism: ten labs are started at a time, and when all have
started, all are joined at once, because labs that have a leader take processor time from those that start. Both sides
in turns, in one run: what counts is the ratio of the medians, because an absolute time means nothing on a shared
machine. Removing the labs is not timed.

    python bench/workshop.py --seats 1 10 30 --rounds 3
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import statistics
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from one_lab import LABCTL, Plain, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = 10
NETWORK = IPv4Network("10.214.96.0/20")
SAMPLE_SECONDS = 0.5


def plain_seconds(image: str, seats: int) -> float:
    """All seats by hand, in labctl's order and as many at a time; returns the wall seconds."""
    subnets = NETWORK.subnets(new_prefix=28)
    labs = [Plain(image, network=subnet) for _, subnet in zip(range(seats), subnets, strict=False)]
    with ThreadPoolExecutor(AT_ONCE) as few, ThreadPoolExecutor(seats) as all_of_them:
        try:
            begun = time.monotonic()
            list(few.map(Plain.start, labs))
            list(all_of_them.map(Plain.join, labs))
            return time.monotonic() - begun
        finally:
            list(few.map(Plain.down, labs))


def labctl_seconds(seats: int, *, sampled: bool = False) -> tuple[float, int]:
    """A workshop; returns the wall seconds and, where it is sampled, the peak memory of labctl and all below it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "workshop.yml"
        file.write_text(f"workshop: bench-{secrets.token_hex(3)}\nseats: {seats}\npace: real\n", encoding="utf-8")
        words = (LABCTL, "workshop", "{}", "--file", str(file), "--json")
        up, down = ([word.format(verb) for word in words] for verb in ("up", "down"))
        try:
            with peak() if sampled else contextlib.nullcontext([0]) as found:
                seconds = timed(*up)
            return seconds, found[0]
        finally:
            subprocess.run(down, check=False, capture_output=True)


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


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seats", type=int, nargs="+", default=[1, 10, 30], help="sizes (default 1 10 30)")
    parser.add_argument("--rounds", type=int, default=3, help="workshops of each size and kind (default 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    timed(LABCTL, "image", "build")
    listed = subprocess.run([LABCTL, "image", "ls", "--json"], check=True, capture_output=True).stdout
    image = json.loads(listed)[0]["name"]
    # Not counted: it warms the page cache.
    plain_seconds(image, 1)
    labctl_seconds(1)
    rows = []
    for seats in options.seats:
        plain: list[float] = []
        ours: list[float] = []
        for number in range(options.rounds):
            for side in (plain, ours) if number % 2 == 0 else (ours, plain):
                side.append(plain_seconds(image, seats) if side is plain else labctl_seconds(seats)[0])
        _, memory = labctl_seconds(seats, sampled=True)
        medians = statistics.median(plain), statistics.median(ours)
        rows.append(
            {
                "seats": seats,
                "plain": plain,
                "labctl": ours,
                "ratio": medians[1] / medians[0],
                "seconds_per_seat": medians[1] / seats,
                "peak_bytes": memory,
            }
        )
        if not options.json:
            print(
                f"{seats:>3} seats   plain docker {medians[0]:6.2f} s   labctl {medians[1]:6.2f} s   "
                f"ratio {rows[-1]['ratio']:.2f}   {medians[1] / seats:.2f} s a seat   "
                f"labctl's peak memory {memory / 1e6:.0f} MB",
                flush=True,
            )
    if options.json:
        print(json.dumps({"rounds": options.rounds, "image": image, "cores": os.cpu_count(), "sizes": rows}))


if __name__ == "__main__":
    main()
