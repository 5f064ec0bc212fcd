"""The plan of a run: random, repeatable, and never longer than the run."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import ExitCode, LabctlError
from labctl.experiments.chaos.schedule import DEFAULT_MIX, OF_SEVERAL, QUIET_SECONDS, VERBS, schedule
from labctl.faults.targets import ROLES

THREE = ("consul1", "consul2", "consul3")


@given(seed=st.integers(), seconds=st.floats(10, 300), multiplier=st.sampled_from([1, 5]))
def test_every_fault_begins_and_ends_within_the_run(seed: int, seconds: float, multiplier: int) -> None:
    steps = schedule(seed, seconds, VERBS, THREE, multiplier)
    assert steps
    assert steps[0].at == QUIET_SECONDS
    for step in steps:
        assert step.seconds >= 0.9
        assert step.at + step.seconds <= seconds - QUIET_SECONDS + 0.01
    assert [step.at for step in steps] == sorted(step.at for step in steps)


@given(seed=st.integers())
def test_the_same_seed_gives_the_same_plan(seed: int) -> None:
    assert schedule(seed, 60, DEFAULT_MIX, THREE) == schedule(seed, 60, DEFAULT_MIX, THREE)


def test_a_plan_stays_the_same_from_version_to_version() -> None:
    assert [step.text for step in schedule(7, 30, VERBS, THREE)] == [
        "pause leader",
        "stop leader",
        "kill leader",
        "delay 200 leader",
        "kill consul2",
    ]


def test_other_seeds_give_other_plans() -> None:
    assert len({schedule(seed, 60, DEFAULT_MIX, THREE) for seed in range(50)}) == 50


def test_every_verb_of_the_mix_comes_and_no_other() -> None:
    verbs = {step.verb for seed in range(100) for step in schedule(seed, 60, VERBS, THREE)}
    assert verbs == set(VERBS)
    assert {step.verb for seed in range(20) for step in schedule(seed, 60, ("pause",), THREE)} == {"pause"}


def test_nothing_begins_while_a_process_is_down() -> None:
    for seed in range(200):
        steps = schedule(seed, 60, VERBS, THREE)
        for step, following in itertools.pairwise(steps):
            if step.verb not in OF_SEVERAL:
                assert following.at >= step.at + step.seconds


def test_some_faults_overlap_and_never_many_at_once() -> None:
    most = 0
    for seed in range(100):
        steps = schedule(seed, 60, DEFAULT_MIX, THREE)
        for step in steps:
            most = max(most, sum(other.at <= step.at < other.at + other.seconds for other in steps))
    assert 2 <= most <= 4


def test_the_words_are_those_of_the_verbs() -> None:
    for seed in range(200):
        for step in schedule(seed, 60, VERBS, THREE):
            if step.verb == "partition":
                left, slash, right = step.words
                assert slash == "/"
                assert sorted([*left.split(","), *right.split(",")]) == list(THREE)
            elif step.verb == "one-way":
                assert len(set(step.words)) == 2
            else:
                assert step.words[-1] in (*THREE, *ROLES)


def test_a_slow_lab_is_broken_for_longer() -> None:
    def mean(multiplier: int) -> float:
        lasting = [step.seconds for seed in range(50) for step in schedule(seed, 120, DEFAULT_MIX, THREE, multiplier)]
        return sum(lasting) / len(lasting)

    assert mean(5) > 2 * mean(1)


@pytest.mark.parametrize(
    ("seconds", "mix", "servers", "says"),
    [
        (9.9, DEFAULT_MIX, THREE, "too short"),
        (-1, DEFAULT_MIX, THREE, "too short"),
        (float("nan"), DEFAULT_MIX, THREE, "nan seconds"),
        (1e9, DEFAULT_MIX, THREE, "too long"),
        (30, (), THREE, "empty"),
        (30, ("kill", "burn"), THREE, "'burn' is nothing to break"),
        *((30, (verb,), ("consul1",), "one server") for verb in sorted(OF_SEVERAL)),
    ],
)
def test_what_makes_no_plan(seconds: float, mix: tuple[str, ...], servers: tuple[str, ...], says: str) -> None:
    with pytest.raises(LabctlError, match=says) as raised:
        schedule(1, seconds, mix, servers)
    assert raised.value.code == ExitCode.USAGE


def test_a_lab_of_one_server_can_be_killed_stopped_and_paused() -> None:
    assert schedule(1, 30, ("kill", "stop", "pause"), ("consul1",))
