"""A chaos run as text: the verdicts, the requests that show a broken promise, and strips over time."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from labctl.experiments.chaos.history import operation_sentence
from labctl.experiments.chaos.json_view import totals
from labctl.experiments.chaos.timeline import availability, timeline
from labctl.terminal.style import harmless, paint, paint_server, sign, table, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labctl.experiments.chaos.checkers.result import Check
    from labctl.experiments.chaos.report import Report, Run
    from labctl.experiments.chaos.schedule import Step
    from labctl.experiments.chaos.timeline import Slice

COLOURS = {"valid": "green", "invalid": "red", "unknown": "yellow"}
NAMES = {"set": "every write is there", "cas": "compare-and-set", "reads": "consistent reads"}
LETTERS = {
    "kill": "K", "stop": "S", "pause": "P", "isolate": "I", "partition": "/", "one-way": ">", "loss": "%",
    "rate": "R", "delay": "D",
}  # fmt: skip
_ALL = 0.999
_MARGIN = 10
_NARROWEST, _WIDEST = 40, 120


def schedule_text(steps: Sequence[Step], seed: int) -> str:
    """What a run would break, and when."""
    rows = [[f"{step.at:.1f}s", f"{step.seconds:.1f}s", step.text] for step in steps]
    again = f"`--seed {seed}` gives this schedule again; a role is looked up when its fault begins."
    return f"{table(['at', 'for', 'fault'], rows)}\n\n{again}"


def report_text(report: Report, columns: int | None = None) -> str:
    """The whole report. `columns` is how wide the terminal is; None asks it."""
    wide = max(min(columns or shutil.get_terminal_size((80, 24)).columns, _WIDEST), _NARROWEST)
    parts = [
        strips(report.run, wide - _MARGIN),
        _wrapped("", requests(report), wide),
        _reads(report),
        "\n".join(_check(check, wide) for check in report.checks),
        _wrapped("", verdict(report), wide),
    ]
    return "\n" + "\n\n".join(parts)


def verdict(report: Report) -> str:
    """The verdict in a sentence."""
    return f"{paint(report.verdict, COLOURS[report.verdict])}: {sentence(report)} Seed {report.run.seed}."


def sentence(report: Report) -> str:
    """What the verdict means, and how the lab recovered."""
    run = report.run
    means = {
        "valid": "Consul kept every promise that was checked.",
        "invalid": "Consul, or somebody behind its back, broke a promise: the requests above show it.",
        "unknown": "Nobody knows: not every promise could be checked.",
    }
    ready = "" if run.ready_after is None else f" The lab was ready {run.ready_after:.1f} s after healing began."
    early = " Interrupted: only a part of the schedule was done." if run.interrupted else ""
    return f"{means[report.verdict]}{ready}{early}"


def _wrapped(front: str, text: str, wide: int) -> str:
    """Text in lines of that width, the first one behind `front`."""
    lines = textwrap.wrap(text, wide - width(front), break_on_hyphens=False, break_long_words=False)
    return front + f"\n{' ' * width(front)}".join(lines)


def _check(check: Check, wide: int) -> str:
    front = f"{paint(f'{check.verdict:<7}', COLOURS[check.verdict])}  "
    first = _wrapped(front, f"{NAMES[check.name]}: {harmless(check.sentence)}.", wide)
    if check.shown is None:
        return first
    lines = [
        f"    {each.begin:8.3f}s to {each.end:8.3f}s  {harmless(operation_sentence(each))}"
        for each in check.shown.history
    ]
    more = [f"    and {check.violations - 1} more like it"] if check.violations > 1 else []
    return "\n".join([first, *lines, *more])


def requests(report: Report) -> str:
    """How many requests there were, and what they got."""
    counts = totals(report.run.operations)
    share = availability(report.slices) or 0.0
    if not counts["answered"]:
        return f"None of {counts['asked']} requests was answered."
    return (
        f"{counts['asked']} requests: {counts['answered']} answered, {counts['refused']} refused, "
        f"{counts['unanswered']} without an answer. Clients were served {share:.1%} of their time. Half of the answers "
        f"took at most {counts['p50_ms']:.0f} ms, 95 % at most {counts['p95_ms']:.0f} ms, the longest "
        f"{counts['max_ms']:.0f} ms."
    )


def _reads(report: Report) -> str:
    rows = [
        [
            read.mode,
            str(read.answered),
            str(read.behind),
            str(read.went_back),
            f"{read.furthest:.2f}s" if read.behind else "-",
        ]
        for read in report.reads
    ]
    return table(["reads", "answered", "behind", "went back", "furthest behind"], rows)


def strips(run: Run, most: int) -> str:
    """Rows over time: how much each server answered, its faults, and who led."""
    slices = timeline(run.operations, run.seconds, run.servers, most)
    rows = [_ruler(slices)]
    for name in run.servers:
        shares = [interval.servers[name] for interval in slices]
        rows.append(_row(paint_server(name, f"{name:<8}"), "".join(_level(each.value) for each in shares)))
        rows.append(_row(" " * 8, paint(_broken(run, name, slices), "red")))
    led = f"not known: {harmless(run.leaders_unknown)}" if run.leaders_unknown else _leaders(run, slices)
    rows.append(_row(f"{'leader':<8}", led))
    used = {disturbance.step.verb for disturbance in run.disturbances if not disturbance.skipped}
    key = [f"{letter} {verb}" for verb, letter in LETTERS.items() if verb in used]
    legend = _legend(slices, key, led=not run.leaders_unknown)
    return "\n".join([*(row.rstrip() for row in rows), _wrapped(" " * 10, legend, most + _MARGIN)])


def _legend(slices: Sequence[Slice], key: Sequence[str], *, led: bool) -> str:
    """What the rows mean: bars, the letters below them, and the digits of who led."""
    parts = [f"A column is {slices[0].seconds:g} s." if slices else ""]
    parts.append(f"Bars: how much of it the server's clients were served, {_level(1.0)} all, {_level(0.0)} nothing.")
    parts.append(f"Below: {', '.join(key)}." if key else "")
    parts.append(f"Leader: the number of the server, {_nobody()} nobody." if led else "")
    return " ".join(part for part in parts if part)


def _nobody() -> str:
    return "·" if sign("bar") == "│" else "."


def _row(front: str, strip: str) -> str:
    return f"{front}  {strip}"


def _ruler(slices: Sequence[Slice]) -> str:
    text = ""
    every = 10
    for number in range(0, len(slices), every):
        text += f"{f'{slices[number].begin:.0f}s':<{every}}"
    return paint(_row(" " * 8, text), "dim")


def _level(share: float | None) -> str:
    """A sign that is as high as a share of time; a blank where nobody asked."""
    if share is None:
        return " "
    levels = " ▁▂▃▄▅▆▇█" if sign("bar") == "│" else "0123456789"
    full = len(levels) - 1
    # Never show almost all as all, nor a little as nothing.
    level = full if share >= _ALL else min(max(round(share * full), 1 if share else 0), full - 1)
    return "·" if levels[level] == " " else levels[level]


def _broken(run: Run, name: str, slices: Iterable[Slice]) -> str:
    def letter(interval: Slice) -> str:
        end = interval.begin + interval.seconds
        for each in run.disturbances:
            if name in each.servers and each.begin < end and each.end > interval.begin:
                return LETTERS[each.step.verb]
        return " "

    return "".join(letter(interval) for interval in slices)


def _leaders(run: Run, slices: Iterable[Slice]) -> str:
    """The number of the server that led longest in each slice."""

    def number(interval: Slice) -> str:
        end = interval.begin + interval.seconds
        led = {each: min(each.end, end) - max(each.begin, interval.begin) for each in run.leaderships}
        longest = max(led, key=lambda each: (led[each], each.term or 0), default=None)
        if longest is None or led[longest] <= 0:
            return _nobody()
        return paint_server(longest.server, longest.server.removeprefix("consul")[-1:])

    return "".join(number(interval) for interval in slices)
