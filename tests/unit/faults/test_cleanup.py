"""What the helper's shell takes out of a network namespace, and what it leaves: with a stand-in for nft and tc."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labctl.faults import cleanup
from labctl.faults.nftables import Cut, Delay, apply, undo
from tests.unit.network_stand_in import Network

if TYPE_CHECKING:
    from pathlib import Path

PEERS = frozenset({"10.0.0.3"})
CUT, OTHER, LATE = "aaaaaa", "bbbbbb", "cccccc"


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """One with two cuts and a delay, and with things that are none of ours."""
    network = Network(tmp_path)
    network.have("ip nat")
    network.have("ip labctl_dddddd", "somebody else's, of another family")
    for fault in (CUT, OTHER):
        assert network.run(apply(fault, Cut(incoming=PEERS), 30)) == (0, "")
    assert network.run(apply(LATE, Delay(PEERS, 200, 20), 30)) == (0, "")
    return network


def clean(network: Network, fault: str | None) -> cleanup.CleanupResult:
    code, said = network.run(cleanup.words(fault))
    assert code == 0, said
    return cleanup.read(said, fault)


def ours(network: Network) -> set[str]:
    return {table.removeprefix("inet labctl_") for table in network.tables if table.startswith("inet ")}


def test_one_fault_is_taken_away_and_the_delay_of_the_same_server_stays(network: Network) -> None:
    assert clean(network, CUT) == cleanup.CleanupResult(frozenset({CUT}), frozenset(), delayed=False)
    assert ours(network) == {OTHER, LATE}
    assert "netem delay 200ms 20ms" in network.queued


def test_a_delay_is_taken_away_with_its_queue_and_the_others_stay(network: Network) -> None:
    assert clean(network, LATE) == cleanup.CleanupResult(frozenset({LATE}), frozenset(), delayed=False)
    assert ours(network) == {CUT, OTHER}
    assert network.queued == ""


def test_a_fault_that_is_not_there_takes_nothing_away(network: Network) -> None:
    before = network.tables, network.queued
    assert clean(network, "eeeeee") == cleanup.CleanupResult(frozenset(), frozenset(), delayed=False)
    assert (network.tables, network.queued) == before


def test_all_are_all_of_ours_and_nothing_of_anybody_else(network: Network) -> None:
    assert clean(network, None) == cleanup.CleanupResult(frozenset({CUT, OTHER, LATE}), frozenset(), delayed=False)
    assert network.tables == {"ip nat", "ip labctl_dddddd"}
    assert network.queued == ""


def test_a_queue_of_ours_goes_also_without_a_table_and_another_one_stays(tmp_path: Path) -> None:
    network = Network(tmp_path)
    network.queue("qdisc htb 1ab: root refcnt 3 r2q 10")
    assert clean(network, None) == cleanup.CleanupResult(frozenset(), frozenset(), delayed=False)
    assert network.queued == ""
    network.queue("qdisc tbf 1: root refcnt 3 rate 1Mbit")
    assert clean(network, None) == cleanup.CleanupResult(frozenset(), frozenset(), delayed=False)
    assert "tbf" in network.queued


def test_what_cannot_be_taken_away_is_told(network: Network) -> None:
    network.now("stuck")
    assert clean(network, CUT) == cleanup.CleanupResult(frozenset({CUT}), frozenset({CUT}), delayed=False)
    assert clean(network, LATE) == cleanup.CleanupResult(frozenset({LATE}), frozenset({LATE}), delayed=True)
    assert clean(network, None).left == {CUT, OTHER, LATE}


def test_a_network_that_cannot_be_looked_at_is_not_called_clean(network: Network) -> None:
    network.now("refuse", "Operation not permitted (you must be root)\n")
    code, said = network.run(cleanup.words(None))
    assert (code, said) == (1, "Operation not permitted (you must be root)\n")


def test_a_second_delay_is_refused_and_the_first_one_stays(network: Network) -> None:
    before = network.tables, network.queued
    code, said = network.run(apply("eeeeee", Delay(PEERS, 100), 30))
    assert (code, said) == (2, "Error: Exclusivity flag on, cannot modify.\n")
    assert (network.tables, network.queued) == before


def test_a_delay_that_the_kernel_cannot_do_leaves_no_queue(tmp_path: Path) -> None:
    network = Network(tmp_path)
    network.now("nonetem")
    code, said = network.run(apply(LATE, Delay(PEERS, 100), 30))
    assert (code, said) == (2, "Error: Specified qdisc kind is unknown.\n")
    assert (network.tables, network.queued) == (set(), "")


@pytest.mark.parametrize("fault", [CUT, LATE])
def test_a_helper_takes_its_own_fault_away_when_the_lease_is_over(network: Network, fault: str) -> None:
    change = Delay(PEERS, 200) if fault == LATE else Cut(incoming=PEERS)
    assert network.run(["/bin/sh", "-c", undo(fault, change)]) == (0, "")
    assert ours(network) == {CUT, OTHER, LATE} - {fault}
    assert ("netem" in network.queued) == (fault != LATE)
