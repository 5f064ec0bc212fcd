"""The logs that tests read: those that labctl ships, and more."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import labctl
from labctl.raft.collection import Collection, collect
from labctl.raft.merge import merge
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records

if TYPE_CHECKING:
    from labctl.raft.event import Event

SAMPLES = Path(labctl.__file__).parent / "samples"
DATA = Path(__file__).parents[2] / "data" / "raft"
SCENARIOS = sorted(path.stem for path in (DATA / "scenarios").glob("*.txt"))
"""Three servers in one scenario, by the name of the sample."""
SERVERS = ["consul1", "consul2", "consul3"]
DEMO = SAMPLES / "2015" / "docker-compose.log"
POSTED = sorted((DATA / "samples").glob("*.log"))
"""What people posted, each of one server."""
WORDINGS = [
    line.rpartition(" | ")[2]
    for line in (DATA / "wordings.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
"""Each wording of each event, without its stamp and level."""


def leaders_of(name: str) -> list[str]:
    """The leaders of a scenario, one after the other."""
    said = (DATA / "scenarios" / f"{name}.txt").read_text(encoding="utf-8")
    led = [SERVERS[int(number)] for number in re.findall(r"(?:leader|after kill) (\d)", said)]
    return [server for server, _ in itertools.groupby(led)]


def posted(number: int) -> str:
    """What people posted, by the number that its name begins with."""
    return next(path for path in POSTED if path.name.startswith(f"{number:02}-")).read_text(encoding="utf-8")


def recorded(name: str) -> dict[str, str]:
    """The logs of a recording, by server."""
    return {server: (SAMPLES / name / f"{server}.log").read_text(encoding="utf-8") for server in SERVERS}


def told(logs: dict[str, str], *, complete: bool = False) -> tuple[Collection, list[Event]]:
    """The story of logs, by server; `complete` ones are those of a whole lab, and so have one clock."""
    streams = []
    for server, text in logs.items():
        read = (read_line(line, server=server, line_no=number) for number, line in enumerate(text.splitlines(), 1))
        streams.append([event for event in read if event is not None])
    whole = collect(records(merge(streams), complete=complete))
    return whole, whole.events
