"""The checks against a search through all orders: `valid` exactly where there is one, over thousands of histories."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from labctl.experiments.chaos.checkers.read_staleness import freshness
from labctl.experiments.chaos.checkers.result import worst
from labctl.experiments.chaos.history import MODES, Final, Operation, operation_sentence
from labctl.experiments.chaos.report import checks_of
from tests.unit.experiments.chaos.checkers.orders import has_order
from tests.unit.experiments.chaos.checkers.stores import FAULTS, KINDS, History, history

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from labctl.experiments.chaos.checkers.read_staleness import Staleness

HISTORIES = 6000


def disagreements(seeds: Iterable[int]) -> Iterator[str]:
    """The histories, for a person to read, of which the checks say something else than the search."""
    for seed in seeds:
        made = history(seed, answered=True)
        order = has_order(made.operations, made.final)
        verdict = worst(checks_of(made.operations, made.final))
        if verdict != ("valid" if order else "invalid"):
            yield f"seed {seed}: {verdict}, and there is {'an' if order else 'no'} order\n{in_words(made)}"


def in_words(asked: History) -> str:
    lines = [
        f"{operation.begin} to {operation.end} {operation.log_index}: {operation_sentence(operation)}"
        for operation in asked.operations
    ]
    return "\n".join([asked.kind, *lines, str(asked.final)])


def test_a_history_is_valid_exactly_where_there_is_an_order() -> None:
    assert next(disagreements(range(HISTORIES)), "") == ""


def test_the_histories_are_of_every_sort() -> None:
    seen: Counter[Any] = Counter()
    for seed in range(HISTORIES):
        made = history(seed)
        seen[made.kind, has_order(made.operations, made.final)] += 1
        for operation in made.operations:
            seen[operation.kind, operation.outcome, operation.mode] += 1
    share = HISTORIES / len(KINDS) / 20
    assert not seen["none", False]
    assert all(seen[kind, False] > share for kind in KINDS if kind != "none")
    assert all(seen[kind, True] > share for kind in KINDS if kind != "ends with a stranger's")
    for outcome in ("done", "refused", "unanswered"):
        assert seen["add", outcome, None] > share
        assert seen["cas", outcome, None] > share
        assert all(seen["read", outcome, mode] > share for mode in MODES)
    assert seen["cas", "mismatch", None] > share


def test_a_check_is_unknown_only_where_it_has_nothing_to_go_by() -> None:
    kinds = {"set": "add", "cas": "cas", "reads": "read"}
    for seed in range(2000):
        made = history(seed)
        checks = checks_of(made.operations, made.final)
        assert (worst(checks) == "invalid") == (not has_order(made.operations, made.final)), in_words(made)
        for check in checks:
            answered = [
                each
                for each in made.operations
                if (each.kind, each.outcome) == (kinds[check.name], "done") and each.mode in {None, "consistent"}
            ]
            if check.verdict == "unknown" and answered:
                assert check.name == "reads"
                assert checks[1].verdict == "invalid"


def op(begin: float, end: float, kind: Any, value: str | None, outcome: Any = "done", **more: Any) -> Operation:
    return Operation(begin, end, more.pop("client", "a"), "consul1", kind, "r", outcome, value, **more)


def final(value: str | None) -> Final:
    return Final({}, {"r": value})


MADE = op(0, 1, "cas", "v0")
SLOW = op(1.5, 9, "cas", "v1", "unanswered", before="v0", client="c")
TOLD_NO = op(3, 4, "cas", "x", "mismatch", before="v0", client="b")


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_it_is_another_value_shows_that_the_value_was_replaced(mode: Any) -> None:
    later = op(5, 6, "read", "v0", log_index=5, mode=mode, client="r")
    asked = [MADE, SLOW, TOLD_NO, later]
    verdicts = {check.name: check for check in checks_of(asked, final("v1"))}
    kept = mode != "consistent"
    assert has_order(asked, final("v1")) == kept
    assert verdicts["reads"].verdict == ("unknown" if kept else "invalid")
    if not kept:
        assert verdicts["reads"].shown is not None
        assert verdicts["reads"].shown.history == (MADE, TOLD_NO, later)
    behind = {read.mode: read for read in freshness(asked, final("v1"))}[mode]
    assert (behind.behind, behind.furthest) == (1, 1.0)


def test_an_answer_that_shows_nothing_proves_nothing() -> None:
    # Whoever names a value that may not be there yet is told no as well.
    early = op(0, 4, "cas", "x", "mismatch", before="v0", client="b")
    asked = [early, op(0, 5, "cas", "v0"), SLOW, op(5, 6, "read", "v0", mode="consistent", client="r")]
    assert has_order(asked, final("v1"))
    assert worst(checks_of(asked, final("v1"))[1:]) == "valid"


def test_a_no_is_wrong_where_nothing_was_there() -> None:
    asked = [op(0, 1, "cas", "x", "mismatch"), op(2, 3, "cas", "v0", client="b")]
    for end in ("v0", None):
        told_so = asked if end else asked[:1]
        assert not has_order(told_so, final(end))
        assert "r was not there all the time" in checks_of(told_so, final(end))[1].sentence


def test_a_wrong_no_about_the_last_value_is_no_proof_against_reads() -> None:
    asked = [MADE, TOLD_NO, op(5, 6, "read", "v0", mode="consistent", client="r")]
    assert [check.verdict for check in checks_of(asked, final("v0"))[1:]] == ["invalid", "valid"]


@pytest.mark.parametrize("mode", ["default", "stale"])
def test_what_any_mode_has_read_was_committed_and_need_not_be_applied(mode: Any) -> None:
    # A follower applies what is committed, and the leader may be some milliseconds behind it.
    seen = op(2, 3, "read", "v1", log_index=7, mode=mode, client="s")
    back = op(4, 5, "read", "v0", log_index=5, mode="consistent", client="r")
    early = [MADE, seen, op(4, 5, "cas", "v1", before="v0", client="c")]
    asked = [MADE, SLOW, seen, back]
    assert has_order(asked, final("v1"))
    assert worst(checks_of(asked, final("v1"))[1:]) == "valid"
    applied = [MADE, SLOW, seen._replace(mode="consistent"), back]
    assert not has_order(applied, final("v1"))
    assert checks_of(applied, final("v1"))[2].verdict == "invalid"
    assert not has_order(early, final("v1"))
    assert "before it was written" in checks_of(early, final("v1"))[1].sentence


def test_a_no_after_a_stale_read_binds_those_who_read() -> None:
    # The stale read shows that v1 is in the log, so what was told no stands behind it, and the leader answered.
    asked = [
        MADE,
        SLOW,
        op(2, 3, "read", "v1", log_index=7, mode="stale", client="s"),
        op(2, 9, "cas", "v2", "unanswered", before="v1", client="d"),
        op(4, 5, "cas", "x", "mismatch", before="v1", client="b"),
        op(6, 7, "read", "v1", log_index=7, mode="consistent", client="r"),
    ]
    assert not has_order(asked, final("v2"))
    shown = checks_of(asked, final("v2"))[2].shown
    assert shown is not None
    assert shown.history == (asked[2], asked[4], asked[5])


@pytest.mark.parametrize(("before", "value"), [("v1", "v0"), ("v1", "v1"), (None, "v0"), ("never", "v0")])
def test_a_no_comes_behind_all_that_was_committed_when_it_was_asked_for(before: str | None, value: str) -> None:
    asked = [
        MADE,
        SLOW,
        op(2, 3, "read", "v1", log_index=7, mode="stale", client="s"),
        op(2, 20, "cas", "v2", "unanswered", before="v1", client="d"),
        op(4, 5, "cas", "x", "mismatch", before=before, client="b"),
        op(6, 7, "read", value, log_index=5 if value == "v0" else 7, mode="consistent", client="r"),
    ]
    assert not has_order(asked, final("v2"))
    assert checks_of(asked, final("v2"))[2].verdict == "invalid"


def told_no_often(chance: random.Random) -> tuple[list[Operation], Final]:
    """A history in which much is known by stale reads and by answers that it is another value by now."""
    values = [f"v{number}" for number in range(chance.randint(2, 4))]
    asked = []
    for number, value in enumerate(values):
        begin = chance.randint(0, 4)
        outcome = chance.choice(("done", "unanswered", "unanswered"))
        before = values[number - 1] if number else None
        asked.append(op(begin, begin + chance.choice((1, 2, 3, 20)), "cas", value, outcome, before=before))
    for number in range(chance.randint(2, 5)):
        begin = chance.randint(0, 9)
        end, value_or_none = begin + chance.randint(0, 2), chance.choice([None, *values])
        if chance.random() < 0.35:
            asked.append(op(begin, end, "cas", f"m{number}", "mismatch", before=value_or_none))
        else:
            asked.append(op(begin, end, "read", value_or_none, mode=chance.choice(("stale", "stale", "consistent"))))
    asked.sort(key=lambda operation: (operation.begin, operation.end))
    return asked, final(chance.choice([*values[-2:], values[-1]]))


def test_where_much_is_known_by_refusals_a_history_is_valid_exactly_where_there_is_an_order() -> None:
    chance = random.Random(5)  # noqa: S311 - the same histories each time
    seen: Counter[bool] = Counter()
    for _ in range(6000):
        asked, end = told_no_often(chance)
        order = has_order(asked, end)
        reads = checks_of(asked, end)[2]
        assert (worst(checks_of(asked, end)[1:]) != "invalid") == order, in_words(History("", asked, end))
        if reads.shown is not None:
            # What is shown is a proof by itself, with the writes that give the order of the values.
            writes = [each for each in asked if each.kind == "cas" and each.outcome != "mismatch"]
            shown = [*(each._replace(outcome="unanswered") for each in writes), *reads.shown.history]
            assert not has_order(list(dict.fromkeys(shown)), end), in_words(History("", shown, end))
        seen[order] += 1
    assert min(seen[True], seen[False]) > 300


def test_a_value_that_was_read_of_a_register_that_is_not_there_is_gone() -> None:
    asked = [MADE._replace(outcome="unanswered"), op(2, 3, "read", "v0", mode="consistent")]
    assert not has_order(asked, final(None))
    assert "it is gone" in checks_of(asked, final(None))[2].sentence


def test_a_register_that_nobody_asked_for_and_that_is_there_is_a_strangers() -> None:
    assert not has_order([], final("x"))
    assert "no client wrote" in checks_of([], final("x"))[1].sentence


def test_a_log_that_has_a_value_before_the_one_it_replaced_is_wrong() -> None:
    reads = [op(2, 3, "read", "v0", log_index=7, mode="stale"), op(10, 11, "read", "v1", log_index=6, mode="stale")]
    asked = [MADE, SLOW, *reads]
    assert not has_order(asked, final("v1"))
    assert "the log has it at 6 and v0 at 7" in checks_of(asked, final("v1"))[1].sentence


# -- how far behind reads were -----------------------------------------------------------------------------------


def behind_by(asked: History, number: int) -> float:
    """How long it had been known that what a read returned was replaced, when it was asked; 0 where it was not."""
    operation = asked.operations[number]
    times = range(int(operation.begin), -1, -1)
    for time in times:
        # Would it have been an answer of a majority's, asked then?
        instead = operation._replace(begin=time, end=math.inf, mode="consistent")
        if has_order([*asked.operations[:number], instead, *asked.operations[number + 1 :]], asked.final):
            return operation.begin - time
    return math.inf


def counted(asked: History) -> list[tuple[str, int, int, float]]:
    """What `freshness` says, by the search; who went back, by the values as they were written."""
    late: dict[str, list[float]] = {mode: [] for mode in MODES}
    back: Counter[str] = Counter()
    newest: dict[Any, int] = {}
    for number, operation in enumerate(asked.operations):
        if operation.kind != "read" or operation.outcome != "done" or operation.mode is None:
            continue
        if by := behind_by(asked, number):
            late[operation.mode].append(by)
        # A good store's index is greater for what was written later, and 0 for nothing.
        whose = (operation.client, operation.key, operation.mode)
        back[operation.mode] += operation.log_index < newest.get(whose, 0)
        newest[whose] = max(newest.get(whose, 0), operation.log_index)
    return [(mode, len(late[mode]), back[mode], max(late[mode], default=0.0)) for mode in MODES]


def as_counted(read: Staleness) -> tuple[str, int, int, float]:
    return (read.mode, read.behind, read.went_back, read.furthest)


def test_reads_are_behind_exactly_where_no_order_lets_them_be_fresh() -> None:
    seen: Counter[str] = Counter()
    for seed in range(0, 4 * HISTORIES, len(KINDS)):
        made = history(seed)
        assert made.kind == FAULTS[0] == "none"
        right = counted(made)
        assert [as_counted(read) for read in freshness(made.operations, made.final)] == right, in_words(made)
        for mode, late, back, _ in right:
            seen[mode] += late
            seen["back"] += back
    assert not seen["consistent"]
    assert min(seen["default"], seen["stale"], seen["back"]) > 50
