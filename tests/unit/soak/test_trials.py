from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.soak.command_deadlines import Late
from tests.soak.trials import Trials

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, ends_before: int = 99) -> tuple[list[tuple[int, float]], list[str]]:
    """Do the trials up to one that fails. Returns their numbers with some chance of each, and what was reported."""
    said: list[str] = []
    done = []
    trials = Trials("a kind of trial", 5, 7, said.append, folder)
    for trial in trials:
        if trial.number == ends_before:
            break
        done.append((trial.number, trial.chance.random()))
        trials.record(trial, "odd" if trial.number % 2 else "even", "it went well")
    return done, said


def test_each_trial_has_a_chance_of_its_own_that_a_second_run_repeats(tmp_path: Path) -> None:
    first, said = run(tmp_path)
    assert [number for number, _ in first] == [1, 2, 3, 4, 5]
    assert len({chance for _, chance in first}) == 5
    assert said[-1].endswith("5 of 5: 3 odd, 2 even")
    assert run(tmp_path)[0] == first


def test_a_run_that_was_ended_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole")
    (tmp_path / "parts").mkdir()
    first, _ = run(tmp_path / "parts", ends_before=3)
    rest, said = run(tmp_path / "parts")
    assert first + rest == whole
    assert "2 of them done before" in said[0]
    assert said[-1].endswith("5 of 5: 3 odd, 2 even")


def test_a_trial_that_nobody_recorded_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="1 trials were not recorded"):
        for _ in Trials("forgotten", 1, 7, print, tmp_path):
            pass


def test_the_latest_command_of_all_trials_is_told_also_by_a_run_that_went_on(tmp_path: Path) -> None:
    said: list[str] = []
    late = [Late(-3.0, "down"), Late(2.5, "workshop up"), Late(-9.0, "ls")]
    for runs in (2, 3):
        trials = Trials("late ones", 3, 7, said.append, tmp_path)
        for trial in trials:
            if trial.number > runs:
                break
            trials.record(trial, "killed", "it went well", late[trial.number - 1])
    assert said[1] == "    1: killed: it went well; latest: down, 3.0 s before its deadline"
    assert said[-1] == "  late ones: 3 of 3: 3 killed; latest: workshop up, 2.5 s after its deadline"
