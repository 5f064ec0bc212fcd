"""Logs that are not one line for each entry: documents side by side or over several lines, escaped texts, headings.

They are brought into the usual form while they are read: a line for each document, and in front of a line the
name that a heading above it gave. The beginning of a log shows its form; most logs are passed on unchanged.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from labctl.story import loki, yaml_documents
from labctl.story.pieces import Pieces, are_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    _Form = Callable[[Iterator[bytes]], Iterator[bytes]]

NAMED, END_OF_NAME = b"\x1e", b"\x1f"
"""Around the name of a heading, in front of each line under it."""
LOOKED_AT = 1 << 16
LONGEST = 1 << 16
"""Bytes of one document; a longer one is passed on unchanged."""
_LEVEL = re.compile(rb"\[(?:TRACE|DEBUG|INFO|WARN|ERROR|ERR)\]|\"@message\"")
_BETWEEN = re.compile(rb"(?:(?<=[}\]])|(?<=[}\]],))[ ]{0,8}(?=[{\[][{\"\[])")
_ESCAPED_LINES = re.compile(
    rb"\\n[^\"\\\n]{0,80}20\d\d[-/]\d\d[-/]\d\d[T ][^\"\\\n]{0,40}\[(?:TRACE|DEBUG|INFO|WARN|ERROR|ERR)\]"
)
_ESCAPES = re.compile(rb"\\(?:r\\n|n|[\"\\])")
_ELEMENT = re.compile(rb"^([ \t]{0,32})\{[ \t]*\r?\n(?=[ \t]{1,40}\")", re.MULTILINE)
_NAME = rb"[A-Za-z0-9][\w.@/:-]{0,253}"
_HEADING = re.compile(
    rb"==> (?P<tail>[./]{0,3}" + _NAME + rb") <==|(?P<ansible>" + _NAME + rb") \| (?:CHANGED|SUCCESS|FAILED)"
    rb"(?: \| rc=\d{1,3})? >>|-{3,8} (?P<dashes>" + _NAME + rb") -{3,8}"
)
_RULE = re.compile(rb"-{8,80}")
_ALONE = re.compile(_NAME)
_ENDING = re.compile(rb"(?<=[\w-])\.(?:log|txt|out)(?:\.\d{1,4})?\Z")
_HAS_NUMBER = re.compile(rb"\d")


def as_lines(chunks: Iterable[bytes], several: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """The pieces of a log in UTF-8, one entry a line; `several` is called where a line held several."""
    pieces = iter(chunks)
    # From a pipe, what is available at once has to do.
    head = next(pieces, b"")
    form = _form_of(head[:LOOKED_AT])
    rest = itertools.chain([head], pieces)
    if form in {unescaped, apart, _of_loki}:
        several()
    yield from rest if form is None else form(rest)


def name_and_line(raw: bytes) -> tuple[str | None, bytes]:
    """The name that a heading gave to a line, and the line as it came."""
    if not raw.startswith(NAMED):
        return None, raw
    name, _, line = raw[1:].partition(END_OF_NAME)
    return name.decode("utf-8", "replace"), line


def _form_of(head: bytes) -> _Form | None:
    if b"\r" in head and b"\n" not in head:
        return lambda chunks: (chunk.replace(b"\r", b"\n") for chunk in chunks)
    form = _form_of_json(head) if head.lstrip()[:1] in (b"{", b"[") else None
    if form is not None:
        return form
    if yaml_documents.are_in(head):
        return lambda chunks: yaml_documents.as_lines(_whole_lines(chunks))
    headings = Headings()
    headings.block(head)
    if are_in(head):
        return lambda chunks: map(Pieces().block, (_under_headings if headings.seen else _whole_lines)(chunks))
    return _under_headings if headings.seen else None


def _form_of_json(head: bytes) -> _Form | None:
    if loki.is_one(head):
        return _of_loki
    if _ESCAPED_LINES.search(head):
        return unescaped
    if any(sum(bool(_LEVEL.search(piece)) for piece in _BETWEEN.split(line)) > 1 for line in head.split(b"\n")):
        return apart
    if elements := _ELEMENT.findall(head):
        indent = next((element for element in elements if element), b"")
        return lambda chunks: _joined(chunks, indent)
    return None


def _of_loki(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return loki.as_lines(chunks, NAMED, END_OF_NAME)


def unescaped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a text that is a string in a document."""
    rest = b""
    for chunk in chunks:
        block = rest + chunk
        end = len(block.rstrip(b"\\"))
        end = end if len(block) - end < LONGEST else len(block)
        yield _ESCAPES.sub(_meant, block[:end])
        rest = block[end:]
    yield _ESCAPES.sub(_meant, rest)


