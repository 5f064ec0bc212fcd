"""A room of ten that is killed ten times on its way up, and a room of forty-five in which nobody reaches anybody."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.kills import moments
from tests.integration.workshops import room

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person

pytestmark = pytest.mark.soak
KILLS, SEATS = 10, 10
# More than Docker's own pools of addresses have networks.
MANY = 45


def test_ten_seats_killed_at_random_moments_of_up(ada: Person, seed: int, say: Callable[[str], None]) -> None:
    with room(ada, seats=SEATS) as made:
        longest = made.done("up").seconds
        made.done("down")
        say(f"\nSIGKILL, seed {seed}, {KILLS} moments of an `up` of {SEATS} seats that takes {longest:.1f} s")
        for moment in moments(seed, KILLS, longest):
            process = ada.start(*made.words("up"))
            time.sleep(moment.seconds)
            if moment.group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.communicate(timeout=60)
            left = len(made.labs())
            again = made.run("up")
            assert again.code == 0, f"{moment}: {again.out}{again.err}"
            assert list(made.states().values()) == [True] * SEATS, str(moment)
            say(f"  {moment}: {left} labs were there; the next up was ready after {again.seconds:.1f} s")
            made.done("down")
            assert made.left() == [], str(moment)


def test_forty_five_seats_on_one_host_are_ready_and_apart(ada: Person, say: Callable[[str], None]) -> None:
    with room(ada, seats=MANY) as made:
        came = made.person.start(*made.words("up"))
        begun = time.monotonic()
        came.communicate(timeout=1200)
        assert came.returncode == 0
        say(f"\n{MANY} seats were ready after {time.monotonic() - begun:.0f} s")
        assert list(made.states().values()) == [True] * MANY
        verified = made.person.start(*made.words("verify", "--json"), into=ada.home / "verify.json")
        begun = time.monotonic()
        verified.communicate(timeout=3600)
        assert verified.returncode == 0
        say(f"and proven apart after another {time.monotonic() - begun:.0f} s")
        assert '"verdict": "apart"' in (ada.home / "verify.json").read_text()
        removed = made.person.start(*made.words("down"))
        removed.communicate(timeout=1200)
        assert (removed.returncode, made.left()) == (0, [])
