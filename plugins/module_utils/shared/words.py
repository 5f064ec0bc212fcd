"""Names, numbers and times as they stand in a sentence or in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def listed(names: Sequence[str]) -> str:
    """Write names as a sentence does: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def counted(number: int, what: str) -> str:
    """A number of things: `1 seat`, `2 seats`."""
    return f"{number} {plural(number, what)}"


def plural(number: int, what: str) -> str:
    """The word for that many things: `seat`, `seats`."""
    return what if number == 1 else f"{what}s"


def stamp(when: datetime | None) -> str | None:
    """A moment as JSON has it, in UTC where it is of UTC: `2021-01-24T00:02:16Z`."""
    return None if when is None else when.isoformat().replace("+00:00", "Z")
