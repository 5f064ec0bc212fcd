"""Colours, signs and tables, for a terminal or for a pipe."""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from typing import TYPE_CHECKING, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# One colour for each server, distinguishable on dark and light backgrounds (ANSI 256).
_SERVER_COLOURS = (39, 208, 41, 171, 220, 45, 203)
# Control characters, ends of lines, and marks that turn text around; and surrogates, which no output can encode.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SGR = re.compile(r"\x1b\[[0-9;]*m")
_SIGNS = {
    "done": ("✓", "ok"),
    "failed": ("✗", "x"),
    "bar": ("│", "|"),
    "means": ("→", "->"),
    "point": ("•", "*"),
    "line": ("─", "-"),
    "band": ("━", "="),
    "middle": ("┃", "|"),
}
_CUT = "..."
NONE = "-"
"""Stands in a table for an unknown value."""
_NAMED = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Cell(NamedTuple):
    """A table's cell with a style of ours, by name or as `style_of` a server; the text is anybody's."""

    text: str
    style: str


def coloured(stream: TextIO | None = None) -> bool:
    """Whether to colour: only on a terminal, and never with NO_COLOR (no-color.org) or TERM=dumb."""
    stream = sys.stdout if stream is None else stream
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, *, colour: bool | None = None) -> str:
    """Make text harmless, then style it if colour is on.

    A style is a name (`bold`, `dim`, `red`, `green`, `yellow`, `cyan`), `style_of` a server, or "" for none.
    """
    wanted = bool(style) and (coloured() if colour is None else colour)
    shown = harmless(text)
    return f"\x1b[{_NAMED.get(style, style)}m{shown}\x1b[0m" if wanted else shown


def style_of(server: str) -> str:
    """A server's colour: consul1 always has the first one."""
    digits = re.search(r"[0-9]{1,6}$", server)
    number = int(digits.group()) - 1 if digits else sum(map(ord, server))
    return f"38;5;{_SERVER_COLOURS[number % len(_SERVER_COLOURS)]}"


def paint_server(server: str, text: str, *, colour: bool | None = None) -> str:
    """Give a server's text its colour."""
    return paint(text, style_of(server), colour=colour)


def harmless(text: str) -> str:
    r"""Text from outside, safe to print on one line: what moves a cursor or turns text is shown as `\x1b`, `\n`."""
    return CONTROL.sub(lambda match: _shown(match.group()), text)


def _shown(char: str) -> str:
    if char == "\n":
        return r"\n"
    return f"\\x{ord(char):02x}" if ord(char) <= 0xFF else f"\\u{ord(char):04x}"  # noqa: PLR2004 - as Python writes them


def sign(name: str) -> str:
    """A sign out of `_SIGNS` as the output's encoding can show it."""
    fancy, plain = _SIGNS[name]
    try:
        # While a spinner runs, sys.stdout is the spinner's, which names no encoding.
        fancy.encode(sys.stdout.encoding or getattr(sys.__stdout__, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain
    return fancy


def width(text: str) -> int:
    """Columns that text takes on a terminal: wide characters two, our colours none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in _SGR.sub("", text)
    )


def wrapped(text: str, columns: int, indent: str = "") -> str:
    """Break a line at blanks so that it fits; our colours take no columns. Further lines begin with `indent`.

    A word that is wider than a line is broken anywhere, if it has no colour.
    """
    lines = [""]
    for word in _pieces(text, max(columns - width(indent), 1)):
        room = columns - width(lines[-1]) - 1
        if lines[-1].strip() and width(word) > room:
            lines.append(indent + word)
        else:
            lines[-1] += word if lines == [""] else f" {word}"
    return "\n".join(lines)


def _pieces(text: str, columns: int) -> Iterator[str]:
    for word in text.split(" "):
        begin = taken = 0
        # One pass over the characters: a word may be as long as a log's line.
        for at, char in enumerate("" if _SGR.search(word) else word):
            size = width(char)
            if taken + size > columns and at > begin:
                yield word[begin:at]
                begin, taken = at, 0
            taken += size
        yield word[begin:]


def cut(text: str, columns: int) -> str:
    """A text without colours, cut to at most that many columns."""
    if width(text) <= columns:
        return text
    kept, room = "", max(columns, len(_CUT)) - len(_CUT)
    for char in text:
        room -= width(char)
        if room < 0:
            break
        kept += char
    return kept + _CUT


def terminal_columns() -> int | None:
    """How wide the terminal is; None where standard output is no terminal."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else None


def table(head: Iterable[str], rows: Iterable[Iterable[str | Cell]]) -> str:
    """Columns two blanks apart, heads in bold capitals, nothing at the end of a line; a cell's text is anybody's."""
    lines = [[Cell(cell.upper(), "") for cell in head], *[[_plain(cell) for cell in row] for row in rows]]
    widths = [max(width(cell.text) for cell in column) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(
            paint(cell.text, cell.style) + " " * (size - width(cell.text))
            for cell, size in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([paint(text[0], "bold"), *text[1:]])


def _plain(cell: str | Cell) -> Cell:
    text, style = cell if isinstance(cell, Cell) else (cell, "")
    return Cell(harmless(text).replace("\t", r"\t"), style)


def age(seconds: float) -> str:
    """A duration in words, the largest unit only: `42s`, `5m`, `3h`, `2d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(max(seconds, 0))}s"


def byte_size(count: int) -> str:
    """A size in decimal units, as `docker images` writes it: `132MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        # Rounded up, 999.6 would be written as a thousand.
        if round(size) < 1000 or unit == "GB":  # noqa: PLR2004 - decimal units
            return f"{size:.0f}{unit}" if unit in ("B", "kB", "MB") else f"{size:.2f}{unit}"
        size /= 1000
    raise AssertionError
