"""Remove faults from a server's network namespace, and report what it had and has: a script for a helper's shell."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.faults import nftables

# $0: what our tables' names begin with; $1: the one fault that is meant, or nothing for all; $2: the handle of the
# queue of a delay. A delay is known by its table, which sends packets into that queue; where all are meant, by the
# handle alone: the process that made the queue may have been killed before it made the table.
_SCRIPT = """
tables=$(nft list tables) || exit
echo "$tables"
other=$1
for name in $(echo "$tables" | while read -r _ family name _; do [ "$family" = inet ] && echo "$name"; done); do
  case "$name" in "$0"${1:-*}) ;; *) continue ;; esac
  case "$(nft list table inet "$name")" in *"priority set $2:"*) other= ;; esac
  nft delete table inet "$name"
done
if [ -z "$other" ]; then
  tc qdisc show dev eth0 | while read -r _ _ handle _; do
    [ "$handle" = "$2:" ] && tc qdisc del dev eth0 root handle "$2:"
  done
fi
echo -- && nft list tables && { [ -n "$other" ] || tc qdisc show dev eth0; }
"""


@dataclass(frozen=True)
class CleanupResult:
    """What a server's network had, and what is left of it.

    Attributes:
        had: the faults to lift that were there.
        left: those of them whose rules are still there.
        delayed: whether a delay to lift is still there.
    """

    had: frozenset[str]
    left: frozenset[str]
    delayed: bool


def words(fault: str | None) -> list[str]:
    """The command that takes a fault, or all of them, out of a network namespace and prints what it saw."""
    return ["/bin/sh", "-c", _SCRIPT, nftables.PREFIX, fault or "", nftables.QUEUE]


def read(said: str, fault: str | None) -> CleanupResult:
    """Parse the output of that command."""
    before, _, after = said.partition("\n--\n")
    had = nftables.faults_in(before)
    if fault is not None:
        had &= {fault}
    return CleanupResult(frozenset(had), frozenset(nftables.faults_in(after) & had), f" {nftables.QUEUE}: " in after)
