from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labctl.runner import deadlines
from tests.soak.command_deadlines import DEADLINES, TimedPerson, deadline_of

if TYPE_CHECKING:
    from pathlib import Path


def somebody(home: Path, seconds: float) -> TimedPerson:
    """A person all of whose commands take so long."""
    return TimedPerson("dora", home, ("sh", "-c", f"exec sleep {seconds}"))


@pytest.mark.parametrize(
    "words",
    [
        ("up", "lab", "--timeout", "0"),
        ("down", "lab"),
        ("ls",),
        ("exec", "--lab", "lab", "consul1", "--", "consul"),
        ("workshop", "up", "--file", "x.yml"),
        ("workshop", "down", "--file", "x.yml"),
        ("workshop", "status", "--json", "--file", "x.yml"),
    ],
)
def test_each_command_that_is_late_fails(words: tuple[str, ...], tmp_path: Path) -> None:
    dora = somebody(tmp_path, 0.3)
    dora.grace, dora.deadlines = 0.05, dict.fromkeys(DEADLINES, 0.05)
    with pytest.raises(AssertionError, match=f"`labctl {' '.join(words)}` took 0"):
        dora.run(*words)


def test_the_latest_is_told_once(tmp_path: Path) -> None:
    dora = somebody(tmp_path, 0.05)
    dora.run("up", "lab", "--timeout", "1")
    dora.run("down", "lab")
    latest = dora.take_latest()
    assert latest is not None
    assert latest.command == "up"
    assert -1 < latest.seconds < 0
    assert dora.take_latest() is None


def test_a_command_that_has_no_deadline_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="`labctl workshop reset` has no deadline here"):
        somebody(tmp_path, 0).run("workshop", "reset", "1")


def test_a_deadline_that_is_given_counts_and_none_of_what_runs_in_the_lab() -> None:
    assert deadline_of(("up", "lab", "--timeout", "30")) == 30
    assert deadline_of(("exec", "consul1", "--", "consul", "--timeout", "9")) == DEADLINES["exec"]


def test_no_command_is_given_more_than_labctl_gives_itself() -> None:
    assert DEADLINES["down"] <= deadlines.DOWN
    assert DEADLINES["workshop up"] <= deadlines.of_seats(1, 120)
    assert DEADLINES["workshop down"] <= deadlines.of_removal(1)
