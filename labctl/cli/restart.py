"""`labctl restart`: restart a lab or one server."""

from __future__ import annotations

from typing import Any

import click

from labctl.cli.lifecycle import change_lab, lifecycle_options
from labctl.cli.options import timeout_option


@click.command("restart", short_help="Restart a lab or one server.")
@lifecycle_options
@timeout_option("Fail if the lab is not ready within this time.")
def restart_command(lab: str | None, **given: Any) -> None:
    """Stop and start LAB or one of its servers, and wait until the lab is ready again."""
    change_lab("restart", lab, given)
