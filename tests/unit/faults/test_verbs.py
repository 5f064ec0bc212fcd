"""What `labctl fault` does, step by step, with a Docker that only remembers."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import clock, labs
from labctl.engine.status import Status
from labctl.errors import ExitCode, LabctlError
from labctl.faults import context, heal, network, processes, transfer_leader
from labctl.faults.inject import ActiveFault
from labctl.faults.nftables import Cut, Delay
from labctl.faults.tools import Tools
from labctl.progress import Steps
from labctl.raft import log_notes
from labctl.results import HealResult
from labctl.shared.lab_spec import LabSpec
from labctl.shared.server_status import View
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.engine.labs import Lab

LAB = labs.labs_from(stand_in.lab("ada"), "local")[0]
ASKED = context.FaultRequest("ada", LAB.owner)


class ReportedSteps(Steps):
    """Steps that record what a person would read."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def done(self, text: str) -> None:
        self.lines.append(text)


class Engine:
    """Records what was done to the servers."""

    def __init__(self) -> None:
        self.lab = LAB
        self.changes: list[tuple[dict[str, Any], str, float]] = []
        self.signals: list[tuple[str, list[str]]] = []
        self.notes: list[tuple[list[str], str]] = []
        self.later: list[list[str]] = []
        self.voters = frozenset(server.address for server in LAB.servers)
        self.transfers: list[tuple[str, str | None]] = []
        self.refuses: list[str] = []
        self.ahead, self.asked_for_time = 0.0, 0
        self.logs: dict[str, str] = {}
        self.rules: dict[str, set[str]] = {}
        self.active: list[str] = []
        nobody: Any = None
        self.tools = Tools(
            connect=lambda: nobody,
            choose_lab=lambda *_: self.lab,
            ask=lambda lab: Status(lab, self.views()),
            difference=self.difference,
            change=lambda _, what, __, words, s, ___: self.changes.append((dict(what), words, s)),
            signal=self.signal,
            states_of=self.states_of,
            note=lambda on, line: self.notes.append(([server.name for server in on], line)),
            last_words=lambda server: self.logs.get(server.name, ""),
            active=lambda *_: [ActiveFault(fault, "", (), None) for fault in self.active],
            lift=self.heal,
            transfer=lambda leader, to: self.transfers.append((leader.name, to)),
            done_by=lambda *_: None,
            start_process=lambda words, **_: self.later.append(words),
        )

    def signal(self, verb: str, on: Iterable[labs.Server]) -> None:
        """Do it to all but those that Docker refuses; a lab has the new states."""
        on = list(on)
        self.signals.append((verb, [server.name for server in on]))
        for server in on:
            if server.name not in self.refuses:
                self.with_state(
                    server.name, {"pause": "paused", "kill": "exited", "stop": "exited"}.get(verb, "running")
                )
        if any(server.name in self.refuses for server in on):
            raise LabctlError("Docker failed while killing servers: cannot kill container.")

    def states_of(self, on: Iterable[labs.Server]) -> dict[str, str]:
        """Their states now; unknown where Docker is silent."""
        if "silence" in self.refuses:
            raise LabctlError("The Docker Engine did not answer within 20 seconds.")
        return {server.name: self.lab.server(server.name).state for server in on}

    def difference(self, _: object) -> clock.Difference:
        """How far the Docker host's clock is ahead."""
        self.asked_for_time += 1
        return clock.Difference(self.ahead, 0.01)

    def views(self) -> tuple[View, ...]:
        """All know consul1 as the leader."""
        return tuple(
            View(
                server.name,
                server.address,
                None if server.state == "running" else "it does not run",
                node_id=f"id-{server.name}",
                state="leader" if server.name == "consul1" else "follower",
                leader=LAB.servers[0].address,
                term=2,
                voters=self.voters,
            )
            for server in self.lab.servers
        )

    def heal(self, lab: Lab, fault: str | None) -> dict[str, set[str]]:
        """Take rules out of every network; a server that does not run has none."""
        return {
            server.name: {rule for rule in self.rules.get(server.name, set()) if fault in {None, rule}}
            for server in lab.servers
            if server.state != "exited"
        }

    def with_state(self, server: str, state: str) -> None:
        """Let a server be in another state, in Docker's words."""
        changed = [replace(server_, state=state) if server_.name == server else server_ for server_ in self.lab.servers]
        self.lab = replace(self.lab, servers=tuple(changed))


