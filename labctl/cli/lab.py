"""Commands that change what exists: up, join, down, stop, start, restart."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.options import (
    FileName,
    Function,
    default_lab,
    dry_run_option,
    inventory_option,
    json_option,
    lab_argument,
    server_option,
    timeout_option,
    user,
    verbose_option,
)
from labctl.cli.output import confirmed, print_json
from labctl.flows.plan import IMAGE_SOURCES, PACES
from labctl.portable import lab_names

if TYPE_CHECKING:
    from pathlib import Path


@click.command("up", short_help="Bring a lab up.")
@lab_argument
@click.option("-n", "--servers", type=int, metavar="N", help="1, 3, 5 or 7 servers.  [default: 3, or as the lab has]")
@click.option(
    "--pace",
    type=click.Choice(PACES),
    help="real: Raft's timers as in production; teach: five times slower, to follow with the eye.  "
    "[default: teach, or as the lab has]",
)
@click.option(
    "--profile",
    type=click.Choice(lab_names.PROFILES),
    help="open: no gossip key; gossip: a key of its own; full: also a token and TLS.  "
    "[default: gossip, or as the lab has]",
)
@click.option(
    "--seed-file",
    type=FileName(dir_okay=True),
    metavar="FILE",
    help="64 hex digits, mode 0600, from which a new lab's key and token are made.  [default: random]",
)
@click.option("--consul-version", metavar="X.Y.Z", help="This version and no other.  [default: the newest there is]")
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
@timeout_option("Give up when the lab is not ready by then; making an image is not counted.")
@dry_run_option
@inventory_option
@json_option
@verbose_option
def up_command(**given: Any) -> None:
    """Bring LAB up: check the engine, have an image, start the servers, join them, wait until the lab is ready.

    LAB is named after you where it is left out. A lab that is there already is made what the options say, and keeps
    its data; what the options do not say stays as it is.
    """
    from labctl.flows.interrupted import state_in_a_sentence
    from labctl.flows.plan import UpOptions
    from labctl.flows.up import Up
    from labctl.show.closing import what_now
    from labctl.show.steps import steps_for

    lab, as_json = given["lab"] if given["lab"] is not None else default_lab(), given["as_json"]
    watch = given["watch"]
    binary = given["binary"]
    options = UpOptions(
        lab=lab,
        owner=user(),
        servers=given["servers"],
        pace=given["pace"],
        profile=given["profile"],
        seed_file=str(given["seed_file"].absolute()) if given["seed_file"] else None,
        version=given["consul_version"],
        image_source="binary" if binary and given["image_source"] in {None, "auto"} else given["image_source"],
        image_binary=str(binary.absolute()) if binary else None,
        http_port=given["http_port"],
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
        raise KeyboardInterrupt(state_in_a_sentence(lab)) from None
    if as_json:
        print_json(result)
    elif result["changed"] and not options.dry_run:
        click.echo(what_now(result))


@click.command("join", short_help="Join the servers of a lab.")
@lab_argument
@timeout_option("Give up when the lab is not ready by then.")
@inventory_option
@json_option
@verbose_option
def join_command(lab: str | None, timeout: int, inventory: Path | None, *, as_json: bool, verbose: bool) -> None:
    """Join the servers of LAB by hand, as `consul join` on the first server does, and wait until it is ready."""
    from labctl.flows.interrupted import state_in_a_sentence
    from labctl.flows.plan import UpOptions
    from labctl.flows.up import join
    from labctl.show.closing import what_now
    from labctl.show.steps import steps_for

    options = UpOptions(lab or "", user(), timeout=timeout, verbose=verbose, inventory=inventory)
    try:
        result = join(lab, options, steps_for(json=as_json))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(state_in_a_sentence(lab)) from None
    if as_json:
        print_json(result)
    elif result["changed"]:
        click.echo(what_now(result))


@click.command("down", short_help="Remove a lab.")
@lab_argument
@click.option("--all", "everything", is_flag=True, help="Remove every lab of yours on this Docker host.")
@click.option("--force", is_flag=True, help="Remove LAB also where it is somebody else's; asks first on a terminal.")
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
    from labctl.flows.interrupted import state_in_a_sentence
    from labctl.flows.lifecycle import Who, down, down_all
    from labctl.show.steps import steps_for

    if everything and lab is not None:
        raise click.UsageError("Give either a lab or --all.")
    if everything and given["force"]:
        raise click.UsageError("--all removes only labs of yours, so --force needs the name of the one lab it is for.")
    if lab is None and given["force"]:
        raise click.UsageError("--force needs the name of the lab that it is for.")
    asks = sys.stdin.isatty() and not given["yes"] and not as_json
    who = Who(
        user(),
        verbose=given["verbose"],
        dry_run=given["dry_run"],
        inventory=given["inventory"],
        force=given["force"],
        agrees=confirmed if asks else lambda _: True,
    )
    steps = steps_for(json=as_json)
    try:
        result, failure = down_all(who, steps) if everything else (down(lab, who, steps), None)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(state_in_a_sentence(lab)) from None
    if as_json:
        print_json(result)
    if failure is not None:
        raise failure


def _change(verb: str, lab: str | None, given: dict[str, Any]) -> None:
    from labctl.flows.interrupted import state_in_a_sentence
    from labctl.flows.lifecycle import Who, change
    from labctl.show.steps import steps_for

    who = Who(
        user(),
        verbose=given["verbose"],
        dry_run=given["dry_run"],
        timeout=given.get("timeout", 120),
        inventory=given["inventory"],
    )
    try:
        result = change(verb, lab, given["server"], who, steps_for(json=given["as_json"]))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(state_in_a_sentence(lab)) from None
    if given["as_json"]:
        print_json(result)


def _changing(function: Function) -> Function:
    """The options that stop, start and restart share, in the order of their help."""
    for option in (verbose_option, json_option, inventory_option, dry_run_option):
        function = option(function)
    return lab_argument(server_option("Only this server.")(function))


@click.command("stop", short_help="Stop a lab or one server.")
@_changing
def stop_command(lab: str | None, **given: Any) -> None:
    """Stop LAB or one of its servers. Data and addresses stay, so the same cluster comes back."""
    _change("stop", lab, given)


@click.command("start", short_help="Start a stopped lab or server.")
@_changing
@timeout_option("Give up when the lab is not ready by then.")
def start_command(lab: str | None, **given: Any) -> None:
    """Start what is stopped of LAB, and wait until the lab is ready again."""
    _change("start", lab, given)


@click.command("restart", short_help="Restart a lab or one server.")
@_changing
@timeout_option("Give up when the lab is not ready by then.")
def restart_command(lab: str | None, **given: Any) -> None:
    """Stop and start LAB or one of its servers, and wait until the lab is ready again."""
    _change("restart", lab, given)
