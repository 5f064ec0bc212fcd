"""labctl verify, with a stand-in for the engine: what connects is named, what is not proven is no proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine.client import TIMEOUT_SECONDS
from labctl.engine.labs import Lab, Server
from labctl.errors import ExitCode, LabctlError
from labctl.isolation.outcomes import Outcome
from labctl.isolation.probe import CHANGE_SECONDS
from labctl.isolation.report import Verdict
from labctl.isolation.verify import Host, exit_code, verify
from labctl.progress import Steps
from labctl.shared.lab_spec import LabSpec
from tests.unit.isolation import labs
from tests.unit.isolation.prober_stand_in import IMAGE, Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from labctl.isolation.report import Proof, Report

CONTROL = {
    f"10.213.{subnet}.{number}:{port}": "" for subnet in (0, 1) for number in (2, 3, 4) for port in (8300, 8301, 8500)
}


def lab(name: str, documents: list[dict[str, Any]]) -> Lab:
    servers = tuple(
        Server(
            document["Config"]["Labels"]["raft-labctl.server"], document["Name"].lstrip("/"), document["Id"],
            document["State"]["Status"], "", 32_000,
        )
        for document in documents
    )  # fmt: skip
    image = "raft-labctl/consul:1.8.7"
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return Lab(name, "ada", "", "local", LabSpec(pace="real", version="1.8.7"), image, created, None, servers)


def members_of(servers: Iterable[Server]) -> frozenset[tuple[str, str]]:
    """Everybody knows just the lab's own servers."""
    return frozenset((server.name, server.id) for server in servers)


def host_with(engine: Engine, containers: dict[str, list[dict[str, Any]]]) -> Host:
    made: Any = engine
    return Host("local", made, tuple(lab(name, listed) for name, listed in containers.items()), hold_seconds=0)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = Engine(tmp_path, [*labs.lab("a", "10.213.0"), *labs.lab("b", "10.213.1")])
    for name, subnet in (("a", "10.213.0."), ("b", "10.213.1.")):
        made.open[name] = {where: answer for where, answer in CONTROL.items() if where.startswith(subnet)}
    return made


def look(engine: Engine, members: Callable[..., frozenset[tuple[str, str]]] = members_of) -> Report:
    containers = {name: engine.containers({"label": f"x={name}"}) for name in ("a", "b")}
    return verify([host_with(engine, containers)], Steps(), members)


def proof(report: Report, name: str) -> Proof:
    return next(proof for proof in report.proofs if proof.place.lab == name)


def test_only_what_is_tried_inside_a_lab_may_take_longer_than_a_question(engine: Engine) -> None:
    look(engine)
    longer = {doing for doing, seconds in engine.asked if doing and seconds > CHANGE_SECONDS}
    assert longer == {"trying connections from inside a lab", "joining from consul1"}
    changing = {doing for doing, seconds in engine.asked if TIMEOUT_SECONDS < seconds <= CHANGE_SECONDS}
    assert changing == {"making a helper", "starting a helper for consul1", "removing a helper"}


def test_labs_that_reach_only_themselves_are_apart(engine: Engine) -> None:
    report = look(engine)
    assert [proof.verdict for proof in report.proofs] == [Verdict.APART] * 2
    assert exit_code(report) is ExitCode.DONE
    assert {attempt.outcome for each in report.proofs for attempt in each.tries} == {Outcome.NO_ANSWER}
    # 3 servers on 3 ports; 3 published ports on the gateway and 2 addresses; the engine on these and a name; metadata.
    assert [len(proof.tries) for proof in report.proofs] == [9 + 9 + 9, 9 + 9 + 9]
    assert [attempt.said for attempt in proof(report, "a").controls] == [
        f"Connection to {where.replace(':', ' ')} port [tcp/*] succeeded!" for where in engine.open["a"]
    ]
    assert engine.joins == {"a-consul1": ["10.213.1.2"], "b-consul1": ["10.213.0.2"]}


def test_helpers_may_do_nothing_but_connect_and_are_gone_afterwards(engine: Engine) -> None:
    look(engine)
    assert len(engine.made) == 3
    assert sorted(engine.removed) == ["helper-1", "helper-2", "helper-3"]
    for body in engine.made:
        host = body["HostConfig"]
        assert (body["User"], body["Image"]) == ("65534:65534", IMAGE["Id"])
        assert (host["CapDrop"], host.get("CapAdd"), host["ReadonlyRootfs"]) == (["ALL"], None, True)
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert host["AutoRemove"] is True
        assert host["Memory"] > 0
        assert 0 < host["PidsLimit"] < 256
        assert body["Labels"]["raft-labctl.lab"] in ("a", "b")
        assert "raft-labctl.server" not in body["Labels"]
    assert {created["HostConfig"]["NetworkMode"] for created in engine.made} == {
        "host", "container:a-consul1", "container:b-consul1",
    }  # fmt: skip


