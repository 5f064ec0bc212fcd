"""People who start labs on one Docker host at the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.parallel_labs import all_at_once, two_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person


def test_two_labs_that_start_at_once_do_not_collide(ada: Person, bob: Person, names: Callable[[], str]) -> None:
    for _ in range(2):
        two_at_once(ada, bob, names(), names())


def test_four_owners_who_start_at_once_do_not_collide(
    people: Callable[[str], Person], names: Callable[[], str]
) -> None:
    all_at_once([(people(f"owner{number}-{names()}"), names()) for number in range(4)])
