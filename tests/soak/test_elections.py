"""Thirty real elections: first ones, after the leader was killed, after it was paused. The story is right each time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.integration.elections import bring_back, must_agree, take_leader
from tests.integration.fixtures import up
from tests.integration.kills import must_go_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person

pytestmark = pytest.mark.soak
LABS = 6
TAKEN = 4  # leaders that are taken from each lab


def test_the_story_of_thirty_elections_is_what_the_api_says(
    ada: Person, names: Callable[[], str], seed: int, say: Callable[[str], None]
) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    say(f"\nElections, seed {seed}: {LABS} labs, each with its first election and {TAKEN} leaders taken")
    told = 0
    for number in range(1, LABS + 1):
        lab = names()
        up(ada, lab)
        leader, term = must_agree(ada, lab, "first")
        told += 1
        line = [f"{leader} in term {term}"]
        for _ in range(TAKEN):
            how = chance.choice(["kill", "pause"])
            gone = take_leader(ada, lab, how)
            leader, term = must_agree(ada, lab, f"lab {number} after docker {how} of {gone}")
            told += 1
            line.append(f"{how}: {leader} in term {term}")
            bring_back(ada, lab, gone, how)
            must_agree(ada, lab, f"lab {number} with {gone} back")
        say(f"  lab {number}: {', '.join(line)}")
        must_go_down(ada, lab, f"lab {number}")
    say(f"  {told} of {LABS * (TAKEN + 1)} elections: leader and term as the API has them")
