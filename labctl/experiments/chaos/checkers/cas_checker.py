"""The checks of registers: compare-and-set, and that reads never go back.

Every write of a register names the value that it replaces, and no value is written twice. So the last value determines
the whole order, and a history can be checked against it completely: a request that began after another was answered
may not stand before it (linearizability; with every write known, pairs suffice: Gibbons and Korach, 1997).
Where one is answered at the moment at which another is asked, either may be first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from labctl.experiments.chaos.checkers.register_versions import NOWHERE, PlaceBounds, Versions, versions
from labctl.experiments.chaos.checkers.result import Check, Violation, check, violation
from labctl.shared.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from labctl.experiments.chaos.history import Final, Operation


def by_register(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The requests of each register, in the order of the history."""
    registers: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        if operation.kind != "add":
            registers[operation.key].append(operation)
    return registers


def _registers(operations: Iterable[Operation], final: Final) -> dict[str, list[Operation]]:
    """The requests of each register, also of one that exists and that nobody asked for."""
    return {**{key: [] for key in final.registers}, **by_register(operations)}


def check_cas(operations: Iterable[Operation], final: Final) -> Check:
    """Whether each acknowledged compare-and-set replaced the value that it named, and no refused one happened."""
    registers = _registers(operations, final)
    violations = [
        wrong for key, asked in registers.items() for wrong in _of_writes(key, asked, final.registers.get(key))
    ]
    outcomes = Counter(
        operation.outcome for asked in registers.values() for operation in asked if operation.kind == "cas"
    )
    found_out = (
        f"{outcomes['done']} acknowledged on {counted(len(registers), 'register')}, each in place of the value that it "
        f"named; {outcomes['mismatch']} came too late and changed nothing"
    )
    return check(
        "cas", violations, found_out, unknown="" if outcomes["done"] else "no compare-and-set was acknowledged"
    )


def check_reads(operations: Iterable[Operation], final: Final) -> Check:
    """Whether a read in consistent mode ever returned less than what a leader had answered before it was asked."""
    registers = _registers(operations, final)
    violations = [
        wrong for key, asked in registers.items() for wrong in _of_reads(key, asked, final.registers.get(key))
    ]
    consistent = [operation for asked in registers.values() for operation in asked if operation.mode == "consistent"]
    answered = sum(operation.outcome == "done" for operation in consistent)
    counted = f"{answered} reads in consistent mode, and none of them went back"
    unplaced = [key for key, asked in registers.items() if not _has_places(asked, final.registers.get(key))]
    unknown = "" if answered else "no read in consistent mode was answered"
    if unplaced:
        unknown = f"the order of the values of {' and '.join(unplaced)} is not known"
    return check("reads", violations, counted, unknown=unknown)


def _has_places(asked: Sequence[Operation], final: str | None) -> bool:
    """Whether reads can be placed; where they cannot, the check of the writes reports why."""
    if final is None:
        return not any(operation.kind == "cas" and operation.outcome == "done" for operation in asked)
    return versions(asked, final).stranger is None


def _of_writes(key: str, asked: Sequence[Operation], final: str | None) -> Iterator[Violation]:
    order = versions(asked, final)
    writes = [operation for operation in asked if operation.kind == "cas"]
    acknowledged = [operation for operation in writes if operation.outcome == "done"]
    if final is None and acknowledged:
        last = max(acknowledged, key=lambda operation: operation.end)
        yield violation(f"the register {key} is gone, and nobody removed it", [last])
        return
    if order.stranger is not None:
        reader = next(
            (operation for operation in asked if operation.kind == "read" and operation.value == order.stranger), None
        )
        yield violation(f"the register {key} had the value {order.stranger!a}, which no client wrote", [reader])
        return
    known = PlaceBounds(asked, order)
    for operation in writes:
        place = order.place_of(operation)
        if operation.outcome == "mismatch":
            yield from _of_no(key, operation, order, known)
        if place is None:
            if operation.outcome == "done":
                yield _lost(key, operation, order)
        elif operation.outcome in {"refused", "mismatch"}:
            yield violation(
                f"{operation.value} was refused in {key}, and it was written", [operation, order.after(place)]
            )
        elif known.seen(place, operation.begin) is not None:
            yield violation(
                f"{operation.value} was in {key} before it was written", [known.seen(place, operation.begin), operation]
            )
    yield from _of_indexes(key, asked, order)


def _of_no(key: str, operation: Operation, order: Versions, known: PlaceBounds) -> Iterator[Violation]:
    """Whether a compare-and-set got "another value" although its value was there from request to answer."""
    place = order.place_named(operation)
    if place is None or known.committed(place) >= operation.begin:
        return
    after = order.after(place)
    if after is None or after.begin > operation.end:
        before = f"{operation.before} was in {key}" if place != NOWHERE else f"{key} was not there"
        yield violation(
            f"{before} all the time, and replacing it was answered with no",
            [*known.shown_committed(place, operation.begin), operation, after],
        )


def _lost(key: str, operation: Operation, order: Versions) -> Violation:
    """An acknowledged write that is not among the register's values, with the one that took its place."""
    first, followed = operation, {operation.value}
    while first.before is not None and first.before not in order.place and first.before in order.writers:
        first = order.writers[first.before]
        if first.value in followed:
            break
        followed.add(first.value)
    place = order.place_named(first)
    instead = None if place is None else order.after(place)
    if first is operation and instead is not None and instead.outcome == "done":
        return violation(
            f"{operation.before} in {key} was replaced twice, and both were acknowledged", [operation, instead]
        )
    return violation(f"{operation.value} was acknowledged in {key}, and it is gone", [operation, first, instead])


def _of_indexes(key: str, asked: Iterable[Operation], order: Versions) -> Iterator[Violation]:
    """Whether each value stands at one place of the log, and behind the value that it replaced."""
    first: dict[str, Operation] = {}
    for operation in asked:
        if (
            operation.kind != "read"
            or operation.value is None
            or operation.outcome != "done"
            or not operation.log_index
        ):
            continue
        before = first.setdefault(operation.value, operation)
        if before.log_index != operation.log_index:
            yield violation(
                f"{operation.value} was written to {key} twice, at {before.log_index} and at {operation.log_index}",
                [before, operation],
            )
    numbered = [first[value] for value in order.order if value in first]
    for earlier, later in pairwise(numbered):
        if later.log_index <= earlier.log_index:
            yield violation(
                f"{later.value} came after {earlier.value} in {key}, and the log has it at {later.log_index} and "
                f"{earlier.value} at {earlier.log_index}",
                [earlier, later],
            )


def _of_reads(key: str, asked: Sequence[Operation], final: str | None) -> Iterator[Violation]:
    if not _has_places(asked, final):
        return
    order = versions(asked, final)
    known = PlaceBounds(asked, order)
    for operation in asked:
        if operation.kind != "read" or operation.outcome != "done":
            continue
        place = order.place_of(operation)
        if place is None:
            writer = order.writers.get(str(operation.value))
            yield violation(f"{operation.value} was read from {key}, and it is gone", [writer, operation])
        elif operation.mode == "consistent" and known.applied(place + 1) < operation.begin:
            was = "nothing" if place == NOWHERE else operation.value
            yield violation(
                f"a read of {key} in consistent mode went back to {was}",
                [*known.shown_applied(place + 1, operation.begin), operation],
            )
