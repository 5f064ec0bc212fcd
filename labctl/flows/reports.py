"""Files that a report is written to: looked at before the work that fills them, and not only after it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from labctl.errors import ExitCode, LabctlError


def refuse_unwritable(path: Path) -> None:
    """Raise LabctlError where a file could not be written later."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise LabctlError(f"{path} cannot be written: there is no such folder.", ExitCode.USAGE)
    if path.is_dir():
        raise LabctlError(f"{path} cannot be written: it is a folder.", ExitCode.USAGE)
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise LabctlError(f"{path} cannot be written: this user may not.", ExitCode.USAGE)


def save(text: str, path: Path) -> None:
    """Write to a file. Raises LabctlError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LabctlError(f"{path} could not be written: {error.strerror}.") from error


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise LabctlError where something is there that must not be overwritten."""
    if path.is_dir() or not os.path.lexists(path) or (force and path.is_file()):
        return
    instead = "name another file, or overwrite it with --force" if path.is_file() else "name another file"
    raise LabctlError(f"{path} exists already: {instead}.", ExitCode.USAGE)


def save_secret(text: str, path: Path, *, force: bool) -> None:
    """Write a file that only its owner may read, from its first byte on, whole or not at all. Raises LabctlError."""
    refuse_existing(path, force=force)
    try:
        # mkstemp's files have mode 0600, whatever the umask.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise LabctlError(f"{path} cannot be written: {error.strerror}.", ExitCode.USAGE) from error
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise LabctlError(f"{path} could not be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
