"""labctl verify: try to cross from lab to lab."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

from labctl.cli.options import Function, complete_lab, json_option, user
from labctl.cli.output import print_json

if TYPE_CHECKING:
    from labctl.isolation.verify import Host


def each_option(function: Function) -> Function:
    """`--each`."""
    return click.option("--each", is_flag=True, help="List each connection and each join that was tried.")(function)


def prove_apart(hosts: list[Host], *, each: bool, as_json: bool) -> int:
    """Let the labs of these Docker hosts try to reach each other, print the report, and return the exit code."""
    from labctl.isolation import json_view, text_view, verify
    from labctl.terminal.progress import steps_for

    report = verify.verify(hosts, steps_for(json=as_json))
    if as_json:
        print_json(json_view.verify_document(report, each=each))
    else:
        columns = shutil.get_terminal_size((100, 24)).columns
        click.echo(text_view.text(report, columns, each=each), nl=False)
    return verify.exit_code(report)


@click.command("verify", short_help="Check that labs cannot reach each other.")
@click.argument("labs", metavar="[LAB]...", nargs=-1, shell_complete=complete_lab)
@each_option
@json_option
def verify_command(labs: tuple[str, ...], *, each: bool, as_json: bool) -> int:
    """Try to reach every LAB from inside every other one, and show how hard their containers are.

    Without LAB, all labs of yours on this Docker host. TCP connections to servers, published ports and the engine, and
    `consul join`: none may succeed, and the same connections inside each lab must. Exit code 1 where something
    connected or a check of a container fails, 3 where something is not proven.
    """
    from labctl.isolation.verify import chosen

    return prove_apart(chosen(labs, user()), each=each, as_json=as_json)
