"""The set check: every acknowledged write is there, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.experiments.chaos.checkers.result import Check, Violation, check, violation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.experiments.chaos.history import Final, Operation


def check_added(operations: Iterable[Operation], final: Final) -> Check:
    """Compare what clients added with the keys at the end; `operations` is the whole history."""
    adds = [operation for operation in operations if operation.kind == "add"]
    there = final.added
    violations = [wrong for operation in adds if (wrong := _wrong(operation, there.get(operation.key)))]
    asked = {operation.key for operation in adds}
    violations += [violation(f"{key} is there, and no client wrote it", []) for key in sorted(there.keys() - asked)]
    counts = {
        outcome: sum(operation.outcome == outcome for operation in adds)
        for outcome in ("done", "refused", "unanswered")
    }
    happened = sum(operation.outcome == "unanswered" and operation.key in there for operation in adds)
    counted = (
        f"{counts['done']} acknowledged writes, all there; {counts['unanswered']} unanswered, of which {happened} "
        f"happened; {counts['refused']} refused, of which none did"
    )
    return check("set", violations, counted, unknown="" if counts["done"] else "no write was acknowledged")


def _wrong(operation: Operation, there: str | None) -> Violation | None:
    if operation.outcome == "done" and there is None:
        return violation(f"the write of {operation.key} was acknowledged, and it is gone", [operation])
    if operation.outcome in {"refused", "mismatch"} and there is not None:
        return violation(f"the write of {operation.key} was refused, and it is there", [operation])
    if there is not None and there != operation.value:
        return violation(f"{operation.key} holds {there!a}, and {operation.value!a} was written", [operation])
    return None
