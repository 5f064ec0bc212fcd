"""Files for reports: checked before the work that fills them, and not only after it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from labctl import files
from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from pathlib import Path


def refuse_unwritable(path: Path) -> None:
    """Raise LabctlError where a file could not be written later."""
    if str(path) == files.STANDARD_OUTPUT:
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        raise LabctlError(f"{path} cannot be written: there is no such folder.", ExitCode.USAGE)
    if path.is_dir():
        raise LabctlError(f"{path} cannot be written: it is a folder.", ExitCode.USAGE)
    if path.exists():
        files.refuse_special(path, path.stat().st_mode)
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise LabctlError(f"{path} cannot be written: this user may not.", ExitCode.USAGE)


def save(text: str, path: Path) -> None:
    """Write to a file, whole or not at all. Raises LabctlError."""
    with files.write_text(path) as file:
        file.write(text)


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise LabctlError where a file exists that must not be overwritten."""
    if path.is_dir() or not os.path.lexists(path) or (force and path.is_file()):
        return
    if path.is_file():
        raise files.exists_already(path)
    raise LabctlError(f"{path} exists already: name another file with -o.", ExitCode.USAGE)


def save_secret(text: str, path: Path, *, force: bool) -> None:
    """Write a file that only its owner may read, from its first byte on, whole or not at all. Raises LabctlError."""
    refuse_existing(path, force=force)
    with files.write_text(path, secret=True, new=not force) as file:
        file.write(text)
