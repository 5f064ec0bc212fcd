"""`labctl ls`: list the labs."""

from __future__ import annotations

import click

from labctl.cli.options import json_option
from labctl.cli.output import print_json


@click.command("ls", short_help="List the labs.")
@json_option
def ls_command(*, as_json: bool) -> None:
    """List the labs of this Docker host: whose they are, whether they are ready, who leads."""
    from labctl.cli import tables
    from labctl.engine import client, labs, status

    statuses = status.ask_all(labs.list_labs(client.connect()))
    if as_json:
        print_json([tables.ls_row(status_) for status_ in statuses])
    elif statuses:
        click.echo(tables.ls_table(statuses))
    else:
        click.echo("No lab is there: `labctl up` starts one.", err=True)
