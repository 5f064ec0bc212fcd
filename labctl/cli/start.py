"""`labctl start`: start what is stopped of a lab."""

from __future__ import annotations

from typing import Any

import click

from labctl.cli.lifecycle import change_lab, lifecycle_options
from labctl.cli.options import timeout_option


@click.command("start", short_help="Start a stopped lab or server.")
@lifecycle_options
@timeout_option("Fail if the lab is not ready within this time.")
def start_command(lab: str | None, **given: Any) -> None:
    """Start what is stopped of LAB, and wait until the lab is ready again."""
    change_lab("start", lab, given)