@pytest.fixture
def docker() -> Engine:
    return Engine()


def test_a_leader_is_isolated_from_every_other_server_and_its_log_says_so(docker: Engine) -> None:
    told = ReportedSteps()
    result = network.isolate("leader", ASKED, told, docker.tools)
    ((changes, words, seconds),) = docker.changes
    others = frozenset(server.address for server in LAB.servers[1:])
    assert changes == {"consul1": Cut(incoming=others, outgoing=others)}
    assert (words, seconds) == ("isolate consul1", network.LEASE_SECONDS)
    assert told.lines[0] == (
        "isolate consul1 for 60 s: 2 of 3 remain together: nobody leads for 10 to 21 s at this pace, then they elect a "
        "new leader, and writes go on; consul1 gives up when its lease of 2.5 s is over."
    )
    ((servers, line),) = docker.notes
    assert servers == ["consul1"]
    assert f'fault began: id={result.fault} servers=consul1 what="isolate consul1" seconds=60' in line
    assert (result.changed, result.servers, result.seconds) == (True, ("consul1",), 60)


@pytest.mark.parametrize("dry_run", [True, False])
def test_json_says_what_follows(docker: Engine, dry_run: bool) -> None:
    result = processes.process("kill", "leader", replace(ASKED, dry_run=dry_run), ReportedSteps(), docker.tools)
    assert result.forecast is not None
    assert {name: value for name, value in asdict(result.forecast).items() if name != "sentence"} == {
        "together": 2, "voters": 3, "quorum": 2, "leader": "lost", "seconds_without_leader": (10, 21), "writes": True,
    }  # fmt: skip
    assert result.forecast.sentence.startswith("2 of 3 remain together: nobody leads for 10 to 21 s")


def test_who_starts_a_server_while_nobody_leads_is_told_what_is_awaited(docker: Engine) -> None:
    docker.with_state("consul1", "exited")
    told = ReportedSteps()
    result = processes.process("start", "consul1", ASKED, told, docker.tools)
    first, *rest = told.lines
    assert first == (
        "start consul1: 3 of 3 are together then, and nobody leads now: no writes until they have elected a leader, "
        "usually within 19 s at this pace."
    )
    assert rest == [
        "consul1 is started.",
        "Nobody leads yet: `labctl status ada` says when, and `labctl start ada` waits.",
    ]
    assert result.forecast is not None
    assert (result.forecast.leader, result.forecast.writes) == ("none", False)


def test_what_is_broken_already_counts(docker: Engine) -> None:
    isolated = ActiveFault("ab12cd", "isolate consul3", ("consul3",), None)
    docker.tools = replace(docker.tools, active=lambda *_: [isolated])
    told = ReportedSteps()
    processes.process("kill", "consul2", replace(ASKED, dry_run=True), told, docker.tools)
    assert told.lines[0].startswith("kill consul2: 1 of 3 remains, and 2 are needed: no leader, no writes")


def test_a_forecast_without_docker_says_that_it_knows_less(docker: Engine) -> None:
    def silent(*_: object) -> list[ActiveFault]:
        raise LabctlError("The Docker Engine did not answer within 20 seconds.")

    docker.tools = replace(docker.tools, active=silent)
    told = ReportedSteps()
    processes.process("kill", "consul2", replace(ASKED, dry_run=True), told, docker.tools)
    assert told.lines[0].endswith("Docker did not say which other faults there are.")


def test_each_side_of_a_partition_is_cut_from_the_others(docker: Engine) -> None:
    network.partition(["consul1,consul2", "/", "consul3"], replace(ASKED, seconds=5), ReportedSteps(), docker.tools)
    ((changes, words, seconds),) = docker.changes
    first, second, third = (frozenset({server.address}) for server in LAB.servers)
    assert {name: change.incoming for name, change in changes.items()} == {
        "consul1": third, "consul2": third, "consul3": first | second,
    }  # fmt: skip
    assert (words, seconds) == ("partition consul1,consul2 / consul3", 5)


