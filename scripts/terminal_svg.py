"""Turn a program's terminal output into an SVG: a small screen, and the drawing of it. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTROL = re.compile(
    r"\x1b\[(?P<private>\??)(?P<numbers>[0-9;]*)(?P<letter>[A-Za-z])|(?P<other>[\r\n])|(?P<text>[^\x1b\r\n]+)"
)

CELL_WIDTH = 8.0
LINE_HEIGHT = 20
FONT_SIZE = 13.3
MARGIN = 18
TITLE_BAR = 34
# Seconds between two lines of the picture.
SHORTEST_GAP, LONGEST_GAP = 0.25, 1.2
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
GROUND, BAR, PLAIN, FAINT = "#10151c", "#1a212b", "#d7dde5", "#8593a3"
# The sixteen colours that have names, as far as labctl uses them; the others of the 256 are computed.
_NAMED = {31: "#ff7b72", 32: "#56d364", 33: "#e3b341", 36: "#56d4dd"}
_CUBE = (0, 95, 135, 175, 215, 255)


MOVEMENT = (
    ".l{animation:a .15s backwards}@keyframes a{from{opacity:0}}"
    "@media (prefers-reduced-motion:reduce){.l{animation:none}}"
)


@dataclass(frozen=True)
class Style:
    """How a character looks: its colour as SVG has it, and whether it is bold."""

    colour: str = PLAIN
    bold: bool = False


@dataclass
class Line:
    """One line of the screen: its characters with their styles, and when the last of them was written, in seconds."""

    cells: list[tuple[str, Style]] = field(default_factory=list)
    written: float = 0.0

    @property
    def text(self) -> str:
        """The line without styles and without blanks at its end."""
        return "".join(char for char, _ in self.cells).rstrip()


def _cube(number: int) -> str:
    """A colour of the 6x6x6 cube, 16 to 231 of the 256."""
    red, rest = divmod(number - 16, 36)
    green, blue = divmod(rest, 6)
    return f"#{_CUBE[red]:02x}{_CUBE[green]:02x}{_CUBE[blue]:02x}"


def _style(style: Style, numbers: list[int]) -> Style:
    """The style after `ESC [ numbers m`. Raises ValueError for a sequence that labctl never writes."""
    match numbers:
        case [] | [0]:
            return Style()
        case [1]:
            return Style(style.colour, bold=True)
        case [2]:
            return Style(FAINT, style.bold)
        case [38, 5, colour]:
            return Style(_cube(colour), style.bold)
        case [colour] if colour in _NAMED:
            return Style(_NAMED[colour], style.bold)
    raise ValueError(f"no drawing for the style {numbers}")


@dataclass
class _Cursor:
    """Where the next character goes, and how it looks."""

    lines: list[Line]
    row: int = 0
    column: int = 0
    style: Style = field(default_factory=Style)

    def take(self, sequence: re.Match[str], seconds: float) -> None:
        """Take in text, a line's end, or one escape sequence; others are skipped."""
        numbers = [int(number) for number in (sequence["numbers"] or "").split(";") if number]
        match sequence["letter"] or sequence["other"]:
            case None:
                self._write(sequence["text"], seconds)
            case "\r":
                self.column = 0
            case "\n":
                self.row, self.column = self.row + 1, 0
                self.lines += [Line(written=seconds)] * (self.row == len(self.lines))
            case "A":
                self.row = max(0, self.row - (numbers[0] if numbers else 1))
            case "K":
                self.lines[self.row].cells = []
            case "m":
                self.style = _style(self.style, numbers)

    def _write(self, text: str, seconds: float) -> None:
        line = self.lines[self.row]
        line.cells += [(" ", Style())] * (self.column - len(line.cells))
        line.cells[self.column : self.column + len(text)] = [(char, self.style) for char in text]
        line.written = seconds
        self.column += len(text)


