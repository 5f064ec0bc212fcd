"""Plain files: those that others wrote, which may be none, and our own, which are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import IO


def opened(path: str | os.PathLike[str], most: int) -> IO[bytes]:
    """Open a plain file of at most so many bytes. Raises OSError, for a pipe and a device too.

    A file that grows is longer by the time it is read, so whoever reads it counts, or reads no more than `most`.
    """
    # Without O_NONBLOCK, a pipe that nobody writes to is waited for.
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

    Two writers at once have files of their own, so that whoever reads sees what one of them wrote.
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
