"""All servers of a lab are restarted in random order, again and again: the same cluster comes back, with its data."""

from __future__ import annotations

import random
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine.kv import Store
from labctl.shared.consul_client import ConsulClient
from tests.integration.elections import ELECTION_SECONDS, status_of
from tests.integration.fixtures import up
from tests.integration.harness import servers, wait_until
from tests.integration.server_networks import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labctl.engine.kv import Entry
    from tests.integration.harness import Person

pytestmark = pytest.mark.soak
RESTARTS = 20
KEYS = 3  # that are written before each restart
PREFIX = "soak/"
ANSWER_SECONDS = 10.0


def port(lab: str, server: str) -> int:
    """A server's HTTP port; Docker chooses a new one at each start."""
    (server_,) = [server_ for server_ in servers(lab) if server_["Name"] == f"/labctl-{lab}-{server}"]
    return int(server_["NetworkSettings"]["Ports"]["8500/tcp"][0]["HostPort"])


def store(lab: str, server: str) -> closing[Store]:
    return closing(Store(ConsulClient(port(lab, server)), lab, ANSWER_SECONDS))


def configuration(lab: str, server: str) -> dict[str, tuple[str, str, bool]]:
    """Raft's configuration as a server itself has it: each one's node ID, address and whether it votes."""
    path = "/v1/operator/raft/configuration?stale"  # or the leader would answer for all
    document = ConsulClient(port(lab, server)).request("GET", path, timeout=ANSWER_SECONDS)
    return {server["Node"]: (server["ID"], server["Address"], server["Voter"]) for server in document["Servers"]}


def write(lab: str, chance: random.Random, number: int) -> dict[str, Entry]:
    """Write some keys through any server. Returns what Consul then has of them."""
    with store(lab, chance.choice(NAMES)) as written:
        for key in range(KEYS):
            assert written.put(f"{PREFIX}{number:02}/{key}", f"written before restart {number}: {chance.random()}")
        return written.all(f"{PREFIX}{number:02}/")


def take_down(ada: Person, lab: str, how: str, order: Sequence[str]) -> None:
    """Let no server run: killed at once, stopped in an orderly way, or each one differently."""
    if how == "killed":
        ada.done("fault", "kill", ",".join(order), "--lab", lab)
    elif how == "stopped":
        ada.done("stop", lab)
    else:
        ada.done("fault", "kill", order[0], "--lab", lab)
        ada.done("fault", "stop", order[1], "--lab", lab)
        ada.done("stop", lab)
    assert {server["state"] for server in status_of(ada, lab)["servers"]} == {"exited"}


def bring_back(ada: Person, lab: str, order: Sequence[str], *, alone: bool) -> None:
    """Start one server after the other; the last one `alone`, or by the command that starts what is left and waits."""
    for server in order if alone else order[:-1]:
        ada.done("fault", "start", server, "--lab", lab)
    if not alone:
        ada.done("start", lab)
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{lab} to be ready, started in {order}")


def must_be_the_same(before: dict[str, Any], now: dict[str, Any]) -> None:
    """The same servers at the same addresses, and a Raft that has gone back in nothing."""
    for server, other in zip(before["servers"], now["servers"], strict=True):
        assert [server[key] for key in ("name", "id", "address", "voter")] == [
            other[key] for key in ("name", "id", "address", "voter")
        ]
    assert now["term"] >= before["term"]
    assert now["commit_index"] >= before["commit_index"]


def must_have(lab: str, kept: dict[str, Entry]) -> None:
    """Every server has applied every key that was ever written, as the same entry of the log."""
    for server in NAMES:
        with store(lab, server) as asked:
            assert asked.all(PREFIX) == kept
            assert {key: asked.get(key, "stale") for key in kept} == kept, f"of {server}'s own"


def test_all_servers_restarted_in_random_order_are_the_same_cluster_with_the_same_data(
    ada: Person, names: Callable[[], str], seed: int, say: Callable[[str], None]
) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    lab = names()
    up(ada, lab)
    members = configuration(lab, NAMES[0])
    assert {voter for _, _, voter in members.values()} == {True}
    say(f"\nAll servers restarted in random order, seed {seed}: {RESTARTS} times")
    kept: dict[str, Entry] = {}
    for number in range(1, RESTARTS + 1):
        kept |= write(lab, chance, number)
        before = status_of(ada, lab)
        how = chance.choice(["killed", "stopped", "each differently"])
        take_down(ada, lab, how, chance.sample(NAMES, len(NAMES)))
        order = chance.sample(NAMES, len(NAMES))
        begun = time.monotonic()
        bring_back(ada, lab, order, alone=chance.random() < 1 / 2)
        seconds = time.monotonic() - begun
        now = status_of(ada, lab)
        must_be_the_same(before, now)
        assert [configuration(lab, server) for server in NAMES] == [members] * len(NAMES)
        must_have(lab, kept)
        say(
            f"  {number:2}: {how}, started {', '.join(order)}: ready after {seconds:.1f} s, {now['leader']} leads in "
            f"term {now['term']}, commit index {now['commit_index']}, {len(kept)} of {number * KEYS} keys"
        )
    assert len(kept) == RESTARTS * KEYS
