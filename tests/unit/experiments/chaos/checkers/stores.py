"""Small histories out of a seed: of a store that keeps its word, of many that do not, and of no store at all."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from labctl.experiments.chaos.history import MODES, Final, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.experiments.chaos.history import Kind, Mode, Outcome

KEYS = ("r", "s")
OUTCOMES: tuple[Outcome, ...] = ("done", "mismatch", "refused", "unanswered")
FAULTS = (
    "none",
    "loses a write",
    "reads what was",
    "reads what is under way",
    "writes twice",
    "writes and says no",
    "does nothing and says no",
    "writes without comparing",
    "writes and refuses",
    "answers too early",
    "ends with what was",
    "ends with nothing",
    "ends with a stranger's",
    "numbers wrongly",
)
"""The fault of a store."""
INSTEAD: dict[str, tuple[Outcome | None, bool]] = {
    "loses a write": (None, False),
    "writes and says no": ("mismatch", True),
    "does nothing and says no": ("mismatch", False),
    "writes without comparing": ("done", True),
    "writes and refuses": ("refused", True),
}
"""What a bad store answers to a compare-and-set, if not the truth, and whether it happens."""
KINDS = (*FAULTS, "changed by hand", "at random")
"""What there is: a history of each store, one of a good store of which one thing is changed, and mere chance."""

ANSWERED = (
    Operation(0, 1, "sure", "consul1", "add", "set/sure", "done", "v"),
    Operation(2, 3, "sure", "consul1", "cas", "sure", "done", "v"),
    Operation(4, 5, "sure", "consul1", "read", "sure", "done", "v", None, 99, "consistent"),
)


class History(NamedTuple):
    """The clients' answers, and the values at the end."""

    kind: str
    operations: list[Operation]
    final: Final


