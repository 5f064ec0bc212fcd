"""The answers of Loki's API: one document of streams, each with its labels, and pairs of a time and a line in it.

It is read piece by piece: a line for each pair, in front of it its time, and its server by the labels of its stream.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 1 << 16
"""Bytes of a pair, or of labels, to wait for."""
_NAMES = (
    "pod", "pod_name", "podName", "container_name", "instance", "host", "hostname", "node_name", "nodename", "node",
    "server", "filename", "container",
)  # fmt: skip
"""The labels that may name a server, the surest ones first."""
_IS_ONE = re.compile(rb'"stream"\s{0,80}:\s{0,80}\{[^{}]{0,8192}\}\s{0,80},\s{0,80}"values"\s{0,80}:\s{0,80}\[')
_STRING = rb'"(?:[^"\\]|\\.)*"'
_PART = re.compile(
    rb'"stream"\s{0,80}:\s{0,80}(?P<labels>\{(?:[^"{}]|' + _STRING + rb")*\})"
    rb'|\[\s{0,80}"(?P<time>\d{16,19})"\s{0,80},\s{0,80}(?P<line>' + _STRING + rb")",
    re.DOTALL,
)


def is_one(head: bytes) -> bool:
    """Whether a log that begins so is such an answer."""
    return _IS_ONE.search(head) is not None


def as_lines(chunks: Iterator[bytes], begin: bytes, end: bytes) -> Iterator[bytes]:
    """Its lines, each with its time in front, and in front of that the name of its server between `begin` and `end`."""
    rest, name = b"", b""
    for chunk in chunks:
        block = rest + chunk
        out: list[bytes] = []
        at = 0
        for match in _PART.finditer(block):
            at = match.end()
            if match["labels"] is not None:
                name = _named(match["labels"])
                continue
            time = b"%s.%s " % (match["time"][:-9], match["time"][-9:])
            front = begin + name + end if name else b""
            out += [front + time + line + b"\n" for line in _text(match["line"]).split(b"\n") if line]
        yield b"".join(out)
        rest = block[at:][-LONGEST:]


def _text(string: bytes) -> bytes:
    try:
        text = json.loads(string)
    except (ValueError, RecursionError):
        return b""
    return str(text).encode("utf-8", "replace").replace(b"\r", b"")


def _named(labels: bytes) -> bytes:
    try:
        fields = json.loads(labels)
    except (ValueError, RecursionError):
        return b""
    names = (fields.get(key) for key in _NAMES)
    name = next((label for label in names if isinstance(label, str) and label.strip() and label.isprintable()), "")
    return name.strip().encode("utf-8", "replace")[:253]
