"""Arguments and options that the commands of `labctl workshop` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from labctl.cli.options import FileName

if TYPE_CHECKING:
    from labctl.cli.options import Function


def file_option(function: Function) -> Function:
    """`--file`."""
    return click.option(
        "-f",
        "--file",
        type=FileName(dir_okay=True),
        default=Path("workshop.yml"),
        show_default=True,
        metavar="FILE",
        help="The workshop's file.",
    )(function)


def seats_argument(function: Function) -> Function:
    """`[SEAT]...`."""
    return click.argument("seats", nargs=-1, metavar="[SEAT]...")(function)
