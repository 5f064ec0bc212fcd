"""Faults of the network as they are made and healed: the helpers are a stand-in, their shell is a real one."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import clock, labs
from labctl.engine.clock import HostClock
from labctl.engine.docker_host import DockerHost
from labctl.errors import LabctlError
from labctl.faults import inject
from labctl.faults.nftables import Cut, Delay
from labctl.shared.docker_api import DockerError, explain
from tests.unit import engine_stand_in as stand_in
from tests.unit import network_stand_in as network
from tests.unit.network_stand_in import Network

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class There(DockerHost):
    """Where the engine of one test is met."""

    docker: Docker

    def engine(self, seconds: float) -> Any:
        assert seconds > 0
        return self.docker


PLACE = There()
LAB = labs.labs_from(stand_in.lab("ada"), "local", PLACE)[0]
ONE, TWO, THREE = (server.name for server in LAB.servers)
CUT = Cut(incoming=frozenset({"10.0.0.3"}))
LOCAL_HOST = HostClock()
LATE = Delay(frozenset({"10.0.0.3"}), 200)


class Docker:
    """The engine: its containers are helpers, whose commands run in the network of the server that they are in."""

    def __init__(self, folder: Path) -> None:
        self.networks = {server.id: Network(folder / server.name) for server in LAB.servers}
        self.containers: dict[str, dict[str, Any]] = {}
        self.gone: set[str] = set()
        self.lives = {server.id: "2026-11-23T12:00:00.5Z" for server in LAB.servers}
        self.silent = False
        self.refuses = ""
        self.started = ""
        self.ahead = 0.0
        self.asked_for_time = 0
        self.before_it_is_executed: Callable[[], object] = lambda: None
        self.changed: list[tuple[Any, ...]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def create(self, body: dict[str, Any], *, doing: str) -> str:
        assert doing
        with self._lock:
            name = f"helper{next(self._numbers)}"
            self.containers[name] = body
        return name

    def change(self, verb: str, containers: list[str], *, doing: str, **query: Any) -> None:
        assert set(containers) <= set(self.containers) | set(self.networks)
        self.changed.append((verb, *containers, query))
        if self.refuses:
            raise DockerError(explain(self.refuses, doing), said=self.refuses)

    def execute(self, container: str, words: list[str], *, doing: str) -> str:
        self.before_it_is_executed()
        of = self.containers[container]["HostConfig"]["NetworkMode"].removeprefix("container:")
        code, said = self.networks[of].run(words)
        if code:
            raise DockerError(explain(said, doing), said=said)
        return said

    def remove(self, kind: str, things: list[str], *, doing: str) -> None:
        assert (kind, doing) == ("container", "removing a helper")
        for thing in things:
            del self.containers[thing]
            if thing in self.gone:
                raise DockerError("it is gone", said=f"No such container: {thing}")

    def inspected(self, containers: list[str], *, doing: str) -> list[dict[str, Any]]:
        assert doing
        if self.silent:
            raise DockerError("The Docker Engine did not answer within 20 seconds.")
        known = [container for container in containers if container in self.lives]
        return [
            {"Id": container_, "State": {"StartedAt": self.lives[container_], "Status": "running"}}
            for container_ in known
        ]

    def listed(self, **states: str) -> list[dict[str, Any]]:
        """The lab's containers as Docker lists them: its servers, in other states than `running` where named."""
        servers = [
            listed | {"State": states.get(listed["Labels"]["raft-labctl.server"], "running")}
            for listed in stand_in.lab("ada")
        ]
        helpers = [
            {
                "Id": name,
                "State": states.get(name, "running"),
                "Labels": body["Labels"],
                "HostConfig": body["HostConfig"],
            }
            for name, body in self.containers.items()
        ]
        return [*servers, *helpers]

    def get(self, path: str, filters: dict[str, str] | None = None, *, doing: str, **query: int) -> Any:
        if path == "/info":
            self.asked_for_time += 1
            return {"SystemTime": (datetime.now(UTC) + timedelta(seconds=self.ahead)).isoformat()}
        if path == f"/containers/{LAB.server(ONE).id}/json":
            return {"State": {"StartedAt": self.started}}
        assert (path, filters, query) == ("/containers/json", {"label": "raft-labctl.lab=ada"}, {"all": 1})
        assert doing
        return [{"Id": name, "Labels": body["Labels"]} for name, body in self.containers.items()]

    @staticmethod
    def log(container: str, stream: str, *, lines: int, since: float, doing: str) -> str:
        # Consul writes to the other one, also what others want it to write.
        assert (stream, lines, doing) == ("stderr", inject.LAST_LINES, "reading the log of consul1")
        return f"{container} since {since}"

    def of(self, server: str) -> Network:
        return self.networks[LAB.server(server).id]


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    PLACE.docker = Docker(tmp_path)
    return PLACE.docker


