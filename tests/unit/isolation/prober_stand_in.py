"""A stand-in for an engine whose helpers' shell is a real one, and whose nc knows which lab connects to which."""

from __future__ import annotations

import copy
import json
import os
import stat
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from labctl.shared import image_labels
from labctl.shared.docker_api import DockerError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

IMAGE = {
    "Id": "sha256:new",
    "RepoTags": ["raft-labctl/consul:1.8.7"],
    "Labels": {
        image_labels.STATE: image_labels.CHECKED,
        image_labels.LAYOUT: image_labels.LAYOUT_NOW,
        image_labels.TOOLS: "ip nc nft",
        image_labels.VERSION: "1.8.7",
    },
}
# Says what OpenBSD's nc says. $LABCTL_OPEN has the ADDRESS:PORT that connect, and what each then answers; $LABCTL_HELD
# learns which was reached from which port of ours. What is in $LABCTL_ONCE connects once.
NC = """#!/bin/sh
while [ $# -gt 2 ]; do
    case $1 in -z) probe=yes ;; -v) loud=yes ;; -p) source=$2 ;; esac
    shift
done
answer=$(grep -F "$1:$2 " "$LABCTL_OPEN") && { [ "$probe" ] || ! grep -qxF "$1:$2" "$LABCTL_ONCE"; } || {
    echo "nc: connect to $1 port $2 (tcp) timed out: Operation now in progress" >&2
    exit 1
}
[ -z "$source" ] || echo "$1 $2 $source" >> "$LABCTL_HELD"
[ -z "$loud" ] || echo "Connection to $1 $2 port [tcp/*] succeeded!" >&2
[ "$probe" ] || printf '%s' "${answer#* }"
"""
ROW = "{:4d}: {}:{:04X} {}:{:04X} {} 00000000:00000000 00:00000000 00000000  8500        0 1 1 0\n"


def _hex(address: str) -> str:
    return bytes(reversed([int(part) for part in address.split(".")])).hex().upper()