def test_what_connects_is_named_exactly_and_no_join_is_risked(engine: Engine) -> None:
    engine.open["a"]["10.213.1.3:8301"] = ""
    report = look(engine)
    (attempt,) = proof(report, "a").crossed
    assert (attempt.what.lab, attempt.what.server, attempt.what.where) == ("b", "consul2", "10.213.1.3:8301")
    assert exit_code(report) is ExitCode.FAILED
    assert [join.outcome for join in proof(report, "a").joins] == [Outcome.NOT_TRIED]
    assert "a-consul1" not in engine.joins
    assert proof(report, "b").verdict is Verdict.APART


def test_what_something_else_took_is_no_crossing_whatever_it_answers_and_is_told(engine: Engine) -> None:
    where = "10.213.1.3:8300"
    engine.open["a"][where] = "HTTP/1.0 426 Upgrade Required"
    engine.taken = {where}
    by_target = {attempt.what.where: attempt for attempt in proof(look(engine), "a").tries}
    assert (by_target[where].outcome, by_target[where].said) == (
        Outcome.DECOY, "the server itself saw no connection: something else took it",
    )  # fmt: skip
    assert proof(look(engine), "a").verdict is Verdict.APART


def test_a_way_that_was_there_for_a_moment_proves_nothing(engine: Engine) -> None:
    where = "10.213.1.3:8300"
    engine.open["a"][where] = ""
    engine.once = {where}
    report = look(engine)
    assert proof(report, "a").count()[Outcome.MOMENTARY] == 1
    assert exit_code(report) is ExitCode.NOT_READY
    (reason,) = proof(report, "a").unproven
    assert reason.startswith(f"1 connection succeeded once and not again, such as one to {where}: Docker lets packets")


@pytest.mark.parametrize("answer", ["", "HTTP/1.0 426 Upgrade Required"])
def test_beside_something_that_takes_every_connection_a_crossing_is_still_one(engine: Engine, answer: str) -> None:
    proxy = "HTTP/1.0 426 Upgrade Required"
    engine.open[""] = {"198.51.100.1:8300": proxy}
    engine.open["a"]["10.213.1.3:8300"] = answer
    (attempt,) = proof(look(engine), "a").crossed
    assert attempt.what.where == "10.213.1.3:8300"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ('HTTP/1.0 200 OK  X-Consul-Index: 1    ["b"]', Outcome.CONNECTED),
        ("HTTP/1.0 426 Upgrade Required", Outcome.DECOY),
        ("", Outcome.UNKNOWN),
    ],
)
def test_a_server_that_cannot_be_looked_into_is_known_by_what_it_answers(
    engine: Engine, answer: str, outcome: Outcome
) -> None:
    engine.open[""] = {"198.51.100.1:8500": "HTTP/1.0 426 Upgrade Required"}
    engine.open["a"]["10.213.1.3:8500"] = answer
    engine.blind = {"b-consul2"}
    by_target = {attempt.what.where: attempt.outcome for attempt in proof(look(engine), "a").tries}
    assert by_target["10.213.1.3:8500"] is outcome


def test_a_published_port_and_the_engine_are_named(engine: Engine) -> None:
    engine.open["b"] |= {"10.213.1.1:32002": "HTTP/1.1 301 Moved", "192.0.2.9:2375": "HTTP/1.1 404"}
    crossed = {
        (attempt.what.kind, attempt.what.server, attempt.what.where) for attempt in proof(look(engine), "b").crossed
    }
    assert crossed == {("published", "consul2", "10.213.1.1:32002"), ("engine", "", "192.0.2.9:2375")}


def test_a_control_that_fails_makes_it_unknown_and_never_apart(engine: Engine) -> None:
    del engine.open["a"]["10.213.0.3:8300"]
    report = look(engine)
    assert [proof.verdict for proof in report.proofs] == [Verdict.UNKNOWN, Verdict.APART]
    assert exit_code(report) is ExitCode.NOT_READY
    assert "consul2 (10.213.0.3:8300)" in proof(report, "a").unproven[0]


def test_a_helper_that_fails_proves_nothing_and_stops_no_other(engine: Engine) -> None:
    engine.failing = "b"
    report = look(engine)
    assert [proof.verdict for proof in report.proofs] == [Verdict.APART, Verdict.UNKNOWN]
    assert "The helper is gone." in proof(report, "b").unproven
    assert len(engine.removed) == len(engine.made)


