"""Where secrets are written: a file with mode 0600, or standard output where something reads it."""

from __future__ import annotations

import io
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from labctl import files
from labctl.cli.output import say
from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Destination:
    """A file, or standard output where `path` is None; `force` overwrites an existing file."""

    path: Path | None
    force: bool

    @classmethod
    def of(cls, wanted: Path | None, usual: str, inputs: Iterable[Path], *, force: bool) -> Self:
        """What `--output` says; without it, a terminal gets the file called `usual`, and a pipe the text.

        Raises LabctlError before any work where it could not be written, others could read it, or it is read itself.
        """
        from labctl import output_files

        to_stdout = not sys.stdout.isatty() if wanted is None else _is_standard_output(wanted)
        if to_stdout:
            _refuse_open_file()
            files.refuse_input(None, inputs)
            return cls(None, force)
        path = wanted or Path(usual)
        output_files.refuse_existing(path, force=force)
        files.refuse_input(path, inputs)
        output_files.refuse_unwritable(path)
        return cls(path, force)


def write(text: str, where: Destination, what: str, *, quiet: bool) -> None:
    """Write secrets, and say where they are; on standard output only if not `quiet`. Raises LabctlError."""
    from labctl import output_files

    if where.path is None:
        say(f"{what}: this holds secrets, so keep it in a file of mode 0600.", err=True)
        click.echo(text, nl=False)
        return
    output_files.save_secret(text, where.path, force=where.force)
    if not quiet:
        say(f"{what}: in {where.path}, which only you may read.")


def _is_standard_output(path: Path) -> bool:
    """Whether a path is `-` or another name of standard output, such as /dev/stdout, or of its file."""
    if str(path) == files.STANDARD_OUTPUT:
        return True
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, io.UnsupportedOperation):
        return False


def _refuse_open_file() -> None:
    """Where a shell has opened a file for us, it has opened it for everybody."""
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, io.UnsupportedOperation):
        return
    if stat.S_ISREG(mode) and mode & 0o077:
        raise LabctlError(
            f"Standard output is a file that others may read (mode {stat.S_IMODE(mode):04o}), and this would be full "
            "of secrets: name the file with --output FILE, which makes it yours alone.",
            ExitCode.USAGE,
        )
