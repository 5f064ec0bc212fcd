"""A delay by its effect. Where the kernel has no netem, another queue takes its place: then packets come slowly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from labctl.engine import client, labs
from labctl.engine.clock import HostClock
from labctl.errors import LabctlError
from labctl.faults import inject, nftables
from labctl.faults.nftables import Cut, Delay
from tests.integration.harness import container, docker, wait_until
from tests.integration.server_networks import counted, helpers, inside, is_clean

if TYPE_CHECKING:
    from labctl.engine.labs import Lab
    from tests.integration.harness import Person

SECONDS = 4
PORT = 9300
SLOW_BYTES = 8000
"""How much the slow queue lets through in a second."""


@pytest.fixture
def lab(lab: str) -> Lab:
    """The lab that every test may have, as the engine describes it."""
    there = labs.find_lab(client.connect(), lab)
    assert there is not None
    return there


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a queue that every kernel with traffic control has where netem stands: all else is as in a delay."""
    assert nftables.delay_rule(Delay(frozenset(), 200)).startswith("netem ")
    monkeypatch.setattr(nftables, "delay_rule", lambda _: f"tbf rate {SLOW_BYTES}bps burst 2000 limit 1000000")


def begin(lab: Lab, server: str, peers: tuple[str, ...], seconds: float = 60) -> str:
    """A delay of what a server sends to these peers. Returns its name."""
    fault = nftables.new_id()
    outgoing = frozenset(lab.server(peer).address for peer in peers)
    inject.change(lab, {server: Delay(outgoing, 200)}, fault, f"delay 200 {server}", seconds, HostClock())
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
    cut = nftables.new_id()
    one_way = Cut(incoming=frozenset({lab.server("consul3").address}))
    inject.change(lab, {"consul1": one_way}, cut, "one-way consul3 consul1", 60, HostClock())
    assert ada.done("fault", "heal", cut, "--lab", lab.name, "--json").json["healed"] == [cut]
    assert "qdisc tbf" in inside(lab.name, "consul1", "tc qdisc show dev eth0")
    ada.done("fault", "heal", late, "--lab", lab.name)
    assert is_clean(lab.name, "consul1")
    assert not is_clean(lab.name, "consul2")
    assert [fault["fault"] for fault in ada.done("fault", "ls", lab.name, "--json").json] == [other]


@pytest.mark.usefixtures("slow")
def test_a_second_delay_is_refused_and_the_first_one_stays(ada: Person, lab: Lab) -> None:
    first = begin(lab, "consul1", ("consul2",))
    with pytest.raises(LabctlError, match="consul1 has a delay already"):
        begin(lab, "consul1", ("consul3",))
    assert [fault["fault"] for fault in ada.done("fault", "ls", lab.name, "--json").json] == [first]
    assert "qdisc tbf" in inside(lab.name, "consul1", "tc qdisc show dev eth0")
    assert "labctl_" in inside(lab.name, "consul1", "nft list tables")


@pytest.mark.usefixtures("slow")
def test_the_kernel_ends_a_delay_though_its_helper_was_killed(ada: Person, lab: Lab) -> None:
    # Long enough for the count on a busy machine.
    fault = begin(lab, "consul1", ("consul2",), seconds=15)
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


def test_a_queue_of_ours_without_a_table_is_healed_and_another_one_is_not_touched(ada: Person, lab: Lab) -> None:
    inside(lab.name, "consul1", "tc qdisc add dev eth0 root handle 1ab: htb")
    inside(lab.name, "consul2", "tc qdisc add dev eth0 root handle 2cd: htb")
    assert not is_clean(lab.name, "consul1")
    ada.done("fault", "heal", "--lab", lab.name)
    assert is_clean(lab.name, "consul1")
    assert "qdisc htb 2cd:" in inside(lab.name, "consul2", "tc qdisc show dev eth0")
    inside(lab.name, "consul2", "tc qdisc del dev eth0 root")


def kernel_can_delay(lab: Lab) -> bool:
    """Whether the kernel has the queue of a delay, tried by hand where no fault will be."""
    add = "tc qdisc add dev eth0 root handle 2cd: netem delay 1ms"
    said = inside(lab.name, "consul2", f"if {add} 2>&1; then echo it can; tc qdisc del dev eth0 root; fi")
    assert "it can" in said or "unknown" in said.lower(), said
    return "it can" in said


def test_a_delay_is_late_where_the_kernel_can_and_else_the_kernel_is_named(ada: Person, lab: Lab) -> None:
    can = kernel_can_delay(lab)
    result = ada.run("fault", "delay", "200", "consul1", "--jitter", "20", "--lab", lab.name, "--for", "20s")
    queues = inside(lab.name, "consul1", "tc qdisc show dev eth0")
    assert result.code == (0 if can else 1)
    if can:
        assert "delay 200.0ms  20.0ms" in queues
    else:
        assert "sudo modprobe -a sch_htb sch_netem" in result.sentence()
        assert is_clean(lab.name, "consul1")
        assert helpers(lab.name) == []
