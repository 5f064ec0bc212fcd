"""`labctl workshop fault`: the same fault in many seats at the same moment."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from labctl.cli.options import Function, json_option, user
from labctl.cli.output import print_json
from labctl.cli.workshop_options import complete_seat_target, file_option, seats_argument

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labctl.workshop.fault import SeatFaults
    from labctl.workshop.model.fault_result import SeatFault


@click.group("fault", short_help="The same fault in many seats, now.")
def fault_command() -> None:
    """Break the same in many seats at the same moment, and see how soon each has a leader again.

    TARGET is a server or a role, as for `labctl fault`. Name the seats, or say --all.
    """


def _common(function: Function) -> Function:
    function = json_option(file_option(function))
    function = click.option("--all", "everywhere", is_flag=True, help="In every seat of the workshop.")(function)
    return seats_argument(function)


@contextlib.contextmanager
def _faults(
    words: str, file: Path, seats: tuple[str, ...], *, everywhere: bool, as_json: bool
) -> Iterator[tuple[str, SeatFaults]]:
    """The workshop's name, and the faults of the seats that are meant.

    A fault that takes servers away locks the workshop. One that brings them back does not: whoever holds the lock may
    be waiting for just these servers. Raises UsageError where no seat is named.
    """
    from labctl.faults.process_verbs import TAKES_AWAY
    from labctl.terminal.progress import steps_for
    from labctl.workshop import survey
    from labctl.workshop.fault import SeatFaults
    from labctl.workshop.model.file import read
    from labctl.workshop.model.seats import chosen
    from labctl.workshop.workshop_lock import locked_workshop

    if everywhere == bool(seats):
        raise click.UsageError("Name the seats, or say --all for every one.")
    workshop, owner, steps = read(file), user(), steps_for(json=as_json)
    takes_away = words.split(maxsplit=1)[0] in TAKES_AWAY
    with (
        locked_workshop(workshop, owner, f"fault {words}", seats, steps)
        if takes_away
        else contextlib.nullcontext() as hold
    ):
        looked = survey.look(workshop, owner)
        keep = hold.keep if hold else lambda: None
        yield looked.workshop.name, SeatFaults(looked, chosen(looked.seats, seats), steps, keep=keep)


def _print(workshop: str, words: str, seats: list[SeatFault], *, as_json: bool) -> int:
    from labctl.errors import ExitCode
    from labctl.faults.process_verbs import TAKES_AWAY
    from labctl.workshop import fault_tables

    if as_json:
        print_json(fault_tables.seat_faults_document(workshop, words, seats))
    elif words.split(maxsplit=1)[0] in TAKES_AWAY:
        click.echo(fault_tables.board(seats))
    else:
        click.echo(fault_tables.brought_back(seats))
    return ExitCode.FAILED if any(seat_fault.problem for seat_fault in seats) else ExitCode.DONE


def _command(verb: str, text: str) -> click.Command:
    def command(target: str, seats: tuple[str, ...], file: Path, *, everywhere: bool, as_json: bool) -> int:
        from labctl.faults.process_verbs import TAKES_AWAY

        words = f"{verb} {target}"
        with _faults(words, file, seats, everywhere=everywhere, as_json=as_json) as (name, faults):
            results = faults.apply_fault(verb, target) if verb in TAKES_AWAY else faults.bring_back(verb, target)
        return _print(name, words, results, as_json=as_json)

    return click.command(verb, help=text, short_help=text)(
        click.argument("target", shell_complete=complete_seat_target)(_common(command))
    )


for _verb, _text in {
    "kill": "Kill servers in many seats at once, as machines that lose power.",
    "stop": "Stop servers in many seats at once, in an orderly way.",
    "pause": "Freeze servers in many seats at once.",
    "start": "Start servers that are down, in many seats.",
    "resume": "Resume paused servers, in many seats.",
}.items():
    fault_command.add_command(_command(_verb, _text))


@fault_command.command("heal", short_help="Lift every fault in many seats.")
@_common
def heal_command(seats: tuple[str, ...], file: Path, *, everywhere: bool, as_json: bool) -> int:
    """Lift every fault in many seats, and let every server of them run again."""
    with _faults("heal", file, seats, everywhere=everywhere, as_json=as_json) as (name, faults):
        results = faults.heal()
    return _print(name, "heal", results, as_json=as_json)
