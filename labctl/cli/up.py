"""`labctl up`: bring a lab up."""

from __future__ import annotations

import sys
from typing import Any

import click

from labctl.cli.options import (
    FileName,
    default_lab,
    dry_run_option,
    inventory_option,
    json_option,
    lab_argument,
    lab_options,
    timeout_option,
    user,
    verbose_option,
)
from labctl.cli.output import print_json
from labctl.lab.desired_state import IMAGE_SOURCES
from labctl.shared.lab_spec import SETTINGS


@click.command("up", short_help="Bring a lab up.")
@lab_argument
@click.option("-n", "--servers", type=int, metavar="N", help="1, 3, 5 or 7 servers.  [default: 3, or as the lab has]")
@lab_options
@click.option(
    "--seed-file",
    type=FileName(dir_okay=True),
    metavar="FILE",
    help="64 hex digits, mode 0600, from which a new lab's key and token are made.  [default: random]",
)
@click.option(
    "--consul-version", "version", metavar="X.Y.Z", help="This version and no other.  [default: the newest there is]"
)
@click.option("--image-source", type=click.Choice(IMAGE_SOURCES), help="Where the image comes from.  [default: auto]")
@click.option(
    "--binary", type=FileName(dir_okay=True), metavar="FILE", help="A consul binary, for the image source `binary`."
)
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Port of consul1 on loopback, the others follow; 0 lets Docker choose.",
)
@click.option("--subnet", metavar="CIDR", help="The lab's subnet, such as 10.213.7.0/28.  [default: a free one]")
@click.option(
    "--subnet-pool",
    metavar="CIDR",
    help="Where a free subnet is looked for.  [default: LABCTL_SUBNET_POOL, or 10.213.0.0/16]",
)
@click.option("--no-join", is_flag=True, help="Start the servers and let them wait; `labctl join` joins them.")
@click.option(
    "--watch/--no-watch",
    default=None,
    help="Let the servers wait until each has said that it knows no peers, before they are joined.  "
    "[default: at pace teach, on a terminal]",
)
@timeout_option("Fail if the lab is not ready within this time; making an image is not counted.")
@dry_run_option
@inventory_option
@json_option
@verbose_option
def up_command(**given: Any) -> None:
    """Bring LAB up: check the engine, have an image, start the servers, join them, wait until the lab is ready.

    LAB is named after you where it is left out. A lab that is there already is made what the options say, and keeps
    its data; what the options do not say stays as it is.
    """
    from labctl.lab.desired_state import UpOptions
    from labctl.lab.interrupt_message import lab_state_sentence
    from labctl.lab.next_steps import next_steps
    from labctl.lab.up import Up
    from labctl.results import UpResult
    from labctl.terminal.progress import steps_for

    lab, as_json = given["lab"] if given["lab"] is not None else default_lab(), given["as_json"]
    watch = given["watch"]
    binary = given["binary"]
    options = UpOptions(
        lab=lab,
        owner=user(),
        given={setting.name: given[setting.name] for setting in SETTINGS},
        seed_file=str(given["seed_file"].absolute()) if given["seed_file"] else None,
        image_source="binary" if binary and given["image_source"] in {None, "auto"} else given["image_source"],
        image_binary=str(binary.absolute()) if binary else None,
        subnet=given["subnet"],
        subnet_pool=given["subnet_pool"],
        join=not given["no_join"],
        timeout=given.get("timeout", 120),
        dry_run=given["dry_run"],
        watch=(sys.stdout.isatty() and given["pace"] != "real") if watch is None else watch,
        verbose=given["verbose"],
        inventory=given["inventory"],
    )
    try:
        result = Up(options, steps_for(json=as_json)).run()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(lab_state_sentence(lab)) from None
    if as_json:
        print_json(result)
    elif isinstance(result, UpResult) and result.changed:
        click.echo(next_steps(result))
