"""Files that labctl writes for a user: whole or not at all, and never over what it reads."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STANDARD_OUTPUT = "-"
PRIVATE = 0o600


@contextlib.contextmanager
def write_atomically(path: Path, *, private: bool = False, secret: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` when the block has ended well; until then, what is there stays.

    A file that is replaced keeps its mode, a new one gets what the umask says. A link is followed. What is no regular
    file (a pipe, a terminal, /dev/null) and `-` are written straight.

    Args:
        path: the file.
        private: a new file is for its owner only.
        secret: any file is for its owner only from its first byte on, and a link is replaced and not followed.

    Raises:
        LabctlError: it could not be written.
    """
    try:
        straight = _straight(path)
        if straight is not None:
            with straight:
                yield straight
            return
        with _beside(path, private=private or secret, secret=secret) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LabctlError(f"{path} could not be written: {error.strerror or error}.") from error


@contextlib.contextmanager
def write_text(path: Path, *, private: bool = False, secret: bool = False) -> Iterator[IO[str]]:
    """The same for a text. Raises LabctlError."""
    with write_atomically(path, private=private, secret=secret) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield text
        text.flush()
        text.detach()


def _straight(path: Path) -> IO[bytes] | None:
    """What cannot be replaced, opened; None for a regular file and for one that is not there yet."""
    if str(path) == STANDARD_OUTPUT:
        return _same_as(1)
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    # `-o /dev/stdout` where the shell has opened a file: the shell's must be written, and not another of its name.
    for number in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(found, os.fstat(number)):
                return _same_as(number)
    return None if stat.S_ISREG(found.st_mode) else path.open("wb")


def _same_as(number: int) -> IO[bytes]:
    sys.stdout.flush()
    return os.fdopen(os.dup(number), "wb")


@contextlib.contextmanager
def _beside(path: Path, *, private: bool, secret: bool) -> Iterator[IO[bytes]]:
    target = path if secret else Path(os.path.realpath(path))
    before = None
    with contextlib.suppress(FileNotFoundError):
        before = target.lstat()
    part = target.with_name(f".labctl-{secrets.token_hex(6)}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE if private else 0o666)
    except PermissionError:
        if secret or before is None:
            raise
        # Nothing can be made in this folder, and the file itself may be written to.
        with target.open("wb") as file:
            yield file
        return
    try:
        with os.fdopen(handle, "wb") as file:
            if before is not None and not secret:
                os.fchmod(handle, stat.S_IMODE(before.st_mode))
            yield file
            file.flush()
            if secret:
                os.fsync(handle)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def refuse_input(output: Path | None, inputs: Iterable[Path | None]) -> None:
    """Raise LabctlError (usage) where a file that is read would be written to; None is standard output or input."""
    to_stdout = output is None or str(output) == STANDARD_OUTPUT
    written = _regular(1 if to_stdout or output is None else output)
    if written is None:
        return
    for one in inputs:
        read = _regular(0 if one is None else one)
        if read is not None and os.path.samestat(read, written):
            name = "standard output" if to_stdout else output
            raise LabctlError(
                f"Cannot write to {name}: it is a file that is read, and would be lost. Name another file.",
                ExitCode.USAGE,
            )


def refuse_twice(*outputs: Path | None) -> None:
    """Raise LabctlError (usage) where two outputs are one file: the second would overwrite the first."""
    named = [one for one in outputs if one is not None and (str(one) == STANDARD_OUTPUT or not _is_special(one))]
    if len({os.path.realpath(one) for one in named}) < len(named):
        raise LabctlError(
            f"Cannot write two things to {named[0]}: one would overwrite the other. Name two files.", ExitCode.USAGE
        )


def _is_special(path: Path) -> bool:
    """Whether something is there that keeps nothing, such as /dev/null or a pipe."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _regular(what: Path | int) -> os.stat_result | None:
    """The state of a regular file; None for anything else, and for what is not there."""
    try:
        found = os.stat(what)  # noqa: PTH116 - a number, too
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None
