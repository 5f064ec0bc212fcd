"""A room of ten that is killed ten times on its way up, and a room of forty-five in which nobody reaches anybody."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.workshops import room

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person
    from tests.soak.trials import Trials

pytestmark = pytest.mark.soak
KILLS, SEATS = 10, 10
# More than Docker's own pools of addresses have networks.
MANY = 45


def test_ten_seats_killed_at_random_moments_of_up(ada: Person, trials: Callable[[str, int], Trials]) -> None:
    with room(ada, seats=SEATS) as made:
        longest = made.done("up").seconds
        made.done("down")
        kills = trials(f"up of {SEATS} seats killed", KILLS)
        for trial in kills:
            process = ada.start(*made.words("up"))
            seconds = trial.chance.uniform(0, longest)
            time.sleep(seconds)
            if trial.chance.random() < 1 / 2:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.communicate(timeout=60)
            left = len(made.labs())
            again = made.run("up")
            assert again.code == 0, f"after {seconds:.2f} s: {again.out}{again.err}"
            assert list(made.states().values()) == [True] * SEATS, f"after {seconds:.2f} s"
            made.done("down")
            assert made.left() == [], f"after {seconds:.2f} s"
            said = f"after {seconds:.2f} s: {left} labs were there; the next up was ready after {again.seconds:.1f} s"
            kills.record(trial, "put right", said)


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
