#!/usr/bin/env python3
"""Measure how fast `labctl story` reads a log in which few lines are Raft's, and how much memory it takes.

A log of the wanted size is made: elections of one server with rising terms, between what else a Consul server writes.
`labctl story --format json` reads it on one core, and `grep -c raft` the same file. What counts is lines per second,
the ratio of the two, and the peak of the resident memory, which must not grow with the log. Where others use the same
machine, the seconds of the processor say more than those of the clock.

    python bench/story.py --megabytes 100 --rounds 3
    python bench/story.py --share 5
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sysconfig
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LABCTL = str(Path(sysconfig.get_path("scripts")) / "labctl")
BEGIN = datetime(2021, 1, 24, tzinfo=UTC)
ME, OTHERS = "10.0.0.1:8300", ("b45324ca-396b-e704-ad2c-cee999653065", "92477b40-0333-8038-dbc1-8c6c15a3fa38")
ELECTION = (
    "[WARN]  agent.server.raft: heartbeat timeout reached, starting election: last-leader=10.0.0.2:8300",
    f'[INFO]  agent.server.raft: entering candidate state: node="Node at {ME} [Candidate]" term={{term}}',
    "[DEBUG] agent.server.raft: votes: needed=2",
    f"[DEBUG] agent.server.raft: vote granted: from={OTHERS[0]} term={{term}} tally=1",
    f"[DEBUG] agent.server.raft: vote granted: from={OTHERS[1]} term={{term}} tally=2",
    "[INFO]  agent.server.raft: election won: tally=2",
    f'[INFO]  agent.server.raft: entering leader state: leader="Node at {ME} [Leader]"',
    f"[INFO]  agent.server.raft: added peer, starting replication: peer={OTHERS[1]}",
    f'[INFO]  agent.server.raft: pipelining replication: peer="{{{{Voter {OTHERS[1]} 10.0.0.2:8300}}}}"',
    '[ERROR] agent.server.raft: failed to heartbeat to: peer=10.0.0.3:8300 error="dial tcp: i/o timeout"',
    f"[WARN]  agent.server.raft: failed to contact: server-id={OTHERS[1]} time=2.501s",
    "[WARN]  agent.server.raft: failed to contact quorum of nodes, stepping down",
    f'[INFO]  agent.server.raft: entering follower state: follower="Node at {ME} [Follower]" leader=',
)
NOISE = (
    "[DEBUG] agent.http: Request finished: method=GET url=/v1/status/peers from=10.0.0.9:41022 latency=151.9us",
    "[DEBUG] agent: Node info in sync",
    "[DEBUG] agent.server.memberlist.lan: memberlist: Stream connection from=10.0.0.2:51620",
    "[INFO]  agent: Synced service: service=web-1",
    "[DEBUG] agent: Check is now passing: check=service:web-1",
    "[DEBUG] agent.server.serf.lan: serf: messageUserEventType: consul:event",
    "[DEBUG] agent.http: Request finished: method=GET url=/v1/kv/app/config?index=1233 from=10.0.0.9:41022",
    "[TRACE] agent.cache: fetched and stored an entry: type=health-services",
    "[DEBUG] agent: Skipping remote check since it is managed automatically: check=serfHealth",
)


def lines(share: int) -> Iterator[str]:
    """Lines of a log without end, of which one in `share` is Raft's."""
    number, term = 0, 1
    noise = tuple(itertools.islice(itertools.cycle(NOISE), share - 1))
    while True:
        term += 1
        for said in ELECTION:
            for message in (said.format(term=term), *noise):
                number += 1
                stamp = (BEGIN + timedelta(milliseconds=37 * number)).isoformat(timespec="milliseconds")
                yield f"{stamp.removesuffix('+00:00')}Z {message}\n"


def write_log(path: Path, size: int, share: int) -> int:
    """Write a log of `size` bytes, of which one line in `share` is Raft's; returns its lines."""
    written = count = 0
    with path.open("w", encoding="ascii") as out:
        for line in lines(share):
            out.write(line)
            count, written = count + 1, written + len(line)
            if written >= size:
                return count
    raise AssertionError


class Run(NamedTuple):
    """A command that ran: its seconds by the clock and on the processor, and the peak of its resident memory in MiB."""

    seconds: float
    processor: float
    memory: float


def timed(words: list[str], out: IO[bytes]) -> Run:
    """Run a command to its end."""
    begun = time.monotonic()
    process = subprocess.Popen(words, stdout=out)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    if status != 0:
        raise SystemExit(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100, help="size of the log (default 100)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side reads it (default 3)")
    parser.add_argument("--share", type=int, default=10, help="one line in so many is Raft's (default 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as folder:
        path = Path(folder) / "consul1.log"
        count = write_log(path, options.megabytes * 1_000_000, options.share)
        story = [LABCTL, "story", str(path), "--format", "json"]
        grep = ["grep", "-c", "raft", str(path)]
        series: dict[str, list[Run]] = {"labctl story": [], "grep -c raft": []}
        # To /dev/null, grep would stop at the first line that it finds.
        with (Path(folder) / "count").open("wb") as count_file, Path(os.devnull).open("wb") as nowhere:
            timed(grep, count_file)
            for _ in range(options.rounds):
                series["labctl story"].append(timed(story, nowhere))
                series["grep -c raft"].append(timed(grep, count_file))
    seconds = {name: statistics.median(run.seconds for run in runs) for name, runs in series.items()}
    processor = {name: statistics.median(run.processor for run in runs) for name, runs in series.items()}
    memory = {name: max(run.memory for run in runs) for name, runs in series.items()}
    ratio = seconds["labctl story"] / seconds["grep -c raft"]
    if options.json:
        result = {"lines": count, "seconds": seconds, "processor": processor, "memory_mib": memory, "ratio": ratio}
        print(json.dumps({**result, "lines_per_second": count / seconds["labctl story"]}))
        return
    print(f"{options.rounds} rounds, {count:,} lines, {options.megabytes} MB, one in {options.share} is Raft's")
    for name, median in seconds.items():
        print(
            f"{name:<13} median {median:7.2f} s   {count / median:>12,.0f} lines/s   "
            f"processor {processor[name]:7.2f} s   {count / processor[name]:>12,.0f} lines/s   "
            f"peak {memory[name]:6.1f} MiB"
        )
    print(f"labctl story / grep -c raft: {ratio:.0f}")


if __name__ == "__main__":
    main()
