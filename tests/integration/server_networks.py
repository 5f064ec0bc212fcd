"""Which servers of a lab reach each other, and the rules left in their networks, seen from inside."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from labctl.shared.lab_names import LABEL_LAB
from tests.integration.elections import ELECTION_SECONDS, status_of
from tests.integration.fixtures import up
from tests.integration.harness import IMAGE, container, docker, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.harness import Person

NAMES = ("consul1", "consul2", "consul3")
EVERYBODY = {(name, other) for name in NAMES for other in NAMES if name != other}
LABEL_FAULT = "raft-labctl.fault"
QUEUE = "1ab"


@pytest.fixture(scope="module")
def lab_of_module(ada: Person, module_names: Callable[[], str]) -> str:
    name = module_names()
    up(ada, name)
    return name


@pytest.fixture
def lab(ada: Person, lab_of_module: str) -> Iterator[str]:
    """A lab that is ready when a test begins, and whose faults are healed when it ends."""
    wait_until(lambda: status_of(ada, lab_of_module)["ready"], ELECTION_SECONDS, f"{lab_of_module} to be ready")
    yield lab_of_module
    ada.done("fault", "heal", "--lab", lab_of_module)


def broken(ada: Person, lab: str, *words: str) -> dict[str, Any]:
    """The result of `labctl fault WORDS`."""
    result: dict[str, Any] = ada.done("fault", *words, "--lab", lab, "--json").json
    return result


def address(ada: Person, lab: str, server: str) -> str:
    """Where a server is."""
    return next(str(server_["address"]) for server_ in status_of(ada, lab)["servers"] if server_["name"] == server)


def reaches(ada: Person, lab: str, source: str, target: str) -> bool:
    """Whether a connection from inside one server to another one's Raft port is made within a second."""
    words = [
        "exec",
        container(lab, source),
        "timeout",
        "1",
        "busybox",
        "nc",
        "-w",
        "1",
        address(ada, lab, target),
        "8300",
    ]
    return (
        subprocess.run(["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
    )


def who_reaches_whom(ada: Person, lab: str) -> set[tuple[str, str]]:
    pairs = [(name, other) for name in NAMES for other in NAMES if name != other]
    with ThreadPoolExecutor(len(pairs)) as pool:
        results = list(pool.map(lambda pair: reaches(ada, lab, *pair), pairs))
    return {pair for pair, reached in zip(pairs, results, strict=True) if reached}


def inside(lab: str, server: str, script: str) -> str:
    """Run a script in a server's network namespace with the right to look at its rules."""
    return docker(
        "run", "--rm", "--network", f"container:{container(lab, server)}", "--user", "0:0", "--cap-drop", "ALL",
        "--cap-add", "NET_ADMIN", "--entrypoint", "/bin/sh", IMAGE, "-c", script,
    )  # fmt: skip


def is_clean(lab: str, server: str) -> bool:
    output = inside(lab, server, "nft list tables; tc qdisc show dev eth0")
    return "labctl" not in output and f" {QUEUE}: " not in output


def traces(lab: str, of_network: tuple[str, ...] = NAMES) -> dict[str, tuple[str, ...]]:
    """All that a fault would change: containers, rules and queues, how servers run, what stands in their logs."""

    def of(server: str) -> tuple[str, ...]:
        return (
            docker("inspect", "--format", "{{.State.Status}} {{.State.StartedAt}}", container(lab, server)),
            inside(lab, server, "nft list ruleset; tc qdisc show dev eth0") if server in of_network else "",
            *(line for line in log_of(lab, server) if "labctl.fault" in line),
        )

    with ThreadPoolExecutor(len(NAMES)) as pool:
        rules = dict(zip(NAMES, pool.map(of, NAMES), strict=True))
    return rules | {"containers": tuple(sorted(docker("ps", "-aq", "--filter", f"label={LABEL_LAB}={lab}").split()))}


def log_of(lab: str, server: str) -> list[str]:
    """A server's log, and what labctl wrote into it."""
    words = ["docker", "logs", container(lab, server)]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout.splitlines()


def seen_by(lab: str, server: str, other: str) -> str:
    """A server's state in another one's gossip: alive, failed, left."""
    rows = [line.split() for line in docker("exec", container(lab, server), "consul", "members").splitlines()]
    return next(row[2] for row in rows if row[0].startswith(other))


def helpers(lab: str) -> list[str]:
    return docker("ps", "-aq", "--filter", f"label=raft-labctl.lab={lab}", "--filter", f"label={LABEL_FAULT}").split()


def counted(lab: str, server: str, peer: str, seconds: float) -> list[tuple[int, int]]:
    """How many packets, and bytes, of a peer come to a server in that time: in front of our rules, and behind them."""
    count = f"ip saddr {peer} counter"
    script = f"""
        nft 'add table inet probe
        add chain inet probe before {{ type filter hook input priority -10; }}
        add chain inet probe behind {{ type filter hook input priority 10; }}
        add rule inet probe before {count}
        add rule inet probe behind {count}'
        sleep {seconds}
        nft list table inet probe
        nft delete table inet probe
    """
    counters = re.findall(r"counter packets (\d+) bytes (\d+)", inside(lab, server, script))
    assert len(counters) == 2
    return [(int(packets), int(size)) for packets, size in counters]


def knock(lab: str, source: str, peer: str) -> None:
    """Make a server begin many connections to another one, so that there are packets to count."""
    command = f"head -c 100000 /dev/zero | timeout 3 busybox nc -w 1 {peer} 8300"
    docker("exec", container(lab, source), "sh", "-c", f"for _ in $(seq 30); do {command} & done; wait", check=False)
