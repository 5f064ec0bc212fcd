"""Several people, a home each, a lab each, one moment: start them, look for collisions, remove them."""

from __future__ import annotations

import ipaddress
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import TYPE_CHECKING

from tests.integration.harness import VERSION, inspect, left_of, servers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.harness import Person, Result

WORDS = ("--pace", "real", "--consul-version", VERSION, "--json")


def all_at_once(pairs: Sequence[tuple[Person, str]]) -> tuple[float, float]:
    """Start all labs at once and remove all at once. Returns the seconds of the slowest `up` and `down`."""

    def everybody(verb: str, *words: str) -> list[Result]:
        with ThreadPoolExecutor(len(pairs)) as pool:
            return list(pool.map(lambda pair: pair[0].done(verb, pair[1], *words), pairs))

    came = everybody("up", *WORDS)
    assert [result.json["voters"] for result in came] == [3] * len(pairs)
    subnets, ports, addresses = [], [], []
    for person, lab in pairs:
        status = person.done("status", lab, "--json").json
        assert (status["ready"], status["owner"]) == (True, person.owner)
        (network,) = inspect("network", f"labctl-{lab}")
        subnets.append(ipaddress.IPv4Network(network["IPAM"]["Config"][0]["Subnet"]))
        containers = servers(lab)
        assert [server["Name"] for server in containers] == [f"/labctl-{lab}-consul{number}" for number in (1, 2, 3)]
        ports += [server["NetworkSettings"]["Ports"]["8500/tcp"][0]["HostPort"] for server in containers]
        addresses += [server["address"] for server in status["servers"]]
    assert not any(subnet.overlaps(other) for subnet, other in combinations(subnets, 2))
    assert len(set(ports)) == len(set(addresses)) == 3 * len(pairs)
    went = everybody("down")
    assert [left_of(lab) for _, lab in pairs] == [[]] * len(pairs)
    return max(result.seconds for result in came), max(result.seconds for result in went)


def two_at_once(ada: Person, bob: Person, first: str, other: str) -> tuple[float, float]:
    """Start two labs at once and remove both at once. Returns the seconds of the slower `up` and `down`."""
    return all_at_once(((ada, first), (bob, other)))