def _meant(escape: re.Match[bytes]) -> bytes:
    return b"\n" if escape[0].endswith(b"n") else escape[0][1:]


def apart(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Documents side by side, each in a line of its own."""
    rest = b""
    for chunk in chunks:
        block = _BETWEEN.sub(b"\n", rest + chunk)
        end = block.rfind(b"\n") + 1
        end = end if len(block) - end <= LONGEST else len(block)
        yield block[:end]
        rest = block[end:]
    yield rest


def _joined(chunks: Iterator[bytes], indent: bytes) -> Iterator[bytes]:
    """Documents over several lines, each in the line in which it begins; empty lines stand for its others."""
    begin, end = indent + b"{", indent + b"}"
    document: list[bytes] = []
    size = 0
    for block in _whole_lines(chunks):
        out: list[bytes] = []
        for line in block.splitlines(keepends=True):
            if document or line.rstrip() == begin:
                document.append(line)
                size += len(line)
            else:
                out.append(line)
            if document and (size > LONGEST or line.startswith(end)):
                out.append(_in_one_line(document) if line.startswith(end) else b"".join(document))
                document, size = [], 0
        yield b"".join(out)
    yield b"".join(document)


def _in_one_line(document: list[bytes]) -> bytes:
    whole = b"".join(document)
    # A document with many lines of a log has each in a line already.
    if len(_LEVEL.findall(whole)) > 1:
        return whole
    return b" ".join(line.strip() for line in document) + b"\n" * len(document)


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        block = rest + chunk
        end = block.rfind(b"\n") + 1
        end = end if len(block) - end <= LONGEST else len(block)
        yield block[:end]
        rest = block[end:]
    yield rest


def _under_headings(chunks: Iterator[bytes]) -> Iterator[bytes]:
    headings = Headings()
    return map(headings.block, _whole_lines(chunks))


class Headings:
    """Puts the name in front of each line that a heading above it gave: `==> consul1.log <==`.

    Attributes:
        seen: whether there was one.
    """

    def __init__(self) -> None:
        self.seen = False
        self._name = b""
        self._before: tuple[bytes, bytes] = (b"", b"")

    def block(self, lines: bytes) -> bytes:
        """Whole lines, with the names in front of them."""
        if not (self._name or b"==> " in lines or b" >>" in lines or b"--- " in lines or b"--------" in lines):
            return lines
        return b"".join(map(self._line, lines.splitlines(keepends=True)))

    def _line(self, line: bytes) -> bytes:
        text = line.strip()
        name = self._named(text)
        self._before = (self._before[1], text)
        if name:
            self.seen, self._name = True, name
            return line
        return NAMED + self._name + END_OF_NAME + line if self._name and text else line

    def _named(self, text: bytes) -> bytes | None:
        if _RULE.fullmatch(text):
            # dshbak, which sorts what pdsh says: a rule, a name, a rule
            rule, alone = self._before
            return alone if _RULE.fullmatch(rule) and _ALONE.fullmatch(alone) else None
        heading = _HEADING.fullmatch(text)
        if heading is None:
            return None
        if (dashes := heading["dashes"]) is not None:
            # Others cut with dashes, too: "--- snip ---".
            return dashes if _HAS_NUMBER.search(dashes) else None
        return _ENDING.sub(b"", (heading["tail"] or heading["ansible"]).removeprefix(b"./"))
