"""labctl measure: measurements of a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from labctl import files
from labctl.cli.options import FileName, given, json_option, lab_argument, user
from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from labctl.experiments.failover.measure import Result
    from labctl.raft.failover import By

FORMATS = ("text", "json", "svg")


@click.group("measure", short_help="Measure a lab.")
def measure_command() -> None:
    """Measure what a lab does, beside what Consul's timeouts predict."""


@measure_command.command("failover", short_help="How long a lab is without a leader.")
@lab_argument
@click.option("--times", type=int, default=20, show_default=True, metavar="N", help="How many failovers.")
@click.option(
    "--by",
    type=click.Choice(("kill", "pause")),
    default="kill",
    show_default=True,
    help="What happens to the leader.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="What to write.")
@click.option("-o", "--output", type=FileName(), help="Write to this file.")
@json_option
def failover_command(lab: str | None, times: int, by: By, form: str, output: Path | None, *, as_json: bool) -> None:
    """Kill or pause the leader of LAB again and again, and time what the others do about it.

    Three times are measured: until the first server gives the leader up, until there is a new one, and until a write is
    acknowledged; each beside what the timeouts of this lab's pace predict. The old leader comes back after each
    failover, and the lab is ready at the end. Ctrl-C ends it early, and shows what was measured so far.
    """
    from labctl.experiments.failover import measure, rounds
    from labctl.terminal.progress import steps_for

    output = None if output is not None and str(output) == files.STANDARD_OUTPUT else output
    form = "json" if as_json else form
    asked = measure.MeasureRequest(lab, user(), times, by, output)
    tools = given(rounds.FailoverTools, rounds.TOOLS)
    result = measure.failover(asked, steps_for(json=as_json or (form != "text" and output is None)), tools)
    show(result, form, output, as_json=as_json)


def show(
    result: Result,
    form: str,
    output: Path | None,
    *,
    as_json: bool,
    save: Callable[[str, Path], None] | None = None,
) -> None:
    """Write or print what was measured; `save` writes a file. Raises what ended it, and where it cannot be written."""
    from labctl import output_files
    from labctl.experiments.failover import views

    if result.measurement.failovers:
        text = views.written(result.measurement, form)
        if output is None:
            click.echo(text, nl=False)
        else:
            try:
                (save or output_files.save)(text, output)
            except LabctlError as error:
                # An hour of measuring is printed instead of lost.
                click.echo(views.written(result.measurement, "json" if as_json else "text"), nl=False)
                raise _both(result.ended, error) from error
    if result.ended is not None:
        raise result.ended


def _both(ended: LabctlError | KeyboardInterrupt | None, later: LabctlError) -> LabctlError:
    """The error that ended it, with what went wrong afterwards; the exit code is that of the first."""
    if ended is None:
        return later
    if isinstance(ended, LabctlError):
        return LabctlError(f"{ended.sentence} {later.sentence}", ended.code)
    return LabctlError(later.sentence, ExitCode.INTERRUPTED)
