"""Faults many times over: labctl and its helpers killed at random moments, and a hundred leaders in a row."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.elections import ELECTION_SECONDS, status_of
from tests.integration.fixtures import up
from tests.integration.harness import docker, wait_until
from tests.integration.server_networks import NAMES, helpers, is_clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person
    from tests.soak.trials import Trials

pytestmark = pytest.mark.soak
KILLS_OF_LABCTL, KILLS_OF_HELPERS = 50, 20
LEADERS = 100
LEASE_SECONDS = 3
VERBS = (("isolate", "consul2"), ("partition", "consul1", "/", "consul2,consul3"), ("loss", "40", "consul3"))


def test_every_network_is_clean_after_one_heal_when_labctl_was_killed(
    ada: Person, names: Callable[[], str], trials: Callable[[str, int], Trials]
) -> None:
    lab = names()
    up(ada, lab)
    kills = trials("labctl killed while it breaks a network", KILLS_OF_LABCTL)
    for trial in kills:
        verb = trial.chance.choice(VERBS)
        process = ada.start("fault", *verb, "--lab", lab, "--for", "60s")
        time.sleep(trial.chance.uniform(0.05, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        begun = any(not is_clean(lab, server) for server in NAMES)
        ada.done("fault", "heal", "--lab", lab)
        assert all(is_clean(lab, server) for server in NAMES), str(trial)
        assert not helpers(lab), str(trial)
        kills.record(trial, "with rules before the heal" if begun else "without", " ".join(verb))


def test_every_network_is_clean_after_the_lease_or_one_heal_when_the_helper_was_killed(
    ada: Person, names: Callable[[], str], trials: Callable[[str, int], Trials]
) -> None:
    lab = names()
    up(ada, lab)
    kills = trials("helpers killed", KILLS_OF_HELPERS)
    for trial in kills:
        server = trial.chance.choice(NAMES)
        ada.done("fault", "isolate", server, "--lab", lab, "--for", f"{LEASE_SECONDS}s")
        docker("kill", *helpers(lab))
        if trial.number % 2:
            time.sleep(LEASE_SECONDS)
        ada.done("fault", "heal", "--lab", lab)
        assert all(is_clean(lab, server) for server in NAMES), str(trial)
        kills.record(trial, "clean", server)


def test_a_hundred_leaders_are_killed_and_a_hundred_new_ones_elected(
    ada: Person, names: Callable[[], str], say: Callable[[str], None]
) -> None:
    lab = names()
    up(ada, lab)
    say(f"\n{LEADERS} leaders killed in a row")
    elected = 0
    for _ in range(LEADERS):
        wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{lab} to be ready")
        before = status_of(ada, lab)
        ada.done("fault", "kill", "leader", "--lab", lab)

        def another_leads(old: str = str(before["leader"]), term: int = int(before["term"])) -> bool:
            now = status_of(ada, lab)
            return now["leader"] not in {None, old} and now["term"] > term

        wait_until(another_leads, ELECTION_SECONDS, f"a leader after {before['leader']}")
        elected += 1
        ada.done("fault", "start", str(before["leader"]), "--lab", lab)
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{lab} to be ready at the end")
    say(f"  {elected} of {LEADERS} new leaders, ready at the end")
    story = ada.done("story", lab, "--json").json
    assert len({leader["term"] for leader in story["leaders"]}) == len(story["leaders"]) == LEADERS + 1
    assert story["unparsed"] == 0
