"""The results of a fault in many seats: who was lost, who leads now, and how long there was no leader."""

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
                "seat": seat_fault.name,
                "lab": seat_fault.lab,
                "host": seat_fault.host,
                "servers": list(seat_fault.servers),
                "fault": seat_fault.fault or None,
                "leader": seat_fault.leader,
                "term": seat_fault.term,
                "seconds": None if seat_fault.seconds is None else round(seat_fault.seconds, 3),
                "campaigns": seat_fault.campaigns,
                "note": seat_fault.note,
                "problem": seat_fault.problem,
            }
            for seat_fault in seats
        ],
    }


def board(seats: Sequence[SeatFault]) -> str:
    """Every seat, the quickest election first, each with a bar to scale; then how the times are spread."""
    timed = sorted(
        (seat_fault for seat_fault in seats if seat_fault.seconds is not None),
        key=lambda seat_fault: seat_fault.seconds or 0.0,
    )
    others = [seat_fault for seat_fault in seats if seat_fault.seconds is None]
    most = max((seat_fault.seconds or 0.0 for seat_fault in timed), default=0.0)
    rows = [_row(seat_fault, most) for seat_fault in [*timed, *others]]
    lines = [table(["seat", "lost", "leader", "term", "stood", "seconds", ""], rows)]
    spread = distribution_of([seat_fault.seconds for seat_fault in timed if seat_fault.seconds is not None])
    if spread is not None:
        where = counted(len(timed), "seat")
        lines += ["", f"Seconds without a leader in {where}: {spread.minimum:.2f} to {spread.maximum:.2f}, "]
        lines[-1] += f"median {spread.p50:.2f}."
    if any(seat_fault.fault for seat_fault in seats):
        lines += ["", "What was taken away stays away: `labctl workshop fault heal --all` brings it back."]
    return "\n".join(lines)


def _row(seat_fault: SeatFault, most: float) -> list[str | Cell]:
    last = Cell(seat_fault.problem or seat_fault.note or "", "yellow")
    if not last.text and seat_fault.seconds is not None and most > 0:
        last = Cell(sign("band") * max(1, round(seat_fault.seconds / most * _WIDEST)), "cyan")
    return [
        seat_fault.name,
        ", ".join(seat_fault.servers) or NONE,
        Cell(seat_fault.leader, style_of(seat_fault.leader)) if seat_fault.leader else NONE,
        str(seat_fault.term or NONE),
        str(seat_fault.campaigns or NONE),
        f"{seat_fault.seconds:.2f}" if seat_fault.seconds is not None else NONE,
        last,
    ]


def brought_back(seats: Sequence[SeatFault]) -> str:
    """Every seat with the servers that came back."""
    rows = [[seat_fault.name, ", ".join(seat_fault.servers) or NONE, seat_fault.problem or ""] for seat_fault in seats]
    return table(["seat", "brought back", ""], rows)
