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
    from collections.abc import Callable, Sequence

    from click.shell_completion import CompletionItem

# Pressing Tab must not wait for an engine that hangs.
COMPLETION_SECONDS = 2.0
# PATH_MAX, which counts the end of the text, and NAME_MAX of Linux.
LONGEST_PATH = 4095
LONGEST_NAME = 255
LAB_VARIABLE = "LABCTL_LAB"
"""Names the lab of a command that is given none."""
Function = TypeVar("Function", bound="Callable[..., Any]")
Handle = TypeVar("Handle")


class FileName(click.Path):
    """The name of a file or, with `dir_okay`, of a folder. It need not exist.

    Refuses an empty name, which would be the current folder, and one that is too long for the file system.
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
    """The user's name, so that their own lab need not be named; "" where this process's user has none."""
    try:
        return user()
    except LabctlError:
        return ""


def default_lab() -> str:
    """The name of a lab that the user did not name: LABCTL_LAB where it is set, else made from the login name."""
    return os.environ.get(LAB_VARIABLE) or lab_names.name_from_user(user())


def given(kind: type[Handle], default: Handle) -> Handle:
    """The handle of that kind that labctl's caller passed in, else the real one."""
    return click.get_current_context().find_object(kind) or default


def complete_lab(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The matching names of labs; empty where the engine does not answer."""
    from click.shell_completion import CompletionItem

    from labctl.engine import client, labs
    from labctl.terminal.style import harmless

    try:
        known = labs.list_labs(client.connect(COMPLETION_SECONDS).hurried(COMPLETION_SECONDS))
    except LabctlError:
        return []
    return [
        # A shell puts the name into the command line, so an invalid name is not offered.
        CompletionItem(lab.name, help=harmless(f"{lab.spec.servers} servers, of {lab.owner}"))
        for lab in known
        if lab.name.startswith(incomplete) and lab_names.name_problem(lab.name) is None
    ]


def complete_server(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The matching servers of the lab that is meant; empty where none is."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in _servers(ctx) if name.startswith(incomplete)]


def complete_target(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The matching roles and servers of the lab that is meant; empty where none is."""
    return targets_of(_servers(ctx), incomplete)


def targets_of(servers: Sequence[str], incomplete: str) -> list[CompletionItem]:
    """The roles and servers that can complete a target; after a comma, the servers that it does not name yet."""
    from click.shell_completion import CompletionItem

    from labctl.faults.targets import ROLES

    before, comma, last = incomplete.rpartition(",")
    named = before.split(",")
    words = [name for name in servers if name not in named] if comma else [*ROLES, *servers] if servers else []
    return [CompletionItem(before + comma + word) for word in words if word.startswith(last)]


def _servers(ctx: click.Context) -> Sequence[str]:
    """The servers of the lab that the command line means so far; empty where there is none, or no engine answers."""
    from labctl.engine import client, labs

    try:
        engine = client.connect(COMPLETION_SECONDS).hurried(COMPLETION_SECONDS)
        lab = labs.choose_lab(engine, _lab_so_far(ctx), viewer())
    except LabctlError:
        return []
    # By the lab's size: a removed server is offered too, and no text of a label is.
    return lab_names.server_names(lab.spec.servers)


def _lab_so_far(ctx: click.Context) -> str | None:
    """The lab that the command line names so far; click parses no arguments while an option lacks its value."""
    if ctx.args and any(
        isinstance(parameter, click.Argument) and parameter.name == "lab" for parameter in ctx.command.params
    ):
        return ctx.args[0]
    lab: str | None = ctx.params.get("lab")
    return lab


def lab_argument(function: Function) -> Function:
    """`[LAB]`."""
    return click.argument("lab", required=False, envvar=LAB_VARIABLE, shell_complete=complete_lab)(function)


def is_named(parameter: str) -> bool:
    """Whether a parameter was given on the command line, and not by the environment."""
    from click.core import ParameterSource

    return click.get_current_context().get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def lab_option(function: Function) -> Function:
    """`--lab LAB`, where the argument's place is taken."""
    return click.option(
        "--lab",
        metavar="LAB",
        envvar=LAB_VARIABLE,
        help="The lab; may be left out when there is one, or when LABCTL_LAB names it.",
        shell_complete=complete_lab,
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
    """`--timeout`; `ends` completes its help: when the command gives up."""
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
