"""Run a command with limits of time and output; a command that exceeds them is ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .process_tree import POLL_SECONDS, in_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_BYTES = 64 * 1024 * 1024
# How long a process that was asked to end, or killed, may take for it.
END_SECONDS = 1.0
_PIECE = 65_536


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


class NotEndedError(Exception):
    """Why a command was ended, as a part of a sentence: `it did not end within 20 seconds`."""


def run(  # noqa: PLR0913 - what a process is started with
    words: Sequence[str],
    seconds: float,
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    most: int = MOST_BYTES,
) -> CommandEnd:
    """Run a command with `stdin` as its standard input. Raises NotEndedError, and OSError where it cannot be started.

    If it is interrupted, as by Ctrl-C, the command is ended too.
    """
    ends = time.monotonic() + seconds
    # In its own session, and so a process group: all that it started is ended with it. It must not ask a terminal.
    process = subprocess.Popen(
        list(words),
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
    )
    try:
        out, err = _talk(process, stdin, ends, most)
        process.wait(max(ends - time.monotonic(), 0.0))
    except BaseException as error:
        end(process)
        if isinstance(error, (subprocess.TimeoutExpired, TimeoutError)):
            raise NotEndedError(f"it did not end within {seconds:.0f} seconds") from None
        raise
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
    return CommandEnd(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and that group: first ask, then kill."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Its leader may end at the first signal while another of the group ignores it.
            process.wait(END_SECONDS)
    # A killed process takes a moment to be gone, and only its parent is notified, which is gone as well.
    ends = time.monotonic() + END_SECONDS
    while in_group(process.pid) and time.monotonic() < ends:
        time.sleep(POLL_SECONDS)


def _talk(process: subprocess.Popen[bytes], stdin: bytes, ends: float, most: int) -> tuple[bytes, bytes]:
    """Write its input, and read its output to the end. Raises TimeoutError, NotEndedError."""
    printed = {process.stdout: bytearray(), process.stderr: bytearray()}
    rest = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        for stream in printed:
            selector.register(stream, selectors.EVENT_READ)  # type: ignore[arg-type]
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            left = ends - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _events in selector.select(left):
                if key.fileobj is process.stdin:
                    rest = _written(process, rest)
                    if not rest:
                        selector.unregister(process.stdin)
                        process.stdin.close()
                    continue
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                    continue
                printed[key.fileobj] += piece  # type: ignore[index]
                if sum(map(len, printed.values())) > most:
                    raise NotEndedError(f"it printed more than {most >> 20} MiB")
    out, err = printed.values()
    return bytes(out), bytes(err)


def _written(process: subprocess.Popen[bytes], rest: memoryview) -> memoryview:
    """The rest of the input; nothing where nobody reads it any more."""
    try:
        return rest[os.write(process.stdin.fileno(), rest) :]  # type: ignore[union-attr]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]
