"""Whether the checks see what they are for: histories of a store that keeps its word, and of one that does not."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from labctl.experiments.chaos.checkers.cas_checker import check_cas, check_reads
from labctl.experiments.chaos.checkers.read_staleness import freshness
from labctl.experiments.chaos.checkers.result import Check, worst
from labctl.experiments.chaos.checkers.set_checker import check_added
from labctl.experiments.chaos.history import Final, Operation
from labctl.experiments.chaos.report import checks_of

if TYPE_CHECKING:
    from labctl.experiments.chaos.history import Kind, Mode, Outcome

SEED = st.integers(0, 2**32 - 1)


def op(begin: float, end: float, kind: Kind, value: str | None = None, **more: Any) -> Operation:
    named = {"client": "a", "server": "consul1", "key": "r", "outcome": "done"} | more
    if kind == "read":
        named.setdefault("mode", "consistent")
    return Operation(begin, end, kind=kind, value=value, **named)


def cas(begin: float, end: float, before: str | None, value: str, outcome: Outcome = "done", **more: Any) -> Operation:
    return op(begin, end, "cas", value, before=before, outcome=outcome, **more)


def read(begin: float, end: float, value: str | None, mode: Mode = "consistent", **more: Any) -> Operation:
    return op(begin, end, "read", value, mode=mode, **more)


def add(begin: float, key: str, outcome: Outcome = "done") -> Operation:
    return op(begin, begin + 0.01, "add", "1", key=key, outcome=outcome)


def at_the_end(value: str | None = None, *added: str, others: dict[str, str | None] | None = None) -> Final:
    return Final(dict.fromkeys(added, "1"), {"r": value, **(others or {})})


def checks(history: list[Operation], final: Final | None) -> dict[str, Check]:
    return {check.name: check for check in checks_of(history, final)}


class Store:
    """A register that does what it says: each request takes effect at one moment between question and answer."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.values: list[str] = []
        self.history: list[Operation] = []
        self.lost: list[str] = []

    def run(self, clients: int, rounds: int) -> None:
        self.values = ["init"]
        self.history = [cas(0.0, 0.5, None, "init")]
        moments = sorted(
            (self.chance.uniform(1, 20), f"c{client}", number) for client in range(clients) for number in range(rounds)
        )
        busy: dict[str, float] = {}
        for moment, client, number in moments:
            begin = max(moment - self.chance.uniform(0, 0.5), busy.get(client, 0.0))
            if begin > moment:
                continue
            end = busy[client] = moment + self.chance.uniform(0, 0.5)
            if self.chance.random() < 0.5:
                self.history.append(read(begin, end, self.values[-1], client=client, log_index=len(self.values)))
            else:
                self._cas(begin, end, client, f"{client}:{number}")
        self.history.sort(key=lambda operation: operation.begin)

    def _cas(self, begin: float, end: float, client: str, value: str) -> None:
        before = self.chance.choice(self.values[-2:])
        outcome: Outcome = self.chance.choice(["done", "done", "unanswered", "refused"])
        happens = before == self.values[-1] and outcome in {"done", "unanswered"} and self.chance.random() < 0.9
        if outcome == "done" and not happens:
            if before == self.values[-1]:
                return  # it would have to happen
            outcome = "mismatch"
        if happens:
            self.values.append(value)
        self.history.append(cas(begin, end, before, value, outcome, client=client))

    @property
    def final(self) -> Final:
        return at_the_end(self.values[-1])


@given(seed=SEED)
def test_a_store_that_keeps_its_word_is_valid(seed: int) -> None:
    store = Store(seed)
    store.run(clients=4, rounds=12)
    verdicts = checks(store.history, store.final)
    assert verdicts["cas"].verdict == "valid", verdicts["cas"]
    assert verdicts["reads"].verdict in {"valid", "unknown"}, verdicts["reads"]


@given(seed=SEED)
def test_a_store_that_forgets_its_last_acknowledged_write_is_invalid(seed: int) -> None:
    store = Store(seed)
    store.run(clients=3, rounds=10)
    acknowledged = {
        operation.value for operation in store.history if operation.kind == "cas" and operation.outcome == "done"
    }
    forgotten = [place for place, value in enumerate(store.values) if value in acknowledged][-1]
    # Seldom nothing but the first value was acknowledged: hypothesis complains where that is more than seldom.
    assume(forgotten > 0)
    check = check_cas(store.history, at_the_end(store.values[forgotten - 1]))
    assert check.verdict == "invalid"
    assert check.shown is not None
    assert store.values[forgotten] in check.shown.sentence


