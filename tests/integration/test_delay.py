"""A delay by its effect. Where the kernel has no netem, another queue takes its place: then packets come slowly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from labctl.engine import client, faults, labs
from labctl.errors import LabctlError
from labctl.faults import rules
from labctl.faults.rules import Cut, Delay
from tests.integration.disturbed import address, counted, helpers, inside, is_clean
from tests.integration.fixtures import up
from tests.integration.harness import container, docker, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labctl.engine.labs import Lab
    from tests.integration.harness import Person

SECONDS = 4
PORT = 9300
SLOW_BYTES = 8000
"""What the slow queue lets through in a second."""


@pytest.fixture(scope="module")
def name(ada: Person, module_names: Callable[[], str]) -> str:
    """A lab that every test leaves as it found it."""
    found = module_names()
    up(ada, found)
    return found


@pytest.fixture
def lab(ada: Person, name: str) -> Iterator[Lab]:
    found = labs.find_lab(client.connect(), name)
    assert found is not None
    yield found
    ada.done("fault", "heal", "--lab", name)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a queue that every kernel with traffic control has where netem stands: all else is as in a delay."""
    assert rules._late(Delay(frozenset(), 200)).startswith("netem ")
    monkeypatch.setattr(rules, "_late", lambda _: f"tbf rate {SLOW_BYTES}bps burst 2000 limit 1000000")


def begin(lab: Lab, server: str, peers: tuple[str, ...], seconds: float = 60) -> str:
    """A delay of what a server sends to these peers. Returns its name."""
    fault = rules.new_id()
    outgoing = frozenset(lab.server(peer).address for peer in peers)
    faults.change(lab, {server: Delay(outgoing, 200)}, fault, f"delay 200 {server}", seconds)
    return fault


def came(lab: Lab, peer: str) -> int:
    """How many bytes of consul1 come to a peer in a few seconds in which it sends as many as it can."""
    # A listener whose own input ends hangs up.
    listen = f"sleep {SECONDS + 1} | timeout {SECONDS + 1} busybox nc -l -p {PORT} > /dev/null"
    send = f"sleep 1; head -c 4000000 /dev/zero | timeout {SECONDS} busybox nc {lab.server(peer).address} {PORT}"
    with ThreadPoolExecutor(3) as pool:
        at_peer = pool.submit(counted, lab.name, peer, lab.server("consul1").address, SECONDS)
        pool.submit(docker, "exec", container(lab.name, peer), "sh", "-c", listen, check=False)
        pool.submit(docker, "exec", container(lab.name, "consul1"), "sh", "-c", send, check=False)
    (_, (_, size)) = at_peer.result()
    return size


@pytest.mark.usefixtures("slow")
def test_what_goes_to_the_peers_goes_through_the_queue_and_nothing_else_does(ada: Person, lab: Lab) -> None:
    fault = begin(lab, "consul1", ("consul2",))
    assert came(lab, "consul2") < 2 * SLOW_BYTES * SECONDS
    assert came(lab, "consul3") > 4 * SLOW_BYTES * SECONDS
    ada.done("fault", "heal", fault, "--lab", lab.name)
    assert came(lab, "consul2") > 4 * SLOW_BYTES * SECONDS
    assert is_clean(lab.name, "consul1")
    assert helpers(lab.name) == []


@pytest.mark.usefixtures("slow")
def test_other_faults_of_the_same_server_heal_while_a_delay_lasts_and_it_stays(ada: Person, lab: Lab) -> None:
    late = begin(lab, "consul1", ("consul2",))
    other = begin(lab, "consul2", ("consul3",))
    cut = rules.new_id()
    faults.change(lab, {"consul1": Cut(incoming=frozenset({address(ada, lab.name, "consul3")}))}, cut, "one-way", 60)
    assert ada.done("fault", "heal", cut, "--lab", lab.name, "--json").json["healed"] == [cut]
    assert "qdisc tbf" in inside(lab.name, "consul1", "tc qdisc show dev eth0")
    ada.done("fault", "heal", late, "--lab", lab.name)
    assert is_clean(lab.name, "consul1")
    assert not is_clean(lab.name, "consul2")
    assert [one["fault"] for one in ada.done("fault", "ls", lab.name, "--json").json] == [other]


@pytest.mark.usefixtures("slow")
def test_a_second_delay_is_refused_and_the_first_one_stays(ada: Person, lab: Lab) -> None:
    first = begin(lab, "consul1", ("consul2",))
    with pytest.raises(LabctlError, match="consul1 has a delay already"):
        begin(lab, "consul1", ("consul3",))
    assert [one["fault"] for one in ada.done("fault", "ls", lab.name, "--json").json] == [first]
    assert "qdisc tbf" in inside(lab.name, "consul1", "tc qdisc show dev eth0")
    assert "labctl_" in inside(lab.name, "consul1", "nft list tables")


@pytest.mark.usefixtures("slow")
def test_the_kernel_ends_a_delay_though_its_helper_was_killed(ada: Person, lab: Lab) -> None:
    fault = begin(lab, "consul1", ("consul2",), seconds=10)
    docker("kill", *helpers(lab.name))
    assert came(lab, "consul2") < 2 * SLOW_BYTES * SECONDS
    wait_until(lambda: came(lab, "consul2") > 4 * SLOW_BYTES * SECONDS, 40, "the kernel to forget the delay")
    assert ada.done("fault", "heal", fault, "--lab", lab.name, "--json").json["healed"] == [fault]
    assert is_clean(lab.name, "consul1")


@pytest.mark.usefixtures("slow")
def test_a_delay_ends_by_itself_and_leaves_nothing(lab: Lab) -> None:
    begin(lab, "consul1", ("consul2",), seconds=2)
    wait_until(lambda: not helpers(lab.name), 40, "the helper to be gone")
    assert is_clean(lab.name, "consul1")


def test_a_queue_of_ours_whose_table_never_came_is_healed_and_another_one_is_not_touched(ada: Person, lab: Lab) -> None:
    inside(lab.name, "consul1", "tc qdisc add dev eth0 root handle 1ab: htb")
    inside(lab.name, "consul2", "tc qdisc add dev eth0 root handle 2cd: htb")
    assert not is_clean(lab.name, "consul1")
    ada.done("fault", "heal", "--lab", lab.name)
    assert is_clean(lab.name, "consul1")
    assert "qdisc htb 2cd:" in inside(lab.name, "consul2", "tc qdisc show dev eth0")
    inside(lab.name, "consul2", "tc qdisc del dev eth0 root")


def test_a_delay_is_late_or_the_kernel_is_named_that_cannot(ada: Person, lab: Lab) -> None:
    result = ada.run("fault", "delay", "200", "consul1", "--jitter", "20", "--lab", lab.name, "--for", "20s")
    queues = inside(lab.name, "consul1", "tc qdisc show dev eth0")
    if result.code == 0:
        assert "delay 200.0ms  20.0ms" in queues
    else:
        assert "sudo modprobe -a sch_htb sch_netem" in result.sentence()
        assert is_clean(lab.name, "consul1")
        assert helpers(lab.name) == []