def nothing_is_left(docker: Docker) -> None:
    assert docker.containers == {}
    assert all(network_.tables == set() for network_ in docker.networks.values())
    assert all(network_.queued == "" for network_ in docker.networks.values())


def test_a_fault_is_a_table_in_each_network_and_a_helper_that_may_change_the_network_and_nothing_else(
    docker: Docker,
) -> None:
    inject.change(LAB, {ONE: CUT, TWO: CUT}, "ab12cd", "isolate consul1", 30, LOCAL_HOST)
    assert [docker.of(name).tables for name in (ONE, TWO, THREE)] == [{"inet labctl_ab12cd"}] * 2 + [set()]
    assert len(docker.containers) == 2
    for body in docker.containers.values():
        host = body["HostConfig"]
        assert (host["CapDrop"], host["CapAdd"], host["ReadonlyRootfs"]) == (["ALL"], ["NET_ADMIN"], True)
        assert body["Cmd"] == ["sleep 30.000; nft 'delete table inet labctl_ab12cd'"]
        assert body["Labels"]["raft-labctl.fault"] == "ab12cd"
    assert inject.heal(LAB, "ab12cd") == {ONE: {"ab12cd"}, TWO: {"ab12cd"}, THREE: set()}
    nothing_is_left(docker)


def test_another_fault_heals_while_a_delay_is_active_and_the_delay_stays(docker: Docker) -> None:
    inject.change(LAB, {ONE: LATE, TWO: LATE}, "aaaaaa", "delay 200 consul1,consul2", 30, LOCAL_HOST)
    inject.change(LAB, {ONE: CUT}, "bbbbbb", "isolate consul1", 30, LOCAL_HOST)
    assert inject.heal(LAB, "bbbbbb") == {ONE: {"bbbbbb"}, TWO: set(), THREE: set()}
    assert all("netem" in docker.of(name).queued for name in (ONE, TWO))
    assert len(docker.containers) == 2


def test_a_delay_heals_though_its_helper_was_killed_and_the_delay_of_another_server_stays(docker: Docker) -> None:
    inject.change(LAB, {ONE: LATE}, "aaaaaa", "delay 200 consul1", 30, LOCAL_HOST)
    docker.containers.clear()
    inject.change(LAB, {TWO: LATE}, "bbbbbb", "delay 200 consul2", 30, LOCAL_HOST)
    assert inject.heal(LAB, "aaaaaa") == {ONE: {"aaaaaa"}, TWO: set(), THREE: set()}
    assert (docker.of(ONE).queued, "netem" in docker.of(TWO).queued) == ("", True)
    inject.heal(LAB)
    nothing_is_left(docker)


def test_a_second_delay_is_one_sentence_and_the_first_one_stays_where_it_was(docker: Docker) -> None:
    inject.change(LAB, {ONE: LATE}, "aaaaaa", "delay 200 consul1", 30, LOCAL_HOST)
    with pytest.raises(LabctlError, match="consul1 has a delay already: heal that one first"):
        inject.change(LAB, {ONE: LATE, TWO: LATE}, "bbbbbb", "delay 200 consul1,consul2", 30, LOCAL_HOST)
    assert docker.of(ONE).tables == {"inet labctl_aaaaaa"}
    assert "netem" in docker.of(ONE).queued
    assert (docker.of(TWO).tables, docker.of(TWO).queued) == (set(), "")
    assert [container["Labels"]["raft-labctl.fault"] for container in docker.containers.values()] == ["aaaaaa"]


