"""The result of a fault in many seats, seat by seat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class SeatFault:
    """One seat.

    Attributes:
        lab: the seat's lab.
        name: the seat's name.
        host: its Docker host; None where it has none.
        servers: those that the fault hit, or that were brought back.
        fault: the fault's name in that lab, or "".
        begun: when labctl began to apply the fault, by the Docker host's clock.
        lost: when the last of the servers was gone, by the Docker host's clock.
        leader: the leader since then; None where there is none, or it was not waited for.
        term: the leader's term.
        seconds: how long there was no leader; None where there was one all the time.
        campaigns: how many times somebody stood.
        note: what else happened; None where nothing did.
        problem: why it did not go as asked, as a sentence; None where it did.
    """

    lab: str
    name: str
    host: str | None
    servers: tuple[str, ...] = ()
    fault: str = ""
    begun: datetime | None = None
    lost: datetime | None = None
    leader: str | None = None
    term: int | None = None
    seconds: float | None = None
    campaigns: int = 0
    note: str | None = None
    problem: str | None = None
