"""`labctl workshop down`: what is meant, and which Docker hosts keep their end."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from labctl.errors import LabctlError
from labctl.workshop import down
from labctl.workshop.model import file
from labctl.workshop.model.capacity import Facts
from labctl.workshop.model.hosts import Fleet, HostLook
from labctl.workshop.model.outcome import Removal
from labctl.workshop.model.seats import seats_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """The seat 01 lives twice, as after a host that was lost came back; the host blue does not answer."""
    path = tmp_path / "workshop.yml"
    path.write_text("workshop: raft\nseats: 2\nhosts: [{address: red}, {address: green}, {address: blue}]\n")
    workshop = file.read(path)

    def facts(*labs: str) -> Facts:
        return Facts({"labs": [{"lab": lab, "workshop": "raft"} for lab in labs]}, 0.0)

    looks = zip(workshop.hosts, (facts("raft-01"), facts("raft-01", "raft-02"), None), strict=True)
    looks_ = tuple(HostLook(host, facts, None if facts else "nothing answered") for host, facts in looks)
    return Fleet(workshop, looks_, tuple(seats_of(workshop, {})), {"raft-01": "green", "raft-02": "green"})


def test_of_one_host_only_what_is_there_is_meant(fleet: Fleet) -> None:
    assert down.chosen(fleet, (), "red") == {"raft-01": "red"}
    assert down.chosen(fleet, ("02",), "red") == {}


def test_a_host_that_does_not_answer_is_not_called_empty(fleet: Fleet) -> None:
    with pytest.raises(LabctlError, match=r"The Docker host blue cannot be used.*nothing answered"):
        down.chosen(fleet, (), "blue")


def test_a_host_whose_labs_live_elsewhere_too_keeps_its_end(fleet: Fleet) -> None:
    red, green, _ = fleet.looks
    there = {"raft-01": "green", "raft-02": "green"}
    assert down.some_lab_stays(red, "raft", there)
    assert not down.some_lab_stays(green, "raft", there)
    assert down.some_lab_stays(green, "raft", {"raft-01": "green"})


def test_nothing_is_proven_of_a_host_that_nobody_could_look_at() -> None:
    removed = Removal("raft", {}, {}, [], {})
    assert removed.proven
    assert not dataclasses.replace(removed, unseen={"blue": "nothing answered"}).proven