@pytest.mark.parametrize(
    ("change", "said", "sentence"),
    [
        (CUT, network.EPERM_NFT, "The network of consul2 took no rule"),
        (LATE, network.EPERM_TC, "The network of consul2 took no rule"),
    ],
)
def test_without_the_right_to_add_rules_it_is_one_sentence_and_nothing_is_half_done(
    docker: Docker, change: Cut | Delay, said: str, sentence: str
) -> None:
    docker.of(TWO).now("refuse", said)
    with pytest.raises(LabctlError, match=sentence):
        inject.change(LAB, {ONE: change, TWO: change, THREE: change}, "ab12cd", "isolate all", 30, LOCAL_HOST)
    nothing_is_left(docker)


def test_a_kernel_that_cannot_delay_is_named_and_nothing_is_half_done(docker: Docker) -> None:
    docker.of(THREE).now("nonetem")
    with pytest.raises(LabctlError, match="sudo modprobe -a sch_htb sch_netem"):
        inject.change(LAB, {ONE: LATE, THREE: LATE}, "ab12cd", "delay 200 consul1,consul3", 30, LOCAL_HOST)
    nothing_is_left(docker)


def test_a_helper_that_does_not_start_is_removed(docker: Docker) -> None:
    docker.refuses = "cannot join network of a non running container"
    with pytest.raises(LabctlError, match="starting a helper for consul1: cannot join"):
        inject.change(LAB, {ONE: CUT}, "ab12cd", "isolate consul1", 30, LOCAL_HOST)
    nothing_is_left(docker)


def test_a_helper_that_goes_by_itself_while_its_fault_is_healed_is_no_failure(docker: Docker) -> None:
    inject.change(LAB, {ONE: CUT}, "ab12cd", "isolate consul1", 30, LOCAL_HOST)
    docker.gone |= set(docker.containers)
    assert inject.heal(LAB)[ONE] == {"ab12cd"}
    nothing_is_left(docker)


@pytest.mark.parametrize(
    "different",
    [{"raft-labctl.owner": "bob"}, {"raft-labctl.lab": "bob"}, {"raft-labctl.server": "consul1"}],
    ids=["another owner", "another lab", "a server"],
)
def test_a_fault_is_a_helper_of_this_lab_and_its_owner_and_whatever_else_is_listed_stays(
    docker: Docker, different: dict[str, str]
) -> None:
    inject.change(LAB, {ONE: CUT}, "ab12cd", "isolate consul1", 30, LOCAL_HOST)
    (helper,) = docker.containers.values()
    helper["Labels"] |= different
    assert lasting(docker) == []
    inject.heal(LAB)
    assert list(docker.containers.values()) == [helper]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(CUT, "consul1 still has rules of the fault ab12cd"), (LATE, "consul1 still has a delay")],
)
def test_what_does_not_go_away_is_told(docker: Docker, change: Cut | Delay, sentence: str) -> None:
    inject.change(LAB, {ONE: change}, "ab12cd", "isolate consul1", 30, LOCAL_HOST)
    docker.of(ONE).now("stuck")
    with pytest.raises(LabctlError, match=sentence):
        inject.heal(LAB, "ab12cd")
    assert len(docker.containers) == 1, "its helper may still do it"


