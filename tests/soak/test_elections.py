"""Thirty real elections: first ones, after the leader was killed, after it was paused. The story is right each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.elections import bring_back, must_agree, take_leader
from tests.integration.fixtures import up
from tests.integration.kills import must_go_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person
    from tests.soak.trials import Trials

pytestmark = pytest.mark.soak
LABS = 6
TAKEN = 4  # leaders that are taken from each lab


def test_the_story_of_thirty_elections_is_what_the_api_says(
    ada: Person, names: Callable[[], str], trials: Callable[[str, int], Trials]
) -> None:
    labs = trials(f"labs with a first election and {TAKEN} leaders taken", LABS)
    for trial in labs:
        lab = names()
        up(ada, lab)
        leader, term = must_agree(ada, lab, "first")
        line = [f"{leader} in term {term}"]
        for _ in range(TAKEN):
            how = trial.chance.choice(["kill", "pause"])
            gone = take_leader(ada, lab, how)
            leader, term = must_agree(ada, lab, f"lab {trial.number} after docker {how} of {gone}")
            line.append(f"{how}: {leader} in term {term}")
            bring_back(ada, lab, gone, how)
            must_agree(ada, lab, f"lab {trial.number} with {gone} back")
        must_go_down(ada, lab, f"lab {trial.number}")
        labs.record(trial, "told as the API has it", ", ".join(line))
