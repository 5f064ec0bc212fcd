"""The set check: every write that was acknowledged is there, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.experiments.chaos.checkers.result import Check, Violation, check, violation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.experiments.chaos.history import Final, Operation


def check_added(operations: Iterable[Operation], final: Final) -> Check:
    """Compare what clients added with what is there at the end; `operations` are the whole history."""
    adds = [one for one in operations if one.kind == "add"]
    there = final.added
    found = [wrong for one in adds if (wrong := _wrong(one, there.get(one.key)))]
    asked = {one.key for one in adds}
    found += [violation(f"{key} is there, and no client wrote it", []) for key in sorted(there.keys() - asked)]
    counts = {outcome: sum(one.outcome == outcome for one in adds) for outcome in ("done", "refused", "unanswered")}
    happened = sum(one.outcome == "unanswered" and one.key in there for one in adds)
    counted = (
        f"{counts['done']} acknowledged writes, all there; {counts['unanswered']} unanswered, of which {happened} "
        f"happened; {counts['refused']} refused, of which none did"
    )
    return check("set", found, counted, unknown="" if counts["done"] else "no write was acknowledged")


def _wrong(one: Operation, there: str | None) -> Violation | None:
    if one.outcome == "done" and there is None:
        return violation(f"the write of {one.key} was acknowledged, and it is gone", [one])
    if one.outcome in {"refused", "mismatch"} and there is not None:
        return violation(f"the write of {one.key} was refused, and it is there", [one])
    if there is not None and there != one.value:
        return violation(f"{one.key} holds {there!a}, and {one.value!a} was written", [one])
    return None
