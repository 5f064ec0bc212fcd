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
_tries = 0


def stream_of(chunks: list[bytes], server: str) -> list[Event]:
    """The events of one log."""
    found = (
        read_line(line.decode("utf-8", "replace"), server="", line_no=number, otherwise=server)
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
    told = list(story.told(merge(whole)))
    story_json.write_document(story, iter(told), out)
    assert len(json.loads(out.getvalue())["events"]) == sum(map(len, whole))
    assert all(one.outcome for one in story.elections)
    if _tries % DRAW_EVERY == 0:
        ET.fromstring(story_picture.svg(story, iter(told)))  # noqa: S314 - made by us
        story_picture.html(story, iter(told))
        story_mermaid.mermaid(story, iter(told))


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
