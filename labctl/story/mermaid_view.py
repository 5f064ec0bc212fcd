"""A story as a Mermaid sequence diagram, for a page of Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from labctl.story.diagram import Row, picture_of
from labctl.terminal.style import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.raft.collection import Record
    from labctl.raft.timers import Timers

# Whatever could end a label or begin something else; Mermaid writes characters as #code;.
_NOT_PLAIN = re.compile(r"[^\w .,:()/+'-]")
# The one word of its language that ends a block also where it stands in a text.
_END = re.compile(r"\bend\b", re.IGNORECASE)
_SIGNS = {"request": "->>", "grant": "-->>", "refusal": "-x"}


def mermaid(records: Iterable[Record], timers: Timers | None = None) -> str:
    """Write a story as a sequence diagram: votes and refusals as arrows, everything else as notes."""
    picture = picture_of(records, timers)
    lanes = {lane.server: f"s{number}" for number, lane in enumerate(picture.lanes, 1)}
    names = {lane.x: lanes[lane.server] for lane in picture.lanes}
    arrows = {arrow.row: arrow for arrow in picture.arrows}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {short} as {mermaid_label(server)}" for server, short in lanes.items()]
    for row in picture.rows:
        arrow = arrows.get(row.number)
        if arrow is None:
            lines.append(f"    Note over {lanes[row.server]}: {_words(row)}")
        else:
            ends = f"{names[arrow.begin]}{_SIGNS[arrow.meaning]}{names[arrow.end]}"
            lines.append(f"    {ends}: {mermaid_label(row.server)} {_words(row)}")
    lines += [f"    %% {mermaid_label(sentence)}" for said in picture.sentences.values() for sentence in said]
    return "\n".join(lines) + "\n"


def _words(row: Row) -> str:
    again = f" ({row.times} times)" if row.times > 1 else ""
    return f"{mermaid_label(row.words)}{again}"


def mermaid_label(text: str) -> str:
    """A text without anything that Mermaid would interpret."""
    plain = _NOT_PLAIN.sub(lambda match: f"#{ord(match.group())};", harmless(text))
    return _END.sub(lambda match: f"#{ord(match.group()[0])};{match.group()[1:]}", plain)