def screen(chunks: Iterable[tuple[float, str]]) -> list[Line]:
    """The lines that are on the screen when a program has ended.

    Args:
        chunks: the output, each piece with its time in seconds. A piece holds whole escape sequences.
    """
    cursor = _Cursor([Line()])
    for seconds, chunk in chunks:
        for sequence in _CONTROL.finditer(chunk):
            cursor.take(sequence, seconds)
    lines = cursor.lines
    while lines and not lines[-1].text:
        lines.pop()
    return lines


def _columns(char: str) -> int:
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _runs(line: Line) -> list[tuple[int, str, Style]]:
    """Characters of one style that stand together: the column of the first, the text, the style."""
    runs: list[tuple[int, str, Style]] = []
    column = 0
    for char, style in line.cells:
        if runs and runs[-1][2] == style:
            runs[-1] = (runs[-1][0], runs[-1][1] + char, style)
        else:
            runs.append((column, char, style))
        column += _columns(char)
    return [run for run in runs if run[1].strip()]


def _moments(lines: list[Line]) -> list[float]:
    """When each line appears, in seconds: as it was written, but with no gap too short to see or too long to wait."""
    moments: list[float] = []
    before = 0.0
    for number, line in enumerate(lines):
        gap = line.written - before if number else 0.0
        before = line.written
        moments.append(
            (moments[-1] if moments else 0.0) + (min(max(gap, SHORTEST_GAP), LONGEST_GAP) if number else 0.0)
        )
    return moments


def _draw_line(line: Line, top: float, moment: float) -> str:
    spans = []
    for column, text, style in _runs(line):
        # The width is written down, so that the columns align in every font.
        lead = len(text) - len(text.lstrip())
        words = text.strip()
        left = MARGIN + (column + lead) * CELL_WIDTH
        width = sum(map(_columns, words)) * CELL_WIDTH
        weight = ' font-weight="600"' if style.bold else ""
        spans.append(
            f'<text x="{left:g}" y="{top:g}" fill="{style.colour}"{weight} textLength="{width:g}"'
            f' lengthAdjust="spacingAndGlyphs" xml:space="preserve">{escape(words)}</text>'
        )
    return f'<g class="l" style="animation-delay:{moment:.2f}s">{"".join(spans)}</g>' if spans else ""


def draw(lines: list[Line], title: str, description: str) -> str:
    """Draw a terminal window. Its lines appear one after the other, once; without animation, all are there.

    Args:
        lines: the screen.
        title: what stands in the window's bar.
        description: what the picture shows, for those who do not see it.
    """
    width = 2 * MARGIN + max(sum(_columns(char) for char in line.text) for line in lines) * CELL_WIDTH
    height = TITLE_BAR + 2 * MARGIN + len(lines) * LINE_HEIGHT - 8
    drawn = [
        _draw_line(line, TITLE_BAR + MARGIN + 10 + number * LINE_HEIGHT, moment)
        for number, (line, moment) in enumerate(zip(lines, _moments(lines), strict=True))
    ]
    dots = "".join(
        f'<circle cx="{MARGIN + 4 + 18 * number}" cy="17" r="5.5" fill="{colour}"/>'
        for number, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    bar = f"M0 {TITLE_BAR}V9a9 9 0 0 1 9-9h{width - 18:g}a9 9 0 0 1 9 9v{TITLE_BAR - 9}z"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d"',
            f' font-family="{FONTS}" font-size="{FONT_SIZE}">',
            f'<title id="t">{escape(title)}</title>',
            f'<desc id="d">{escape(description)}</desc>',
            f"<style>{MOVEMENT}</style>",
            f'<rect width="{width:g}" height="{height:g}" rx="9" fill="{GROUND}"/>',
            f'<path d="{bar}" fill="{BAR}"/>',
            dots,
            f'<text x="{width / 2:g}" y="21.5" fill="{FAINT}" font-size="12.5" text-anchor="middle">',
            f"{escape(title)}</text>",
            *(part for part in drawn if part),
            "</svg>",
            "",
        ]
    )
