"""Where the logs are that tests read: those that labctl ships, and more."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import labctl

SAMPLES = Path(labctl.__file__).parent / "samples"
DATA = Path(__file__).parents[2] / "data" / "raft"
SCENARIOS = sorted(path.stem for path in (DATA / "scenarios").glob("*.txt"))
"""Three servers that were led through one scenario, by the name of the sample."""
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
    """Who led in a scenario, one after the other."""
    said = (DATA / "scenarios" / f"{name}.txt").read_text(encoding="utf-8")
    led = [SERVERS[int(number)] for number in re.findall(r"(?:leader|after kill) (\d)", said)]
    return [server for server, _ in itertools.groupby(led)]