class Client:
    """A client of that engine."""

    place = LAB.place

    def __init__(self, listed: list[dict[str, Any]]) -> None:
        self._listed = listed

    def containers(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        assert filters == {"label": "raft-labctl.lab=ada"}
        return self._listed


def lasting(docker: Docker, **states: str) -> list[tuple[str, tuple[str, ...]]]:
    """The faults that the lab has now, where its containers are in these states, in Docker's words."""
    client: Any = Client(docker.listed(**states))
    return [(fault.id, fault.servers) for fault in inject.active(client, LAB)]


def test_a_fault_lasts_in_the_network_that_it_was_begun_in_and_in_no_later_one(docker: Docker) -> None:
    inject.change(LAB, {ONE: CUT, TWO: CUT}, "ab12cd", "isolate consul1,consul2", 30, LOCAL_HOST)
    assert lasting(docker) == [("ab12cd", (ONE, TWO))]
    assert lasting(docker, consul2="paused") == [("ab12cd", (ONE, TWO))]
    assert lasting(docker, consul2="exited") == [("ab12cd", (ONE,))]
    docker.lives[LAB.server(ONE).id] = "2026-11-23T12:00:09.25Z"
    assert lasting(docker) == [("ab12cd", (TWO,))]
    del docker.lives[LAB.server(TWO).id]
    assert lasting(docker) == []
    assert lasting(docker, helper0="created", helper1="created") == []


def test_what_docker_does_not_say_is_unknown_and_not_no_fault(docker: Docker) -> None:
    inject.change(LAB, {ONE: CUT}, "ab12cd", "isolate consul1", 30, LOCAL_HOST)
    docker.silent = True
    with pytest.raises(LabctlError, match="did not answer"):
        lasting(docker)


def test_a_server_that_was_started_again_meanwhile_is_told_and_nothing_is_left(docker: Docker) -> None:
    again = {LAB.server(ONE).id: "2026-11-23T12:00:09.25Z"}
    docker.before_it_is_executed = lambda: docker.lives.update(again)
    with pytest.raises(LabctlError, match="consul1 was started again while it was being disturbed"):
        inject.change(LAB, {ONE: CUT}, "ab12cd", "isolate consul1", 30, LOCAL_HOST)
    nothing_is_left(docker)


@pytest.mark.parametrize("ahead", [25.0, -25.0])
def test_what_is_left_of_a_lease_does_not_depend_on_the_docker_hosts_clock(docker: Docker, ahead: float) -> None:
    docker.ahead = ahead
    assert lasting(docker) == []
    assert docker.asked_for_time == 0, "where there is no fault, nothing has an end"
    inject.change(LAB, {ONE: CUT, TWO: CUT}, "ab12cd", "isolate consul1,consul2", 30, clock.of(LAB.place))
    client: Any = Client(docker.listed())
    (fault,) = inject.active(client, LAB)
    left = fault.seconds_left(datetime.now(UTC))
    assert left is not None
    assert 25 < left <= 30
    stamp = datetime.fromisoformat(next(iter(docker.containers.values()))["Labels"]["raft-labctl.fault-until"])
    assert abs((stamp - datetime.now(UTC)).total_seconds() - 30 - ahead) < 5, "what stands there is the host's own time"


@pytest.mark.parametrize(
    "until",
    [
        "9999-12-31T23:59:59.999999+00:00",
        "9999-12-31T23:59:59.999999-23:59",
        "0001-01-01T00:00:00+23:59",
        "1969-12-31T23:59:59+00:00",
        "2026-11-30T00:00:00",
        "soon",
    ],
)
@pytest.mark.parametrize("ahead", [25.0, -25.0])
def test_an_end_that_no_lease_has_is_none_and_hides_no_fault(docker: Docker, until: str, ahead: float) -> None:
    docker.ahead = ahead
    inject.change(LAB, {ONE: CUT}, "ab12cd", "isolate consul1", 30, LOCAL_HOST)
    (helper,) = docker.containers.values()
    helper["Labels"]["raft-labctl.fault-until"] = until
    client: Any = Client(docker.listed())
    assert [(fault.id, fault.until) for fault in inject.active(client, LAB)] == [("ab12cd", None)]


@pytest.mark.parametrize(
    ("started", "since"),
    [("2024-01-02T03:04:05.678901234Z", 1_704_164_645.678901), ("0001-01-01T00:00:00Z", 0.0)],
)
def test_the_last_words_of_a_server_are_those_of_the_life_that_it_had_last(
    docker: Docker, started: str, since: float
) -> None:
    docker.started = started
    assert inject.last_words(LAB.server(ONE)) == f"{LAB.server(ONE).id} since {since}"


def test_servers_are_signalled_each(docker: Docker) -> None:
    inject.signal("stop", LAB.servers[:2])
    assert sorted(docker.changed, key=str) == [("stop", server.id, {"t": 5}) for server in LAB.servers[:2]]


def test_a_server_that_somebody_else_has_resumed_is_no_failure(docker: Docker) -> None:
    docker.refuses = "Container 23c38b is not paused"
    inject.signal("unpause", LAB.servers)
    assert len(docker.changed) == 3
    docker.refuses = "Container 23c38b is not running"
    for verb in ("unpause", "kill"):
        with pytest.raises(LabctlError, match="is not running"):
            inject.signal(verb, LAB.servers)