def history(seed: int, *, answered: bool = False) -> History:
    """The history of a seed; each kind comes up as often as any other.

    Args:
        seed: any number.
        answered: whether one request of each sort is answered for sure, so that no check is without anything to check.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    kind = KINDS[seed % len(KINDS)]
    if kind == "at random":
        operations, final = _random(chance)
    else:
        operations, final = Store(chance, kind if kind in FAULTS else "none").run()
    if kind == "changed by hand":
        for _ in range(chance.randint(1, 2)):
            operations, final = _changed(chance, operations, final)
    if answered:
        operations += ANSWERED
        final = Final({**final.added, "set/sure": "v"}, {**final.registers, "sure": "v"})
    return History(kind, sorted(operations, key=lambda operation: (operation.begin, operation.end)), final)


@dataclass
class Store:
    """A store, and the clients that ask it. Times are small whole numbers, so that many of them are equal."""

    chance: random.Random
    fault: str
    values: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    index: int = 0
    under_way: list[str] = field(default_factory=list)
    late: list[tuple[str, str | None, int, str]] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)

    def run(self) -> tuple[list[Operation], Final]:
        """Make a few clients send a few requests."""
        keys = KEYS[: self.chance.choice((1, 1, 2))]
        self.values = {key: [] for key in keys}
        clients = [_Client(f"c{number}", keys, self) for number in range(self.chance.randint(2, 4))]
        if self.chance.random() < 0.8:
            clients[0].to_make.extend(keys)
        for _ in range(self.chance.randint(4, 12)):
            # Whose clock is behind goes next: effects are in order of time, as far as the store is good.
            min(clients, key=lambda client: (client.time, client.name)).work()
            self._catch_up()
        self._catch_up()
        return self.operations, self._final()

    def bad(self) -> bool:
        """Whether the fault shows now."""
        return self.fault != "none" and self.chance.random() < 0.4

    def now(self, key: str) -> tuple[str | None, int]:
        """What a key holds, and its index."""
        return self.values[key][-1] if self.values[key] else (None, 0)

    def _catch_up(self) -> None:
        """Do, perhaps, what a client has long given up waiting for."""
        if self.late and self.chance.random() < 0.5:
            key, before, index, value = self.late.pop(0)
            if self.now(key) == (before, index):
                self.write(key, value)

    def write(self, key: str, value: str) -> None:
        """Write."""
        self.index += 1
        self.values[key].append((value, self.index))

    def _final(self) -> Final:
        ends: dict[str, str | None] = {}
        for key, values in self.values.items():
            ends[key] = self.now(key)[0]
            if self.fault == "ends with what was" and len(values) > 1:
                ends[key] = values[-2][0]
            elif self.fault == "ends with nothing":
                ends[key] = None
            elif self.fault == "ends with a stranger's":
                ends[key] = "x"
        if self.fault == "ends with what was" and self.added:
            self.added.pop(self.chance.choice(sorted(self.added)))
        if self.fault == "ends with a stranger's":
            self.added["set/x"] = "x"
        return Final(self.added, ends)


class _Client:
    """One thing after the other."""

    def __init__(self, name: str, keys: tuple[str, ...], store: Store) -> None:
        self.name, self.time = name, 0
        self._keys, self._store, self._chance = keys, store, store.chance
        self._read: tuple[str, str | None, int] | None = None
        self._asked = self._free = 0
        self.to_make: list[str] = []

    def work(self) -> None:
        if self.to_make:
            self._replace(self.to_make.pop(), None, 0)
            return
        draw = self._chance.random()
        if draw < 0.1:
            self._add()
        elif self._read is not None and draw < 0.75:
            (key, value, index), self._read = self._read, None
            self._replace(key, value, index)
        else:
            self._look(self._chance.choice(self._keys), self._chance.choice(("consistent", *MODES)))

    def _times(self) -> tuple[int, int]:
        """Around the moment of the effect, which is the client's time; time goes on."""
        begin = self.time - self._chance.choice((0, 0, 1, 2)) if self._asked else self.time
        self._asked += 1
        begin = max(begin, self._free)
        end = max(self.time, begin) + self._chance.choice((0, 1, 1, 2, 4))
        self._free = end
        self.time = end + self._chance.choice((0, 1, 1, 2))
        return begin, end

    def _keep(self, operation: Operation) -> None:
        self._store.operations.append(operation)

    def _add(self) -> None:
        begin, end = self._times()
        value = f"{self.name}:{self._asked}"
        key, store = f"set/{value}", self._store
        outcome: Outcome = self._chance.choice(("done", "done", "unanswered", "refused"))
        happens = outcome == "done" or (outcome == "unanswered" and self._chance.random() < 0.5)
        if store.bad():
            happens = not happens
        if happens:
            store.added[key] = "y" if store.fault == "writes twice" and store.bad() else value
        self._keep(Operation(begin, end, self.name, "consul1", "add", key, outcome, value))

    def _look(self, key: str, mode: Mode) -> None:
        begin, end = self._times()
        store = self._store
        value, index = store.now(key)
        older = [(None, 0), *store.values[key]][:-1]
        if older and (mode != "consistent" or (store.fault == "reads what was" and store.bad())):
            value, index = self._chance.choice((*older, (value, index)))
        if store.under_way and store.fault == "reads what is under way" and store.bad():
            value, index = self._chance.choice(store.under_way), store.index + 1
        if value is not None and store.fault == "numbers wrongly" and store.bad():
            index = self._chance.randint(1, store.index + 1)
        outcome: Outcome = self._chance.choice(("done",) * 6 + ("unanswered", "refused"))
        if outcome != "done":
            self._keep(Operation(begin, end, self.name, "consul1", "read", key, outcome, mode=mode))
            return
        if mode == "consistent" and value is not None:
            self._read = (key, value, index)
        self._keep(Operation(begin, end, self.name, "consul1", "read", key, "done", value, None, index, mode))

    def _replace(self, key: str, before: str | None, index: int) -> None:
        begin, end = self._times()
        store, value = self._store, f"{self.name}:{self._asked}"
        fits = store.now(key) == (before, index)
        outcome: Outcome = self._chance.choice(("done", "done", "done", "unanswered", "refused"))
        if not fits and outcome == "done":
            outcome = "mismatch"
        happens = fits and (outcome == "done" or (outcome == "unanswered" and self._chance.random() < 0.5))
        bad = store.bad()
        if (
            bad
            and store.fault in INSTEAD
            and (happens or store.fault in {"writes without comparing", "writes and refuses"})
        ):
            said, happens = INSTEAD[store.fault]
            outcome = said or outcome
        if bad and store.fault == "answers too early":
            begin, end = max(begin - 3, 0), max(end - 3, 0)
        if happens and outcome == "unanswered" and self._chance.random() < 0.5:
            store.late.append((key, before, index, value))
        elif happens:
            store.write(key, value)
        elif outcome in {"unanswered", "done"}:
            store.under_way.append(value)
        if bad and store.fault == "writes twice":
            store.write(key, self._chance.choice(store.values[key] or [(value, 0)])[0])
        self._keep(Operation(begin, end, self.name, "consul1", "cas", key, outcome, value, before))


