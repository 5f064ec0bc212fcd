"""Arguments and options that the commands of `labctl workshop` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from labctl.cli.options import FileName, targets_of
from labctl.errors import LabctlError
from labctl.shared import lab_names

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from labctl.cli.options import Function
    from labctl.workshop.model.file import Workshop

DEFAULT_FILE = Path("workshop.yml")
# Who pressed Tab does not wait for somebody who still writes the file.
_PATIENCE = 0.0


def _workshop(ctx: click.Context) -> Workshop | None:
    """The workshop whose file a command line means so far; None where that cannot be read."""
    from labctl.workshop.model.file import read

    try:
        return read(ctx.params.get("file") or DEFAULT_FILE, _PATIENCE)
    except LabctlError:
        return None


def complete_seat(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The seats of the workshop's file that begin so and are not named yet; none where there is no such file."""
    from click.shell_completion import CompletionItem

    from labctl.workshop.model.seats import seats_of

    workshop = _workshop(ctx)
    try:
        names = [seat.name for seat in seats_of(workshop, {})] if workshop else []
    except LabctlError:
        return []
    named = ctx.params.get("seats") or ()
    return [CompletionItem(name) for name in names if name.startswith(incomplete) and name not in named]


def complete_seat_target(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The roles and the servers of a seat that begin so; none where there is no workshop's file."""
    workshop = _workshop(ctx)
    return targets_of(lab_names.server_names(workshop.spec.servers) if workshop else [], incomplete)


def file_option(function: Function) -> Function:
    """`--file`."""
    return click.option(
        "-f",
        "--file",
        type=FileName(dir_okay=True),
        default=DEFAULT_FILE,
        show_default=True,
        metavar="FILE",
        help="The workshop's file.",
    )(function)


def seats_argument(function: Function) -> Function:
    """`[SEAT]...`."""
    return click.argument("seats", nargs=-1, metavar="[SEAT]...", shell_complete=complete_seat)(function)
