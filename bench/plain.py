"""A lab by hand, with the docker command only: what labctl is measured against."""

from __future__ import annotations

import base64
import io
import json
import secrets
import subprocess
import tarfile
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS = 0.05
GIVE_UP_SECONDS = 60.0
SERVERS = ("consul1", "consul2", "consul3")
SERVER_UID = 8500
HARDENING = (
    "--user", f"{SERVER_UID}:{SERVER_UID}", "--read-only", "--cap-drop", "ALL",
    "--security-opt", "no-new-privileges:true", "--memory", "256m", "--memory-swap", "256m", "--pids-limit", "256",
    "--tmpfs", "/tmp:size=16m,mode=1777",
)  # fmt: skip
SETTINGS = "performance { raft_multiplier = 1 } autopilot { cleanup_dead_servers = false }"
PROFILES = ("open", "gossip")


def docker(*words: str, check: bool = True, stdin: bytes | None = None) -> str:
    """Run docker and return what it printed."""
    return subprocess.run(["docker", *words], check=check, capture_output=True, input=stdin).stdout.decode()


@dataclass
class Plain:
    """A lab by hand, with what labctl gives its labs: network, addresses, limits, volumes and gossip key.

    `profile` is one of `PROFILES`. In `gossip` the key is in a file of the servers only, as in labctl's labs: in a
    command line or the environment every user of the Docker host could read it.
    """

    image: str
    name: str = field(default_factory=lambda: f"bench-plain-{secrets.token_hex(3)}")
    network: IPv4Network = field(default_factory=lambda: IPv4Network("10.214.77.0/28"))
    profile: str = "gossip"

    def up(self) -> None:
        """Network, servers, join until all are members, leader."""
        self.start()
        self.join()

    def start(self) -> None:
        """Network, gossip key and servers."""
        docker("network", "create", "--subnet", str(self.network), self.name)
        if self.profile == "gossip":
            self._carry_key()
        for server, address in zip(SERVERS, self._addresses(), strict=True):
            volumes = (f"{self.name}-{server}:/consul/data", f"{self._config}:/consul/config:ro")
            docker(
                "run", "--detach", "--name", f"{self.name}-{server}", "--network", self.name, "--ip", address,
                *HARDENING, "--volume", volumes[0], "--volume", volumes[1], "--publish", "127.0.0.1::8500", self.image,
                "agent", "-server", "-bootstrap-expect", "3", "-data-dir", "/consul/data", "-node", server,
                "-config-dir", "/consul/config", "-bind", address, "-client", "0.0.0.0", "-datacenter", self.name,
                "-log-level", "debug", "-hcl", SETTINGS,
            )  # fmt: skip

    def join(self) -> None:
        """Join until all are members, leader."""
        first, others = f"{self.name}-{SERVERS[0]}", self._addresses()[1:]
        self._until("members", lambda: self._joined(first, others))
        self._until("leader", lambda: "leader" in self._asked(first, "operator", "raft", "list-peers"))

    @property
    def _config(self) -> str:
        return f"{self.name}-config"

    def _carry_key(self) -> None:
        """Put the key into a volume: by a container that never runs, which is the cheapest way."""
        helper = docker("create", "--volume", f"{self._config}:/consul/config", self.image).strip()
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        docker("cp", "-", f"{helper}:/consul/config", stdin=_archive("gossip.json", {"encrypt": key}))
        docker("rm", helper)

    def _addresses(self) -> list[str]:
        return [str(self.network[number + 2]) for number in range(len(SERVERS))]

    @staticmethod
    def _asked(container: str, *words: str) -> str:
        return docker("exec", container, "consul", *words, check=False)

    def _joined(self, first: str, others: list[str]) -> bool:
        # `consul join A B` also succeeds when it reached only one of them: counting is the proof.
        self._asked(first, "join", *others)
        return self._asked(first, "members").count("alive") == len(SERVERS)

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        ends = time.monotonic() + GIVE_UP_SECONDS
        while not holds():
            if time.monotonic() > ends:
                raise SystemExit(f"the plain lab had no {what} after {GIVE_UP_SECONDS:.0f} seconds")
            time.sleep(POLL_SECONDS)

    def down(self) -> None:
        """Remove what `up` made."""
        docker("rm", "--force", *(f"{self.name}-{server}" for server in SERVERS), check=False)
        docker("network", "rm", self.name, check=False)
        volumes = (f"{self.name}-{server}" for server in SERVERS)
        docker("volume", "rm", "--force", *volumes, self._config, check=False)


def _archive(name: str, document: dict[str, str]) -> bytes:
    """A tar of one JSON file that only the servers' user may read."""
    stream, content = io.BytesIO(), json.dumps(document).encode()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o600, SERVER_UID, SERVER_UID
        tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