def test_one_way_loss_rate_and_delay_are_what_they_say(docker: Engine) -> None:
    network.one_way("consul1", "consul2", ASKED, ReportedSteps(), docker.tools)
    network.loss(30, "consul2", ASKED, ReportedSteps(), docker.tools)
    network.rate(8, "consul2", ASKED, ReportedSteps(), docker.tools)
    network.delay(200, "consul2", 20, ASKED, ReportedSteps(), docker.tools)
    first, two, three, four = (changes["consul2"] for changes, _, _ in docker.changes)
    assert first == Cut(incoming=frozenset({LAB.servers[0].address}))
    assert (two.percent, three.kilobytes) == (30, 8)
    assert isinstance(four, Delay)
    assert (four.milliseconds, four.jitter, len(four.outgoing)) == (200, 20, 2)


def test_a_fault_of_a_process_is_healed_by_its_name_when_its_lease_is_over(docker: Engine) -> None:
    result = processes.process("kill", "leader", replace(ASKED, seconds=30), ReportedSteps(), docker.tools)
    assert docker.signals == [("kill", ["consul1"])]
    (words,) = docker.later
    assert words[3] == "30"
    assert words[-5:] == ["fault", "heal", result.fault, "--lab", "ada"]
    ((servers, line),) = docker.notes
    assert (servers, f"id={result.fault} " in line) == (["consul1"], True)
    processes.process("kill", "consul2", ASKED, ReportedSteps(), docker.tools)
    assert len(docker.later) == 1


@pytest.mark.parametrize(("verb", "state"), [("start", "exited"), ("resume", "paused")])
def test_what_brings_servers_back_has_no_lease_and_says_which_fault_ends(docker: Engine, verb: str, state: str) -> None:
    docker.with_state("consul2", state)
    docker.logs["consul2"] = began("abc123", "pause" if state == "paused" else "stop")
    result = processes.process(verb, "any", replace(ASKED, seconds=30), ReportedSteps(), docker.tools)
    assert (result.fault, result.servers, result.seconds) == (None, ("consul2",), None)
    assert docker.later == []
    assert docker.signals == [("unpause" if verb == "resume" else "start", ["consul2"])]
    ((servers, line),) = docker.notes
    assert (servers, "fault ended: id=abc123 servers=consul2" in line) == (["consul2"], True)


def test_a_frozen_server_that_is_killed_is_thawed_first_so_that_its_log_says_so(docker: Engine) -> None:
    docker.with_state("consul2", "paused")
    processes.process("kill", "consul2", ASKED, ReportedSteps(), docker.tools)
    assert docker.signals == [("unpause", ["consul2"]), ("kill", ["consul2"])]
    assert [servers for servers, _ in docker.notes] == [["consul2"]]


def began(fault: str, verb: str) -> str:
    """The log of a server that was taken away by that fault."""
    line = log_notes.began(datetime.now(UTC), fault, f"{verb} consul2", ["consul2"], 30)
    return f"a line of Consul\n{line}\nanother\n"


@pytest.mark.parametrize(("verb", "state"), [("kill", "exited"), ("stop", "exited"), ("pause", "paused")])
def test_a_fault_of_a_process_heals_by_its_name_and_leaves_other_servers_alone(
    docker: Engine, verb: str, state: str
) -> None:
    docker.with_state("consul2", state)
    docker.with_state("consul3", "exited")
    docker.logs = {"consul2": began("abc123", verb), "consul3": began("def456", "kill")}
    told = ReportedSteps()
    result = heal.heal("abc123", ASKED, told, docker.tools)
    assert result == HealResult("ada", changed=True, healed=("abc123",), started=("consul2",))
    assert docker.signals == [("unpause" if state == "paused" else "start", ["consul2"])]
    ((servers, line),) = docker.notes
    assert (servers, "fault ended: id=abc123" in line) == (["consul2"], True)
    assert told.lines == ["The fault abc123 is lifted: consul2 runs again."]


@pytest.mark.parametrize(
    ("state", "log"),
    [
        ("exited", began("abc123", "kill") + began("def456", "kill")),  # killed again, by another fault
        ("exited", began("abc123", "pause")),  # paused, and then it fell over
        ("paused", began("abc123", "kill")),  # it was started, and paused by other means
        ("exited", began("abc123", "isolate")),  # a fault of the network, and then it fell over
        ("exited", began("abc123", "kill") + log_notes.ended(datetime.now(UTC), "abc123", ["consul2"])),
        ("exited", ""),  # it was started since, and is down for another reason: its new life tells of no fault
        ("running", began("abc123", "kill")),
    ],
)
def test_a_lease_that_is_over_undoes_its_own_fault_and_no_later_one(docker: Engine, state: str, log: str) -> None:
    docker.with_state("consul2", state)
    docker.logs["consul2"] = log
    with pytest.raises(LabctlError, match="The lab ada has no fault abc123") as caught:
        heal.heal("abc123", ASKED, ReportedSteps(), docker.tools)
    assert caught.value.code is ExitCode.FAILED
    assert (docker.signals, docker.notes) == ([], [])


