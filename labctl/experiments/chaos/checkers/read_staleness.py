"""How far behind reads were, in each of Consul's three modes: what a faster read costs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.experiments.chaos.checkers.cas_checker import by_register
from labctl.experiments.chaos.checkers.register_versions import PlaceBounds, versions
from labctl.experiments.chaos.history import MODES, Mode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.experiments.chaos.history import Final, Operation


@dataclass(frozen=True)
class Staleness:
    """The answered reads of a mode.

    Attributes:
        mode: which.
        answered: how many there are.
        behind: how many returned a value that a leader had answered to be replaced before they were asked.
        went_back: how many returned an older value than the same client had read in this mode before.
        furthest: by how many seconds the one furthest behind was late.
        shown: that one.
    """

    mode: Mode
    answered: int
    behind: int
    went_back: int
    furthest: float
    shown: Operation | None = None


def freshness(operations: Iterable[Operation], final: Final | None) -> list[Staleness]:
    """Count for each mode; without `final` nothing is known of the order of the values, and nothing is behind."""
    late: dict[Mode, list[tuple[float, Operation]]] = defaultdict(list)
    answered: dict[Mode, int] = defaultdict(int)
    went_back: dict[Mode, int] = defaultdict(int)
    for key, asked in by_register(operations).items():
        order = versions(asked, final.registers.get(key) if final else None)
        known = PlaceBounds(asked, order)
        seen: dict[tuple[str, Mode], int] = {}
        for operation in asked:
            if operation.kind != "read" or operation.outcome != "done" or operation.mode is None:
                continue
            answered[operation.mode] += 1
            place = order.place_of(operation)
            if place is None:
                continue
            before = seen.get((operation.client, operation.mode), place)
            went_back[operation.mode] += place < before
            seen[operation.client, operation.mode] = max(place, before)
            if (since := known.applied(place + 1)) < operation.begin:
                late[operation.mode].append((operation.begin - since, operation))
    return [Staleness(mode, answered[mode], len(late[mode]), went_back[mode], *_furthest(late[mode])) for mode in MODES]


def _furthest(late: list[tuple[float, Operation]]) -> tuple[float, Operation | None]:
    return max(late, key=lambda lag: lag[0], default=(0.0, None))
