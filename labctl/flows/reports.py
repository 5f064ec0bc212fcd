"""Files that a report is written to: looked at before the work that fills them, and not only after it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from pathlib import Path


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
