"""The rules that a fault is, as nft reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.faults.nftables import Cut, Delay, apply, drop, faults_in, is_id, new_id, table, undo

PEERS = frozenset({"10.0.0.3", "10.0.0.4"})


def test_a_cut_is_a_table_of_its_own_whose_addresses_the_kernel_forgets() -> None:
    made = table("ab12cd", Cut(incoming=PEERS, outgoing=PEERS), 30)
    assert made.splitlines()[:2] == ["table inet labctl_ab12cd", "delete table inet labctl_ab12cd"]
    assert made.count("10.0.0.3 timeout 30000ms, 10.0.0.4 timeout 30000ms") == 2
    assert "ip saddr @input_peers drop" in made
    assert "ip daddr @output_peers drop" in made


def test_one_way_touches_one_direction() -> None:
    made = table("ab12cd", Cut(incoming=PEERS), 30)
    assert "hook input" in made
    assert "hook output" not in made


@pytest.mark.parametrize(
    ("cut", "verdict"),
    [
        (Cut(outgoing=PEERS, percent=30), "numgen random mod 1000 < 300 drop"),
        (Cut(outgoing=PEERS, percent=0.1), "numgen random mod 1000 < 1 drop"),
        (Cut(outgoing=PEERS, percent=100), "@output_peers drop"),
        (Cut(outgoing=PEERS, kilobytes=64), "limit rate over 64 kbytes/second drop"),
    ],
)
def test_loss_and_rate_drop_some(cut: Cut, verdict: str) -> None:
    assert verdict in table("ab12cd", cut, 30)


@pytest.mark.parametrize(
    ("fault", "cut", "seconds"),
    [
        ("ab12cd; flush ruleset", Cut(incoming=PEERS), 30),
        ("ab12cd", Cut(incoming=frozenset({"10.0.0.3 } ; flush ruleset"})), 30),
        ("ab12cd", Cut(incoming=PEERS, percent=0.09), 30),
        ("ab12cd", Cut(incoming=PEERS, percent=101), 30),
        ("ab12cd", Cut(incoming=PEERS), 0),
    ],
)
def test_what_is_no_rule_is_refused(fault: str, cut: Cut, seconds: float) -> None:
    with pytest.raises(ValueError, match=r"no rule|10\.0\.0\.3"):
        table(fault, cut, seconds)


def test_a_delay_is_a_queue_and_a_table_that_says_which_packets_go_there() -> None:
    late = Delay(PEERS, 200, 20)
    shell, _, _, made, queue = apply("ab12cd", late, 30)
    assert (shell, queue) == ("/bin/sh", "netem delay 200ms 20ms limit 20000")
    assert made == table("ab12cd", late, 30)
    assert "ip daddr @output_peers meta priority set 1ab:4" in made
    assert made.count("timeout 30000ms") == 2
    assert "hook input" not in made
    assert undo("ab12cd", late) == "nft 'delete table inet labctl_ab12cd'; tc qdisc del dev eth0 root handle 1ab:"
    assert apply("ab12cd", Delay(PEERS, 200), 30)[-1] == "netem delay 200ms limit 20000"
    cut = Cut(incoming=PEERS)
    assert apply("ab12cd", cut, 30) == ["nft", table("ab12cd", cut, 30)]
    assert undo("ab12cd", cut) == "nft 'delete table inet labctl_ab12cd'"


def test_only_our_own_tables_are_faults() -> None:
    listing = "table inet labctl_ab12cd\ntable ip nat\ntable inet labctl_zz\ntable inet labctl_00ff00 { # handle 3\n"
    assert faults_in(listing) == {"ab12cd", "00ff00"}
    assert drop("ab12cd") == "delete table inet labctl_ab12cd"
    with pytest.raises(ValueError, match="no fault"):
        drop("x; flush ruleset")


@given(st.text())
def test_a_name_of_a_fault_is_six_digits_and_nothing_else(text: str) -> None:
    assert is_id(new_id())
    assert is_id(text) == (len(text) == 6 and all(character in "0123456789abcdef" for character in text))
