"""A quick look at a log's bytes for the lines that may be ours: nine lines in ten of a server's log are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.raft.log_line import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SIGNS = (
    b"raft",  # Raft's own module, or syslog's tag
    b"leader",
    b"snapshot",
    b"attempting",  # a bootstrap, a removal
    b" server",  # added, removed, starting to leave, without an address
    b"join",
    b"leave",
    b"failed",
    b"refuting",  # a suspicion
    b"core",  # Vault's
    b"labctl.",  # what labctl writes of a fault, or of what Docker did
    b'"message":[',  # journald's JSON of a line with colours: a list of bytes
)
"""What a line that any rule of the grammar knows contains, in lower case; a test holds the two together."""


def is_likely(line: str) -> bool:
    """Whether a line may be an event."""
    return _has_one_of(_SIGNS, line.lower())


def may_name(line: str) -> bool:
    """Whether a line may say who is who: which server has which ID, address or name."""
    lower = line.lower()
    return _has_one_of(_NAMING, lower) and _has_one_of(_SIGNS, lower)


def _has_one_of(words: tuple[str, ...], text: str) -> bool:
    for word in words:  # noqa: SIM110 - `any` takes five times as long
        if word in text:
            return True
    return False


_SIGNS = tuple(sign.decode() for sign in SIGNS)
_NAMING = ("{", "(addr", "node", "leader", "vote", "voting", "address", "member", "promot", "server-addr", "accepted")
"""What a line from which `Names` learn contains, in lower case; a test holds the two together."""


def likely_lines(chunks: Iterable[bytes], *, everything: bool = False) -> Iterator[tuple[int, bytes]]:
    r"""Cut a log into lines, and keep those that may be an event.

    Args:
        chunks: the log's bytes, in pieces of any size.
        everything: keep every line.

    Yields:
        A line's number, from 1, and the line without its `\n`. A line is cut at `LONGEST` bytes.
    """
    number, rest = 0, b""
    for chunk in chunks:
        block = rest + chunk
        end = block.rfind(b"\n") + 1
        # Of a line that is too long, only the beginning need be kept until its end comes.
        body, rest = block[:end], block[end : end + LONGEST]
        counted = 0
        for start in _all_starts(body) if everything else _starts(body):
            number += body.count(b"\n", counted, start)
            counted = start
            yield number + 1, body[start : body.find(b"\n", start)][:LONGEST]
        number += body.count(b"\n", counted)
    if rest and (everything or any(sign in rest.lower() for sign in SIGNS)):
        yield number + 1, rest


def _starts(body: bytes) -> list[int]:
    """Where the lines begin that contain a sign. Searching a whole block is ten times as fast as line by line."""
    lower = body.lower()
    starts = set()
    for sign in SIGNS:
        at = lower.find(sign)
        while at >= 0:
            starts.add(body.rfind(b"\n", 0, at) + 1)
            at = lower.find(sign, body.find(b"\n", at))
    return sorted(starts)


def _all_starts(body: bytes) -> Iterator[int]:
    start = 0
    while start < len(body):
        yield start
        start = body.find(b"\n", start) + 1
