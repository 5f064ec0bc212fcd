"""A Docker host whose routes lead everywhere, as a VPN's do. Only an engine of the test's own has them."""

from __future__ import annotations

import json
import subprocess
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import VERSION, Person, docker, inspect, new_name
from tests.integration.own_engine import OwnEngine, running_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMPANY = ("10.0.0.0/8",)
DEF1 = ("0.0.0.0/1", "128.0.0.0/1")


@pytest.fixture(scope="module")
def engine(image: str) -> Iterator[OwnEngine]:
    with running_engine(image) as engine:
        for words in ("link add vpn0 type veth peer name vpn1", "link set vpn0 up", "link set vpn1 up"):
            subprocess.run(["ip", "-n", engine.namespace, *words.split()], check=True)
        yield engine


@pytest.fixture
def vpn(engine: OwnEngine) -> Iterator[Callable[..., None]]:
    """Gives the engine's host routes through a device that leads nowhere; they are gone after the test."""
    made: list[str] = []

    def routes(*networks: str) -> None:
        for network in networks:
            subprocess.run(["ip", "-n", engine.namespace, "route", "add", network, "dev", "vpn0"], check=True)
            made.append(network)

    yield routes
    for network in made:
        subprocess.run(["ip", "-n", engine.namespace, "route", "del", network, "dev", "vpn0"], check=True)


@pytest.fixture
def dora(engine: OwnEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    person = Person("dora", tmp_path_factory.mktemp("dora"), engine.inside, {"DOCKER_HOST": engine.host})
    yield person
    person.done("down", "--all")
    person.end_processes()


def subnet(lab: str, engine: OwnEngine) -> IPv4Network:
    (network,) = inspect("network", f"labctl-{lab}", host=engine.host)
    return IPv4Network(network["IPAM"]["Config"][0]["Subnet"])


@pytest.mark.parametrize("routes", [COMPANY, DEF1])
def test_a_lab_lives_inside_of_a_vpns_route_and_its_owner_is_told(
    dora: Person, engine: OwnEngine, vpn: Callable[..., None], routes: tuple[str, ...]
) -> None:
    vpn(*routes)
    lab = new_name()
    said = dora.done("up", lab, "--pace", "real", "--consul-version", VERSION).out
    assert f"of the lab {lab} is a part of {routes[0]}, to which this Docker host has a route" in said
    assert subnet(lab, engine).subnet_of(IPv4Network("10.213.0.0/16"))
    docker("exec", f"labctl-{lab}-consul1", "consul", "kv", "put", "a", "b", host=engine.host)
    assert docker("exec", f"labctl-{lab}-consul3", "consul", "kv", "get", "a", host=engine.host) == "b"
    asked = new_name()
    dora.done("up", asked, "--no-join", "--servers", "1", "--subnet", "10.44.0.0/28")
    assert str(subnet(asked, engine)) == "10.44.0.0/28"


def test_a_pool_is_chosen_by_an_option_or_by_the_environment_and_a_route_in_it_is_passed_over(
    dora: Person, engine: OwnEngine, vpn: Callable[..., None]
) -> None:
    vpn(*COMPANY, "192.168.77.0/28", "192.168.77.17/32")
    first, second, third = new_name(), new_name(), new_name()
    words = ("--no-join", "--servers", "1")
    said = dora.done("up", first, *words, "--subnet-pool", "192.168.77.0/26").out
    assert "is a part of" not in said
    dora.env["LABCTL_SUBNET_POOL"] = "192.168.77.0/26"
    dora.done("up", second, *words)
    taken = {str(subnet(lab, engine)) for lab in (first, second)}
    assert taken == {"192.168.77.32/28", "192.168.77.48/28"}
    refused = dora.run("up", third, *words)
    assert refused.code == 4
    assert "All subnets of 192.168.77.0/26 are taken, one of them by " in refused.sentence()
    assert dora.run("up", third, *words, "--subnet", "192.168.77.16/28").code == 4
    wrong = dora.run("up", third, *words, "--subnet-pool", "nonsense")
    assert wrong.code == 2
    assert "'nonsense' is not an IPv4 subnet" in wrong.sentence()


def test_a_workshop_fits_inside_of_a_vpns_route(dora: Person, vpn: Callable[..., None]) -> None:
    vpn(*COMPANY)
    (dora.home / "workshop.yml").write_text("workshop: vpn\nseats: 2\npace: real\n", encoding="utf-8")
    said = dora.done("workshop", "plan").out
    assert "has a route to 10.0.0.0/8, as to a VPN" in said
    assert json.loads(dora.done("workshop", "plan", "--json").out)["fits"] is True
    dora.done("workshop", "up")
    dora.done("workshop", "down")
