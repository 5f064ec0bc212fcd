"""The board of a fault in many seats: who lost whom, who leads now, and how long nobody did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labctl.raft.quantiles import distribution_of
from labctl.shared.words import counted
from labctl.terminal.style import NONE, Cell, sign, style_of, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.workshop.model.fault_result import SeatFault

_WIDEST = 30


def seat_faults_document(workshop: str, words: str, seats: Sequence[SeatFault]) -> dict[str, Any]:
    """The JSON shape of `workshop fault`; seconds are those without a leader."""
    return {
        "workshop": workshop,
        "what": words,
        "seats": [
            {
                "seat": one.name,
                "lab": one.lab,
                "host": one.host,
                "servers": list(one.servers),
                "fault": one.fault or None,
                "leader": one.leader,
                "term": one.term,
                "seconds": None if one.seconds is None else round(one.seconds, 3),
                "campaigns": one.campaigns,
                "note": one.note,
                "problem": one.problem,
            }
            for one in seats
        ],
    }


def board(seats: Sequence[SeatFault]) -> str:
    """Every seat, the quickest election first, each with a bar to scale; then how the times are spread."""
    timed = sorted((one for one in seats if one.seconds is not None), key=lambda one: one.seconds or 0.0)
    others = [one for one in seats if one.seconds is None]
    most = max((one.seconds or 0.0 for one in timed), default=0.0)
    rows = [_row(one, most) for one in [*timed, *others]]
    lines = [table(["seat", "lost", "leader", "term", "stood", "seconds", ""], rows)]
    spread = distribution_of([one.seconds for one in timed if one.seconds is not None])
    if spread is not None:
        where = counted(len(timed), "seat")
        lines += ["", f"Seconds without a leader in {where}: {spread.minimum:.2f} to {spread.maximum:.2f}, "]
        lines[-1] += f"half of them below {spread.p50:.2f}."
    if any(one.fault for one in seats):
        lines += ["", "What was taken away stays away: `labctl workshop fault heal --all` brings it back."]
    return "\n".join(lines)


def _row(one: SeatFault, most: float) -> list[str | Cell]:
    last = Cell(one.problem or one.note or "", "yellow")
    if not last.text and one.seconds is not None and most > 0:
        last = Cell(sign("band") * max(1, round(one.seconds / most * _WIDEST)), "cyan")
    return [
        one.name,
        ", ".join(one.servers) or NONE,
        Cell(one.leader, style_of(one.leader)) if one.leader else NONE,
        str(one.term or NONE),
        str(one.campaigns or NONE),
        f"{one.seconds:.2f}" if one.seconds is not None else NONE,
        last,
    ]


def brought_back(seats: Sequence[SeatFault]) -> str:
    """Every seat with the servers that came back."""
    rows = [[one.name, ", ".join(one.servers) or NONE, one.problem or ""] for one in seats]
    return table(["seat", "brought back", ""], rows)
