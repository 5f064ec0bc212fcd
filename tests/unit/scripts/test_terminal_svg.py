from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from scripts.terminal_svg import PLAIN, Line, Style, draw, screen

SVG = "{http://www.w3.org/2000/svg}"


def test_a_spinner_leaves_only_what_stands_in_its_line_at_the_end() -> None:
    chunks = [(0.1, "\x1b[?25l⠋ starting"), (0.5, "\r\x1b[2K⠙ starting"), (1.0, "\n\x1b[?25h\r\x1b[1A\x1b[2Kdone\r\n")]
    lines = screen(chunks)
    assert [(line.text, line.written) for line in lines] == [("done", 1.0)]


def test_colours_are_those_of_the_terminal() -> None:
    [line] = screen([(0.0, "\x1b[38;5;208mo\x1b[0mp\x1b[1mb\x1b[0m")])
    assert line.cells == [("o", Style("#ff8700")), ("p", Style(PLAIN)), ("b", Style(PLAIN, bold=True))]


def test_a_style_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="no drawing"):
        screen([(0.0, "\x1b[7mreverse")])


def test_the_drawing_is_xml_that_holds_each_line_as_text() -> None:
    lines = [Line([(char, Style()) for char in "a < b"], 0.0), Line(), Line([("c", Style("#123456"))], 9.0)]
    root = ET.fromstring(draw(lines, "title & more", "what is seen"))  # noqa: S314 - our own text
    shown = [(text.text, text.get("fill")) for group in root.iter(f"{SVG}g") for text in group.iter(f"{SVG}text")]
    assert shown == [("a < b", PLAIN), ("c", "#123456")]
    assert root.findtext(f"{SVG}title") == "title & more"
