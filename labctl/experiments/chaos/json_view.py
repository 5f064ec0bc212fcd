"""A chaos run as JSON: the report as one document, the history as a line for each request."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from labctl.experiments.chaos.history import operation_row, operation_sentence
from labctl.experiments.chaos.timeline import WITH_AN_ANSWER, availability
from labctl.raft.quantiles import quantile
from labctl.shared.words import stamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.experiments.chaos.checkers.read_staleness import Staleness
    from labctl.experiments.chaos.checkers.result import Check
    from labctl.experiments.chaos.history import Operation
    from labctl.experiments.chaos.report import Disturbance, Report
    from labctl.experiments.chaos.schedule import Step
    from labctl.experiments.chaos.timeline import Slice


def text(report: Report) -> str:
    """The report as the text of one JSON document."""
    return json.dumps(chaos_document(report), indent=2)


def chaos_document(report: Report) -> dict[str, Any]:
    """The JSON shape of `chaos`. Times are seconds since the run began, waits are milliseconds."""
    run = report.run
    return {
        "lab": run.lab,
        "version": run.version,
        "servers": list(run.servers),
        "verdict": report.verdict,
        "seed": run.seed,
        "mix": list(run.mix),
        "began": stamp(run.began),
        "seconds": _short(run.seconds),
        "interrupted": run.interrupted,
        "ready_after": _short(run.ready_after),
        "availability": _short(availability(report.slices), 4),
        "checks": [check_row(check) for check in report.checks],
        "requests": totals(run.operations),
        "reads": [reads_row(read) for read in report.reads],
        "faults": [disturbance_row(disturbance) for disturbance in run.disturbances],
        "leaders": [
            {"server": span.server, "term": span.term, "begin": _short(span.begin), "end": _short(span.end)}
            for span in run.leaderships
        ],
        "leaders_unknown": run.leaders_unknown or None,
        "problems": list(run.problems),
        "timeline": [slice_row(interval) for interval in report.slices],
    }


def schedule_document(lab: str, seed: int, steps: Iterable[Step]) -> dict[str, Any]:
    """The JSON shape of `chaos --dry-run`."""
    return {
        "lab": lab,
        "seed": seed,
        "schedule": [{"at": step.at, "seconds": step.seconds, "fault": step.text} for step in steps],
    }


def totals(operations: Iterable[Operation]) -> dict[str, Any]:
    """How many requests were answered, refused and left without an answer, and how long the answered ones took."""
    asked = list(operations)
    outcomes = Counter(operation.outcome for operation in asked)
    waits = sorted(operation.milliseconds for operation in asked if operation.outcome in WITH_AN_ANSWER)
    return {
        "asked": len(asked),
        "answered": len(waits),
        "refused": outcomes["refused"],
        "unanswered": outcomes["unanswered"],
        "p50_ms": _short(quantile(waits, 0.5) if waits else None),
        "p95_ms": _short(quantile(waits, 0.95) if waits else None),
        "max_ms": _short(max(waits, default=None)),
    }


def history_text(operations: Iterable[Operation]) -> str:
    """Every request as a line of JSON, in the order in which they began."""
    return "".join(f"{json.dumps(operation_row(operation), ensure_ascii=False)}\n" for operation in operations)


def _short(number: float | None, digits: int = 3) -> float | None:
    return None if number is None else round(number, digits)


def check_row(check: Check) -> dict[str, Any]:
    """The outcome for one promise."""
    history = check.shown.history if check.shown else ()
    return {
        "check": check.name,
        "verdict": check.verdict,
        "sentence": check.sentence,
        "violations": check.violations,
        "history": [{**operation_row(each), "told": operation_sentence(each)} for each in history],
    }


def reads_row(read: Staleness) -> dict[str, Any]:
    """The reads of one mode."""
    return {
        "mode": read.mode,
        "answered": read.answered,
        "behind": read.behind,
        "went_back": read.went_back,
        "furthest_seconds": _short(read.furthest),
        "furthest": {**operation_row(read.shown), "told": operation_sentence(read.shown)} if read.shown else None,
    }


def disturbance_row(disturbance: Disturbance) -> dict[str, Any]:
    """A fault of the schedule, and its outcome."""
    return {
        "planned": disturbance.step.text,
        "planned_at": disturbance.step.at,
        "fault": disturbance.fault or None,
        "what": disturbance.what,
        "servers": list(disturbance.servers),
        "begin": _short(disturbance.begin),
        "end": _short(disturbance.end),
        "skipped": disturbance.skipped or None,
    }


def slice_row(interval: Slice) -> dict[str, Any]:
    """A slice of the run."""
    return {
        "begin": _short(interval.begin),
        "seconds": _short(interval.seconds),
        "asked": interval.asked,
        "answered": interval.answered,
        "availability": _short(interval.available.value, 4),
        "p50_ms": _short(interval.wait(0.5)),
        "p95_ms": _short(interval.wait(0.95)),
        "max_ms": _short(interval.wait(1.0)),
        "servers": [{"server": name, "availability": _short(each.value, 4)} for name, each in interval.servers.items()],
    }
