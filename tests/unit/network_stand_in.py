"""A stand-in for a server's network namespace: `nft` and `tc` that keep their rules and queues in a folder.

They know the commands that labctl gives and say what nft 0.9.8 and tc (iproute2 5.10) said on Linux 6.18.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EPERM_NFT = """\
Error: Could not process rule: Operation not permitted
table inet labctl_ab12cd
^^^^^^^^^^^^^^^^^^^^^^^^^
"""
EPERM_LIST = "Operation not permitted (you must be root)\n"
EPERM_TC = "RTNETLINK answers: Operation not permitted\n"
UNKNOWN_QUEUE = "Error: Specified qdisc kind is unknown.\n"

# A table is a file whose name is its family and its name; `refuse` has what is said instead of doing anything.
_NFT = r"""#!/bin/sh
cd "$NETWORK" || exit 9
echo "nft $1" | head -n 1 >> log
if [ -e refuse ]; then cat "refuse" >&2; exit 1; fi
case "$1 ${2-}" in
  "list tables") for one in table.*; do [ -e "$one" ] && echo "table ${one#table.}"; done; true ;;
  "list table") cat "table.$3 $4" ;;
  "delete table") [ -e stuck ] || rm "table.$3 $4" ;;
  "delete table"*) rm "table.${1#delete table }" ;;
  "table inet "*) name=$(echo "$1" | head -n 1); echo "$1" > "table.${name#table }" ;;
  *) echo "Error: syntax error, $1" >&2; exit 1 ;;
esac
"""
_TC = r"""#!/bin/sh
cd "$NETWORK" || exit 9
echo "tc $*" >> log
if [ -e refuse ]; then cat refuse >&2; exit 2; fi
case "$*" in
  "qdisc show dev eth0") if [ -e queue ]; then cat queue; else echo "qdisc noqueue 0: root refcnt 2 "; fi ;;
  "qdisc add dev eth0 root handle "*)
    if [ -e queue ]; then echo "Error: Exclusivity flag on, cannot modify." >&2; exit 2; fi
    echo "qdisc $8 $7 root refcnt 3 " > queue ;;
  "qdisc del dev eth0 root handle "*)
    case "$(cat queue)" in "qdisc "*" $7 root"*) [ -e stuck ] || rm queue ;;
    *) echo "Error: Invalid handle." >&2; exit 2 ;; esac ;;
  *netem*) if [ -e nonetem ]; then echo "Error: Specified qdisc kind is unknown." >&2; exit 2; fi
    echo "qdisc netem 8001: parent $6 $*" >> queue ;;
  "class add dev eth0 parent "*) true ;;
  *) echo "What is \"$*\"?" >&2; exit 1 ;;
esac
"""


class Network:
    """A network namespace of one server, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = folder / "bin"
        self._bin.mkdir(parents=True)
        for name, script in (("nft", _NFT), ("tc", _TC)):
            path = self._bin / name
            path.write_text(script, encoding="utf-8")
            path.chmod(0o755)

    def run(self, words: list[str]) -> tuple[int, str]:
        """Run a command in it: its exit code, and all that it printed."""
        env = {"PATH": f"{self._bin}:{os.environ['PATH']}", "NETWORK": str(self.folder)}
        done = subprocess.run(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def have(self, table: str, rules: str = "") -> None:
        """Add a table, as in `inet labctl_ab12cd`."""
        (self.folder / f"table.{table}").write_text(f"table {table} {{\n{rules}\n}}\n", encoding="utf-8")

    def queue(self, text: str) -> None:
        """Add a queue, in tc's words."""
        (self.folder / "queue").write_text(f"{text}\n", encoding="utf-8")

    def now(self, sign: str, text: str = "") -> None:
        """From now on: `refuse` to do anything, with a text; be `stuck` and delete nothing; know no netem."""
        (self.folder / sign).write_text(text, encoding="utf-8")

    @property
    def tables(self) -> set[str]:
        return {path.name.removeprefix("table.") for path in self.folder.glob("table.*")}

    @property
    def queued(self) -> str:
        """The queue at its only device, or "" for none."""
        path = self.folder / "queue"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def log(self) -> list[str]:
        """The calls of nft and tc."""
        path = self.folder / "log"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
