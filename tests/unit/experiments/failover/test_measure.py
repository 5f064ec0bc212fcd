"""What `labctl measure failover` does, step by step, with servers that only say what they would."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import pytest

from labctl import output_files
from labctl.engine import clock, labs
from labctl.engine.kv import Indeterminate
from labctl.engine.logs import LogLine
from labctl.engine.status import Status
from labctl.errors import ExitCode, LabctlError
from labctl.experiments.failover import measure as flow
from labctl.experiments.failover.rounds import FailoverTools
from labctl.experiments.failover.write_probe import AcknowledgedWrite
from labctl.faults import processes
from labctl.lab.experiment_lock import exclusive_lab_lock
from labctl.progress import Steps
from labctl.raft.prediction import has_pre_vote
from labctl.shared.server_status import View
from labctl.shared.waiting import Clock
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.engine.labs import Lab, Server

LAB = labs.labs_from(stand_in.lab("ada", labels={"raft-labctl.pace": "real"}), "local")[0]
ASKED = flow.MeasureRequest("ada", LAB.owner, 2, "kill")
BEGIN = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


class ReportedSteps(Steps):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.failed = 0

    def note(self, text: str) -> None:
        self.lines.append(text)

    def done(self, text: str) -> None:
        self.lines.append(text)

    def fail(self) -> None:
        self.failed += 1


class World:
    """Servers that elect the next one when their leader is struck, and everything that was asked of them."""

    def __init__(self) -> None:
        self.lab = LAB
        self.leader = "consul1"
        self.term = 2
        self.struck: list[tuple[str, str]] = []
        self.keys: set[str] = set()
        self.removed: list[str] = []
        self.interrupts: BaseException | None = None
        self.writes = True
        self.heals = True
        self.refuses: BaseException | None = None
        self.clock = 0.0
        nothing: Any = None
        self.tools = FailoverTools(
            connect=lambda: nothing,
            choose_lab=lambda *_: self.lab,
            host_name=lambda: "local",
            difference=lambda _: clock.Difference(0.001, 0.01),
            ask=lambda lab: Status(lab, self.views()),
            apply_fault=self.apply_fault,
            done_by=lambda _, __, begin, ___: begin + timedelta(milliseconds=20),
            read_logs=lambda _, servers, since: self.lines(servers, since),
            first_write=self.first_write,
            store=self.store,
            exclusive_lab_lock=lambda *_: contextlib.nullcontext(lambda: None),
            time=Clock(now=lambda: self.clock, sleep=self.pass_by),
        )

    def measured(self, asked: flow.MeasureRequest, told: ReportedSteps | None = None) -> flow.Result:
        return flow.failover(asked, told or ReportedSteps(), self.tools)

    def first_write(self, lab: Lab, leader: Server, key: str) -> Any:
        return Writer(self, lab, leader, key)

    def store(self, *_: object) -> Any:
        return Keys(self)

    def pass_by(self, seconds: float) -> None:
        self.clock += seconds

    def views(self) -> tuple[View, ...]:
        voters = frozenset(server.address for server in self.lab.servers)
        address = self.lab.server(self.leader).address
        return tuple(
            View(
                server.name,
                server.address,
                None if server.state == "running" else "is not running",
                state="leader" if server.name == self.leader else "follower",
                leader=address,
                term=self.term,
                voters=voters,
            )
            for server in self.lab.servers
        )

    def apply_fault(
        self, verb: str, names: list[str], lab: Lab, seconds: float | None = None, host: clock.HostClock | None = None
    ) -> processes.FaultApplied:
        assert host in {None, clock.HostClock()}, "there is one clock, and nothing is asked while it is measured"
        assert seconds is None
        assert lab.name == "ada"
        (name,) = names
        self.struck.append((verb, name))
        state = {"kill": "exited", "pause": "paused", "start": "running", "resume": "running"}[verb]
        if self.heals or state != "running":
            servers = tuple(
                replace(server, state=state) if server.name == name else server for server in self.lab.servers
            )
            self.lab = replace(self.lab, servers=servers)
        if state != "running":
            self.leader = {"consul1": "consul2", "consul2": "consul3", "consul3": "consul1"}[name]
            self.term += 2
        return processes.FaultApplied("abcdef", BEGIN, BEGIN + timedelta(milliseconds=200))

    def lines(self, servers: list[Server], since: float) -> list[LogLine]:
        """Docker took the lines in 70 ms after their servers wrote them."""
        assert since == (BEGIN - timedelta(seconds=1)).timestamp()
        assert self.leader in {server.name for server in servers}
        said = [
            (1.21, self.leader, "[WARN]  raft: heartbeat timeout reached, starting election: last-leader="),
            (1.21, self.leader, f'[INFO]  raft: entering candidate state: node="x" term={self.term}'),
            (2.52, self.leader, '[INFO]  raft: entering leader state: leader="x"'),
        ]
        return [
            LogLine(server, stamp(seconds + 0.07), f"    {stamp(seconds)[:-7]}Z {text}")
            for seconds, server, text in said
            if server in {server_.name for server_ in servers}
        ]


def stamp(seconds: float) -> str:
    return (BEGIN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


class Writer:
    def __init__(self, world: World, lab: Lab, leader: Server, key: str) -> None:
        self.world, self.key = world, key
        assert lab.server(leader.name).state == "running"
        assert leader.name == world.leader

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def wait(self, seconds: float) -> AcknowledgedWrite | None:
        assert seconds == 40
        self.world.keys.add(self.key)
        if self.world.interrupts is not None and len(self.world.struck) > 2:
            raise self.world.interrupts
        return AcknowledgedWrite(BEGIN + timedelta(seconds=2.6), "consul3", 0.03) if self.world.writes else None


class Keys:
    def __init__(self, world: World) -> None:
        self.world = world

    def delete(self, prefix: str) -> None:
        if self.world.refuses is not None:
            raise self.world.refuses
        self.world.removed.append(prefix)
        self.world.keys = {key for key in self.world.keys if not key.startswith(prefix)}

    def all(self, prefix: str) -> dict[str, Any]:
        return {key: 1 for key in self.world.keys if key.startswith(prefix)}

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def world() -> World:
    return World()


def test_each_leader_is_taken_away_and_comes_back(world: World) -> None:
    told = ReportedSteps()
    result = world.measured(ASKED, told)
    assert world.struck == [("kill", "consul1"), ("start", "consul1"), ("kill", "consul2"), ("start", "consul2")]
    assert result.ended is None
    failover, two = result.measurement.failovers
    assert (failover.old_leader, failover.told.leader, two.old_leader, two.told.leader) == (
        "consul1", "consul2", "consul2", "consul3",
    )  # fmt: skip
    assert failover.told.term == 4
    assert failover.uncertain == pytest.approx(0.02)
    assert told.lines[0] == (
        "1 of 2: consul1 killed, noticed after 1.19 s, consul2 leads after 2.50 s, written after 2.58 s"
    )


def test_what_servers_wrote_counts_and_not_when_docker_took_it_in(world: World) -> None:
    (failover,) = world.measured(replace(ASKED, times=1)).measurement.failovers
    assert failover.seconds("detection") == pytest.approx(1.19)
    assert failover.seconds("leaderless") == pytest.approx(2.50)
    assert failover.seconds("first_write") == pytest.approx(2.58)
    assert world.leader == "consul2"


def test_a_paused_leader_is_resumed(world: World) -> None:
    result = world.measured(replace(ASKED, by="pause", times=1))
    assert world.struck == [("pause", "consul1"), ("resume", "consul1")]
    assert result.measurement.by == "pause"


def test_the_runs_keys_are_removed_and_no_others(world: World) -> None:
    world.keys.add("somebody/else")
    world.measured(ASKED)
    assert world.keys == {"somebody/else"}
    assert len(set(world.removed)) == 1
    assert world.removed[0].startswith("raft-labctl/failover-")


@pytest.mark.parametrize("how", [KeyboardInterrupt(), LabctlError("Docker is gone.")])
def test_whatever_ends_it_the_leader_comes_back_and_what_was_measured_stays(
    world: World, how: KeyboardInterrupt | LabctlError
) -> None:
    world.interrupts = how
    told = ReportedSteps()
    result = world.measured(replace(ASKED, times=5), told)
    assert result.ended is how
    assert world.struck[-2:] == [("kill", "consul2"), ("start", "consul2")]
    assert len(result.measurement.failovers) == 1
    assert result.measurement.times == 5
    assert world.keys == set()
    assert told.failed == 1


def test_without_a_write_in_time_it_says_so_and_the_leader_comes_back(world: World) -> None:
    world.writes = False
    result = world.measured(ASKED)
    assert isinstance(result.ended, LabctlError)
    assert result.ended.code is ExitCode.NOT_READY
    assert result.ended.sentence.startswith("In the lab ada no write after killing consul1, within 40 seconds")
    assert world.struck[-1] == ("start", "consul1")
    assert result.measurement.failovers == ()


def test_a_lab_that_does_not_get_ready_again_ends_it(world: World) -> None:
    world.heals = False
    result = world.measured(ASKED)
    assert isinstance(result.ended, LabctlError)
    assert "not all servers followed one leader, because consul1 is not running" in result.ended.sentence
    assert result.ended.code is ExitCode.NOT_READY


def test_an_engine_that_is_busy_at_the_end_does_not_hide_what_ended_it(world: World) -> None:
    world.writes = False
    busy = LabctlError("The Docker Engine did not answer.")

    def choose_lab(*_: Any) -> Any:
        if world.keys:  # since the leader was taken away
            raise busy
        return world.lab

    world.tools = replace(world.tools, choose_lab=choose_lab)
    told = ReportedSteps()
    result = world.measured(ASKED, told)
    assert isinstance(result.ended, LabctlError)
    assert "no write after killing consul1" in result.ended.sentence
    assert told.lines[0] == "consul1 could not be brought back: The Docker Engine did not answer."
    assert "are left in the lab ada: The Docker Engine" in told.lines[1]


@pytest.mark.parametrize("how", [LabctlError("The Docker Engine did not answer."), KeyboardInterrupt()])
def test_what_goes_wrong_while_keys_are_removed_is_told_and_loses_nothing(world: World, how: BaseException) -> None:
    world.refuses = how
    result = world.measured(ASKED)
    assert result.ended is how
    assert len(result.measurement.failovers) == 2


def test_what_nobody_foresaw_loses_nothing(world: World) -> None:
    world.interrupts = ValueError("odd")
    result = world.measured(replace(ASKED, times=5))
    assert isinstance(result.ended, LabctlError)
    assert result.ended.sentence == "The measuring ended early: ValueError: odd."
    assert len(result.measurement.failovers) == 1
    assert world.keys == set()


def test_keys_that_nobody_removes_are_named(world: World) -> None:
    world.refuses = Indeterminate("nobody")
    told = ReportedSteps()
    world.measured(replace(ASKED, times=1), told)
    assert "are left in the lab ada" in told.lines[-1]


@pytest.mark.parametrize("times", [0, -1, flow.MOST_TIMES + 1])
def test_no_times_and_too_many_are_refused(world: World, times: int) -> None:
    with pytest.raises(LabctlError, match="say 1 to 500") as caught:
        world.measured(replace(ASKED, times=times))
    assert caught.value.code is ExitCode.USAGE
    assert world.struck == []


def refused(world: World, match: str, asked: flow.MeasureRequest = ASKED) -> ExitCode:
    with pytest.raises(LabctlError, match=match) as caught:
        world.measured(asked)
    assert world.struck == []
    assert world.removed == []
    return caught.value.code


def test_a_lab_that_cannot_fail_over_is_refused(world: World) -> None:
    world.lab = replace(LAB, spec=replace(LAB.spec, servers=1), servers=LAB.servers[:1])
    assert refused(world, "has 1 server, so nobody can follow") is ExitCode.REFUSED


def test_a_lab_that_is_not_ready_is_refused(world: World) -> None:
    world.lab = replace(LAB, servers=(*LAB.servers[:2], replace(LAB.servers[2], state="exited")))
    assert refused(world, "is not ready because consul3 is not running") is ExitCode.NOT_READY


def test_somebody_elses_lab_is_refused(world: World) -> None:
    assert refused(world, "belongs to", replace(ASKED, owner="eve")) is ExitCode.REFUSED


def test_a_docker_host_with_another_clock_is_refused(world: World) -> None:
    world.tools = replace(world.tools, difference=lambda _: clock.Difference(-0.5, 0.02))
    assert refused(world, r"clock is -0\.50 s off this machine's") is ExitCode.REFUSED
    world.tools = replace(world.tools, host_name=lambda: "ssh://far")
    assert refused(world, "The Docker host is ssh://far") is ExitCode.REFUSED
    world.tools = replace(world.tools, host_name=lambda: "local")
    # Where nobody can tell, or the answer took too long to tell, it goes on.
    for measured in (None, clock.Difference(0.5, 0.49)):
        world.tools = replace(world.tools, difference=partial(lambda difference, _: difference, measured))
        world.struck.clear()
        assert world.measured(ASKED).ended is None


@pytest.mark.usefixtures("docker")
def test_a_lab_that_another_command_breaks_is_refused(world: World) -> None:
    world.tools = replace(world.tools, exclusive_lab_lock=exclusive_lab_lock)
    with exclusive_lab_lock(LAB, "bob", "labctl chaos ada", 60):
        assert refused(world, "Cannot break the lab ada now: .*`labctl chaos ada`") is ExitCode.REFUSED


def test_a_file_that_could_not_be_written_is_refused_before_anything_is_measured(world: World, tmp_path: Path) -> None:
    asked = replace(ASKED, output=tmp_path / "no" / "such.svg")
    assert refused(world, "there is no such folder", asked) is ExitCode.USAGE
    with pytest.raises(LabctlError, match="could not be written: Is a directory"):
        output_files.save("text", tmp_path)
    output_files.save("text", tmp_path / "there")
    assert (tmp_path / "there").read_text(encoding="utf-8") == "text"


@pytest.mark.parametrize(
    ("version", "has"), [("1.8.7", False), ("1.20.1", False), ("1.20.2", True), ("1.21.4", True), ("", False)]
)
def test_pre_vote_came_with_a_version(version: str, has: bool) -> None:
    assert has_pre_vote(version) is has
