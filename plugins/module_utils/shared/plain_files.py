"""Plain files: those of others, which may be something else, and our own, which are complete or missing."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import IO


def opened(path: str | os.PathLike[str], most: int) -> IO[bytes]:
    """Open a plain file of at most `most` bytes. Raises OSError, for a pipe and a device too.

    A file may grow until it is read, so readers count, or read no more than `most`.
    """
    # Without O_NONBLOCK, opening a pipe without a writer would wait.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    status = os.fstat(handle)
    code = {stat.S_IFREG: 0, stat.S_IFDIR: errno.EISDIR}.get(stat.S_IFMT(status.st_mode), errno.EINVAL)
    code = errno.EFBIG if not code and status.st_size > most else code
    if code:
        os.close(handle)
        raise OSError(code, "it is no plain file" if code == errno.EINVAL else os.strerror(code))
    return os.fdopen(handle, "rb")


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only from its first byte on. Raises OSError.

    Concurrent writers have files of their own, so that a reader sees what one of them wrote.
    """
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".new", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
