"""The checks of registers: compare-and-set, and that reads never go back.

Every write of a register names the value that it replaces, and no value is written twice. So the last value gives the
whole order, and a history can be checked in it completely: a request that began after another was answered may not
stand before it (linearizability; for histories in which each write is known, pairs suffice: Gibbons and Korach, 1997).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from labctl.chaos.verdict import Check, Violation, check, violation
from labctl.chaos.versions import NOWHERE, Known, Versions, is_certain, versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from labctl.chaos.history import Final, Operation


def by_register(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The requests of each register, in the order of the history."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for one in operations:
        if one.kind != "add":
            found[one.key].append(one)
    return found


def check_cas(operations: Iterable[Operation], final: Final) -> Check:
    """Whether each acknowledged compare-and-set replaced the value that it named, and no refused one happened."""
    registers = by_register(operations)
    found = [wrong for key, asked in registers.items() for wrong in _of_writes(key, asked, final.registers.get(key))]
    outcomes = Counter(one.outcome for asked in registers.values() for one in asked if one.kind == "cas")
    counted = (
        f"{outcomes['done']} acknowledged on {len(registers)} registers, each in place of the value that it named; "
        f"{outcomes['mismatch']} came too late and were told so"
    )
    return check("cas", found, counted, unknown="" if outcomes["done"] else "no compare-and-set was acknowledged")


def check_reads(operations: Iterable[Operation], final: Final) -> Check:
    """Whether a read in consistent mode ever returned less than what was known before it was asked."""
    registers = by_register(operations)
    found = [wrong for key, asked in registers.items() for wrong in _of_reads(key, asked, final.registers.get(key))]
    answered = sum(one.kind == "read" and is_certain(one) for asked in registers.values() for one in asked)
    counted = f"{answered} reads in consistent mode, and none of them went back"
    return check("reads", found, counted, unknown="" if answered else "no read in consistent mode was answered")


def _of_writes(key: str, asked: Sequence[Operation], final: str | None) -> Iterator[Violation]:
    order = versions(asked, final)
    writes = [one for one in asked if one.kind == "cas"]
    acknowledged = [one for one in writes if one.outcome == "done"]
    if final is None:
        if acknowledged:
            last = max(acknowledged, key=lambda one: one.end)
            yield violation(f"the register {key} is gone, and nobody removed it", [last])
        return
    if order.stranger is not None:
        reader = next((one for one in asked if one.kind == "read" and one.value == order.stranger), None)
        yield violation(f"the register {key} had the value {order.stranger!a}, which no client wrote", [reader])
        return
    known = Known(asked, order)
    for one in writes:
        place = order.place_of(one)
        if place is None:
            if one.outcome == "done":
                yield _lost(key, one, order)
        elif one.outcome in {"refused", "mismatch"}:
            yield violation(f"{one.value} was refused in {key}, and it was written", [one, order.after(str(one.value))])
        elif known.since(place) < one.begin:
            yield violation(f"{one.value} was in {key} before it was written", [known.at_least(place), one])
        if one.outcome == "mismatch" and one.before in order.place and _was_current(one, order, known):
            yield violation(
                f"{one.before} was in {key} all the time, and replacing it was answered with no", [known.at_least(
                    order.place[one.before]), one, order.after(one.before)],
            )  # fmt: skip
    yield from _written_twice(key, asked)


def _lost(key: str, one: Operation, order: Versions) -> Violation:
    """An acknowledged write that is not among the register's values, with the one that took its place."""
    first = one
    while first.before is not None and first.before not in order.place and first.before in order.writers:
        first = order.writers[first.before]
    instead = order.after(first.before) if first.before is not None and first.before in order.place else None
    if first is one and instead is not None and instead.outcome == "done":
        return violation(f"{one.before} in {key} was replaced twice, and both were acknowledged", [one, instead])
    return violation(f"{one.value} was acknowledged in {key}, and it is gone", [one, first, instead])


def _was_current(one: Operation, order: Versions, known: Known) -> bool:
    """Whether the value that a compare-and-set named was the register's from question to answer."""
    assert one.before is not None  # noqa: S101 - asked by the caller
    place = order.place[one.before]
    after = order.after(one.before)
    return known.since(place) < one.begin and (after is None or after.begin > one.end)


def _written_twice(key: str, asked: Iterable[Operation]) -> Iterator[Violation]:
    first: dict[str, Operation] = {}
    for one in asked:
        if one.kind != "read" or one.value is None or one.outcome != "done":
            continue
        before = first.setdefault(one.value, one)
        if before.log_index != one.log_index:
            yield violation(
                f"{one.value} was written to {key} twice, at {before.log_index} and at {one.log_index}",
                [before, one],
            )


def _of_reads(key: str, asked: Sequence[Operation], final: str | None) -> Iterator[Violation]:
    order = versions(asked, final)
    if final is None or order.stranger is not None:
        return  # the check of the writes has said so, and no read can be placed
    known = Known(asked, order)
    for one in asked:
        if one.kind != "read" or one.outcome != "done":
            continue
        place = order.place_of(one)
        if place is None:
            writer = order.writers.get(str(one.value))
            yield violation(f"{one.value} was read from {key}, and it is gone", [writer, one])
        elif one.mode == "consistent" and known.since(place + 1) < one.begin:
            later = known.at_least(place + 1)
            was = "nothing" if place == NOWHERE else one.value
            yield violation(f"a read of {key} in consistent mode went back to {was}", [later, one])
