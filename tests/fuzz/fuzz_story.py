#!/usr/bin/env python3
"""Let a coverage-guided fuzzer look for bytes that the reading of logs cannot bear. Bounded by the number of tries.

Whatever comes in: nothing raises, splitting the bytes changes nothing, every picture of the story is well-formed.

    python tests/fuzz/fuzz_story.py 200000
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

with atheris.instrument_imports(include=["labctl"]):
    from labctl.raft.order import merge
    from labctl.raft.read import read_line
    from labctl.raft.sieve import sift
    from labctl.raft.story import Story
    from labctl.show import story_json, story_mermaid, story_picture

if TYPE_CHECKING:
    from labctl.raft.event import Event

SAMPLES = Path(__file__).parents[2] / "labctl" / "samples"
SERVERS = 3
DRAW_EVERY = 64
NEAR = datetime(2021, 1, 24, tzinfo=UTC)
_tries = 0


def stream_of(chunks: list[bytes], server: str) -> list[Event]:
    """The events of one log."""
    found = (
        read_line(
            line.decode("utf-8", "replace"), server="", line_no=number, near=NEAR, otherwise=server, of_hosts=True
        )
        for number, line in sift(chunks, everything=True)
    )
    return [event for event in found if event is not None]


def one_try(data: bytes) -> None:
    """Read the bytes as the logs of three servers, in two ways."""
    global _tries  # noqa: PLW0603 - the fuzzer calls a function, and counting is all that is kept
    _tries += 1
    logs = data.split(b"\0", SERVERS - 1)
    whole = [stream_of([log], f"s{number}") for number, log in enumerate(logs)]
    pieces = [
        stream_of([log[at : at + 7] for at in range(0, len(log), 7)], f"s{number}") for number, log in enumerate(logs)
    ]
    assert pieces == whole
    out, story = io.StringIO(), Story()
    story_json.write_document(story, story.told(merge(whole)), out)
    document = json.loads(out.getvalue())
    assert len(document["events"]) == sum(map(len, whole))
    assert all(one["outcome"] for one in document["elections"])
    if _tries % DRAW_EVERY == 0:
        for draw in (story_picture.svg, story_picture.html, story_mermaid.mermaid):
            story = Story()
            drawn = draw(story, story.told(merge(whole)))
            if draw is story_picture.svg:
                ET.fromstring(drawn)  # noqa: S314 - made by us


def main() -> None:
    """Fuzz for as many tries as the first argument says, beginning with the lines of the shipped samples."""
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(prefix="labctl-fuzz-") as corpus:
        lines = {line for path in SAMPLES.glob("*/*.log") for line in path.read_bytes().splitlines()}
        for number, line in enumerate(sorted(lines)):
            (Path(corpus) / f"{number:04}").write_bytes(line + b"\n")
        atheris.Setup([sys.argv[0], f"-runs={tries}", "-max_len=4096", "-timeout=10", corpus], one_try)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
