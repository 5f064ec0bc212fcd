"""`labctl workshop secret`: save a copy of the secret that a workshop's seats are derived from, and restore it.

The copy is a JSON document: the secret, the numbers of the seats' names, and the seeds of seats that were made while
the secret was away, all of which another machine needs to print the same cards.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError
from labctl.workshop import state_schema
from labctl.workshop.state_store import SecretCopy, WorkshopState

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 1 << 20


def exported(workshop: str) -> str:
    """The copy, as it is saved to a file. Raises LabctlError where there is no secret."""
    register = WorkshopState(workshop)
    if not register.has_secret():
        raise LabctlError(
            f"The secret of the workshop {workshop} is not on this machine: `labctl workshop up` makes one, or take a "
            "copy back with `labctl workshop secret --input FILE`."
        )
    copy = register.copy()
    text = json.dumps(
        {
            "workshop": copy.workshop,
            "secret": copy.secret.hex(),
            "numbers": dict(copy.numbers),
            "seeds": {lab: seed.hex() for lab, seed in copy.seeds.items()},
        },
        indent=2,
    )
    return f"{text}\n"


def imported(workshop: str, path: Path | None, *, force: bool) -> None:
    """Restore a copy from a file, or from standard input. Raises LabctlError."""
    name = "standard input" if path is None else str(path)
    copy = parsed(_text(path, name), name)
    if copy.workshop != workshop:
        raise LabctlError(
            f"{name} holds the secret of the workshop {copy.workshop!a}, and this one is {workshop}: name the other "
            "one's file with --file, or give another copy.",
            ExitCode.USAGE,
        )
    WorkshopState(workshop).take(copy, force=force)


def taken(workshop: str) -> dict[str, str]:
    """The JSON shape of `workshop secret --input`."""
    return {"workshop": workshop, "secret_file": str(WorkshopState(workshop).secret_file)}


def kept(workshop: str, path: Path) -> dict[str, str]:
    """The JSON shape of `workshop secret --output FILE`."""
    return {"workshop": workshop, "copy": str(path.absolute())}


def _text(path: Path | None, name: str) -> str:
    try:
        if path is None:
            return sys.stdin.read(_LONGEST)
        # Opening a pipe would wait for its writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise LabctlError(
                    f"{name} is no file: give one that `labctl workshop secret --output FILE` wrote.", ExitCode.USAGE
                )
            if state.st_mode & 0o077:
                raise LabctlError(
                    f"{name} may be read by others (mode {stat.S_IMODE(state.st_mode):04o}), and so may the secret in "
                    f"it: `chmod 600 {name}`, then repeat this.",
                    ExitCode.USAGE,
                )
            return file.read(_LONGEST)
    except OSError as error:
        raise LabctlError(f"{name} cannot be read: {error.strerror}.", ExitCode.USAGE) from error
    except UnicodeDecodeError:
        return ""


def parsed(text: str, name: str) -> SecretCopy:
    """Parse a copy. Raises LabctlError, with nothing of its content."""
    try:
        given = state_schema.document(text)
        return SecretCopy(
            workshop=state_schema.workshop(given.get("workshop")),
            secret=state_schema.secret(given.get("secret")),
            numbers=state_schema.numbers(given.get("numbers")),
            seeds=state_schema.seeds(given.get("seeds")),
        )
    except ValueError as error:
        raise LabctlError(
            f"{name} is no copy of a workshop's secret ({error}): give a file that `labctl workshop secret --output "
            "FILE` wrote.",
            ExitCode.USAGE,
        ) from None
