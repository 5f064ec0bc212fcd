#!/usr/bin/env python3
"""Measure `labctl up` against the plain docker command doing the same work, in turns, in one run.

The same work: a network, a gossip key that no command line shows, three servers with the same image, limits and data
volumes, `consul join` until all are members, a leader. Times are wall seconds of whole processes; what counts is the
ratio of the medians, because an absolute time means nothing on a shared machine. Removing the labs is not timed.

    python bench/one_lab.py --rounds 9
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import secrets
import statistics
import subprocess
import time

from ours import ENVIRONMENT, LABCTL, image, timed
from plain import Plain
from ratio import ratio


def timed_plain(name: str) -> float:
    """One lab by hand; returns its wall seconds."""
    lab = Plain(name)
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
        subprocess.run([LABCTL, "down", lab], check=False, capture_output=True, env=ENVIRONMENT)


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="labs of each kind (default 9)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    name = image()
    series: dict[str, list[float]] = {
        what: [] for what in ("plain docker", "labctl up", "second up", "status", "members", "ls", "--help")
    }
    # The first of each is not counted: it warms the page cache.
    timed_plain(name)
    timed_labctl({what: [] for what in series})
    for number in range(options.rounds):
        if number % 2:
            timed_labctl(series)
            series["plain docker"].append(timed_plain(name))
        else:
            series["plain docker"].append(timed_plain(name))
            timed_labctl(series)
    medians = {what: statistics.median(values) for what, values in series.items()}
    compared = ratio(series["labctl up"], series["plain docker"])
    if options.json:
        told = {"rounds": options.rounds, "seconds": series, "medians": medians}
        print(json.dumps({**told, **dataclasses.asdict(compared)}))
        return
    print(f"{options.rounds} rounds, {os.cpu_count()} cores, image {name}")
    for what, values in series.items():
        print(f"{what:<13} median {medians[what]:6.2f} s   min {min(values):6.2f}   max {max(values):6.2f}")
    print(f"labctl up / plain docker: {compared}")


if __name__ == "__main__":
    main()
