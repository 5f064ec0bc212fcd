"""The proof that labs are apart, for a terminal: a row for each lab, what crossed by name, and the checks."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from labctl.isolation.hardening import BENCHMARK
from labctl.isolation.outcomes import Outcome
from labctl.isolation.report import Verdict
from labctl.shared.words import counted
from labctl.terminal.style import Cell, harmless, paint, sign, table, width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.isolation.hardening import CheckRow
    from labctl.isolation.outcomes import AttemptResult, JoinResult
    from labctl.isolation.report import Report

WIDEST = 120
NARROWEST = 60
_COLOURS = {Verdict.APART: "green", Verdict.UNKNOWN: "yellow", Verdict.CROSSED: "red"}
_RESULTS = {"ok": "green", "fails": "red", "by design": "cyan", "not applicable": "dim"}
_NARROW = 32
_SHOWN = (Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.NO_ANSWER, Outcome.CONNECTED)


def text(report: Report, columns: int, *, each: bool) -> str:
    """The whole report, for a terminal of that many columns."""
    columns = max(NARROWEST, min(columns, WIDEST))
    parts = ["", _labs(report)]
    if each:
        parts += ["", _each(report)]
    if problems := _problems(report):
        parts += ["", *(_wrapped(problem, columns) for problem in problems)]
    parts += ["", paint(f"Hardening, with the numbers of the {BENCHMARK}", "bold"), _checks(report.judged, columns)]
    return "\n".join([*parts, "", *(_wrapped(sentence, columns) for sentence in _summary(report))]) + "\n"


def _wrapped(line: str, columns: int) -> str:
    return "\n".join(textwrap.wrap(line, columns, subsequent_indent="  ", break_long_words=False))


def _named(report: Report, lab: str, host: str) -> str:
    """A lab by its name, with its Docker host where there are several."""
    several = len({proof.place.host for proof in report.proofs}) > 1
    return f"{lab} on {host}" if several else lab


def _labs(report: Report) -> str:
    rows = []
    for proof in report.proofs:
        count = proof.count()
        good = sum(attempt.outcome is Outcome.CONNECTED for attempt in proof.controls)
        rows.append(
            [
                _named(report, *reversed(proof.place.name)),
                f"{good}/{len(proof.controls)}",
                *(_counted(count[outcome], outcome) for outcome in _SHOWN),
                str(sum(count.values()) - sum(count[outcome] for outcome in _SHOWN)),
                Cell(str(proof.verdict), _COLOURS[proof.verdict]),
            ]
        )
    return table(["from lab", "control", *_SHOWN, "other", "verdict"], rows)


def _counted(number: int, outcome: Outcome) -> str | Cell:
    return Cell(str(number), "red") if number and outcome is Outcome.CONNECTED else str(number)


def _each(report: Report) -> str:
    rows = []
    for proof in report.proofs:
        source = _named(report, *reversed(proof.place.name))
        rows += [
            [source, _target(report, attempt), attempt.what.where, str(attempt.outcome)] for attempt in proof.tries
        ]
        rows += [
            [
                f"{source} {join.what.server}",
                f"consul join {_named(report, join.what.lab, join.what.host)} {join.what.target}",
                join.what.address,
                str(join.outcome),
            ]
            for join in proof.joins
        ]
    return table(["from", "to", "address", "outcome"], rows)


def _target(report: Report, attempt: AttemptResult) -> str:
    what = attempt.what
    if what.kind == "engine":
        return "the engine, or the cloud"
    name = f"{_named(report, what.lab, what.host)} {what.server}"
    return f"{name}, published" if what.kind == "published" else name


def _problems(report: Report) -> list[str]:
    """What crossed, and what is not proven, a line for each."""
    lines = []
    for proof in report.proofs:
        source = _named(report, *reversed(proof.place.name))
        problems = [f"{_target(report, attempt)} at {attempt.what.where} connected" for attempt in proof.crossed]
        problems += [_merged(report, join) for join in proof.merged]
        problems += [f"the container {container} has an engine's socket at {path}" for container, path in proof.sockets]
        problems += [f"members changed meanwhile: {', '.join(proof.strangers)}"] if proof.strangers else []
        lines += [
            f"{paint(sign('failed'), 'red')} from {harmless(source)}: {harmless(crossing)}" for crossing in problems
        ]
        lines += [
            f"{paint('?', 'yellow')} {harmless(source)} is not proven: {harmless(reason)}" for reason in proof.unproven
        ]
    return lines


def _merged(report: Report, join: JoinResult) -> str:
    target = _named(report, join.what.lab, join.what.host)
    return f"`consul join {join.what.address}` in {join.what.server} joined {join.what.target} of {target}"


def _checks(judged: Sequence[CheckRow], columns: int) -> str:
    """A row for each check and each way in which it came out, whatever the number of labs."""
    merged: dict[tuple[str, str, str, str], list[CheckRow]] = {}
    for check in judged:
        merged.setdefault((check.number, check.title, check.result, check.why), []).append(check)
    alike = {number: sum(key[0] == number for key in merged) == 1 for number, *_ in merged}
    rows = [
        (number, title, result, harmless(_why(why, checks, alike=alike[number])))
        for (number, title, result, why), checks in sorted(merged.items(), key=lambda item: _order(item[0][0]))
    ]
    head = ["cis", "check", "result", "why"]
    beside = columns - sum(max(width(row[at]) for row in [head, *rows]) for at in range(3)) - 2 * 3
    if beside < _NARROW:
        return _with_reasons_below(rows, columns)
    lines: list[Sequence[str | Cell]] = []
    for row in rows:
        first, *more = textwrap.wrap(row[3], beside, break_on_hyphens=False) or [""]
        lines += [[*_judged(row), first], *(["", "", "", part] for part in more)]
    return table(head, lines)


def _judged(row: Sequence[str]) -> list[str | Cell]:
    number, title, result, _ = row
    return [number, title, Cell(result, _RESULTS[result])]


def _with_reasons_below(rows: Sequence[Sequence[str]], columns: int) -> str:
    """The same where there is no room for reasons in a column of their own."""
    first, *lines = table(["cis", "check", "result"], map(_judged, rows)).splitlines()
    indent = " " * (2 + max(width(row[0]) for row in rows))
    shown = [first]
    for line, row in zip(lines, rows, strict=True):
        shown += [
            line,
            *textwrap.wrap(row[3], columns, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False),
        ]
    return "\n".join(shown)


def _why(why: str, checks: Sequence[CheckRow], *, alike: bool) -> str:
    """Why, with the containers that differ from the others."""
    if alike and all(check.alike for check in checks):
        return why
    if checks[0].result == "ok":
        return "all others"
    names = [name for check in checks for name in check.containers]
    named = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    return f"{named}: {why}" if why else named


def _order(number: str) -> tuple[int, ...]:
    """The benchmark's order; what has no number comes last."""
    return tuple(int(part) for part in number.split(".")) if number[0].isdigit() else (99,)


def _summary(report: Report) -> list[str]:
    tries = sum(len(each_proof.tries) for each_proof in report.proofs)
    joins = sum(join.outcome is not Outcome.NOT_TRIED for proof in report.proofs for join in proof.joins)
    labs = counted(len(report.proofs), "lab")
    tried = f"{counted(tries, 'connection')} and {counted(joins, 'join')} from {labs} in {report.seconds:.0f} s"
    said = {
        Verdict.APART: f"Nothing crossed: {tried}, and none succeeded, while every control did.",
        Verdict.UNKNOWN: f"Not all is proven: {tried}, and none succeeded. The reasons stand above.",
        Verdict.CROSSED: f"Something crossed, and is named above: {tried}.",
    }
    failing = len(report.failing)
    checks = f"{failing} of {len(report.judged)} checks of containers {'fails' if failing == 1 else 'fail'}."
    masked = sum(each_proof.count()[Outcome.DECOY] for each_proof in report.proofs)
    decoy = f"{counted(masked, 'connection')} ended at something on the way, and reached no lab and no engine."
    return [said[report.verdict], *([decoy] if masked else []), checks]
