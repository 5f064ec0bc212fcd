"""Two people who start labs at the same moment on one Docker host, ten times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.at_once import two_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person
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
