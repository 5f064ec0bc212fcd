"""Where a lab can be reached, from what docker inspect says."""

from __future__ import annotations

import pytest

from labctl.isolation.targets import PublishedPort, ServerAddress, host_addresses, place_of
from tests.unit.isolation.labs import container, lab


def test_a_lab_is_reached_at_its_servers_and_at_what_they_publish() -> None:
    place = place_of("a", "local", reversed(lab("a", "10.213.0")))
    assert place.own[0] == ServerAddress("consul1", "10.213.0.2", (8300, 8301, 8500))
    assert [spot.server for spot in place.own] == ["consul1", "consul2", "consul3"]
    assert place.published[0] == PublishedPort("consul1", "127.0.0.1", 32_001)
    assert (place.gateways, place.subnets, place.strange, place.down) == (("10.213.0.1",), ("10.213.0.0/28",), (), ())
    assert place.has("10.213.0.14")
    assert not place.has("10.213.0.16")


def test_a_lab_whose_http_api_speaks_tls_is_reached_at_that_port() -> None:
    server = container("a")
    server["NetworkSettings"]["Ports"] = {"8501/tcp": [{"HostIp": "127.0.0.1", "HostPort": "4"}], "8301/udp": None}
    assert place_of("a", "local", [server]).own[0].ports == (8300, 8301, 8501)


def test_a_server_that_publishes_nothing_has_its_http_api_all_the_same() -> None:
    server = container("a")
    server["NetworkSettings"]["Ports"] = {"8500/tcp": None}
    assert place_of("a", "local", [server]).own[0].ports == (8300, 8301, 8500)


def test_a_server_that_does_not_run_and_one_on_a_strange_network_are_told() -> None:
    server, two = container("a", 1), container("a", 2)
    server["State"]["Status"] = "exited"
    two["NetworkSettings"]["Networks"]["labctl-b"] = {"IPAddress": "10.9.0.7", "Gateway": "10.9.0.1", "IPPrefixLen": 28}
    place = place_of("a", "local", [server, two])
    assert place.down == ("consul1",)
    assert place.strange == (ServerAddress("consul2", "10.9.0.7", (8300, 8301, 8500)),)
    # The other lab's network is not this lab's own.
    assert place.subnets == ("10.213.0.0/28",)


def test_what_is_no_server_is_no_place_to_reach() -> None:
    server = container("a")
    del server["Config"]["Labels"]["raft-labctl.server"]
    assert place_of("a", "local", [server]).spots == ()


def test_a_port_that_is_bound_to_all_addresses_has_none_of_its_own() -> None:
    server = container("a")
    server["NetworkSettings"]["Ports"] = {
        "8500/tcp": [{"HostIp": "0.0.0.0", "HostPort": "1"}, {"HostIp": "::", "HostPort": "1"}]  # noqa: S104 - data
    }
    assert {published.address for published in place_of("a", "local", [server]).published} == {""}


def test_the_hosts_addresses_are_those_that_are_no_bridge_and_no_loopback() -> None:
    said = (
        "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n"
        "4: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever\n"
        "5: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\\       valid_lft forever\n"
        "9: br-28fe6085f3e6    inet 10.222.176.49/28 scope global br-28fe6085f3e6\\       valid_lft forever\n"
        "nonsense\n"
    )
    assert host_addresses(said, ["10.222.176.48/28", "fd00::/64"]) == ("192.0.2.2", "172.17.0.1")


@pytest.mark.parametrize("said", ["", "table inet filter", "1: lo inet x/8 scope host", "2: eth0 inet 300.0.0.1/24"])
def test_addresses_of_a_host_that_are_none_are_not_taken_for_a_host_without_any(said: str) -> None:
    with pytest.raises(ValueError, match="address"):
        host_addresses(said, [])


def test_a_network_without_addresses_and_a_port_without_a_number_are_left_out() -> None:
    server = container("a", 1, "10.213.0")
    server["NetworkSettings"] = {
        "Networks": {"x": None, "y": {"IPAddress": None}},
        "Ports": {"8500/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}, {"HostIp": None, "HostPort": "80"}]},
    }
    place = place_of("a", "local", [server])
    assert (place.own, place.strange) == ((), ())
    assert [(port.address, port.port) for port in place.published] == [("", 80)]
