"""Colours, signs and tables, for a terminal or for a pipe."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable

# One colour for each server, told apart on dark and on light ground (ANSI 256).
_SERVER_COLOURS = (39, 208, 41, 171, 220, 45, 203)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
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
_NAMED = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def coloured(stream: TextIO | None = None) -> bool:
    """Whether to colour: only on a terminal, and never with NO_COLOR (no-color.org) or TERM=dumb."""
    stream = sys.stdout if stream is None else stream
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, *, colour: bool | None = None) -> str:
    """Style text by name (`bold`, `dim`, `red`, `green`, `yellow`, `cyan`) where colour is wanted."""
    wanted = coloured() if colour is None else colour
    return f"\x1b[{_NAMED[style]}m{text}\x1b[0m" if wanted else text


def paint_server(server: str, text: str, *, colour: bool | None = None) -> str:
    """Give a server's text its colour: consul1 always has the first one."""
    wanted = coloured() if colour is None else colour
    digits = re.search(r"\d+$", server)
    number = int(digits.group()) - 1 if digits else sum(map(ord, server))
    return f"\x1b[38;5;{_SERVER_COLOURS[number % len(_SERVER_COLOURS)]}m{text}\x1b[0m" if wanted else text


def harmless(text: str) -> str:
    r"""Text from outside made safe to print: control characters and direction marks are shown as `\\x1b`."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)


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
    """Columns that text takes on a terminal: wide characters two, colours none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in _SGR.sub("", text)
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Columns two blanks apart, heads in bold capitals, nothing at the end of a line."""
    lines = [[one.upper() for one in head], *[[harmless_cell(one) for one in row] for row in rows]]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([paint(text[0], "bold"), *text[1:]])


def harmless_cell(text: str) -> str:
    """A table's cell: our own colours stay, anything else that moves a cursor does not."""
    parts = _SGR.split(text)
    colours = _SGR.findall(text)
    return "".join(
        harmless(part).replace("\n", r"\n").replace("\t", r"\t") + colour
        for part, colour in zip(parts, [*colours, ""], strict=True)
    )


def age(seconds: float) -> str:
    """A duration as people say it, the largest unit only: `42s`, `5m`, `3h`, `2d`."""
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
