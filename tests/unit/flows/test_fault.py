"""What `labctl fault` does, step by step, with a Docker that only remembers."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Any

import pytest

from labctl.engine import client, faults, labs, status
from labctl.engine.status import Status
from labctl.errors import ExitCode, LabctlError
from labctl.faults.rules import Cut, Delay
from labctl.flows import fault as flow
from labctl.portable.consul_views import View
from labctl.show.steps import SilentSteps
from tests.unit import engine_stand_in as stand_in

LAB = labs.labs_from(stand_in.lab("ada"), "local")[0]
ASKED = flow.Asked("ada", LAB.owner)


class Told(SilentSteps):
    """Steps that remember what a person would read."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def done(self, text: str) -> None:
        self.lines.append(text)


class Engine:
    """Remembers what was done to the servers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lab = LAB
        self.changes: list[tuple[dict[str, Any], str, float]] = []
        self.signals: list[tuple[str, list[str]]] = []
        self.notes: list[tuple[list[str], str]] = []
        self.later: list[list[str]] = []
        self.transfers: list[tuple[str, str | None]] = []
        monkeypatch.setattr(labs, "choose_lab", lambda _, __: self.lab)
        monkeypatch.setattr(client, "connect", lambda: None)
        monkeypatch.setattr(status, "ask", lambda lab: Status(lab, self.views()))
        monkeypatch.setattr(faults, "change", lambda _, what, __, words, s: self.changes.append((what, words, s)))
        monkeypatch.setattr(faults, "signal", lambda verb, on: self.signals.append((verb, [one.name for one in on])))
        monkeypatch.setattr(faults, "note", lambda on, line: self.notes.append(([one.name for one in on], line)))
        monkeypatch.setattr(faults, "transfer", lambda leader, to: self.transfers.append((leader.name, to)))
        monkeypatch.setattr(subprocess, "Popen", lambda words, **_: self.later.append(words))

    def views(self) -> tuple[View, ...]:
        """All know consul1 as the leader; voters are all."""
        voters = frozenset(one.address for one in LAB.servers)
        return tuple(
            View(
                one.name,
                one.address,
                None if one.state == "running" else "it does not run",
                node_id=f"id-{one.name}",
                state="leader" if one.name == "consul1" else "follower",
                leader=LAB.servers[0].address,
                term=2,
                voters=voters,
            )
            for one in self.lab.servers
        )

    def with_state(self, server: str, state: str) -> None:
        """Let a server be in another state, in Docker's words."""
        changed = [replace(one, state=state) if one.name == server else one for one in self.lab.servers]
        self.lab = replace(self.lab, servers=tuple(changed))


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(monkeypatch)


def test_a_leader_is_isolated_from_every_other_server_and_its_log_says_so(docker: Engine) -> None:
    told = Told()
    result = flow.isolate("leader", ASKED, told)
    ((changes, words, seconds),) = docker.changes
    others = frozenset(one.address for one in LAB.servers[1:])
    assert changes == {"consul1": Cut(incoming=others, outgoing=others)}
    assert (words, seconds) == ("isolate consul1", flow.LEASE_SECONDS)
    assert told.lines[0] == (
        "isolate consul1 for 60 s: 2 of 3 remain together: they elect a new leader, and writes go on."
    )
    ((servers, line),) = docker.notes
    assert servers == ["consul1"]
    assert f'fault began: id={result["fault"]} servers=consul1 what="isolate consul1" seconds=60' in line
    assert (result["changed"], result["servers"], result["seconds"]) == (True, ["consul1"], 60)


def test_each_side_of_a_partition_is_cut_from_the_others(docker: Engine) -> None:
    flow.partition(["consul1,consul2", "/", "consul3"], replace(ASKED, seconds=5), Told())
    ((changes, words, seconds),) = docker.changes
    first, second, third = (frozenset({one.address}) for one in LAB.servers)
    assert {name: one.incoming for name, one in changes.items()} == {
        "consul1": third, "consul2": third, "consul3": first | second,
    }  # fmt: skip
    assert (words, seconds) == ("partition consul1,consul2 / consul3", 5)


def test_one_way_loss_rate_and_delay_are_what_they_say(docker: Engine) -> None:
    flow.one_way("consul1", "consul2", ASKED, Told())
    flow.loss(30, "consul2", ASKED, Told())
    flow.rate(8, "consul2", ASKED, Told())
    flow.delay(200, "consul2", 20, ASKED, Told())
    one, two, three, four = (changes["consul2"] for changes, _, _ in docker.changes)
    assert one == Cut(incoming=frozenset({LAB.servers[0].address}))
    assert (two.percent, three.kilobytes) == (30, 8)
    assert isinstance(four, Delay)
    assert (four.milliseconds, four.jitter, len(four.outgoing)) == (200, 20, 2)


