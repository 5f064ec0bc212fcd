"""Arguments and options that several commands share, and who the user is."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from labctl.errors import ExitCode, LabctlError
from labctl.shared import lab_names, label_values
from labctl.shared.lab_spec import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

# Who pressed Tab does not wait for an engine that hangs.
COMPLETION_SECONDS = 2.0
# PATH_MAX, which counts the end of the text, and NAME_MAX of Linux.
LONGEST_PATH = 4095
LONGEST_NAME = 255
Function = TypeVar("Function", bound="Callable[..., Any]")
Handle = TypeVar("Handle")


class FileName(click.Path):
    """The name of a file or, with `dir_okay`, of a folder: one that there can be, whether it is there or not.

    An empty one would be the current folder, and one that is too long nothing that could be looked at.
    """

    def __init__(self, *, dir_okay: bool = False, allow_dash: bool = False) -> None:
        super().__init__(dir_okay=dir_okay, allow_dash=allow_dash, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        name = os.fsencode(value)
        if not name:
            self.fail("The name of the file is empty: give it a name, or leave the option out.", param, ctx)
        if len(name) > LONGEST_PATH or max(map(len, name.split(b"/"))) > LONGEST_NAME:
            self.fail(f"No file can have a name of {len(name)} bytes: give a shorter one.", param, ctx)
        return super().convert(value, param, ctx)


def user(login: Callable[[], str] = getpass.getuser) -> str:
    """The login name that owns labs: LABCTL_OWNER where it is set, else who runs this."""
    if owner := os.environ.get("LABCTL_OWNER"):
        return _checked(owner, "LABCTL_OWNER", "another one")
    try:
        name = os.environ.get("USER") or login()
    except (KeyError, OSError) as error:
        raise LabctlError(
            "This process's user has no name, so a lab would have no owner: set LABCTL_OWNER.", ExitCode.USAGE
        ) from error
    return _checked(name, "the login name (USER)", "LABCTL_OWNER")


def _checked(owner: str, what: str, instead: str) -> str:
    """An owner that a label can hold. Raises LabctlError (usage)."""
    if label_values.owner(owner) is None:
        raise LabctlError(
            f"Cannot use {what}: an owner is text in UTF-8 of at most {label_values.LONGEST_OWNER} characters. "
            f"Set {instead}.",
            ExitCode.USAGE,
        )
    return owner


def viewer() -> str:
    """Who looks, so that their own lab need not be named; "" where this process's user has no name."""
    try:
        return user()
    except LabctlError:
        return ""


def default_lab() -> str:
    """The name of a lab that the user did not name: LABCTL_LAB where it is set, else made from the login name."""
    return os.environ.get("LABCTL_LAB") or lab_names.name_from_user(user())


def given(kind: type[Handle], default: Handle) -> Handle:
    """The handle of that kind that whoever runs labctl gave to it, else the real one."""
    return click.get_current_context().find_object(kind) or default


def complete_lab(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of labs that begin so; none where the engine does not answer."""
    from click.shell_completion import CompletionItem

    from labctl.engine import client, labs
    from labctl.terminal.style import harmless

    try:
        found = labs.list_labs(client.connect(COMPLETION_SECONDS).hurried(COMPLETION_SECONDS))
    except LabctlError:
        return []
    return [
        # A shell puts a name into the command line, so what cannot be one is not offered.
        CompletionItem(lab.name, help=harmless(f"{lab.spec.servers} servers, of {lab.owner}"))
        for lab in found
        if lab.name.startswith(incomplete) and lab_names.name_problem(lab.name) is None
    ]


def complete_server(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of servers that begin so."""
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(name) for name in lab_names.server_names(max(lab_names.SIZES)) if name.startswith(incomplete)
    ]


def lab_argument(function: Function) -> Function:
    """`[LAB]`."""
    return click.argument("lab", required=False, shell_complete=complete_lab)(function)


def lab_option(function: Function) -> Function:
    """`--lab LAB`, where the argument's place is taken."""
    return click.option(
        "--lab", metavar="LAB", help="The lab; may be left out when there is one.", shell_complete=complete_lab
    )(function)


def server_option(text: str) -> Callable[[Function], Function]:
    """`--server S`."""
    return click.option("--server", "-s", metavar="SERVER", default="", help=text, shell_complete=complete_server)


def json_option(function: Function) -> Function:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")(function)


def verbose_option(function: Function) -> Function:
    """`-v`."""
    return click.option("-v", "--verbose", is_flag=True, help="Show what Ansible prints.")(function)


def dry_run_option(function: Function) -> Function:
    """`--dry-run`."""
    return click.option("--dry-run", is_flag=True, help="Show what would be done, without doing it.")(function)


def timeout_option(ends: str) -> Callable[[Function], Function]:
    """`--timeout`; `ends` is the help: when the command gives up."""
    return click.option(
        "--timeout",
        type=click.IntRange(1, 3600),
        default=120,
        show_default=True,
        metavar="SECONDS",
        help=ends,
    )


def lab_options(command: Function) -> Function:
    """An option for each setting of a lab that is a choice: `--pace`, `--profile`."""
    for setting in reversed(SETTINGS):
        if setting.choices:
            name = f"--{setting.name.replace('_', '-')}"
            text = f"{setting.help}  [default: {setting.default}, or as the lab has]"
            command = click.option(name, setting.name, type=click.Choice(setting.choices), help=text)(command)
    return command


def inventory_option(function: Function) -> Function:
    """`--inventory`."""
    return click.option(
        "-i",
        "--inventory",
        type=FileName(dir_okay=True),
        metavar="FILE",
        help="An Ansible inventory that has the lab as a host, with its settings.",
    )(function)
