"""`labctl members`: show the members, as gossip sees them."""

from __future__ import annotations

import click

from labctl.cli.options import json_option, lab_argument, viewer
from labctl.cli.output import print_json


@click.command("members", short_help="Show the members.")
@lab_argument
@json_option
def members_command(lab: str | None, *, as_json: bool) -> None:
    """Show the members of LAB as `consul members` does: what the gossip of one server says of all."""
    from labctl.cli import tables
    from labctl.engine import client, labs, members

    rows = members.read(labs.choose_lab(client.connect(), lab, viewer()))
    if as_json:
        print_json([member.row() for member in rows])
    else:
        click.echo(tables.members_table(rows))
