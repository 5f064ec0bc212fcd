"""Two people, two homes, two labs, one moment: start them, look for collisions, remove them."""

from __future__ import annotations

import ipaddress
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.integration.harness import VERSION, inspect, left_of, servers

if TYPE_CHECKING:
    from tests.integration.harness import Person, Result

WORDS = ("--pace", "real", "--consul-version", VERSION, "--json")


def two_at_once(ada: Person, bob: Person, one: str, other: str) -> tuple[float, float]:
    """Start both labs at once and remove both at once. Returns the seconds of the slower `up` and `down`."""
    pairs = ((ada, one), (bob, other))

    def both(verb: str, *words: str) -> list[Result]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda pair: pair[0].done(verb, pair[1], *words), pairs))

    came = both("up", *WORDS)
    assert [result.json["voters"] for result in came] == [3, 3]
    subnets, ports, addresses = [], [], []
    for person, lab in pairs:
        status = person.done("status", lab, "--json").json
        assert status["ready"] is True
        (network,) = inspect("network", f"labctl-{lab}")
        subnets.append(ipaddress.IPv4Network(network["IPAM"]["Config"][0]["Subnet"]))
        found = servers(lab)
        assert [server["Name"] for server in found] == [f"/labctl-{lab}-consul{number}" for number in (1, 2, 3)]
        ports += [server["NetworkSettings"]["Ports"]["8500/tcp"][0]["HostPort"] for server in found]
        addresses += [server["address"] for server in status["servers"]]
    assert not subnets[0].overlaps(subnets[1])
    assert len(set(ports)) == len(set(addresses)) == 6
    went = both("down")
    assert left_of(one) == left_of(other) == []
    return max(result.seconds for result in came), max(result.seconds for result in went)