@given(seed=SEED)
def test_a_read_made_older_than_what_was_known_is_invalid(seed: int) -> None:
    store = Store(seed)
    store.run(clients=3, rounds=12)
    history = [*store.history, read(30, 31, store.values[0], client="z")]
    check = check_reads(history, store.final)
    assert (check.verdict == "invalid") == (len(store.values) > 1 and _somebody_knew_more(store))
    if check.shown:
        # Where only an answer "no" shows it, what shows that the first value was there before belongs to it.
        assert len(check.shown.history) == (3 if check.shown.history[1].outcome == "mismatch" else 2)


def _somebody_knew_more(store: Store) -> bool:
    return any(
        (operation.value in store.values[1:] and operation.outcome == "done")
        or (operation.before == store.values[0] and operation.outcome == "mismatch")
        for operation in store.history
    )


def test_an_acknowledged_write_that_is_gone_is_shown_alone() -> None:
    check = check_added([add(1, "k1"), add(2, "k2"), add(3, "k3")], at_the_end("x", "k1", "k3"))
    assert (check.verdict, check.violations) == ("invalid", 1)
    assert check.shown is not None
    assert [operation.key for operation in check.shown.history] == ["k2"]
    assert "acknowledged" in check.sentence


def test_an_unanswered_write_may_be_there_or_not() -> None:
    history = [add(1, "k1"), add(2, "k2", "unanswered"), add(3, "k3", "unanswered"), add(4, "k4", "refused")]
    check = check_added(history, at_the_end("x", "k1", "k3"))
    assert check.verdict == "valid"
    assert "2 unanswered, of which 1 happened" in check.sentence


@pytest.mark.parametrize(
    ("history", "there", "says"),
    [
        ([add(1, "k1"), add(2, "k2", "refused")], ("k1", "k2"), "was refused, and it is there"),
        ([add(1, "k1"), add(2, "k2", "mismatch")], ("k1", "k2"), "was refused, and it is there"),
        ([add(1, "k1")], ("k1", "k9"), "no client wrote it"),
    ],
)
def test_what_nobody_wrote_is_invalid(history: list[Operation], there: tuple[str, ...], says: str) -> None:
    check = check_added(history, at_the_end("x", *there))
    assert check.verdict == "invalid"
    assert says in check.sentence


def test_another_value_than_the_one_that_was_written_is_invalid() -> None:
    check = check_added([add(1, "k1")], Final({"k1": "2"}, {}))
    assert check.verdict == "invalid"


def test_two_replacements_of_one_value_cannot_both_be_acknowledged() -> None:
    history = [cas(0, 1, None, "v0"), cas(2, 3, "v0", "v1"), cas(2, 4, "v0", "v2", client="b")]
    check = check_cas(history, at_the_end("v2"))
    assert (check.verdict, check.violations) == ("invalid", 1)
    assert check.shown is not None
    assert [operation.value for operation in check.shown.history] == ["v1", "v2"]


def test_what_came_after_a_write_that_is_gone_is_gone_too() -> None:
    history = [cas(0, 1, None, "v0"), cas(2, 3, "v0", "v1", "unanswered"), cas(4, 5, "v1", "v2")]
    check = check_cas(history, at_the_end("v0"))
    assert check.shown is not None
    assert [operation.value for operation in check.shown.history] == ["v1", "v2"]


@pytest.mark.parametrize("outcome", ["refused", "mismatch"])
def test_a_refused_replacement_that_happened_is_invalid(outcome: Outcome) -> None:
    history = [cas(0, 1, None, "v0"), cas(2, 3, "v0", "v1", outcome)]
    assert check_cas(history, at_the_end("v1")).verdict == "invalid"


def test_a_no_although_nothing_had_changed_is_invalid() -> None:
    history = [cas(0, 1, None, "v0"), cas(2, 3, "v0", "v1", "mismatch"), cas(4, 5, "v0", "v2")]
    assert check_cas(history, at_the_end("v2")).verdict == "invalid"
    overlapping = [*history[:2], cas(2.5, 5, "v0", "v2")]
    assert check_cas(overlapping, at_the_end("v2")).verdict == "valid"