class Engine:
    """Has containers as `docker inspect` says, and a network in which only `open` ADDRESS:PORT take connections.

    Attributes:
        open: what accepts connections from inside a lab, with its answer; by lab, or for all labs under "".
        made: the bodies of containers that were made.
        removed: the IDs of those that were removed.
        joined: `consul join` words, by container.
        taken: addresses whose connections something other than their server takes.
        once: addresses that connect once and not again.
        held: the addresses that were reached, by the port; two engines of one network share it.
        blind: servers whose sockets cannot be looked at, by the ID of their container.
        seconds: how long its answers are waited for.
        asked: its requests, and how long each answer would have been waited for.
    """

    seconds = 120.0

    def __init__(self, folder: Path, documents: list[dict[str, Any]]) -> None:
        self.folder = folder
        self.documents = {document["Id"]: document for document in documents}
        self.open: dict[str, dict[str, str]] = {"": {}}
        self.made: list[dict[str, Any]] = []
        self.removed: list[str] = []
        self.joins: dict[str, list[str]] = {}
        self.join_answer: tuple[int, str] | None = None
        self.inside: dict[str, str] = {}
        self.images: list[dict[str, Any]] = [IMAGE]
        self.failing: str = ""
        self.taken: set[str] = set()
        self.once: set[str] = set()
        self.blind: set[str] = set()
        self.asked: list[tuple[str, float]] = []
        self.held = folder.parent / f"{folder.name}-held"
        self._lock = threading.Lock()
        nc = folder / "nc"
        nc.write_text(NC, encoding="utf-8")
        nc.chmod(nc.stat().st_mode | stat.S_IXUSR)

    def within(self, seconds: float) -> Engine:
        """The same engine, with a shorter wait."""
        other = copy.copy(self)
        other.seconds = min(seconds, self.seconds)
        return other

    def get(self, path: str, _filters: dict[str, str] | None = None, *, doing: str, **_: Any) -> Any:
        self.asked.append((doing, self.seconds))
        return {"/info": {"SecurityOptions": ["name=seccomp"]}, "/images/json": self.images}[path]

    def containers(self, filters: dict[str, str], *, doing: str = "") -> list[dict[str, Any]]:
        self.asked.append((doing, self.seconds))
        lab = filters["label"].partition("=")[2]
        tables = [
            document for document in self.documents.values() if document["Config"]["Labels"]["raft-labctl.lab"] == lab
        ]
        return copy.deepcopy(tables)

    def networks(self, *_: Any, doing: str) -> list[dict[str, Any]]:
        self.asked.append((doing, self.seconds))
        return [
            {"Name": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]}},
            # A network that was made with a subnet alone does not tell its gateway.
            {"Name": "labctl-a", "IPAM": {"Config": [{"Subnet": "10.213.0.0/28"}]}},
            {"Name": "none", "IPAM": {"Config": None}},
        ]

    def create(self, body: dict[str, Any], *, doing: str) -> str:
        self.asked.append((doing, self.seconds))
        with self._lock:
            self.made.append(body)
            return f"helper-{len(self.made)}"

    def change(self, *_: Any, doing: str) -> None:
        """Starting a helper does nothing here."""
        self.asked.append((doing, self.seconds))

    def remove(self, _kind: str, things: Iterable[str], *, doing: str) -> None:
        self.asked.append((doing, self.seconds))
        self.removed += things

    def execute(self, container: str, words: list[str], *, doing: str) -> str:
        self.asked.append((doing, self.seconds))
        if container.startswith("helper-"):
            body = self.made[int(container.partition("-")[2]) - 1]
            lab = body["Labels"]["raft-labctl.lab"]
            if self.failing == lab:
                raise DockerError("The helper is gone.")
            if words[0] == "ip":
                return (
                    "4: eth0    inet 192.0.2.9/24 scope\n5: d0    inet 172.17.0.1/16 s\n6: br    inet 10.213.0.1/28 s\n"
                )
            return self._shell(words, {**self.open[""], **self.open.get(lab, {})})
        if "/proc/net/tcp" in words[-1]:
            if container in self.blind:
                raise DockerError(f"{container} is paused.")
            return self._sockets(container)
        return self.inside.get(container, "") + "looked\n"

    def _sockets(self, container: str) -> str:
        """A server's table: its listener, a connection of its own lab, and all that reached it by its address."""
        (network,) = self.documents[container]["NetworkSettings"]["Networks"].values()
        own = str(network["IPAddress"])
        rows = [
            ROW.format(0, "00000000", 8300, "00000000", 0, "0A"),
            ROW.format(1, _hex(own), 8300, _hex(own), 40_000, "01"),
        ]
        for line in self.held.read_text(encoding="utf-8").splitlines() if self.held.exists() else []:
            address, port, source = line.split()
            if address == own and f"{address}:{port}" not in self.taken:
                mapped = "0000000000000000FFFF0000"
                rows.append(
                    ROW.format(2, mapped + _hex(own), int(port), mapped + _hex("10.213.9.1"), int(source), "01")
                )
        return "  sl  local_address rem_address   st\n" + "".join(rows)

    def run(self, container: str, words: list[str], *, doing: str) -> tuple[int, str]:
        self.asked.append((doing, self.seconds))
        assert words[:2] == ["consul", "join"]
        with self._lock:
            self.joins[container] = words[2:]
        said = "".join(
            f"Error joining address '{word}': Unexpected response code: 500 (1 error occurred:\n"
            f"\t* Failed to join {word}: dial tcp {word}:8301: i/o timeout\n\n)\n"
            for word in words[2:]
        )
        return self.join_answer or (1, said + "Failed to join any nodes.\n")

    def _shell(self, words: list[str], takes: dict[str, str]) -> str:
        with self._lock:
            number = len(list(self.folder.iterdir()))
            table = self.folder / f"open-{number}"
            table.write_text("".join(f"{where} {answer}\n" for where, answer in takes.items()), encoding="utf-8")
        once = self.folder.parent / f"{self.folder.name}-once"
        once.write_text("".join(f"{line}\n" for line in self.once), encoding="utf-8")
        environment = {
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "LABCTL_OPEN": str(table),
            "LABCTL_ONCE": str(once),
            "LABCTL_HELD": str(self.held),
        }
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, json.dumps([words, done.stderr])
        return done.stdout
