"""A split vote, provoked: two servers that woke at the same moment stand in the same term, and nobody wins it."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.elections import ELECTION_SECONDS, must_agree, status_of, story_of
from tests.integration.fixtures import up
from tests.integration.harness import container, docker, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.harness import Person

pytestmark = pytest.mark.soak
TRIES = 30
# At pace `real` a follower stands 1 to 2 seconds after the last heartbeat.
ASLEEP_SECONDS = 2.5


def splits(story: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The terms in which two candidates had one vote each and nobody won, as the story tells them."""
    stood: dict[int, list[dict[str, Any]]] = {}
    for election in story["elections"]:
        stood.setdefault(election["term"], []).append(election)
    return [
        stood_in
        for stood_in in stood.values()
        if len(stood_in) > 1 and all(election["outcome"] == "split" for election in stood_in)
    ]


def provoke(person: Person, lab: str) -> None:
    """Kill the leader, and let both followers wake at once when they should long have stood; then heal it."""
    leader = status_of(person, lab)["leader"]
    followers = [container(lab, name) for name in ("consul1", "consul2", "consul3") if name != leader]
    docker("kill", container(lab, leader))
    docker("kill", "--signal", "STOP", *followers)
    time.sleep(ASLEEP_SECONDS)
    docker("kill", "--signal", "CONT", *followers)
    wait_until(lambda: status_of(person, lab)["leader"] not in {None, leader}, ELECTION_SECONDS, "another leader")
    docker("start", container(lab, leader))
    wait_until(lambda: status_of(person, lab)["ready"], ELECTION_SECONDS, "the lab to be ready")


def test_a_provoked_split_vote_is_told_as_one(
    ada: Person, names: Callable[[], str], tmp_path: Path, say: Callable[[str], None]
) -> None:
    lab = names()
    up(ada, lab)
    split_votes: list[list[dict[str, Any]]] = []
    tries = 0
    while not split_votes:
        tries += 1
        assert tries <= TRIES, f"no split vote in {TRIES} tries"
        provoke(ada, lab)
        story = story_of(ada, lab)
        split_votes = splits(story)
    must_agree(ada, lab, "after the split vote")
    for candidates in split_votes:
        term = candidates[0]["term"]
        assert len({candidate["candidate"] for candidate in candidates}) == len(candidates)
        assert term not in [leader["term"] for leader in story["leaders"]]
        say(f"\nSplit vote in term {term} at try {tries}: {', '.join(each['candidate'] for each in candidates)}")
    bundle = tmp_path / "split-vote.tgz"
    ada.done("bundle", "save", lab, "-o", str(bundle))
    if kept := os.environ.get("LABCTL_SOAK_KEEP"):
        shutil.copy(bundle, kept)