def test_a_process_is_given_back_when_its_lease_is_over(docker: Engine) -> None:
    flow.process("kill", "leader", replace(ASKED, seconds=30), Told())
    assert docker.signals == [("kill", ["consul1"])]
    (words,) = docker.later
    assert words[3] == "30"
    assert words[-6:] == ["labctl", "fault", "start", "consul1", "--lab", "ada"]
    flow.process("kill", "consul2", ASKED, Told())
    assert len(docker.later) == 1


def test_a_dry_run_only_says_what_would_happen(docker: Engine) -> None:
    told = Told()
    result = flow.process("kill", "majority", replace(ASKED, dry_run=True), told)
    assert told.lines == ["kill consul2,consul3: 1 of 3 remains, and 2 are needed: no leader, no writes."]
    assert result["fault"] is None
    assert (docker.signals, docker.notes, docker.changes) == ([], [], [])


@pytest.mark.parametrize(
    ("verb", "target", "state", "sentence"),
    [
        ("pause", "consul2", "paused", "consul2 cannot be paused: it is paused now"),
        ("start", "consul2", "running", "consul2 cannot be started: it is running now"),
        ("resume", "any", "running", "can be resumed: all of them run"),
        ("kill", "consul2", "exited", "consul2 cannot be killed: it is exited now"),
    ],
)
def test_a_server_in_another_state_is_one_sentence(
    docker: Engine, verb: str, target: str, state: str, sentence: str
) -> None:
    docker.with_state("consul2", state)
    with pytest.raises(LabctlError, match=sentence):
        flow.process(verb, target, ASKED, Told())
    assert docker.signals == []


def test_the_network_of_a_server_that_is_down_is_refused_before_anything_is_done(docker: Engine) -> None:
    docker.with_state("consul3", "exited")
    with pytest.raises(LabctlError, match="consul3 cannot be changed: it is exited"):
        flow.partition(["consul1", "/", "consul2,consul3"], ASKED, Told())
    assert docker.changes == []


def test_somebody_elses_lab_is_not_disturbed(docker: Engine) -> None:
    with pytest.raises(LabctlError, match="belongs to") as caught:
        flow.isolate("leader", replace(ASKED, owner="eve"), Told())
    assert caught.value.code is ExitCode.REFUSED
    assert docker.changes == []


def test_an_old_consul_hands_no_leadership_over(docker: Engine) -> None:
    with pytest.raises(LabctlError, match=r"came with Consul 1\.15") as caught:
        flow.transfer("", ASKED, Told())
    assert caught.value.code is ExitCode.REFUSED
    assert (docker.transfers, docker.notes) == ([], [])


@pytest.mark.parametrize(
    ("target", "identity", "over"),
    [("", None, "whom it chooses"), ("consul3", "id-consul3", "consul3"), ("follower", "id-consul2", "consul2")],
)
def test_a_leader_hands_its_leadership_to_a_server_or_to_whom_it_chooses(
    docker: Engine, target: str, identity: str | None, over: str
) -> None:
    docker.lab = replace(docker.lab, version="1.21.4")
    docker.with_state("consul3", "running" if target == "consul3" else "paused")
    told = Told()
    flow.transfer(target, replace(ASKED, dry_run=True), told)
    assert (docker.transfers, docker.notes) == ([], [])
    flow.transfer(target, ASKED, told)
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
    docker.lab = replace(docker.lab, version="1.21.4")
    docker.with_state("consul3", "exited" if target == "consul3" else "running")
    with pytest.raises(LabctlError, match=sentence) as caught:
        flow.transfer(target, ASKED, Told())
    assert caught.value.code is code
    assert (docker.transfers, docker.notes) == ([], [])


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 0.9, 100_000.0, float("nan"), float("inf")])
def test_a_lease_is_not_shorter_than_a_second_and_not_longer_than_a_day(docker: Engine, seconds: float) -> None:
    with pytest.raises(LabctlError, match="at least a second and at most a day") as caught:
        flow.isolate("leader", replace(ASKED, seconds=seconds), Told())
    assert caught.value.code is ExitCode.USAGE
    assert docker.changes == []
