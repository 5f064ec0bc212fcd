"""`labctl status`: show who leads and who votes."""

from __future__ import annotations

import click

from labctl.cli.options import json_option, lab_argument, viewer
from labctl.cli.output import print_json


@click.command("status", short_help="Show who leads and who votes.")
@lab_argument
@json_option
def status_command(lab: str | None, *, as_json: bool) -> int:
    """Show LAB: who leads in which term, who votes, how far each server's log is. Exit code 3 where it is not ready."""
    from labctl.cli import tables
    from labctl.engine import client, labs, status
    from labctl.errors import ExitCode
    from labctl.faults import heal
    from labctl.faults.condition import condition_of
    from labctl.terminal import style

    connection = client.connect()
    now = status.ask(labs.choose_lab(connection, lab, viewer()))
    active = heal.active(connection, now.lab)
    condition = condition_of(now, active)
    if as_json:
        print_json(tables.status_document(now, condition, active))
    else:
        click.echo(tables.status_text(now, condition, active, viewer(), style.terminal_columns()))
    return ExitCode.DONE if condition.ready else ExitCode.NOT_READY
