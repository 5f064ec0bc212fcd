"""A checker's result: the promise was kept, it was broken and these few requests show it, or that is not known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labctl.experiments.chaos.history import Operation

Verdict = Literal["valid", "invalid", "unknown"]
CHECKS = ("set", "cas", "reads")
_WORST_FIRST: tuple[Verdict, ...] = ("invalid", "unknown", "valid")


@dataclass(frozen=True)
class Violation:
    """A promise that was not kept.

    Attributes:
        sentence: what is wrong.
        history: the fewest requests that show it, in the order in which they began.
    """

    sentence: str
    history: tuple[Operation, ...]


@dataclass(frozen=True)
class Check:
    """The outcome for one promise.

    Attributes:
        name: one of `CHECKS`.
        verdict: see the module.
        sentence: what was counted, or why the verdict is unknown.
        violations: how many there are.
        shown: the one with the fewest requests, the earliest of these.
    """

    name: str
    verdict: Verdict
    sentence: str
    violations: int = 0
    shown: Violation | None = field(default=None)


def violation(sentence: str, history: Iterable[Operation | None]) -> Violation:
    """A violation; what is None was never asked."""
    asked = {operation for operation in history if operation is not None}
    return Violation(sentence, tuple(sorted(asked, key=lambda operation: (operation.begin, operation.end))))


def check(name: str, violations: Sequence[Violation], counted: str, *, unknown: str = "") -> Check:
    """A check that found these violations; `unknown` says why it could find none."""
    if violations:
        shown = min(
            violations, key=lambda violation_: (len(violation_.history), [each.begin for each in violation_.history])
        )
        return Check(name, "invalid", shown.sentence, len(violations), shown)
    return Check(name, "unknown", unknown) if unknown else Check(name, "valid", counted)


def worst(checks: Iterable[Check]) -> Verdict:
    """The verdict of all of them."""
    return min((each_check.verdict for each_check in checks), key=_WORST_FIRST.index, default="unknown")
