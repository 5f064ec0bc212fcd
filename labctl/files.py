"""Files of a user: written whole or not at all and never over what is read, and read to an end that they have."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import select
import stat
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

STANDARD_OUTPUT = "-"
PRIVATE = 0o600
# The reader of a named pipe may be started just after us.
READER_SECONDS = 5.0
WRITER_SECONDS = 10.0
_TURN_SECONDS = 0.05


@contextlib.contextmanager
def write_atomically(
    path: Path, *, private: bool = False, secret: bool = False, new: bool = False, patience: float = READER_SECONDS
) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` when the block has ended well; until then, the old file stays.

    A file that is replaced keeps its mode, a new one gets what the umask says. A link is followed. What is no regular
    file (a pipe, a terminal, /dev/null) and `-` are written straight.

    Args:
        path: the file.
        private: a new file is for its owner only.
        secret: any file is for its owner only from its first byte on, and a link is replaced and not followed.
        new: it takes the place of none, also not of one that came meanwhile.
        patience: how long to wait for a reader of a pipe, in seconds.

    Raises:
        LabctlError: it could not be written.
    """
    try:
        straight = _straight(path, patience)
        if straight is not None:
            with straight:
                yield straight
            return
        with _beside(path, private=private or secret, secret=secret, new=new) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LabctlError(f"{path} could not be written: {error.strerror or error}.") from error


@contextlib.contextmanager
def write_text(path: Path, *, private: bool = False, secret: bool = False, new: bool = False) -> Iterator[IO[str]]:
    """The same for a text. Raises LabctlError."""
    with write_atomically(path, private=private, secret=secret, new=new) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield text
        text.flush()
        text.detach()


@contextlib.contextmanager
def write_at_once(path: Path, patience: float = READER_SECONDS) -> Iterator[IO[str]]:
    """Open a file for an endless text, which is written as it comes. Raises LabctlError."""
    try:
        file = _straight(path, patience) or path.open("wb")
        with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
            yield text
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LabctlError(f"{path} could not be written: {error.strerror or error}.") from error


def _straight(path: Path, patience: float) -> IO[bytes] | None:
    """An open file for a path that cannot be replaced; None for a regular file and for one that does not exist yet."""
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
    return None if stat.S_ISREG(found.st_mode) else _special(path, found.st_mode, patience)


def _special(path: Path, mode: int, patience: float) -> IO[bytes]:
    """A pipe or a device, opened. Raises OSError, and LabctlError where what is written would go nowhere or destroy."""
    refuse_special(path, mode)
    ends = time.monotonic() + patience
    while True:
        try:
            # Without O_NONBLOCK, opening a pipe waits until it has a reader.
            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            break
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(mode):
                raise
        if time.monotonic() >= ends:
            raise LabctlError(
                f"Cannot write to {path}: it is a pipe, and nobody reads from it. Start what reads from it first, or "
                "name a file.",
                ExitCode.USAGE,
            )
        time.sleep(_TURN_SECONDS)
    os.set_blocking(handle, True)
    return os.fdopen(handle, "wb")


def refuse_special(path: Path, mode: int) -> None:
    """Raise LabctlError (usage) for a disk, whose content would be lost, and for a socket, which is no file."""
    what = "a disk" if stat.S_ISBLK(mode) else "a socket" if stat.S_ISSOCK(mode) else ""
    if what:
        raise LabctlError(f"Cannot write to {path}: it is {what}. Name a file.", ExitCode.USAGE)


def _same_as(number: int) -> IO[bytes]:
    sys.stdout.flush()
    return os.fdopen(os.dup(number), "wb")


@contextlib.contextmanager
def _beside(path: Path, *, private: bool, secret: bool, new: bool) -> Iterator[IO[bytes]]:
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
        _put(part, target, path, new=new)
    finally:
        part.unlink(missing_ok=True)


def _put(part: Path, target: Path, path: Path, *, new: bool) -> None:
    """Let a file that is whole take its place. Raises OSError, and LabctlError where one has come meanwhile."""
    if new:
        try:
            target.hardlink_to(part)
        except FileExistsError:
            raise exists_already(path) from None
        except OSError:
            # A file system without such links.
            if os.path.lexists(target):
                raise exists_already(path) from None
        else:
            return
    part.replace(target)


def exists_already(path: Path) -> LabctlError:
    """The error for a file that nobody may overwrite without --force."""
    return LabctlError(f"{path} exists already: name another file, or overwrite it with --force.", ExitCode.USAGE)


def read_all(path: Path, most: int, patience: float = WRITER_SECONDS) -> bytes:
    """At most that many bytes of a file or a pipe. Raises OSError, also for a device, which may be endless.

    A shell passes a command's output through a pipe; the wait for it is no longer than its writer can need.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(handle, "rb", buffering=0) as file:
        mode = os.fstat(handle).st_mode
        if stat.S_ISREG(mode):
            return _to_its_end(file, most, lambda: None)
        if not stat.S_ISFIFO(mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else "it is no plain file")
        ends = time.monotonic() + patience

        def wait() -> None:
            if not select.select([handle], [], [], max(ends - time.monotonic(), 0.0))[0]:
                raise TimeoutError(errno.ETIMEDOUT, f"nobody wrote it to its end within {patience:.0f} seconds")

        return _to_its_end(file, most, wait)


def _to_its_end(file: IO[bytes], most: int, wait: Callable[[], None]) -> bytes:
    found = b""
    while len(found) < most:
        wait()
        # None where another reader was faster.
        piece = file.read(most - len(found))
        if piece == b"":
            break
        found += piece or b""
    return found


def refuse_input(output: Path | None, inputs: Iterable[Path | None]) -> None:
    """Raise LabctlError (usage) where a file that is read would be written to; None is standard output or input."""
    to_stdout = output is None or str(output) == STANDARD_OUTPUT
    written = _regular(1 if to_stdout or output is None else output)
    if written is None:
        return
    for path in inputs:
        read = _regular(0 if path is None else path)
        if read is not None and os.path.samestat(read, written):
            name = "standard output" if to_stdout else output
            raise LabctlError(
                f"Cannot write to {name}: it is a file that is read, and would be lost. Name another file.",
                ExitCode.USAGE,
            )


def refuse_twice(*outputs: Path | None) -> None:
    """Raise LabctlError (usage) where two outputs are one file: the second would overwrite the first."""
    named = [path for path in outputs if path is not None and (str(path) == STANDARD_OUTPUT or not _is_special(path))]
    if len({os.path.realpath(path) for path in named}) < len(named):
        raise LabctlError(
            f"Cannot write two things to {named[0]}: one would overwrite the other. Name two files.", ExitCode.USAGE
        )


def _is_special(path: Path) -> bool:
    """Whether the path is something that keeps nothing, such as /dev/null or a pipe."""
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
