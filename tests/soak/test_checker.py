"""The checks of chaos against a search through all orders, many times over; needs no Docker.

Each part has histories of its own, so a run that was ended goes on with the parts that are left:
`make soak PYTEST="-k 'test_checker and part7'"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.experiments.chaos.checkers.test_orders import disagreements

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.soak
PARTS, HISTORIES = 10, 50_000


@pytest.mark.parametrize("part", [pytest.param(number, id=f"part{number}") for number in range(PARTS)])
def test_a_history_is_valid_exactly_where_there_is_an_order(seed: int, say: Callable[[str], None], part: int) -> None:
    first = (seed * PARTS + part) * HISTORIES
    say(f"\nhistories {first} to {first + HISTORIES - 1}")
    wrong = list(disagreements(range(first, first + HISTORIES)))
    assert not wrong, "\n\n".join(wrong[:3])