def test_servers_that_were_taken_away_are_faults_that_the_lab_has(docker: Engine) -> None:
    docker.with_state("consul2", "paused")
    docker.with_state("consul3", "exited")
    docker.logs["consul2"] = began("abc123", "pause")
    docker.logs["consul3"] = began("def456", "pause")  # it was resumed, and fell over since
    docker.active = ["bbbbbb"]
    name, active = heal.ls("ada", tools=docker.tools)
    assert name == "ada"
    assert [(fault.id, fault.servers) for fault in active] == [("abc123", ("consul2",)), ("bbbbbb", ())]


def test_all_are_the_rules_of_every_network_and_the_servers_that_do_not_run(docker: Engine) -> None:
    docker.with_state("consul2", "paused")
    docker.with_state("consul3", "exited")
    docker.logs["consul2"] = began("abc123", "pause")
    docker.rules["consul1"] = {"aaaaaa"}
    docker.active = ["bbbbbb"]
    told = ReportedSteps()
    result = heal.heal(None, ASKED, told, docker.tools)
    assert result.healed == ("aaaaaa", "abc123", "bbbbbb")
    assert result.started == ("consul2", "consul3")
    assert docker.signals == [("unpause", ["consul2"]), ("start", ["consul3"])]
    assert told.lines == [
        "2 faults of the network lifted and consul2, consul3 run again; every server's network is clean."
    ]


def test_a_fault_of_the_network_heals_by_its_name_and_nothing_else_does(docker: Engine) -> None:
    docker.rules = {"consul1": {"aaaaaa", "bbbbbb"}, "consul3": {"aaaaaa"}}
    told = ReportedSteps()
    result = heal.heal("aaaaaa", ASKED, told, docker.tools)
    assert result == HealResult("ada", changed=True, healed=("aaaaaa",), started=())
    assert told.lines == ["The fault aaaaaa is lifted: none of its rules is left."]
    ((servers, line),) = docker.notes
    assert (servers, "fault ended: id=aaaaaa servers=consul1,consul3" in line) == (["consul1", "consul3"], True)


def test_nothing_to_heal_is_no_failure_and_is_said(docker: Engine) -> None:
    told = ReportedSteps()
    assert heal.heal(None, ASKED, told, docker.tools) == HealResult("ada", changed=False, healed=(), started=())
    assert told.lines == ["The lab ada has no fault: nothing to heal."]
    assert (docker.signals, docker.notes) == ([], [])


@pytest.mark.parametrize("ahead", [25.0, -25.0])
def test_all_times_are_of_the_docker_hosts_clock(docker: Engine, ahead: float) -> None:
    docker.ahead = ahead
    before = datetime.now(UTC)
    struck = processes.apply_fault("kill", ["consul2"], docker.lab, tools=docker.tools)
    docker.logs["consul2"] = docker.notes[-1][1]
    network.isolate("consul3", replace(ASKED, seconds=30), ReportedSteps(), docker.tools)
    docker.rules = {"consul3": {"aaaaaa"}}
    heal.heal(None, ASKED, ReportedSteps(), docker.tools)
    stamps = [datetime.fromisoformat(line.split()[0]) for _, line in docker.notes]
    assert len(stamps) == 4
    for time in (*stamps, struck.begin, struck.end):
        assert abs((time - before).total_seconds() - ahead) < 10
    assert struck.begin < struck.end
    noted = log_notes.last(log_notes.began(stamps[0], "abc123", "kill consul2", ["consul2"], 30))
    assert noted is not None


def test_what_is_left_of_a_lease_of_a_server_that_is_down_is_told_by_this_machines_clock(docker: Engine) -> None:
    docker.ahead = 25.0
    docker.with_state("consul2", "exited")
    stamp = datetime.now(UTC) + timedelta(seconds=25)
    docker.logs["consul2"] = log_notes.began(stamp, "abc123", "kill consul2", ["consul2"], 30)
    _, (fault,) = heal.ls("ada", tools=docker.tools)
    left = fault.seconds_left(datetime.now(UTC))
    assert left is not None
    assert 20 < left <= 30


