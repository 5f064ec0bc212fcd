"""Documents of YAML, as `gcloud logging read` writes them: each is made one line of JSON.

Only a part of YAML is read, and none of it is trusted: names and texts, plain, quoted, folded (`>`) or literal
(`|`), and the same below a name. Anything else, such as an alias, is a text like others.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST = 1 << 16
"""Bytes of one document; of a longer one, the rest is left out."""
_DEEPEST = 6
_RULE = re.compile(rb"---[ \t]*\r?\n?")
_IS_ONE = re.compile(rb"^(?:textPayload|jsonPayload|insertId|logName):(?:[ \t]|\r?$)", re.MULTILINE)
_PAYLOAD = re.compile(rb"^(?:textPayload|jsonPayload):(?:[ \t]|\r?$)", re.MULTILINE)
_KEY = re.compile(
    r"(?P<indent> *)(?:'(?P<quoted>[^'\n]{1,200})'|(?P<key>[\w@./-]{1,200})):(?:[ ]+(?P<value>.*)|[ ]*)\Z"
)
_BLOCK = re.compile(r"(?P<kind>[|>])[+-]?\d?[+-]?\s*\Z")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "e": "\x1b", "a": "\a", "b": "\b", "_": "\xa0", "N": "\x85"}


def are_in(head: bytes) -> bool:
    """Whether a log that begins like this is of such documents."""
    return len(set(_IS_ONE.findall(head))) > 1 and _PAYLOAD.search(head) is not None


def as_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A line for each document, in which it ends; empty lines stand for its others. The chunks are whole lines."""
    document: list[bytes] = []
    size = 0
    for block in chunks:
        out: list[bytes] = []
        for line in block.splitlines(keepends=True):
            if _RULE.fullmatch(line):
                out.append(_in_one_line(document) + b"\n")
                document, size = [], 0
                continue
            size += len(line)
            if size <= LONGEST:
                document.append(line)
            out.append(b"\n")
        yield b"".join(out)
    if document:
        yield _in_one_line(document)


def _in_one_line(document: list[bytes]) -> bytes:
    lines = b"".join(document).decode("utf-8", "replace").splitlines()
    mapping, _ = _mapping(lines, 0, 0, 0)
    return json.dumps(mapping).encode() if mapping else b""


def _mapping(lines: list[str], at: int, indent: int, depth: int) -> tuple[dict[str, Any], int]:
    """The names from a line on with that much indentation, and the line behind them."""
    mapping: dict[str, Any] = {}
    while at < len(lines):
        key = _KEY.match(lines[at])
        if not lines[at].strip() or (key is None and _indent(lines[at]) >= indent):
            at += 1
            continue
        if key is None or len(key["indent"]) < indent:
            break
        name, begin = key["quoted"] or key["key"], len(key["indent"])
        value, at = key["value"], at + 1
        if value is None or not value.strip():
            while at < len(lines) and not lines[at].strip():
                at += 1
            below = lines[at] if at < len(lines) else ""
            inside: Any = ""
            if _indent(below) > begin and depth < _DEEPEST:
                inside, at = _mapping(lines, at, _indent(below), depth + 1)
            mapping.setdefault(name, inside)
            continue
        end = at
        while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > begin):
            end += 1
        more = _to_the_quote(value, lines[at:end]) if value[:1] in {"'", '"'} else lines[at:end]
        mapping.setdefault(name, _text(value.strip(), more))
        at += len(more)
    return mapping, at


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _to_the_quote(value: str, more: list[str]) -> list[str]:
    """The lines up to the one in which a quoted text ends."""
    if _ends(value[1:], value[0]):
        return []
    for count, line in enumerate(more, 1):
        if _ends(line, value[0]):
            return more[:count]
    return more


def _ends(line: str, quote: str) -> bool:
    line = line.rstrip()
    if not line.endswith(quote):
        return False
    body = line[:-1]
    if quote == "'":
        return (len(line) - len(line.rstrip("'"))) % 2 == 1
    return (len(body) - len(body.rstrip("\\"))) % 2 == 0


def _text(value: str, more: list[str]) -> str:
    if block := _BLOCK.match(value):
        indent = min((_indent(line) for line in more if line.strip()), default=0)
        lines = [line[indent:].rstrip() for line in more]
        return "\n".join(lines).strip("\n") if block["kind"] == "|" else _folded(lines)
    quote = value[0] if value[0] in {"'", '"'} else ""
    lines = [value, *(line.strip() for line in more)]
    if not quote:
        return _folded(lines)
    if quote == '"':
        return _of_double_quotes(lines)
    text = _folded(lines).strip("\n ")
    return text[1:].removesuffix("'").replace("''", "'").rstrip()


def _of_double_quotes(lines: list[str]) -> str:
    """A backslash at the end of a line joins it with the next one without a blank, one in front keeps a blank."""
    parts = [lines[0]]
    for line in lines[1:]:
        before = parts[-1]
        if (len(before) - len(before.rstrip("\\"))) % 2:
            parts[-1] = before[:-1]
        else:
            parts.append(" " if line else "\n")
        parts.append(line)
    text = "".join(parts)
    text = text[1:].rstrip().removesuffix('"')
    return _ESCAPE.sub(_meant, text).strip("\n ")


def _meant(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    if code is None:
        return _ESCAPED.get(escape[4], escape[4])
    return chr(int(code, 16)) if int(code, 16) < 0x110000 else ""  # noqa: PLR2004


def _folded(lines: list[str]) -> str:
    """One line, as far as no empty one stands between."""
    parts: list[str] = []
    for is_text, group in itertools.groupby(lines, key=lambda line: bool(line.strip())):
        alike = list(group)
        parts.append(" ".join(alike) if is_text else "\n" * len(alike))
    return "".join(parts).strip("\n")