def test_a_register_that_somebody_else_wrote_or_removed_is_invalid() -> None:
    history = [cas(0, 1, None, "v0"), cas(2, 3, "v0", "v1")]
    gone, foreign = check_cas(history, at_the_end(None)), check_cas(history, at_the_end("x"))
    assert (gone.verdict, foreign.verdict) == ("invalid", "invalid")
    assert "'x', which no client wrote" in foreign.sentence


def test_a_value_that_stands_at_two_indexes_was_written_twice() -> None:
    history = [cas(0, 1, None, "v0"), read(2, 3, "v0", log_index=7), read(4, 5, "v0", log_index=9)]
    assert "twice, at 7 and at 9" in check_cas(history, at_the_end("v0")).sentence


def test_a_consistent_read_that_goes_back_is_shown_with_what_was_known_before() -> None:
    history = [cas(0, 1, None, "v0"), cas(2, 3, "v0", "v1"), read(4, 5, "v1"), read(6, 7, "v0", client="b")]
    check = check_reads(history, at_the_end("v1"))
    assert check.verdict == "invalid"
    assert check.shown is not None
    assert check.shown.history == (history[1], history[3])


def test_what_was_read_of_an_unanswered_write_counts_for_those_who_read_later() -> None:
    history = [
        cas(0, 1, None, "v0"),
        cas(2, 9, "v0", "v1", "unanswered"),
        read(3, 4, "v1"),
        read(5, 6, "v0", client="b"),
    ]
    assert check_reads(history, at_the_end("v1")).verdict == "invalid"
    assert check_reads([*history[:2], history[3]], at_the_end("v1")).verdict == "valid"


def test_reads_at_the_same_time_may_differ() -> None:
    history = [cas(0, 1, None, "v0"), cas(2, 6, "v0", "v1"), read(3, 5, "v1"), read(4, 7, "v0", client="b")]
    assert check_reads(history, at_the_end("v1")).verdict == "valid"


@pytest.mark.parametrize("mode", ["consistent", "default", "stale"])
def test_a_value_that_was_read_and_never_was_is_invalid_in_every_mode(mode: Mode) -> None:
    history = [
        cas(0, 1, None, "v0"),
        cas(2, 9, "v0", "v1", "unanswered"),
        read(0.5, 2, "v0"),
        read(3, 4, "v1", mode),
    ]
    assert "it is gone" in check_reads(history, at_the_end("v0")).sentence


@pytest.mark.parametrize("mode", ["default", "stale"])
def test_an_old_value_in_another_mode_is_counted_and_no_violation(mode: Mode) -> None:
    history = [
        cas(0, 1, None, "v0"),
        read(1, 2, "v0"),
        cas(2, 3, "v0", "v1"),
        read(4, 5, "v1", mode),
        read(6, 7, "v0", mode),
        read(8, 9, "v0", mode, client="b"),
        read(10, 11, None, mode, client="c"),
    ]
    assert check_reads(history, at_the_end("v1")).verdict == "valid"
    reads = {read.mode: read for read in freshness(history, at_the_end("v1"))}[mode]
    assert (reads.answered, reads.behind, reads.went_back) == (4, 3, 1)
    assert reads.furthest == pytest.approx(9.0)  # nothing was known to be over when v0 was there, at 1
    assert reads.shown == history[-1]


def test_nothing_is_known_where_nothing_was_acknowledged_or_read_at_the_end() -> None:
    refused = [cas(0, 1, None, "v0", "refused"), add(1, "k", "unanswered")]
    assert {check.verdict for check in checks(refused, at_the_end(None)).values()} == {"unknown"}
    fine = [cas(0, 1, None, "v0"), read(2, 3, "v0"), add(1, "k")]
    assert {check.verdict for check in checks(fine, None).values()} == {"unknown"}
    assert {check.verdict for check in checks(fine, at_the_end("v0", "k")).values()} == {"valid"}


def test_the_worst_verdict_is_that_of_all() -> None:
    valid, unknown, invalid = (Check("x", verdict, "") for verdict in ("valid", "unknown", "invalid"))
    assert worst([valid, unknown]) == "unknown"
    assert worst([valid, unknown, invalid]) == "invalid"
    assert worst([valid]) == "valid"
    assert worst([]) == "unknown"
