"""A workshop of twelve seats over two Docker hosts by SSH: carried there, brought up, broken and healed as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.fleets import CARRIED, NAMES
from tests.integration.harness import IMAGE, docker, left_of, wait_until

if TYPE_CHECKING:
    from tests.integration.fleets import Fleet
    from tests.integration.harness import Result

SEATS = 12
READY_SECONDS = 60


def test_every_seat_is_ready_on_a_host_that_had_no_image(carried: tuple[Fleet, Result]) -> None:
    fleet, first = carried
    assert [(seat["ready"], seat["voters"]) for seat in first.json["seats"]] == [(True, 3)] * SEATS
    status = fleet.done("status", "--json").json
    assert status["ready"]
    assert {seat["host"] for seat in status["seats"]} == set(NAMES)
    for name, host in fleet.hosts.items():
        # Large and small fill alike, and these two are the same machine.
        assert len(fleet.labs_on(host)) == SEATS // 2
        assert {fleet.lab(seat) for seat in fleet.of(name)} == fleet.labs_on(host)
    # Nothing of it is on the controller's own engine.
    assert fleet.left() != []
    assert [part for seat in status["seats"] for part in left_of(seat["lab"])] == []
    ids = {
        docker("image", "ls", "-q", "--no-trunc", "raft-labctl/consul", host=host.host) for host in fleet.hosts.values()
    }
    assert ids == {docker("image", "ls", "-q", "--no-trunc", IMAGE)}
    # The hosts have this machine's files. What a killed run left two hours ago is gone with what this one carried.
    assert list(CARRIED.parent.glob("raft-labctl-*.tar*")) == []


def test_a_second_up_has_nothing_to_do_and_touches_nothing(fleet: Fleet) -> None:
    before = fleet.started()
    again = fleet.done("up", "--json").json
    assert not again["changed"]
    assert fleet.started() == before
    plan = fleet.done("plan", "--json").json
    assert [(host["host"], host["problem"], host["seats"]) for host in plan["hosts"]] == [
        (name, None, SEATS // 2) for name in NAMES
    ]


def test_every_leader_of_both_hosts_at_once_and_everybody_healed(fleet: Fleet) -> None:
    result = fleet.done("fault kill", "leader", "--all", "--json").json
    assert len(result["seats"]) == SEATS
    assert {seat["host"] for seat in result["seats"]} == set(NAMES)
    for seat in result["seats"]:
        assert seat["problem"] is None
        assert len(seat["servers"]) == 1
        assert seat["leader"] not in seat["servers"]
        assert seat["seconds"] > 0
    assert fleet.ready() == set()
    healed = fleet.done("fault heal", "--all", "--json").json
    assert [seat["problem"] for seat in healed["seats"]] == [None] * SEATS
    wait_until(lambda: len(fleet.ready()) == SEATS, READY_SECONDS, "every seat to be ready")
