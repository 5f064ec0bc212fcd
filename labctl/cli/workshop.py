"""`labctl workshop`: many labs, one for each seat, on one or several Docker hosts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from labctl.cli.options import given, json_option, user
from labctl.cli.output import confirmed, print_json
from labctl.cli.verify import each_option, prove_apart
from labctl.cli.workshop_cards import cards_command, secret_command
from labctl.cli.workshop_fault import fault_command
from labctl.cli.workshop_options import complete_seat, file_option, seats_argument
from labctl.terminal.style import terminal_columns

if TYPE_CHECKING:
    from pathlib import Path


@click.group("workshop", short_help="Give every attendee a lab of their own.")
def workshop_command() -> None:
    """Many labs at once: one for each seat, on one or several Docker hosts.

    A file, workshop.yml, says who sits where. `labctl workshop plan` checks whether it fits, `up` brings every seat up,
    `status` shows who is ready, `down` removes them all.
    """


@workshop_command.command("example", short_help="Print a workshop's file to begin with.")
@click.option("--hosts", "several", is_flag=True, help="One with several Docker hosts.")
def example_command(*, several: bool) -> None:
    """Print an example of workshop.yml, with every key that it may have."""
    from labctl.runner.content import content_root

    name = "workshop-several-hosts.yml" if several else "workshop.yml"
    click.echo((content_root() / "inventory" / "examples" / name).read_text(encoding="utf-8"), nl=False)


@workshop_command.command("schema", short_help="Print the JSON Schema of a workshop's file.")
def schema_command() -> None:
    """Print the JSON Schema of workshop.yml, for editors that check and complete while you type."""
    from labctl.workshop.model.file import SCHEMA

    click.echo(SCHEMA.read_text(encoding="utf-8"), nl=False)


@workshop_command.command("plan", short_help="Check capacity and show the placement.")
@file_option
@click.option(
    "--fix", is_flag=True, help="Install and start Docker Engine where it is missing, and have the image on every host."
)
@json_option
def plan_command(file: Path, *, fix: bool, as_json: bool) -> int:
    """Look at every Docker host, and say how many seats fit, which resource is the limit, and where each seat goes.

    Changes nothing but with --fix. Exit code 4 where a seat fits nowhere or has something in its way, 1 where its
    Docker host cannot be read.
    """
    from labctl.errors import ExitCode
    from labctl.terminal.progress import steps_for
    from labctl.workshop import survey, tables
    from labctl.workshop.model import plan
    from labctl.workshop.model.file import read
    from labctl.workshop.prepare import prepare

    workshop = read(file)
    made = prepare(workshop, user(), steps_for(json=as_json)) if fix else plan.make(survey.look(workshop, user()))
    if as_json:
        print_json(tables.plan_document(made))
    else:
        click.echo(tables.plan_text(made, terminal_columns()))
    if made.fits:
        return ExitCode.DONE
    return ExitCode.REFUSED if made.placement.unplaced or made.obstacles else ExitCode.FAILED


@workshop_command.command("inventory", short_help="Print the Ansible inventory.")
@file_option
@json_option
def inventory_command(file: Path, *, as_json: bool) -> None:
    """Print the Ansible inventory that is made from the workshop's file: a lab for each seat, placed as `up` would.

    `ansible-playbook -i FILE playbooks/up.yml` with what this prints does the same as `labctl workshop up`. It holds no
    secret, only the paths of files that do.
    """
    from labctl.workshop.inventory import as_text, placed_inventory
    from labctl.workshop.model.file import read
    from labctl.workshop.survey import SURVEY, Survey

    workshop = read(file)
    made = placed_inventory(workshop, user(), given(Survey, SURVEY).look)
    if as_json:
        print_json(made.document)
    else:
        click.echo(as_text(made), nl=False)


@workshop_command.command("up", short_help="Bring every seat up.")
@seats_argument
@file_option
@click.option("--retry-failed", is_flag=True, help="Retry only the seats that failed last time.")
@click.option("--replace", is_flag=True, help="Recreate the seats of unreachable hosts on the remaining hosts.")
@json_option
def up_command(seats: tuple[str, ...], file: Path, *, retry_failed: bool, replace: bool, as_json: bool) -> int:
    """Bring every seat's lab up, or those of the SEATs that are named.

    A seat that fails does not stop the others: the end says which, at which step and why, with exit code 1.
    """
    from labctl.errors import ExitCode
    from labctl.terminal.progress import steps_for
    from labctl.workshop import tables
    from labctl.workshop.model.file import read
    from labctl.workshop.up import WorkshopUpOptions, up
    from labctl.workshop.workshop_lock import locked_workshop

    workshop, owner, steps = read(file), user(), steps_for(json=as_json)
    try:
        with locked_workshop(workshop, owner, "up", seats, steps) as hold:
            options = WorkshopUpOptions(owner, seats, retry_failed=retry_failed, replace=replace, keep=hold.keep)
            result = up(workshop, options, steps)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Interrupted: `labctl workshop status` shows which seats are ready, `labctl workshop up` goes on, "
            "`labctl workshop down` removes them."
        ) from None
    if as_json:
        print_json(tables.outcomes_document(result))
    else:
        click.echo(tables.outcomes_text(result, terminal_columns()))
    return ExitCode.FAILED if result.failed else ExitCode.DONE


@workshop_command.command("status", short_help="Show every seat at a glance.")
@file_option
@json_option
def status_command(file: Path, *, as_json: bool) -> int:
    """Show every seat: who leads in which term, who votes, what is broken. Exit code 3 where one is not ready."""
    from labctl.errors import ExitCode
    from labctl.workshop import survey, tables
    from labctl.workshop.model.file import read
    from labctl.workshop.status import seat_statuses

    looked = survey.look(read(file), user())
    seats = seat_statuses(looked)
    if as_json:
        print_json(tables.seats_document(looked, seats))
    else:
        click.echo(tables.seats_text(looked, seats, terminal_columns()))
    return ExitCode.NOT_READY if any(seat.problem for seat in seats) else ExitCode.DONE


@workshop_command.command("verify", short_help="Prove that no seat reaches another.")
@seats_argument
@each_option
@file_option
@json_option
def verify_command(seats: tuple[str, ...], file: Path, *, each: bool, as_json: bool) -> int:
    """Prove that no seat reaches another one: from inside each, try every other, as `labctl verify` does.

    Exit code 1 where something connected or a check of a container fails, 3 where something is not proven.
    """
    from labctl.workshop import survey
    from labctl.workshop.model.file import read
    from labctl.workshop.verify import docker_hosts

    looked = survey.look(read(file), user())
    return prove_apart(docker_hosts(looked, seats), each=each, as_json=as_json)


@workshop_command.command("reset", short_help="Rebuild one seat; its card stays.")
@click.argument("seats", nargs=-1, required=True, metavar="SEAT...", shell_complete=complete_seat)
@file_option
@json_option
def reset_command(seats: tuple[str, ...], file: Path, *, as_json: bool) -> int:
    """Rebuild a SEAT's lab without its data. Its name, addresses, token and key stay, so its card fits.

    No other seat is touched.
    """
    from labctl.errors import ExitCode
    from labctl.terminal.progress import steps_for
    from labctl.workshop import tables
    from labctl.workshop.model.file import read
    from labctl.workshop.reset import reset
    from labctl.workshop.workshop_lock import locked_workshop

    workshop, owner, steps = read(file), user(), steps_for(json=as_json)
    with locked_workshop(workshop, owner, "reset", seats, steps) as hold:
        removed, result = reset(workshop, owner, seats, steps, keep=hold.keep)
    if result is None:
        if as_json:
            print_json(tables.removed_document(removed))
        else:
            click.echo(tables.removed_text(removed, terminal_columns()))
        return ExitCode.FAILED
    if as_json:
        print_json(tables.outcomes_document(result))
    else:
        click.echo(tables.outcomes_text(result, terminal_columns()))
    return ExitCode.FAILED if result.failed else ExitCode.DONE


@workshop_command.command("extend", short_help="Let the workshop end later.")
@click.argument("duration")
@file_option
@json_option
def extend_command(duration: str, file: Path, *, as_json: bool) -> None:
    """Let the workshop end later than it would, by DURATION: 30m, 2h or 1d. No seat is touched."""
    from labctl.shared.engine_lock import LABEL_END
    from labctl.terminal.progress import steps_for
    from labctl.workshop.expire import extend
    from labctl.workshop.model.file import read
    from labctl.workshop.workshop_lock import locked_workshop

    workshop, owner, steps = read(file), user(), steps_for(json=as_json)
    with locked_workshop(workshop, owner, "extend", (duration,), steps, label=LABEL_END) as hold:
        ended = extend(workshop, owner, duration, steps, keep=hold.keep)
    if as_json:
        print_json(ended)


@workshop_command.command("expire", short_help="Say when the workshop ends.")
@click.argument("when")
@file_option
@json_option
def expire_command(when: str, file: Path, *, as_json: bool) -> None:
    """Let the workshop end at WHEN: 8h from now, 2026-11-24T18:00:00+01:00, or never.

    The Docker hosts themselves remove its labs then, by their clocks, also when nobody is logged in. What `expires` in
    the workshop's file says counts for the first `up` only.
    """
    from labctl.shared.engine_lock import LABEL_END
    from labctl.terminal.progress import steps_for
    from labctl.workshop.expire import expire
    from labctl.workshop.model.file import read
    from labctl.workshop.workshop_lock import locked_workshop

    workshop, owner, steps = read(file), user(), steps_for(json=as_json)
    with locked_workshop(workshop, owner, "expire", (when,), steps, label=LABEL_END) as hold:
        ended = expire(workshop, owner, when, steps, keep=hold.keep)
    if as_json:
        print_json(ended)


@workshop_command.command("down", short_help="Remove every seat, and prove it.")
@seats_argument
@file_option
@click.option("--host", metavar="HOST", help="Only on this Docker host of the file.")
@click.option("-y", "--yes", is_flag=True, help="Where no SEAT is named, do not ask.")
@json_option
def down_command(seats: tuple[str, ...], file: Path, host: str | None, *, yes: bool, as_json: bool) -> int:
    """Remove every seat's lab, or those of the SEATs that are named, and prove on every host that nothing is left.

    Without a SEAT, it asks first on a terminal.
    """
    from labctl.errors import ExitCode
    from labctl.shared.engine_lock import LABEL_END
    from labctl.terminal.progress import steps_for
    from labctl.workshop import tables
    from labctl.workshop.down import down
    from labctl.workshop.model.file import read
    from labctl.workshop.workshop_lock import locked_workshop, remove_ended

    asks = sys.stdin.isatty() and not yes and not as_json
    agrees = confirmed if asks else lambda _: True
    workshop, owner, steps = read(file), user(), steps_for(json=as_json)
    with locked_workshop(workshop, owner, "down", seats, steps) as hold:
        removed = down(workshop, owner, seats, host, steps, agrees=agrees, keep=hold.keep)
        if removed.proven and not seats and host is None:
            remove_ended(workshop, LABEL_END)
    if as_json:
        print_json(tables.removed_document(removed))
    elif text := tables.removed_text(removed, terminal_columns()):
        click.echo(text)
    return ExitCode.DONE if removed.proven else ExitCode.FAILED


workshop_command.add_command(fault_command)
workshop_command.add_command(cards_command)
workshop_command.add_command(secret_command)
