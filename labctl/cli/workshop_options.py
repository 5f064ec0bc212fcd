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
# Pressing Tab must not wait for a process that is still writing the file.
_PATIENCE = 0.0


def _workshop(ctx: click.Context) -> Workshop | None:
    """The workshop whose file the command line names so far; None if that cannot be read."""
    from labctl.workshop.model.file import read

    try:
        return read(ctx.params.get("file") or DEFAULT_FILE, _PATIENCE)
    except LabctlError:
        return None


def complete_seat(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The seats of the workshop's file that match and are not named yet; empty without such a file."""
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
    """The matching roles and servers of a seat; empty without a workshop's file."""
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