def _changed(chance: random.Random, operations: list[Operation], final: Final) -> tuple[list[Operation], Final]:
    """The same with one thing that is otherwise."""
    changed = list(operations)
    number = chance.randrange(len(changed))
    operation = changed[number]
    values = [each.value for each in changed if each.key == operation.key]
    changes: list[Callable[[], Operation]] = [
        lambda: operation._replace(
            outcome=chance.choice([o for o in OUTCOMES if o != "mismatch" or operation.kind != "read"])
        ),
        lambda: operation._replace(begin=max(operation.begin - chance.randint(1, 4), 0)),
        lambda: operation._replace(end=operation.end + chance.randint(1, 4)),
        lambda: _moved(operation, chance.randint(-4, 4)),
        lambda: (
            operation._replace(value=chance.choice(values), mode=chance.choice(MODES))
            if operation.kind == "read"
            else operation
        ),
        lambda: operation._replace(before=chance.choice([None, *values])) if operation.kind == "cas" else operation,
        lambda: (
            operation._replace(log_index=chance.randint(1, 9))
            if operation.kind == "read" and operation.value
            else operation
        ),
    ]
    what = chance.randrange(len(changes) + 2)
    if what < len(changes):
        changed[number] = changes[what]()
    elif what == len(changes):
        del changed[number]
    else:
        key = chance.choice(sorted(final.registers))
        there = [None, *(each.value for each in changed if each.key == key)]
        final = Final(final.added, {**final.registers, key: chance.choice(there)})
    return changed, final


def _moved(operation: Operation, by: int) -> Operation:
    by = max(by, -int(operation.begin))
    return operation._replace(begin=operation.begin + by, end=operation.end + by)


def _random(chance: random.Random) -> tuple[list[Operation], Final]:
    """Any answers about one register, whether or not they are possible."""
    count = chance.randint(1, 7)
    values = [f"v{number}" for number in range(chance.randint(1, min(count, 4)))]
    operations = []
    for value in values:
        begin = chance.randint(0, 8)
        before = chance.choice([None, *values[: values.index(value)] * 3, *values])
        outcome: Outcome = chance.choice(("done", "done", "unanswered", "unanswered", "refused"))
        operations.append(_op(begin, chance, "cas", outcome, value, before))
    for number in range(count - len(values)):
        begin = chance.randint(0, 8)
        if chance.random() < 0.5:
            before = chance.choice([None, *values])
            operations.append(_op(begin, chance, "cas", "mismatch", f"m{number}", before))
        else:
            read = _op(begin, chance, "read", "done", chance.choice([None, *values]), None)
            operations.append(read._replace(mode=chance.choice(MODES)))
    operations.sort(key=lambda operation: (operation.begin, operation.end))
    return operations, Final({}, {"r": chance.choice([None, *values * 3])})


def _op(  # noqa: PLR0913, PLR0917 - what a request is
    begin: int, chance: random.Random, kind: Kind, outcome: Outcome, value: str | None, before: str | None
) -> Operation:
    end = begin + chance.randint(0, 5)
    return Operation(begin, end, f"c{begin}", "consul1", kind, "r", outcome, value, before)
