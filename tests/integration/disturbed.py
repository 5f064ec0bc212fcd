"""Who reaches whom in a lab, and what is left in its servers' networks, seen from inside."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.integration.elections import status_of
from tests.integration.harness import IMAGE, container, docker

if TYPE_CHECKING:
    from tests.integration.harness import Person

NAMES = ("consul1", "consul2", "consul3")
EVERYBODY = {(one, other) for one in NAMES for other in NAMES if one != other}
LABEL_FAULT = "raft-labctl.fault"
QUEUE = "1ab"


def address(ada: Person, lab: str, server: str) -> str:
    """Where a server is."""
    return next(str(one["address"]) for one in status_of(ada, lab)["servers"] if one["name"] == server)


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
    pairs = [(one, other) for one in NAMES for other in NAMES if one != other]
    with ThreadPoolExecutor(len(pairs)) as pool:
        found = list(pool.map(lambda pair: reaches(ada, lab, *pair), pairs))
    return {pair for pair, reached in zip(pairs, found, strict=True) if reached}


def inside(lab: str, server: str, script: str) -> str:
    """Run a script in a server's network namespace with the right to look at its rules."""
    return docker(
        "run", "--rm", "--network", f"container:{container(lab, server)}", "--user", "0:0", "--cap-drop", "ALL",
        "--cap-add", "NET_ADMIN", "--entrypoint", "/bin/sh", IMAGE, "-c", script,
    )  # fmt: skip


def is_clean(lab: str, server: str) -> bool:
    found = inside(lab, server, "nft list tables; tc qdisc show dev eth0")
    return "labctl" not in found and f" {QUEUE}: " not in found


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
    found = re.findall(r"counter packets (\d+) bytes (\d+)", inside(lab, server, script))
    assert len(found) == 2
    return [(int(packets), int(size)) for packets, size in found]


def knock(lab: str, source: str, peer: str) -> None:
    """Let a server begin many connections to another one, so that there are packets to count."""
    one = f"head -c 100000 /dev/zero | timeout 3 busybox nc -w 1 {peer} 8300"
    docker("exec", container(lab, source), "sh", "-c", f"for _ in $(seq 30); do {one} & done; wait", check=False)
