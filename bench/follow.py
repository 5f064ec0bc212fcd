#!/usr/bin/env python3
"""Measure how long after a server wrote a line `labctl story --follow` has told it.

A lab is made, a follower is killed so that the leader keeps complaining, and each event that is told is compared with
Docker's own stamp of its line, which has the same clock. What counts is the median.

    python bench/follow.py --seconds 20
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import subprocess
import sysconfig
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

LABCTL = str(Path(sysconfig.get_path("scripts")) / "labctl")
SETTLE_SECONDS = 2.0


def told_late(lab: str, seconds: float) -> list[float]:
    """Follow a lab for that long; returns how many milliseconds after its stamp each event was told."""
    process = subprocess.Popen(
        [LABCTL, "story", lab, "--follow", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    late: list[float] = []
    begun = datetime.now(UTC)

    def read() -> None:
        for line in process.stdout or ():
            now = datetime.now(UTC)
            written = datetime.fromisoformat(json.loads(line)["time"])
            # What was there before is history.
            if (written - begun).total_seconds() > SETTLE_SECONDS:
                late.append((now - written).total_seconds() * 1000)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(SETTLE_SECONDS)
    leader = json.loads(subprocess.run([LABCTL, "status", lab, "--json"], capture_output=True, check=True).stdout)[
        "leader"
    ]
    victim = next(name for name in ("consul1", "consul2", "consul3") if name != leader)
    subprocess.run(["docker", "kill", f"labctl-{lab}-{victim}"], check=True, capture_output=True)
    time.sleep(seconds)
    process.terminate()
    process.wait()
    reader.join()
    return late


def main() -> None:
    """Measure and print a line, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to follow (default 20)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    lab = f"bench-{secrets.token_hex(3)}"
    try:
        subprocess.run([LABCTL, "up", lab, "--pace", "real", "--json"], check=True, capture_output=True)
        late = sorted(told_late(lab, options.seconds))
    finally:
        subprocess.run([LABCTL, "down", lab], check=False, capture_output=True)
    if not late:
        raise SystemExit("no event was told: the leader did not complain")
    median, most = statistics.median(late), late[int(len(late) * 0.95)]
    if options.json:
        print(json.dumps({"events": len(late), "median_ms": median, "p95_ms": most}))
        return
    print(f"{len(late)} events, told after {median:.0f} ms (median), {most:.0f} ms (95 of 100)")


if __name__ == "__main__":
    main()
