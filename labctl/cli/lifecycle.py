"""What `labctl stop`, `start` and `restart` share: their options, and how they end."""

from __future__ import annotations

from typing import Any

from labctl.cli.options import (
    Function,
    dry_run_option,
    inventory_option,
    json_option,
    lab_argument,
    server_option,
    user,
    verbose_option,
)
from labctl.cli.output import print_json


def change_lab(verb: str, lab: str | None, given: dict[str, Any]) -> None:
    """Stop, start or restart a lab or one server of it, as VERB says."""
    from labctl.lab.interrupt_message import lab_state_sentence
    from labctl.lab.lifecycle import Caller, change
    from labctl.terminal.progress import steps_for

    who = Caller(
        user(),
        verbose=given["verbose"],
        dry_run=given["dry_run"],
        timeout=given.get("timeout", 120),
        inventory=given["inventory"],
    )
    try:
        result = change(verb, lab, given["server"], who, steps_for(json=given["as_json"]))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(lab_state_sentence(lab)) from None
    if given["as_json"]:
        print_json(result)


def lifecycle_options(function: Function) -> Function:
    """The options that stop, start and restart share, in the order of their help."""
    for option in (verbose_option, json_option, inventory_option, dry_run_option):
        function = option(function)
    return lab_argument(server_option("Only this server.")(function))