@pytest.mark.parametrize("ahead", [25.0, -25.0])
@pytest.mark.parametrize(
    "stamp",
    ["2026-11-30T00:00:00", "9999-12-31T23:59:00+00:00", "9999-12-31T23:59:00-23:00", "0001-01-01T00:00:00+23:00"],
)
def test_the_end_of_a_lease_that_no_clock_shows_is_none(docker: Engine, stamp: str, ahead: float) -> None:
    docker.ahead = ahead
    docker.with_state("consul2", "exited")
    line = log_notes.began(datetime.now(UTC), "abc123", "kill consul2", ["consul2"], 30)
    docker.logs["consul2"] = f"{stamp} {line.partition(' ')[2]}"
    _, (fault,) = heal.ls("ada", tools=docker.tools)
    assert (fault.id, fault.seconds_left(datetime.now(UTC))) == ("abc123", None)


def test_a_clock_is_asked_once_for_a_fault_and_not_where_there_is_nothing(docker: Engine) -> None:
    heal.ls("ada", tools=docker.tools)
    processes.process("kill", "consul2", replace(ASKED, dry_run=True), ReportedSteps(), docker.tools)
    assert docker.asked_for_time == 0
    processes.process("kill", "consul2", ASKED, ReportedSteps(), docker.tools)
    assert docker.asked_for_time == 1


def test_a_server_that_could_not_be_killed_says_so_in_its_log_and_its_later_crash_is_no_fault(docker: Engine) -> None:
    docker.refuses = ["consul2"]
    with pytest.raises(LabctlError, match="cannot kill container"):
        processes.process("kill", "consul2,consul3", ASKED, ReportedSteps(), docker.tools)
    (first, began_line), (second, failed_line) = docker.notes
    assert (first, second) == (["consul2", "consul3"], ["consul2"])
    assert "fault failed: id=" in failed_line
    docker.logs = {"consul2": f"{began_line}\n{failed_line}\n", "consul3": f"{began_line}\n"}
    docker.with_state("consul2", "exited")
    assert [fault.servers for fault in heal.ls("ada", tools=docker.tools)[1]] == [("consul3",)]


def test_where_docker_does_not_say_who_runs_on_nothing_is_noted(docker: Engine) -> None:
    docker.refuses = ["consul2", "silence"]
    with pytest.raises(LabctlError, match="cannot kill container"):
        processes.process("kill", "consul2", ASKED, ReportedSteps(), docker.tools)
    assert len(docker.notes) == 1


def test_a_leader_that_did_not_hand_over_says_so_in_its_log(docker: Engine) -> None:
    def refuse(_: object, __: object) -> None:
        raise LabctlError("no")

    docker.tools = replace(docker.tools, transfer=refuse)
    docker.lab = replace(docker.lab, spec=replace(docker.lab.spec, version="1.21.4"))
    with pytest.raises(LabctlError, match="no"):
        transfer_leader.transfer("", ASKED, ReportedSteps(), docker.tools)
    assert ["began" in line for _, line in docker.notes] == [True, False]
    assert "fault failed: id=" in docker.notes[1][1]


def test_a_log_that_cannot_be_read_is_unknown_and_not_no_fault(docker: Engine) -> None:
    def refuse(_: object) -> str:
        raise LabctlError("Docker failed while reading the log of consul2: unexpected EOF.")

    docker.tools = replace(docker.tools, last_words=refuse)
    docker.with_state("consul2", "exited")
    _, (fault,) = heal.ls("ada", tools=docker.tools)
    assert (fault.id, fault.servers, fault.until) == ("", ("consul2",), None)
    assert fault.words.startswith("unknown: Docker failed while reading the log of consul2")
    with pytest.raises(LabctlError, match="Cannot tell whether consul2 is down because of the fault abc123"):
        heal.heal("abc123", ASKED, ReportedSteps(), docker.tools)
    assert docker.signals == []
    docker.rules = {"consul1": {"aaaaaa"}}
    assert heal.heal("aaaaaa", ASKED, ReportedSteps(), docker.tools).healed == ("aaaaaa",), (
        "it is a fault of the network"
    )


