"""What `labctl workshop plan` and `status` say: what is true of each seat, in no more columns than there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.errors import LabctlError
from labctl.terminal.style import width
from labctl.workshop import survey, tables, verify
from labctl.workshop.model import plan as plans
from labctl.workshop.model.file import parse
from labctl.workshop.model.hosts import HostLook
from labctl.workshop.model.outcome import SeatStatus
from tests.unit.workshop.workshop_stand_in import OWNER, Hosts

if TYPE_CHECKING:
    from labctl.workshop.model.hosts import Fleet

ROOM = """
workshop: room
seats: 24
hosts: [{address: docker-host-red, name: docker-host-red}, {address: green, name: green}]
"""
READY = SeatStatus("room-01", "01", "red", None, "consul2", 2, 3, servers=3, running=3, writes=True)
WITHOUT = SeatStatus(
    "room-02", "02", "red", "consul3 is not running", "consul1", 3, 3, servers=3, running=2, writes=True,
    without=("consul3",),
)  # fmt: skip
STUCK = SeatStatus("room-03", "03", "red", "consul1 knows no leader", voters=3, servers=3, running=1, writes=False)
IN_DOUBT = SeatStatus("room-04", "04", "red", "consul1 may lead no longer", "consul1", 3, 3, servers=3, running=3)
ABSENT = SeatStatus("room-05", "05", None, "it is not up yet")


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fleet:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    hosts = Hosts(monkeypatch)
    hosts.different = {"green": {"routes": ["10.0.0.0/8"]}}
    return survey.look(parse(ROOM, Path("workshop.yml")), OWNER)


def test_a_seat_that_works_without_a_server_is_not_called_not_ready(fleet: Fleet) -> None:
    head, _, _, *rows = tables.seats_text(fleet, [READY, WITHOUT, STUCK, IN_DOUBT, ABSENT]).splitlines()
    assert head == "Workshop room: 1 of 5 seats is ready, 1 more works with servers away"
    states = [row.split("  ") for row in rows[:5]]
    assert [" ".join(" ".join(cells).split()[2:6]) for cells in states] == [
        "ready consul2 2 3", "works without consul3 consul1", "not ready - -", "not ready consul1 3", "not ready - -",
    ]  # fmt: skip
    assert "02: consul3 is not running" in rows


def test_the_document_says_of_each_seat_whether_writes_are_committed(fleet: Fleet) -> None:
    seats = tables.seats_document(fleet, [READY, WITHOUT, STUCK, IN_DOUBT])["seats"]
    assert [(seat["ready"], seat["writes"]) for seat in seats] == [
        (True, True), (False, True), (False, False), (False, None),
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_the_plan_is_no_wider_than_the_terminal(fleet: Fleet, columns: int) -> None:
    plan = plans.make(fleet)
    lines = tables.plan_text(plan, columns).splitlines()
    assert max(map(width, lines)) <= columns
    text = " ".join(" ".join(lines).split())
    for row in (tables.host_row(plan, look) for look in fleet.looks):
        assert row["host"] in text
        assert row["engine"] in text
        assert f"{row['seats']}: 0" in text or f"{row['seats']} seats: 0" in text
    assert text.endswith("`labctl workshop up` brings them up.")


def silent(fleet: Fleet) -> Fleet:
    """The same, when the host green does not answer and two seats are there."""
    looks = [look if look.host.name != "green" else HostLook(look.host, None, "no answer.") for look in fleet.looks]
    return replace(fleet, looks=tuple(looks), existing={"room-01": "green", "room-02": "green"})


def test_a_plan_does_not_say_that_seats_fit_on_a_host_that_tells_nothing(fleet: Fleet) -> None:
    plan = plans.make(silent(fleet))
    assert not plan.fits
    *_, verdict = tables.plan_text(plan).splitlines()
    assert verdict.startswith("2 of 24 seats are on Docker hosts that do not answer: whether they fit is not known")
    seats = tables.plan_document(plan)["seats"]
    assert [seat["problem"] for seat in seats[:3]] == ["its Docker host green does not answer"] * 2 + [None]


def test_seats_on_a_host_that_tells_nothing_are_not_proven_apart(fleet: Fleet) -> None:
    for words in ((), ("02", "03")):
        with pytest.raises(
            LabctlError, match=r"Cannot prove .* on Docker hosts that do not answer \(green: no answer\)"
        ):
            verify.docker_hosts(silent(fleet), words)


def test_a_pipe_gets_the_whole_plan_in_one_table(fleet: Fleet) -> None:
    assert tables.plan_text(plans.make(fleet)).splitlines()[0].split()[-2:] == ["ENGINE", "SEATS"]


@pytest.mark.parametrize("columns", [60, 80])
def test_why_a_seat_is_not_ready_is_wrapped(fleet: Fleet, columns: int) -> None:
    long = SeatStatus("room-06", "06", "red", " ".join(["consul1 does not answer"] * 8), servers=3)
    below = tables.seats_text(fleet, [long], columns).splitlines()[4:]
    assert below
    assert max(map(width, below)) <= columns
