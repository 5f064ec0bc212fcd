"""Colours, signs and tables; and nothing from outside that a terminal would obey."""

from __future__ import annotations

import io
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.terminal import style
from tests.unit.stand_ins import Terminal

if TYPE_CHECKING:
    from tests.unit.stand_ins import StreamChange


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_colour_is_for_terminals_only(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert style.coloured(terminal)
    assert not style.coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not style.coloured(terminal)
    monkeypatch.setenv("NO_COLOR", "")
    assert style.coloured(terminal)
    monkeypatch.setenv("TERM", "dumb")
    assert not style.coloured(terminal)


def test_text_is_painted_where_colour_is_wanted() -> None:
    assert style.paint("x", "red", colour=True) == "\x1b[31mx\x1b[0m"
    assert style.paint("x", "red", colour=False) == "x"


def test_the_seven_servers_of_a_lab_have_seven_colours() -> None:
    painted = {style.paint_server(f"consul{number}", "x", colour=True) for number in range(1, 8)}
    assert len(painted) == 7
    assert style.paint_server("consul1", "a", colour=True) != style.paint_server("consul2", "a", colour=True)
    assert style.paint_server("elsewhere", "x", colour=False) == "x"


@given(st.text())
def test_nothing_that_moves_a_cursor_or_turns_text_around_gets_through(text: str) -> None:
    shown = style.harmless(text)
    kept = {char for char in shown if unicodedata.category(char) == "Cc"} - {"\t"}
    turning = {
        char
        for char in shown
        if unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    }
    assert kept == turning == set()
    assert len(shown.splitlines()) <= 1
    shown.encode()


@given(st.text())
def test_harmless_text_stays_as_it_is(text: str) -> None:
    once = style.harmless(text)
    assert style.harmless(once) == once


def test_what_was_taken_out_is_shown() -> None:
    assert style.harmless("a\x1b[2Jb\u202ec") == r"a\x1b[2Jb\u202ec"
    assert style.harmless("one\ntwo\u2028three\udcff") == r"one\ntwo\u2028three\udcff"
    assert style.harmless("Ada Lovelace, Łódź, 日本 🚀\tx") == "Ada Lovelace, Łódź, 日本 🚀\tx"


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("\x1b[31mabc\x1b[0m", 3), ("", 0)]
)
def test_the_width_of_text_is_what_a_terminal_needs(text: str, columns: int) -> None:
    assert style.width(text) == columns


def test_a_table_has_columns_that_stand_below_each_other(
    standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = style.table(["a", "second"], [["日本", "x"], [style.Cell("red", "red"), ""], ["plain", "y"]])
    assert text.splitlines() == ["A      SECOND", "日本   x", "red", "plain  y"]
    monkeypatch.setenv("TERM", "xterm")
    standard_output(Terminal())
    text = style.table(["a"], [[style.Cell("red", "red")], ["plain"]])
    assert text.splitlines() == ["\x1b[1mA\x1b[0m", "\x1b[31mred\x1b[0m", "plain"]


@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), max_size=4))
def test_a_row_is_a_line_whatever_its_cells_hold(rows: list[list[str]]) -> None:
    text = style.table(["one", "two"], rows)
    assert text.count("\n") == len(rows)
    assert "\t" not in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86_399, "23h"), (200_000, "2d")],
)
def test_an_age_has_its_largest_unit_only(seconds: float, text: str) -> None:
    assert style.age(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (999_999, "1MB"), (132_000_000, "132MB"), (1_500_000_000, "1.50GB")],
)
def test_a_size_is_written_as_docker_writes_it(count: int, text: str) -> None:
    assert style.byte_size(count) == text


@given(st.integers(0, 10**15))
def test_every_size_has_a_text(count: int) -> None:
    assert style.byte_size(count).endswith("B")


@pytest.mark.parametrize(("written", "sign"), [("utf-8", "✓"), ("ascii", "ok"), ("latin-1", "ok"), ("nonsense", "ok")])
def test_a_sign_is_one_that_the_output_can_show(standard_output: StreamChange, written: str, sign: str) -> None:
    class Output(io.StringIO):
        encoding = written

    standard_output(Output())
    assert style.sign("done") == sign
