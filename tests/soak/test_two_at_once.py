"""People who start labs, or work on one lab, at the same moment on one Docker host, ten times."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import VERSION, left_of, servers
from tests.integration.parallel_labs import two_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person, Result
    from tests.soak.trials import Trials

pytestmark = pytest.mark.soak
ROUNDS = 10


def test_two_labs_that_start_at_once_do_not_collide_in_ten_rounds(
    ada: Person, bob: Person, names: Callable[[], str], trials: Callable[[str, int], Trials]
) -> None:
    rounds = trials("two labs at once", ROUNDS)
    for trial in rounds:
        came, went = two_at_once(ada, bob, names(), names())
        rounds.record(trial, "no collision", f"both ready after {came:.1f} s, both gone after {went:.1f} s")


def test_two_ups_and_an_admins_down_of_one_lab_leave_it_whole_or_gone_in_ten_rounds(
    ada: Person,
    bob: Person,
    people: Callable[[str], Person],
    name: str,
    trials: Callable[[str, int], Trials],
) -> None:
    """Each has a state folder of their own, so only the Docker host keeps them apart."""
    up = ("up", name, "--pace", "real", "--no-join", "--consul-version", VERSION)
    commands = ((ada, up), (people(ada.owner), up), (bob, ("down", name, "--force")))

    def run(moment: float, command: tuple[Person, tuple[str, ...]]) -> Result:
        time.sleep(moment)
        return command[0].run(*command[1])

    rounds = trials("three commands on one lab at once", ROUNDS)
    for trial in rounds:
        with ThreadPoolExecutor(len(commands)) as pool:
            ended = list(pool.map(run, [trial.chance.uniform(0, 2) for _ in commands], commands))
        assert [result.code for result in ended] == [0, 0, 0], [result.err for result in ended]
        running = [server["State"]["Status"] for server in servers(name)]
        assert running in ([], ["running"] * 3), running
        took = max(result.seconds for result in ended)
        rounds.record(trial, "whole or gone", f"{len(running)} servers after {took:.1f} s")
        ada.done("down", name)
        assert left_of(name) == []
