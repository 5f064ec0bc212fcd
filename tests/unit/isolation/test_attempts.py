"""Which connections are tried: every way from every lab to every other, and those that must succeed."""

from __future__ import annotations

from dataclasses import replace

from labctl.isolation.attempts import Attempt, controls, crossings, joins
from labctl.isolation.targets import PublishedPort, place_of
from tests.unit.isolation.labs import lab

A, B, C = (place_of(name, "local", lab(name, f"10.213.{number}")) for number, name in enumerate("abc"))
HOSTS = {"local": ("192.0.2.9", "172.17.0.1")}


def where(tries: list[Attempt], kind: str, to: str = "b") -> set[str]:
    return {attempt.where for attempt in tries if attempt.kind == kind and attempt.lab == to}


def test_every_port_of_every_server_of_every_other_lab_is_tried() -> None:
    tries = crossings(A, [A, B, C], HOSTS)
    for name, subnet in (("b", "10.213.1"), ("c", "10.213.2")):
        assert where(tries, "server", name) == {
            f"{subnet}.{number}:{port}" for number in (2, 3, 4) for port in (8300, 8301, 8500)
        }
    assert not [attempt for attempt in tries if attempt.lab == "a"]


def test_published_ports_are_tried_on_the_gateway_and_on_the_hosts_own_addresses() -> None:
    assert where(crossings(A, [A, B], HOSTS), "published") == {
        f"{address}:{port}"
        for address in ("10.213.0.1", "192.0.2.9", "172.17.0.1")
        for port in (32_001, 32_002, 32_003)
    }


def test_a_port_that_is_published_on_one_address_is_tried_there_too() -> None:
    other = replace(B, published=(PublishedPort("consul1", "192.0.2.77", 5000), PublishedPort("consul1", "::1", 5001)))
    assert "192.0.2.77:5000" in where(crossings(A, [A, other], HOSTS), "published")
    assert not any("::" in address for address in where(crossings(A, [A, other], HOSTS), "published"))


def test_the_engine_is_tried_wherever_it_may_listen_and_the_clouds_metadata() -> None:
    assert where(crossings(A, [A], HOSTS), "engine", "") == {
        f"{address}:{port}"
        for address in ("10.213.0.1", "192.0.2.9", "172.17.0.1", "host.docker.internal")
        for port in (2375, 2376)
    } | {"169.254.169.254:80"}


def test_the_control_is_every_port_of_every_server_of_ones_own_lab() -> None:
    assert {attempt.where for attempt in controls(A)} == {
        f"10.213.0.{number}:{port}" for number in (2, 3, 4) for port in (8300, 8301, 8500)
    }
    assert not set(controls(A)) & set(crossings(A, [A, B], HOSTS))


def test_a_lab_of_another_docker_host_is_tried_at_its_own_addresses() -> None:
    other = replace(B, host="two")
    tries = crossings(A, [A, other], {**HOSTS, "two": ("192.0.2.10",)})
    assert where(tries, "server") == where(crossings(A, [A, B], HOSTS), "server")
    assert where(tries, "published") == {f"192.0.2.10:{port}" for port in (32_001, 32_002, 32_003)}
    assert {"192.0.2.10:2375", "192.0.2.10:2376"} <= where(tries, "engine", "")


def test_an_address_that_another_docker_host_uses_again_is_ones_own_and_not_tried() -> None:
    twin = replace(place_of("a", "two", lab("a", "10.213.0")), published=())
    assert [attempt for attempt in crossings(A, [A, twin], {**HOSTS, "two": ()}) if attempt.kind == "server"] == []
    assert joins(A, [A, twin], set()) == []


def test_a_server_that_is_on_two_networks_is_not_tried_from_itself() -> None:
    both = replace(B, strange=A.own[:1])
    assert not where(crossings(A, [A, both], HOSTS), "server") & {"10.213.0.2:8300"}


def test_each_lab_is_joined_once_by_servers_in_turn_but_not_one_that_was_reached() -> None:
    attempts = joins(A, [A, B, C], set())
    assert [(join.server, join.lab, join.address) for join in attempts] == [
        ("consul1", "b", "10.213.1.2"),
        ("consul2", "c", "10.213.2.2"),
    ]
    assert [join.lab for join in joins(A, [A, B, C], {("local", "b")})] == ["c"]


def test_forty_five_labs_are_tried_in_each_direction() -> None:
    places = [place_of(f"s{number}", "local", lab(f"s{number}", f"10.213.{number}")) for number in range(45)]
    tried = [attempt for place in places for attempt in crossings(place, places, HOSTS) if attempt.kind == "server"]
    assert len(tried) == 45 * 44 * 3 * 3
    assert sum(len(joins(place, places, set())) for place in places) == 45 * 44
