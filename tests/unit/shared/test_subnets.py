"""A lab's own /28, where nothing on the Docker host is in its way."""

from __future__ import annotations

import ipaddress
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.shared import subnets

POOL = ipaddress.IPv4Network("10.213.0.0/16")
NAMES = st.text("abcdefghij-", min_size=1, max_size=12)


def network(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text)


@pytest.mark.parametrize("text", ["10.213.7.0/28", "192.168.0.0/24", "172.16.0.0/12", "10.0.0.0/8"])
def test_a_private_subnet_is_read(text: str) -> None:
    assert str(subnets.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.213.7.0/29", "too small"),
        ("10.213.7.1", "too small"),
        ("10.213.7.1/28", "begins at 10.213.7.0/28"),
        ("10.213.7.0/33", "not an IPv4 subnet"),
        ("fd00::/64", "not an IPv4 subnet"),
        ("", "not an IPv4 subnet"),
        ("ten", "not an IPv4 subnet"),
        ("10.213.0.0/" + "9" * 10_000, "not an IPv4 subnet"),
        ("9" * 10_000, "not an IPv4 subnet"),
        ("224.0.0.0/28", "not a private"),
        ("240.0.0.0/4", "not a private"),
        ("::/0", "not an IPv4 subnet"),
        ("8.8.8.0/24", "not a private"),
        ("0.0.0.0/0", "not a private"),
        ("127.0.0.0/24", "not a private"),
        ("169.254.0.0/16", "not a private"),
        ("172.0.0.0/8", "not a private"),
    ],
)
def test_what_cannot_be_a_labs_subnet_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        subnets.parse(text)
    said = str(caught.value)
    assert ascii(text[:40])[:-1] in said
    assert len(said) < 200
    # In Python's words: "Expected 4 octets in 'ten'", "Exceeds the limit (4300 digits)".
    assert not any(word in said for word in ("octet", "netmask", "host bits", "limit"))


@given(NAMES, st.integers(20, 28))
def test_every_subnet_of_the_pool_is_tried_once(lab: str, prefix: int) -> None:
    pool = ipaddress.IPv4Network((int(POOL.network_address), prefix))
    assert sorted(subnets.candidates(lab, pool)) == list(pool.subnets(new_prefix=28))


def test_a_lab_that_is_built_again_tries_its_old_subnet_first() -> None:
    assert next(subnets.candidates("ada", POOL)) == next(subnets.candidates("ada", POOL))


def test_labs_begin_at_different_places() -> None:
    firsts = {next(subnets.candidates(f"lab{number}", POOL)) for number in range(100)}
    assert len(firsts) > 90


@given(
    NAMES,
    st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(16, 32)), max_size=8),
    st.integers(1, 30),
)
def test_what_is_free_overlaps_nothing_that_is_taken(lab: str, places: list[tuple[int, int]], most: int) -> None:
    taken = [
        ipaddress.IPv4Network((int(POOL.network_address) + place, prefix), strict=False) for place, prefix in places
    ]
    free = subnets.free(lab, POOL, taken, most)
    assert len(free) <= most
    assert len(set(free)) == len(free)
    for network in free:
        assert network.prefixlen == 28
        assert network.subnet_of(POOL)
        assert not any(network.overlaps(other) for other in taken)


def test_the_last_free_subnet_is_found() -> None:
    pool = network("10.213.0.0/24")
    *taken, last = pool.subnets(new_prefix=28)
    assert subnets.free("ada", pool, taken, 5) == [last]
    assert subnets.free("ada", pool, [*taken, last], 5) == []


TABLES = {
    "a company": ["10.0.0.0/8"],
    "def1": ["0.0.0.0/1", "128.0.0.0/1"],
    "all that is private": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
    "halves": ["10.0.0.0/9", "10.128.0.0/9"],
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_behind_a_vpn_a_subnet_that_only_wider_routes_lead_to_is_free(table: list[str]) -> None:
    routes = list(map(network, table))
    busy = network("10.213.0.0/17")
    free = subnets.free("ada", POOL, [busy], 24, routes)
    assert len(free) == 24
    assert not any(network.overlaps(busy) for network in free)
    assert subnets.free("ada", POOL, [busy], 24) == free


def test_subnets_that_no_route_touches_come_before_those_that_one_is_around() -> None:
    routes = [network("10.213.0.0/17"), network("10.213.128.0/18")]
    for free_subnet in subnets.free("ada", POOL, [], 24, routes):
        assert free_subnet.subnet_of(network("10.213.192.0/18"))


def test_where_all_are_in_routes_the_widest_comes_first() -> None:
    routes = [network("10.0.0.0/8"), network("10.213.0.0/17"), network("10.213.128.0/18")]
    for free_subnet in subnets.free("ada", POOL, [], 24, routes):
        assert free_subnet.subnet_of(network("10.213.192.0/18"))
    routes.append(network("10.213.192.0/18"))
    routes.append(network("10.213.128.0/19"))
    for free_subnet in subnets.free("ada", POOL, [], 24, routes):
        assert free_subnet.subnet_of(network("10.213.0.0/17"))


@pytest.mark.parametrize("route", ["10.213.4.0/28", "10.213.4.5/32", "10.213.4.8/29"])
def test_a_route_that_is_as_narrow_as_a_lab_or_a_part_of_it_takes_it(route: str) -> None:
    pool = network("10.213.4.0/27")
    table = [network("10.0.0.0/8"), network(route)]
    assert subnets.free("ada", pool, [], 24, table) == [network("10.213.4.16/28")]


def test_a_large_pool_behind_a_vpn_is_looked_at_in_a_moment() -> None:
    begun = time.monotonic()
    routes = [network("10.0.0.0/8"), *network("10.64.0.0/10").subnets(new_prefix=16)]
    assert len(subnets.free("ada", network("10.0.0.0/8"), [network("10.0.0.0/10")], 24, routes)) == 24
    assert time.monotonic() - begun < 5


@given(st.sampled_from([1, 3, 5, 7]), st.integers(0, 4095))
def test_addresses_leave_out_the_bridge_and_the_ends(servers: int, number: int) -> None:
    subnet = next(itertools.islice(POOL.subnets(new_prefix=28), number, None))
    addresses = [ipaddress.IPv4Address(address) for address in subnets.addresses(subnet, servers)]
    assert len(set(addresses)) == servers
    assert set(addresses) <= set(list(subnet.hosts())[1:])


def test_addresses_are_in_the_order_of_the_servers() -> None:
    assert subnets.addresses(network("10.213.7.16/28"), 3) == ["10.213.7.18", "10.213.7.19", "10.213.7.20"]
