"""`labctl join`: join the servers of a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from labctl.cli.options import inventory_option, json_option, lab_argument, timeout_option, user, verbose_option
from labctl.cli.output import print_json

if TYPE_CHECKING:
    from pathlib import Path


@click.command("join", short_help="Join the servers of a lab.")
@lab_argument
@timeout_option("Fail if the lab is not ready within this time.")
@inventory_option
@json_option
@verbose_option
def join_command(lab: str | None, timeout: int, inventory: Path | None, *, as_json: bool, verbose: bool) -> None:
    """Join the servers of LAB by hand, as `consul join` on the first server does, and wait until it is ready."""
    from labctl.lab.desired_state import UpOptions
    from labctl.lab.interrupt_message import lab_state_sentence
    from labctl.lab.next_steps import next_steps
    from labctl.lab.up import join
    from labctl.terminal.progress import steps_for

    options = UpOptions(lab or "", user(), timeout=timeout, verbose=verbose, inventory=inventory)
    try:
        result = join(lab, options, steps_for(json=as_json))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(lab_state_sentence(lab)) from None
    if as_json:
        print_json(result)
    elif result.changed:
        click.echo(next_steps(result))