def test_something_that_takes_every_connection_is_no_crossing(engine: Engine) -> None:
    proxy = "HTTP/1.0 426 Upgrade Required"
    engine.open[""] = {"169.254.169.254:80": proxy, "198.51.100.1:80": proxy}
    report = look(engine)
    assert proof(report, "a").verdict is Verdict.APART
    assert proof(report, "a").count()[Outcome.DECOY] == 1
    engine.open[""]["169.254.169.254:80"] = "HTTP/1.0 401 Unauthorized"
    assert proof(look(engine), "a").verdict is Verdict.CROSSED


def test_a_join_that_succeeds_is_named(engine: Engine) -> None:
    engine.join_answer = (0, "Successfully joined cluster by contacting 1 nodes.\n")
    report = look(engine)
    assert [join.what.lab for join in proof(report, "a").merged] == ["b"]
    assert exit_code(report) is ExitCode.FAILED


def test_an_engines_socket_inside_is_named(engine: Engine) -> None:
    engine.inside["b-consul3"] = "/run/docker.sock\n"
    report = look(engine)
    assert proof(report, "b").sockets == (("labctl-b-consul3", "/run/docker.sock"),)
    assert proof(report, "b").verdict is Verdict.CROSSED


def test_a_privileged_container_with_a_labs_label_is_found_out(engine: Engine) -> None:
    stranger = labs.container("a", Privileged=True)
    stranger |= {"Id": "x", "Name": "/stranger"}
    del stranger["Config"]["Labels"]["raft-labctl.server"]
    engine.documents["x"] = stranger
    containers = {"a": labs.lab("a", "10.213.0"), "b": labs.lab("b", "10.213.1")}
    report = verify([host_with(engine, containers)], Steps(), members_of)
    assert [(check.number, check.lab, check.containers) for check in report.failing] == [("5.5", "a", ("stranger",))]
    assert report.verdict is Verdict.APART
    assert exit_code(report) is ExitCode.FAILED


def test_members_that_change_meanwhile_are_a_crossing(engine: Engine) -> None:
    seen: list[int] = []

    def members(servers: Iterable[Server]) -> frozenset[tuple[str, str]]:
        seen.append(1)
        return frozenset((server.name, server.id) for server in servers) | {(str(len(seen) > 2), "10.9.9.9")}

    report = look(engine, members)
    assert proof(report, "a").strangers == ["+ True 10.9.9.9", "- False 10.9.9.9"]
    assert report.verdict is Verdict.CROSSED


def test_an_image_of_before_is_not_asked_for_nc_and_without_any_it_is_said(engine: Engine) -> None:
    old = {"Id": "sha256:old", "RepoTags": None, "Labels": {**IMAGE["Labels"], "raft-labctl.image-tools": ""}}  # type: ignore[dict-item]
    engine.images = [old, IMAGE]
    look(engine)
    assert {created["Image"] for created in engine.made} == {"sha256:new"}
    engine.images = [old]
    with pytest.raises(LabctlError, match="labctl image build"):
        look(engine)


def test_a_lab_none_of_whose_servers_runs_is_unknown(engine: Engine) -> None:
    for document in engine.documents.values():
        if document["Id"].startswith("b-"):
            document["State"]["Status"] = "exited"
    report = look(engine)
    assert [proof.verdict for proof in report.proofs] == [Verdict.APART, Verdict.UNKNOWN]
    assert proof(report, "b").unproven[0] == "no server of it runs, so nothing was tried"


def test_two_docker_hosts_are_tried_from_each_to_the_other(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    far = Engine(tmp_path / "two", labs.lab("c", "10.214.0"))
    far.held = engine.held
    far.open["c"] = {f"10.214.0.{number}:{port}": "" for number in (2, 3, 4) for port in (8300, 8301, 8500)}
    near = lab("a", engine.containers({"label": "x=a"}))
    there = replace(lab("c", far.containers({"label": "x=c"})), host="two")
    hosts = [Host("local", engine, (near,), 0), Host("two", far, (there,), 0)]  # type: ignore[arg-type]
    report = verify(hosts, Steps(), members_of)
    assert [proof.verdict for proof in report.proofs] == [Verdict.APART] * 2
    assert {
        (attempt.what.host, attempt.what.lab) for attempt in proof(report, "a").tries if attempt.what.kind == "server"
    } == {("two", "c")}
    far.open["c"]["10.213.0.2:8500"] = "HTTP/1.1 301"
    report = verify(hosts, Steps())
    assert [attempt.what.where for attempt in proof(report, "c").crossed] == ["10.213.0.2:8500"]
