"""Bytes as the logs of three servers: splitting them changes nothing, every picture of the story is well-formed."""

from __future__ import annotations

import io
import itertools
import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.raft.event import OTHER
from labctl.raft.merge import merge
from labctl.raft.prefilter import likely_lines
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from labctl.story import json_view, mermaid_view, page_view
from labctl.story.text_view import StoryText
from labctl.terminal.style import harmless
from tests.unit.raft.envelopes import CARRIERS

if TYPE_CHECKING:
    from labctl.raft.event import Event

SAMPLES = Path(__file__).parents[2] / "labctl" / "samples"
SERVERS = 3
DRAW_EVERY = 64
NEAR = datetime(2021, 1, 24, tzinfo=UTC)


def _seeds() -> list[bytes]:
    """A line for each event of each generation, and a whole election."""
    kinds: dict[tuple[str, str], bytes] = {}
    for path in sorted(SAMPLES.glob("*/*.log")):
        for line in path.read_bytes().splitlines():
            event = read_line(line.decode(), server="s", line_no=1)
            if event is not None and event.event != OTHER:
                kinds.setdefault((path.parent.name, event.event), line + b"\n")
    return [*kinds.values(), (SAMPLES / "split-vote" / "consul1.log").read_bytes()]


def _carried() -> list[bytes]:
    """A line in each envelope, and one envelope in another one."""
    text, json_line = (
        (SAMPLES / name / "consul1.log").read_text(encoding="utf-8").splitlines()[3]
        for name in ("consul-1.21", "consul-1.14-json")
    )
    wraps = [carrier.wrap for carrier in CARRIERS.values()]
    lines = [wrap(line) for wrap in wraps for line in (text, json_line)]
    lines += [outer(inner(text)) for outer, inner in itertools.pairwise(wraps)]
    return [f"{line}\n".encode() for line in lines]


# Inputs that once broke readers of logs.
ONCE = [
    b"2024/01/01 00:00:00 [INFO] raft: Initial configuration (index=1): " + b"{" * 60_000,
    b'2024-01-01T00:00:00Z [ERROR] raft: failed to heartbeat to: peer="{' + b"a" * 60_000,
    *(
        b"2024/01/01 00:00:00 [INFO] raft: Node at 10.0.0.1:8300 [Candidate] entering Candidate state in term 2\n"
        b"2024/01/01 00:00:01 [INFO] raft: " + said + b"9" * digits
        for said in (b"Election won. Tally: ", b"Votes needed: ", b"entering candidate state: node=a term=")
        for digits in (20, 5000)
    ),
]
SEEDS = [*_seeds(), *ONCE, *_carried()]
_tries = 0


def stream_of(chunks: list[bytes], server: str) -> list[Event]:
    """The events of one log."""
    generator = (
        read_line(
            line.decode("utf-8", "replace"), server="", line_no=number, near=NEAR, otherwise=server, of_hosts=True
        )
        for number, line in likely_lines(chunks, everything=True)
    )
    return [event for event in generator if event is not None]


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
    out = io.StringIO()
    json_view.write_document(records(merge(whole)), out)
    document = json.loads(out.getvalue())
    assert len(document["events"]) == sum(map(len, whole))
    assert all(election["outcome"] for election in document["elections"])
    assert all(event["term"] is None or event["term"] < 2**63 for event in document["events"])
    out = io.StringIO()
    StoryText(out, columns=100).write(records(merge(whole)))
    assert all(harmless(line) == line for line in out.getvalue().split("\n"))
    if _tries % DRAW_EVERY == 0:
        for draw in (page_view.svg, page_view.html, mermaid_view.mermaid):
            drawn = draw(records(merge(whole)))
            if draw is page_view.svg:
                ET.fromstring(drawn)  # noqa: S314 - made by us
