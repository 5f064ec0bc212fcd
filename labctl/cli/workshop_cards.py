"""`labctl workshop cards` and `secret`: the attendees' cards, and the secret that they are derived from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from labctl.cli.options import FileName, Function, given, json_option, user
from labctl.cli.output import print_json, say
from labctl.cli.workshop_options import file_option, seats_argument
from labctl.shared.words import counted

if TYPE_CHECKING:
    from pathlib import Path

OUTPUT = FileName(dir_okay=True, allow_dash=True)


def output_option(function: Function) -> Function:
    """`--output`, of what is secret."""
    return click.option(
        "-o", "--output", type=OUTPUT, metavar="FILE", help="Write to this file, mode 0600; - is stdout."
    )(function)


@click.command("cards", short_help="Print what every attendee is given.")
@seats_argument
@file_option
@click.option(
    "--format",
    "form",
    type=click.Choice(("html", "csv", "json")),
    default="html",
    show_default=True,
    help="Sheets to print and cut, or the instructor's list.",
)
@click.option(
    "--paper", type=click.Choice(("a4", "letter")), default="a4", show_default=True, help="What html is printed on."
)
@click.option("--login", metavar="NAME", help="The attendees' login on the Docker hosts.  [default: attendee]")
@click.option("--address", metavar="ADDRESS", help="Where attendees find this machine, where seats are on it.")
@output_option
@click.option("--force", is_flag=True, help="Overwrite the file.")
@json_option
def cards_command(
    seats: tuple[str, ...],
    file: Path,
    *,
    form: str,
    paper: str,
    login: str | None,
    address: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make a card for every seat, or for those of the SEATs that are named: name, addresses, token, first commands.

    html is a sheet to print and cut, with a QR code on each card. csv and json are the instructor's list, with each
    seat's gossip key. A rebuilt seat keeps its card. The file has mode 0600; without --output it is WORKSHOP-cards.html
    (or .csv, .json) in this folder, and a pipe gets the text itself.

    {seat} in --login stands for the seat's name.
    """
    from labctl.cli.secrets import Destination, write
    from labctl.workshop import cards_csv, cards_html, cards_json
    from labctl.workshop.cards import CardRequest, cards_of
    from labctl.workshop.model.file import read
    from labctl.workshop.state_store import WorkshopState
    from labctl.workshop.survey import SURVEY, Survey

    workshop = read(file)
    form = "json" if as_json else form
    where = Destination.of(
        output, f"{workshop.name}-cards.{form}", (file, *WorkshopState(workshop.name).files()), force=force
    )
    made = cards_of(workshop, CardRequest(user(), seats, login, address), given(Survey, SURVEY).look)
    if made.unsettled:
        click.echo(
            f"{len(made.unsettled)} of these seats are not up yet, and `labctl workshop up` may put them onto other "
            "Docker hosts: print the cards after it.",
            err=True,
        )
    make = {
        "html": lambda: cards_html.html(workshop.name, made.cards, paper),
        "csv": lambda: cards_csv.text(made.cards),
        "json": lambda: cards_json.text(workshop, made.cards),
    }
    count = counted(len(made.cards), "card")
    write(make[form](), where, f"{count} of the workshop {workshop.name}", quiet=as_json)


@click.command("secret", short_help="Keep a copy of the workshop's secret, or take one back.")
@file_option
@output_option
@click.option("--input", "copy", type=OUTPUT, metavar="FILE", help="Take a copy back from this file; - is stdin.")
@click.option("--force", is_flag=True, help="Overwrite the file, or the secret that is here.")
@json_option
def secret_command(file: Path, *, output: Path | None, copy: Path | None, force: bool, as_json: bool) -> None:
    """Keep a copy of the workshop's secret with --output FILE, or take one back with --input FILE.

    Every seat's token and key follow from the secret, so who has the copy can print the same cards on another machine.
    """
    from labctl.cli.secrets import Destination, write
    from labctl.workshop import secret
    from labctl.workshop.model.file import read
    from labctl.workshop.state_store import WorkshopState

    if (output is None) == (copy is None):
        raise click.UsageError("Give one of --output FILE and --input FILE.")
    name = read(file).name
    if copy is not None:
        secret.imported(name, None if str(copy) == "-" else copy, force=force)
        if as_json:
            print_json(secret.taken(name))
        else:
            say(f"The secret of the workshop {name} is on this machine now.")
        return
    where = Destination.of(output, "", (file, *WorkshopState(name).files()), force=force)
    write(secret.exported(name), where, f"The secret of the workshop {name}", quiet=as_json)
    if as_json and where.path is not None:
        print_json(secret.kept(name, where.path))
