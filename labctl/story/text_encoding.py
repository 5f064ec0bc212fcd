"""A log's bytes as UTF-8: Windows' shells write UTF-16, with or without a mark in front."""

from __future__ import annotations

import codecs
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LOOKED_AT = 512
_FEWEST = 4
_MOST_OF_ODD, _MOST_OF_EVEN = 0.4, 0.1


def encoding_of(head: bytes) -> str:
    """How a log is encoded, by its first bytes: `utf-8`, `utf-16-le` or `utf-16-be`."""
    if head[:2] in _MARKS:
        return _MARKS[head[:2]]
    pairs = len(head[:_LOOKED_AT]) // 2
    if pairs < _FEWEST // 2:
        return "utf-8"
    first, second = (head[at : 2 * pairs : 2].count(0) / pairs for at in (0, 1))
    if second > _MOST_OF_ODD and first < _MOST_OF_EVEN:
        return "utf-16-le"
    if first > _MOST_OF_ODD and second < _MOST_OF_EVEN:
        return "utf-16-be"
    return "utf-8"


def is_binary(head: bytes) -> bool:
    """Whether something with these first bytes is no text."""
    return encoding_of(head) == "utf-8" and b"\0" in head


def in_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of a log, as UTF-8 and without a mark in front. UTF-8 is passed on as it is."""
    pieces = iter(chunks)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _FEWEST:
            break
    encoding = encoding_of(head)
    if encoding == "utf-8":
        yield from chain([head.removeprefix(codecs.BOM_UTF8)], pieces)
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for number, piece in enumerate(chain([head], pieces)):
        text = decoder.decode(piece)
        yield (text.removeprefix("\ufeff") if number == 0 else text).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")
