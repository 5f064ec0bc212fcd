"""Servers that keep their clients waiting: byte by byte, in silence, or without accepting."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIP_SECONDS = 0.05


class SlowServer:
    """A server on loopback and on a Unix socket that sends `head` at once, and then `tail` again and again, slowly.

    With an empty `tail` it says nothing more.
    """

    def __init__(self, folder: Path, head: bytes = b"", tail: bytes = b"", *, pause: float = DRIP_SECONDS) -> None:
        self._head, self._tail, self._pause = head, tail, pause
        self._over = threading.Event()
        self.path = str(folder / "slow")
        tcp = socket.create_server(("127.0.0.1", 0))
        self.port = int(tcp.getsockname()[1])
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(self.path)
        unix.listen()
        self._listeners = (tcp, unix)
        for listener in self._listeners:
            threading.Thread(target=self._listen, args=(listener,), daemon=True).start()

    def _listen(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            near.recv(65536)
            near.sendall(self._head)
            while not self._over.wait(self._pause):
                near.sendall(self._tail)

    def close(self) -> None:
        self._over.set()
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name: Linux gives it 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="labctl-"))
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def full_queue(folder: Path) -> Iterator[str]:
    """The path of a Unix socket whose listener takes no call, and has no room for one more."""
    path = str(folder / "full")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as waiting:
        listener.bind(path)
        listener.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                caller = waiting.enter_context(socket.socket(socket.AF_UNIX))
                caller.setblocking(False)
                caller.connect(path)
        yield path
