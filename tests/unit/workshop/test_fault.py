"""A fault in many seats: struck at once, each timed by the clock of its own Docker host."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import labs
from labctl.engine.clock import Difference
from labctl.engine.docker_host import DockerHost
from labctl.engine.status import Status
from labctl.errors import LabctlError
from labctl.experiments.tools import ExperimentTools
from labctl.progress import Steps
from labctl.shared.server_status import View
from labctl.workshop.fault import SeatFaults
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from labctl.engine.labs import Lab, Server

AHEAD = {"near": 0.0, "far": 25.0, "back": -25.0}
"""Docker hosts, and how far their clocks are ahead of this machine's, in seconds."""
ELECTED_SECONDS = 2.5


class Said(Steps):
    """Steps that remember what was said."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def done(self, text: str) -> None:
        self.lines.append(text)


class Hosts:
    """Two seats on each host. Docker kills at once; the others elect after `ELECTED_SECONDS`, by their own clock."""

    def __init__(self) -> None:
        self.places = {name: DockerHost() for name in AHEAD}
        self.labs = [
            replace(labs.labs_from(stand_in.lab(f"w-{host}{number}"), host, place)[0], workshop="w")
            for host, place in self.places.items()
            for number in (1, 2)
        ]
        self.asked: list[str] = []
        self.windows: dict[str, tuple[datetime, datetime]] = {}
        self.killed: dict[str, datetime] = {}
        self.notes: list[tuple[str, str]] = []
        self.silent = ""
        self.tools = ExperimentTools(
            difference=self.difference, signal=self.signal, note=self.note, done_by=self.done_by, ask=self.ask
        )

    def host_of(self, lab: Lab) -> str:
        return next(name for name, place in self.places.items() if place is lab.place)

    def now(self, host: str) -> datetime:
        """By the host's own clock."""
        return datetime.now(UTC) + timedelta(seconds=AHEAD[host])

    def difference(self, place: DockerHost) -> Difference:
        host = next(name for name, docker_host in self.places.items() if docker_host is place)
        self.asked.append(host)
        if host == self.silent:
            raise LabctlError("Docker host far did not answer.")
        return Difference(AHEAD[host], 0.01)

    def signal(self, verb: str, servers: Iterable[Server]) -> None:
        assert verb == "kill"
        for server in servers:
            host = next(name for name, place in self.places.items() if place is server.place)
            self.killed[server.id] = self.now(host)

    def note(self, servers: Iterable[Server], line: str) -> None:
        self.notes += [(server.id, line) for server in servers]

    def done_by(self, server: Server, verb: str, begin: datetime, end: datetime) -> datetime | None:
        assert verb == "kill"
        time = self.killed[server.id]
        return time if begin <= time <= end else None

    def told_by_logs(self, host: str, lab: Lab, lost: tuple[str, ...], since: datetime) -> Any:
        assert abs((since - self.now(host)).total_seconds()) < 5, "the logs are of the host's clock"
        time = self.killed[lab.server(lost[0]).id] + timedelta(seconds=ELECTED_SECONDS)
        return SimpleNamespace(elected=time, leader="consul2", term=3, stood=["consul2"])

    @staticmethod
    def ask(lab: Lab) -> Status:
        """All follow consul1, or consul2 where that is gone."""
        leader = lab.servers[0]

        def state(server: Server) -> str:
            return "leader" if server is leader else "follower"

        voters = frozenset(f"10.213.0.{number}" for number in (2, 3, 4))
        views = tuple(
            View(
                server.name,
                server.address,
                state="leader" if server is leader else "follower",
                leader=leader.address,
                voters=voters,
            )
            for server in lab.servers
        )
        return Status(lab, views)

    def struck(self, steps: Steps, keep: Callable[[], None] = lambda: None) -> list[Any]:
        seats: Any = [SimpleNamespace(lab=lab.name, name=lab.name.removeprefix("w-")) for lab in self.labs]
        fleet: Any = SimpleNamespace(existing={lab.name: lab.host for lab in self.labs})
        there: Any = [(self.host_of(lab), lab) for lab in self.labs]
        faults = SeatFaults(fleet, seats, steps, self.tools, lambda _: there, self.told_by_logs, keep)
        return list(faults.apply_fault("kill", "leader"))


def test_seconds_without_a_leader_are_of_the_clock_of_the_seats_own_host() -> None:
    hosts, said = Hosts(), Said()
    faults = hosts.struck(said)
    assert [seat_fault.problem for seat_fault in faults] == [None] * 6
    assert [seat_fault.seconds for seat_fault in faults] == [pytest.approx(ELECTED_SECONDS)] * 6
    assert sorted(hosts.asked) == sorted(AHEAD), "each host once"
    assert len(hosts.notes) == 6
    within = float(said.lines[0].rpartition("within ")[2].removesuffix(" s"))
    assert within < 5, "the strokes were at the same moment, whatever the hosts' clocks say"


def test_no_seat_is_struck_by_whoever_lost_the_workshop_since_the_look() -> None:
    def keep() -> None:
        raise LabctlError("its lock was removed")

    hosts = Hosts()
    with pytest.raises(LabctlError, match="its lock was removed"):
        hosts.struck(Said(), keep)
    assert hosts.killed == {}
    assert hosts.notes == []


def test_a_host_whose_clock_is_not_known_is_not_struck() -> None:
    hosts = Hosts()
    hosts.silent = "far"
    faults = hosts.struck(Said())
    assert {seat_fault.lab: seat_fault.problem for seat_fault in faults if seat_fault.problem} == dict.fromkeys(
        ("w-far1", "w-far2"), "Docker host far did not answer."
    )
    assert len(hosts.killed) == 4


def test_a_fault_in_seats_of_which_none_is_there_is_refused_before_it_begins() -> None:
    hosts = Hosts()
    seats: Any = [SimpleNamespace(lab="w-near1", name="near1")]
    fleet: Any = SimpleNamespace(existing={})
    with pytest.raises(LabctlError, match="None of these seats is there"):
        SeatFaults(fleet, seats, Said(), hosts.tools, lambda _: [])
    assert hosts.killed == {}
