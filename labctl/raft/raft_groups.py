"""Signs that logs which are told together are of several clusters, each with a Raft of its own.

One story of two clusters is untrue in every sentence. A Consul and a Nomad always are two, so only one of them is told.
Two lists of servers that have none in common are of two clusters, or of one in which all were replaced meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.raft.grammar import voice_of
from labctl.raft.membership import members_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labctl.raft.event import Event

LISTS = frozenset({"config_initial", "config_change", "config_recovered"})
"""The events that name all servers of a cluster."""
MOST = 4096
"""IDs and addresses that are kept apart."""
SHOWN = 3
_PROGRAMS = {"agent": "Consul", "consul": "Consul", "nomad": "Nomad", "storage": "Vault", "core": "Vault"}
"""By the first part of a Raft module's name: `agent.server.raft`, `nomad.raft`, `storage.raft`."""


class RaftGroups:
    """What lines say of the clusters that they are of."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}  # an ID or an address, and another one of the same cluster
        self._programs: list[str] = []  # in the order in which their Raft was seen
        self._program_of: dict[str | None, str | None] = {None: None}  # by module
        self._lists: set[str] = set()

    def take(self, event: Event) -> bool:
        """Take in an event. Returns whether it is of the program that is told: the one whose Raft was seen first."""
        program = self._program_of.get(event.module) or self._find_program(event.module)
        if program in self._programs[1:]:
            return False
        text = event.values.get("servers") if event.event in LISTS else None
        if text is not None and text not in self._lists and len(self._lists) < MOST:
            self._lists.add(text)
            self._list(event, text)
        return True

    def _find_program(self, module: str | None) -> str | None:
        if module is None or module in self._program_of or len(self._program_of) >= MOST:
            return None
        root, dot, _ = module.partition(".")
        # An agent is what Nomad calls itself, too.
        program = self._program_of[module] = _PROGRAMS.get(root) if dot or root != "agent" else None
        if program is not None and dot and voice_of(module) == "raft" and program not in self._programs:
            self._programs.append(program)
        return program

    def _list(self, event: Event, text: str) -> None:
        members = members_in(text)
        if not members:
            return
        names = {name for member in members for name in (member.id, member.address) if name}
        names.update(filter(None, (event.values.get("node"),)))
        roots = {self._root(name) for name in names}
        root = min(roots)
        self._of.update(dict.fromkeys((*roots, *names), root))

    def _root(self, name: str) -> str:
        while (other := self._of.get(name, name)) != name:
            name = other
        return name

    def notes(self) -> Iterator[str]:
        """What a reader of the story should know, in sentences."""
        if len(self._programs) > 1:
            told, *others = self._programs
            yield (
                f"These logs have lines of {' and '.join(self._programs)}, which elect leaders of their own: only "
                f"those of {told} are told. For {' or '.join(others)}, give its lines alone."
            )
        clusters: dict[str, list[str]] = {}
        for name in sorted(self._of):
            clusters.setdefault(self._root(name), []).append(name)
        if len(clusters) > 1:
            lists = "; ".join(", ".join(names[:SHOWN]) for names in list(clusters.values())[:SHOWN])
            yield (
                f"These logs list {len(clusters)} groups of servers that have none in common ({lists}). They are told "
                "as one cluster; if they are several, give the logs of only one of them."
            )
