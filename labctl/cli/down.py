"""`labctl down`: remove a lab."""

from __future__ import annotations

import sys
from typing import Any

import click

from labctl.cli.options import (
    dry_run_option,
    inventory_option,
    is_named,
    json_option,
    lab_argument,
    user,
    verbose_option,
)
from labctl.cli.options import given as handle
from labctl.cli.output import confirmed, print_json


@click.command("down", short_help="Remove a lab.")
@lab_argument
@click.option("--all", "everything", is_flag=True, help="Remove every lab of yours on this Docker host.")
@click.option("--force", is_flag=True, help="Remove LAB even if it is somebody else's; asks first on a terminal.")
@click.option("-y", "--yes", is_flag=True, help="With --force, do not ask.")
@dry_run_option
@inventory_option
@json_option
@verbose_option
def down_command(lab: str | None, *, everything: bool, as_json: bool, **given: Any) -> None:
    """Remove LAB: its containers, network, volumes and helpers. Looks again and says that nothing is left.

    A lab that is not there is no error; one of somebody else is refused without --force. With --json --all, the
    document is a list of those that were removed.
    """
    from labctl.lab.interrupt_message import lab_state_sentence
    from labctl.lab.lifecycle import PLAYS, Caller, Plays, down, down_all
    from labctl.terminal.progress import steps_for

    if everything and is_named("lab"):
        raise click.UsageError("Give either a lab or --all.")
    if everything and given["force"]:
        raise click.UsageError("--all removes only labs of yours, so --force needs the name of the one lab it is for.")
    # A variable that was set long ago must not decide whose data is removed.
    if not is_named("lab") and given["force"]:
        raise click.UsageError("--force needs the name of the lab that it is for.")
    asks = sys.stdin.isatty() and not given["yes"] and not as_json
    who = Caller(
        user(),
        verbose=given["verbose"],
        dry_run=given["dry_run"],
        inventory=given["inventory"],
        force=given["force"],
        agrees=confirmed if asks else lambda _: True,
    )
    steps, play = steps_for(json=as_json), handle(Plays, PLAYS).play
    try:
        result, failure = down_all(who, steps, play) if everything else (down(lab, who, steps, play), None)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(lab_state_sentence(lab)) from None
    if as_json:
        print_json(result)
    if failure is not None:
        raise failure
