"""SIGKILL at twenty random moments of up and of down, Ctrl-C at ten: the next command puts everything right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.kills import UP, how_long, interrupt, kill, moments, must_come_up, must_go_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person

pytestmark = pytest.mark.soak
KILLS = 20
INTERRUPTS = 10


@pytest.fixture(scope="module")
def seconds(ada: Person, module_names: Callable[[], str]) -> tuple[float, float]:
    """How long `up` and `down` take here and now."""
    lab = module_names()
    return how_long(ada, "up", lab, *UP), how_long(ada, "down", lab)


def test_ctrl_c_at_random_moments_of_up(
    ada: Person, names: Callable[[], str], seconds: tuple[float, float], seed: int, say: Callable[[str], None]
) -> None:
    lab = names()
    say(f"\nCtrl-C, seed {seed}, {INTERRUPTS} moments of an `up` that takes {seconds[0]:.1f} s")
    for moment in moments(seed, INTERRUPTS, seconds[0]):
        what = interrupt(ada, lab, moment)
        say(f"  {what}")
        must_go_down(ada, lab, what)
    say(f"  {INTERRUPTS} of {INTERRUPTS} were interrupted, no orphan, nothing left")


def test_up_killed_at_random_moments(
    ada: Person, names: Callable[[], str], seconds: tuple[float, float], seed: int, say: Callable[[str], None]
) -> None:
    lab = names()
    say(f"\nSIGKILL, seed {seed}, {KILLS} moments of an `up` that takes {seconds[0]:.1f} s")
    for moment in moments(seed + 1, KILLS, seconds[0]):
        what = kill(ada, "up", lab, moment)
        say(f"  {what}")
        # One half finishes the lab, the other removes what is there.
        if moment.number % 2:
            must_come_up(ada, lab, what)
        must_go_down(ada, lab, what)
    say(f"  {KILLS} of {KILLS}: the next up was ready, the next down left nothing")


def test_down_killed_at_random_moments(
    ada: Person, names: Callable[[], str], seconds: tuple[float, float], seed: int, say: Callable[[str], None]
) -> None:
    lab = names()
    say(f"\nSIGKILL, seed {seed}, {KILLS} moments of a `down` that takes {seconds[1]:.1f} s")
    for moment in moments(seed + 2, KILLS, seconds[1]):
        must_come_up(ada, lab, f"before {moment}")
        what = kill(ada, "down", lab, moment)
        say(f"  {what}")
        if moment.number % 2:
            must_come_up(ada, lab, what)
        must_go_down(ada, lab, what)
    say(f"  {KILLS} of {KILLS}: the next down left nothing, the next up was ready")
