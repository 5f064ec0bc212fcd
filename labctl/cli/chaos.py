"""labctl chaos: break a lab at random while clients use it, and check that nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from labctl import files
from labctl.cli.options import FileName, dry_run_option, given, json_option, lab_argument, timeout_option, user
from labctl.cli.output import print_json
from labctl.cli.times import Time
from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from labctl.experiments.chaos.report import Report

FORMATS = ("text", "json", "html", "svg")
FILE = FileName()
# JSON numbers above this are not exact in every reader.
MOST_SEED = 2**53 - 1
_CODES = {"valid": ExitCode.DONE, "invalid": ExitCode.FAILED, "unknown": ExitCode.NOT_READY}


@click.command("chaos", short_help="Break a lab at random, and check that nothing is lost.")
@lab_argument
@click.option("--for", "seconds", type=Time(), default="60s", show_default=True, metavar="TIME", help="How long.")
@click.option(
    "--seed", type=click.IntRange(0, MOST_SEED), metavar="N", help="The same seed gives the same schedule again."
)
@click.option(
    "--mix",
    default="kill,pause,partition,loss",
    show_default=True,
    metavar="VERBS",
    help="Of which faults, with commas between: kill, stop, pause, isolate, partition, one-way, loss, rate, delay.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="What to write.")
@click.option("-o", "--output", type=FILE, help="Write the report to this file.")
@click.option("--history", type=FILE, help="Write every request to this file.")
@timeout_option("Fail if the lab is not ready again within this time, counted from its healing.")
@dry_run_option
@json_option
def chaos_command(
    lab: str | None,
    *,
    seconds: float,
    seed: int | None,
    mix: str,
    form: str,
    output: Path | None,
    history: Path | None,
    timeout: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Break LAB again and again, at random, while clients write and read through every server; then heal and check.

    Checked is what Consul promises: every acknowledged write is there, no compare-and-set overwrote what it did not
    name, and no read in consistent mode went back. The verdict is valid (exit 0), invalid with the fewest requests that
    show it (exit 1), or unknown (exit 3). Ctrl-C ends the breaking; the lab is healed and checked also then.
    """
    from labctl.experiments.chaos import json_view, run, text_view
    from labctl.terminal.progress import steps_for

    files.refuse_twice(output, history)
    output = None if output is not None and str(output) == files.STANDARD_OUTPUT else output
    verbs = tuple(word.strip() for word in mix.split(",") if word.strip())
    asked = run.ChaosRequest(lab, user(), seconds, seed, verbs, timeout, output, history)
    form = "json" if as_json else form
    if dry_run:
        planned = run.plan(asked)
        if form == "json":
            print_json(json_view.schedule_document(planned.lab.name, planned.seed, planned.steps))
        else:
            click.echo(text_view.schedule_text(planned.steps, planned.seed))
        return ExitCode.DONE
    tools = given(run.ChaosTools, run.TOOLS)
    report = run.run(asked, steps_for(json=as_json or (form != "text" and output is None)), tools)
    return shown(report, form, output, as_json=as_json)


def shown(
    report: Report,
    form: str,
    output: Path | None,
    *,
    as_json: bool,
    save: Callable[[str, Path], None] | None = None,
) -> int:
    """Write or print a report, and return the exit code that says what was found; `save` writes a file.

    Raises LabctlError where writing the report failed.
    """
    problems = [*report.run.problems, *_written(report, form, output, save, quiet=as_json)]
    code = ExitCode.INTERRUPTED if report.run.interrupted else _CODES[report.verdict]
    if problems:
        raise LabctlError(" ".join(problems), code or ExitCode.FAILED)
    return code


def _written(
    report: Report, form: str, output: Path | None, save: Callable[[str, Path], None] | None, *, quiet: bool
) -> list[str]:
    """Write the report. Returns what went wrong; the report is then printed instead, so that it is not lost."""
    from labctl import output_files
    from labctl.experiments.chaos import html_view, json_view, text_view

    make: dict[str, Callable[[Report], str]] = {
        "json": json_view.text,
        "html": html_view.html,
        "svg": html_view.svg,
        "text": text_view.report_text,
    }
    if output is None:
        click.echo(make[form](report))
        return []
    try:
        (save or output_files.save)(f"{make[form](report)}\n", output)
    except LabctlError as error:
        click.echo(make["json" if quiet else "text"](report))
        return [error.sentence]
    if not quiet:
        click.echo(text_view.verdict(report))
    return []
