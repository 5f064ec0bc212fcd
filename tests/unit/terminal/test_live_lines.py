"""Lines below what was printed, that are rewritten on a terminal and left out elsewhere."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from labctl.terminal.live_lines import MOST_LINES, LinesBelow

if TYPE_CHECKING:
    from collections.abc import Iterable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _a_terminal_that_moves_its_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")


def written(out: io.StringIO, *calls: tuple[Iterable[str], Iterable[str]]) -> str:
    below = LinesBelow(out)
    for staying, rewritten in calls:
        below.write(list(staying), list(rewritten))
    return out.getvalue()


def test_what_is_below_is_taken_away_before_anything_else_is_written() -> None:
    text = written(Terminal(), (["a"], ["b", "c"]), (["d"], ["e"]), ([], []), (["f"], []))
    assert text == "a\nb\nc\n\x1b[2A\x1b[Jd\ne\n\x1b[1A\x1b[Jf\n"


def test_what_a_narrower_terminal_broke_into_rows_is_taken_away_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    below = LinesBelow(out)
    below.write([], ["x" * 20, "y"])
    monkeypatch.setenv("COLUMNS", "8")
    below.write(["z"])
    assert out.getvalue().endswith("\x1b[4A\x1b[Jz\n")


def test_a_screen_is_never_filled() -> None:
    text = written(Terminal(), ([], [str(number) for number in range(40)]))
    assert text.splitlines() == [str(number) for number in range(40 - MOST_LINES, 40)]


@pytest.mark.parametrize(("kind", "term"), [(io.StringIO, "xterm"), (Terminal, "dumb"), (Terminal, "")])
def test_elsewhere_it_is_left_out(kind: type[io.StringIO], term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    assert written(kind(), (["a"], ["b"]), ([], ["c"]), (["d"], [])) == "a\nd\n"
    assert not LinesBelow(kind()).rewrites
