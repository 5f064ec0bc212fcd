"""`labctl stop`: stop a lab or one server."""

from __future__ import annotations

from typing import Any

import click

from labctl.cli.lifecycle import change_lab, lifecycle_options


@click.command("stop", short_help="Stop a lab or one server.")
@lifecycle_options
def stop_command(lab: str | None, **given: Any) -> None:
    """Stop LAB or one of its servers. Data and addresses stay, so the same cluster comes back."""
    change_lab("stop", lab, given)