def test_a_server_whose_log_cannot_be_read_is_started_all_the_same(docker: Engine) -> None:
    def refuse(_: object) -> str:
        raise LabctlError("the logging driver does not support reading")

    docker.tools = replace(docker.tools, last_words=refuse)
    docker.with_state("consul2", "exited")
    assert heal.heal(None, ASKED, ReportedSteps(), docker.tools).started == ("consul2",)


def test_a_dry_run_only_says_what_would_happen(docker: Engine) -> None:
    told = ReportedSteps()
    result = processes.process("kill", "majority", replace(ASKED, dry_run=True), told, docker.tools)
    (line,) = told.lines
    assert line == (
        "kill consul2,consul3: 1 of 3 remains, and 2 are needed: no leader, no writes; "
        "consul1 gives up when its lease of 2.5 s is over."
    )
    assert result.fault is None
    assert (docker.signals, docker.notes, docker.changes) == ([], [], [])


@pytest.mark.parametrize(
    ("verb", "target", "state", "sentence"),
    [
        ("pause", "consul2", "paused", "consul2 cannot be paused: it is paused now"),
        ("start", "consul2", "running", "consul2 cannot be started: it is running now"),
        ("resume", "any", "running", "can be resumed: none is paused"),
        ("start", "any", "running", "can be started: none is down"),
        ("kill", "consul2", "exited", "consul2 cannot be killed: it is exited now"),
    ],
)
def test_a_server_in_another_state_is_one_sentence(
    docker: Engine, verb: str, target: str, state: str, sentence: str
) -> None:
    docker.with_state("consul2", state)
    with pytest.raises(LabctlError, match=sentence):
        processes.process(verb, target, ASKED, ReportedSteps(), docker.tools)
    assert docker.signals == []


def test_the_network_of_a_server_that_is_down_is_refused_before_anything_is_done(docker: Engine) -> None:
    docker.with_state("consul3", "exited")
    with pytest.raises(LabctlError, match="consul3 cannot be changed: it is exited"):
        network.partition(["consul1", "/", "consul2,consul3"], ASKED, ReportedSteps(), docker.tools)
    assert docker.changes == []


def test_a_fault_that_no_log_tells_of_is_taken_back(docker: Engine) -> None:
    def refuse(_: object, __: str) -> None:
        raise LabctlError("consul1 is not running")

    healed: list[str | None] = []

    def lift(_: object, fault: str | None) -> dict[str, set[str]]:
        healed.append(fault)
        return {}

    docker.tools = replace(docker.tools, note=refuse)
    docker.tools = replace(docker.tools, lift=lift)
    with pytest.raises(LabctlError, match="consul1 is not running"):
        network.isolate("consul1", ASKED, ReportedSteps(), docker.tools)
    assert len(docker.changes) == len(healed) == 1


def five_of_which_two_are_gone(docker: Engine) -> None:
    docker.lab = replace(LAB, spec=LabSpec(servers=5))
    docker.voters = frozenset({*docker.voters, "10.1.2.5", "10.1.2.6"})


@pytest.mark.parametrize("known", [True, False])
def test_a_majority_is_counted_from_those_that_vote_and_not_from_the_containers(docker: Engine, known: bool) -> None:
    five_of_which_two_are_gone(docker)
    if not known:
        docker.voters = frozenset()
    told = ReportedSteps()
    network.isolate("consul3", ASKED, told, docker.tools)
    assert told.lines[0] == (
        "isolate consul3 for 60 s: 2 of 5 remain, and 3 are needed: no leader, no writes; consul1 gives up when its "
        "lease of 2.5 s is over."
    )
    result = processes.process("kill", "minority", replace(ASKED, dry_run=True), told, docker.tools)
    assert result.servers == ("consul2", "consul3")


def test_a_server_that_was_removed_from_the_cluster_counts_no_more(docker: Engine) -> None:
    docker.voters = frozenset(server.address for server in LAB.servers[:1])
    told = ReportedSteps()
    processes.process("kill", "consul2", replace(ASKED, dry_run=True), told, docker.tools)
    assert told.lines == ["kill consul2: 1 of 1 remains: consul1 leads on, and writes go on."]


def test_the_only_server_that_is_left_has_no_network_to_break(docker: Engine) -> None:
    docker.lab = replace(LAB, servers=LAB.servers[:1])
    with pytest.raises(LabctlError, match=r"only consul1 is there, .* `labctl up ada` makes the others") as caught:
        network.isolate("consul1", ASKED, ReportedSteps(), docker.tools)
    assert caught.value.code is ExitCode.FAILED
    assert docker.changes == []


