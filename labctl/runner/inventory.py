"""Make the inventory of a run: an inventory host is a lab, its connection is the Docker host."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.errors import ExitCode, LabctlError
from labctl.runner.connection import connection_variables
from labctl.runner.content import own_settings
from labctl.shared import process_limits
from labctl.shared.templates import Template

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "labs"
# An inventory may be a script that asks another machine.
LIST_SECONDS = 60.0
# How Ansible reports an unexpected error, before Python's own words for it.
_OWN_FAULT = "Unexpected Exception"
# For one file of an inventory: a thousand labs take a hundredth of it.
MOST_BYTES = 1 << 24
UNSAFE = "__ansible_unsafe"
"""Ansible's mark in JSON for a text without templates; in YAML it is `!unsafe`."""
# Neither the begin of a template, nor Jinja's settings that change it. Most texts match, and a printed
# inventory stays readable.
_PLAIN = re.compile(r"[A-Za-z0-9 _./:@=~,+'\"%-]*", re.ASCII)


@dataclass(frozen=True)
class Inventory:
    """The scope of a run: the sources of its inventory, and the hosts that `limit` chooses.

    `name` is the name of the run's record.
    """

    name: str
    sources: tuple[Path, ...]
    own: dict[str, Any]
    limit: str

    @property
    def document(self) -> dict[str, Any]:
        """Labctl's own inventory, as Ansible's JSON has it: the only form in which Ansible gets it.

        Ansible fills in templates in an inventory, and a template may run commands on this machine. Texts come from
        labels and files, so each is marked as data, except for the templates that labctl writes itself.
        """
        return {group: _as_data(described) for group, described in self.own.items()}

    def text(self, *, unicode: bool) -> str:
        """The same in YAML, for people; without `unicode`, in ASCII only."""
        import yaml  # noqa: PLC0415 - a run needs none

        class Dumper(yaml.SafeDumper):
            """Writes marked texts in Ansible's YAML."""

        def marked(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.Node:
            if set(value) == {UNSAFE}:
                return dumper.represent_scalar("!unsafe", value[UNSAFE], style='"')
            return dumper.represent_dict(value)

        Dumper.add_representer(dict, marked)
        text: str = yaml.dump(self.document, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=unicode)
        return text


def _as_data(value: Any) -> Any:
    """A value in which every text that could be a template, and is not ours, is marked unsafe.

    The names of hosts, groups and variables are keys, in which Ansible fills in nothing.
    """
    if isinstance(value, str):
        ours = isinstance(value, Template) or _PLAIN.fullmatch(value)
        return str(value) if ours else {UNSAFE: str(value)}
    if isinstance(value, dict):
        return {str(key): _as_data(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_data(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise TypeError(f"{type(value).__name__} cannot be in an inventory")


def of_this_machine(lab: str, settings: dict[str, Any]) -> Inventory:
    """A lab on the Docker host that this machine uses. Raises LabctlError where there is no way to reach it."""
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "consul_lab_name": lab,
        **connection_variables(settings),
    }
    return Inventory(lab, (), {GROUP: {"hosts": {lab: variables}}}, lab)


def from_file(path: Path, lab: str, settings: dict[str, Any]) -> Inventory:
    """A lab as a user's inventory has it, with `settings` on top; `lab_in` has checked it."""
    # A group's variable, so that a host that names its own Python keeps it.
    local = Template("{{ ansible_playbook_python if ansible_connection | default('ssh') == 'local' else 'auto' }}")
    hosts = {lab: {"consul_lab_name": lab, **connection_variables(settings)}}
    own = {GROUP: {"hosts": hosts, "vars": {"ansible_python_interpreter": local}}}
    return Inventory(lab, (path.resolve(),), own, lab)


def of_workshop(name: str, own: dict[str, Any], limit: str) -> Inventory:
    """A workshop's labs and Docker hosts, and those of them that a run is for."""
    return Inventory(name, (), own, limit)


def lab_in(path: Path, lab: str) -> dict[str, Any]:
    """The variables that an inventory gives a lab. Raises LabctlError where it is not a lab of this Docker host."""
    labs = labs_in(path)
    if lab not in labs:
        raise LabctlError(f"The inventory {path} names no lab {lab}: it has {', '.join(sorted(labs))}.", ExitCode.USAGE)
    variables = labs[lab]
    if variables.get("ansible_connection") != "local":
        raise LabctlError(
            f"The lab {lab} of the inventory {path} lives on another Docker host, and labctl looks at this machine's: "
            f"run `ansible-playbook -i {path} --limit {lab} playbooks/up.yml`, or labctl on that host.",
            ExitCode.USAGE,
        )
    return variables


def labs_in(
    path: Path, seconds: float = LIST_SECONDS, run: Callable[..., process_limits.CommandEnd] = process_limits.run
) -> dict[str, dict[str, Any]]:
    """The hosts of an inventory's group `labs`, with their variables. Raises LabctlError where there is none.

    A missing path is refused here, because Ansible would take it for the inventory's text.
    """
    _refuse_endless(path)
    program = Path(sysconfig.get_path("scripts")) / "ansible-inventory"
    words = [str(program), "-i", str(path.resolve()), "--list"]
    try:
        done = run(
            words, seconds, env=os.environ | own_settings() | {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
        )
    except process_limits.NotEndedError as error:
        raise LabctlError(
            f"Cannot read the inventory {path}: `ansible-inventory` was ended, because {error}. "
            "If the inventory is a script or asks a network, see what it waits for."
        ) from error
    if done.code != 0:
        lines = [line for line in done.err.splitlines() if "ERROR" in line] or done.err.splitlines()
        said = lines[0].strip().removeprefix("[ERROR]: ") if lines else "Ansible gave no reason"
        if said.startswith(_OWN_FAULT):
            raise _no_json(path)
        raise LabctlError(
            f"The inventory {path} cannot be read ({said}): fix it, `ansible-inventory -i {path} --list` shows more.",
            ExitCode.USAGE,
        )
    try:
        listed = json.loads(done.out)
        if not isinstance(listed, dict):
            raise ValueError  # noqa: TRY004, TRY301 - as what is no JSON
    except (ValueError, RecursionError):
        raise _no_json(path) from None
    hosts = _hosts_of(GROUP, listed)
    if not hosts:
        raise LabctlError(
            f"The inventory {path} names no lab: a lab is a host in the group `{GROUP}` (see inventory/hosts.yml).",
            ExitCode.USAGE,
        )
    variables = listed.get("_meta", {}).get("hostvars", {})
    return {host: variables.get(host, {}) for host in hosts}


def _no_json(path: Path) -> LabctlError:
    return LabctlError(
        f"Cannot read the inventory {path}: Ansible makes no JSON of it that can be read. Look for a number of very "
        "many digits in it, or for values that are nested very deeply.",
        ExitCode.USAGE,
    )


def _refuse_endless(path: Path) -> None:
    """Raise LabctlError (usage) where Ansible would wait for a writer, or read without end."""
    try:
        parts = [path, *path.iterdir()] if path.is_dir() else [path]
        for part in parts:
            status = part.stat()
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise LabctlError(
                    f"Cannot read the inventory {path}: {part} is no plain file. Name a file, or a folder of files.",
                    ExitCode.USAGE,
                )
            if stat.S_ISREG(status.st_mode) and status.st_size > MOST_BYTES:
                raise LabctlError(
                    f"Cannot read the inventory {path}: {part} is larger than {MOST_BYTES >> 20} MiB, and no inventory "
                    "is. Name the right file.",
                    ExitCode.USAGE,
                )
    except FileNotFoundError:
        raise LabctlError(
            f"The inventory {path} does not exist: check the path given with --inventory.", ExitCode.USAGE
        ) from None
    except OSError as error:
        raise LabctlError(f"Cannot read the inventory {path}: {error.strerror}.", ExitCode.USAGE) from None


def _hosts_of(group: str, listed: dict[str, Any]) -> set[str]:
    """The hosts of a group and of all groups below it; Ansible refuses circular groups."""
    described = listed.get(group, {})
    hosts = set(described.get("hosts", []))
    for child in described.get("children", []):
        hosts |= _hosts_of(child, listed)
    return hosts