def test_a_lab_of_one_server_has_no_network_to_break(docker: Engine) -> None:
    docker.lab = replace(docker.lab, spec=LabSpec(servers=1), servers=docker.lab.servers[:1])
    for break_it in (network.isolate, lambda *rest: network.loss(5, *rest), lambda *rest: network.rate(5, *rest)):
        with pytest.raises(LabctlError, match="has one server: there is no network to break") as caught:
            break_it("consul1", ASKED, ReportedSteps(), docker.tools)
        assert caught.value.code is ExitCode.USAGE
    assert docker.changes == []


def test_somebody_elses_lab_is_not_disturbed(docker: Engine) -> None:
    with pytest.raises(LabctlError, match="belongs to") as caught:
        network.isolate("leader", replace(ASKED, owner="eve"), ReportedSteps(), docker.tools)
    assert caught.value.code is ExitCode.REFUSED
    assert docker.changes == []


def test_an_old_consul_hands_no_leadership_over(docker: Engine) -> None:
    with pytest.raises(LabctlError, match=r"came with Consul 1\.15") as caught:
        transfer_leader.transfer("", ASKED, ReportedSteps(), docker.tools)
    assert caught.value.code is ExitCode.REFUSED
    assert (docker.transfers, docker.notes) == ([], [])


@pytest.mark.parametrize(
    ("target", "identity", "over"),
    [("", None, "a server of its choice"), ("consul3", "id-consul3", "consul3"), ("follower", "id-consul2", "consul2")],
)
def test_a_leader_hands_its_leadership_to_a_server_or_to_whom_it_chooses(
    docker: Engine, target: str, identity: str | None, over: str
) -> None:
    docker.lab = replace(docker.lab, spec=replace(docker.lab.spec, version="1.21.4"))
    docker.with_state("consul3", "running" if target == "consul3" else "paused")
    told = ReportedSteps()
    transfer_leader.transfer(target, replace(ASKED, dry_run=True), told, docker.tools)
    assert (docker.transfers, docker.notes) == ([], [])
    transfer_leader.transfer(target, ASKED, told, docker.tools)
    assert docker.transfers == [("consul1", identity)]
    words = f"transfer-leader {over if target else ''}".rstrip()
    assert told.lines == [
        f"{words}: consul1 would hand its leadership over to {over}.",
        f"consul1 hands its leadership over to {over}.",
    ]
    ((servers, line),) = docker.notes
    assert (servers, f'what="{words}"' in line) == (["consul1"], True)


@pytest.mark.parametrize(
    ("target", "sentence", "code"),
    [
        ("consul2,consul3", "Leadership goes to one server, and consul2,consul3 means 2", ExitCode.USAGE),
        ("majority", "Leadership goes to one server, and majority means 2", ExitCode.USAGE),
        ("consul1", "consul1 leads already", ExitCode.USAGE),
        ("leader", "consul1 leads already", ExitCode.USAGE),
        ("consul3", "consul3 cannot lead: it does not run", ExitCode.FAILED),
        ("consul9", "no server or role 'consul9'", ExitCode.USAGE),
    ],
)
def test_leadership_goes_to_one_server_that_runs_and_does_not_lead(
    docker: Engine, target: str, sentence: str, code: ExitCode
) -> None:
    docker.lab = replace(docker.lab, spec=replace(docker.lab.spec, version="1.21.4"))
    docker.with_state("consul3", "exited" if target == "consul3" else "running")
    with pytest.raises(LabctlError, match=sentence) as caught:
        transfer_leader.transfer(target, ASKED, ReportedSteps(), docker.tools)
    assert caught.value.code is code
    assert (docker.transfers, docker.notes) == ([], [])


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 0.9, 100_000.0, float("nan"), float("inf")])
def test_a_lease_is_not_shorter_than_a_second_and_not_longer_than_a_day(docker: Engine, seconds: float) -> None:
    with pytest.raises(LabctlError, match="at least a second and at most a day") as caught:
        network.isolate("leader", replace(ASKED, seconds=seconds), ReportedSteps(), docker.tools)
    assert caught.value.code is ExitCode.USAGE
    assert docker.changes == []
