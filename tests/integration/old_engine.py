"""A proxy of a real Docker Engine that makes it look like an old one: other versions in its answers."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 65536
# As long as what they stand for, so that an answer keeps its length.
_API = re.compile(rb'(Api-Version: |"ApiVersion":")1\.\d\d')
_ENGINE = re.compile(rb'("Version":")\d\d\.(\d+\.[^"]*")')
OLD_API, OLD_ENGINE = b"1.38", b"18"


@contextmanager
def old_engine(path: Path, engine: Path) -> Iterator[None]:
    """Forward the socket `path` to the one at `engine`, which claims there that it is Docker 18 with API 1.38."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as there:
                there.connect(str(engine))
                asking = threading.Thread(target=_hand_on, args=(self.request, there), daemon=True)
                asking.start()
                _hand_on(there, self.request, aged=True)
                asking.join()

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            path.unlink()


def _hand_on(source: socket.socket, target: socket.socket, *, aged: bool = False) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(_aged(piece) if aged else piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _aged(piece: bytes) -> bytes:
    return _ENGINE.sub(rb"\g<1>" + OLD_ENGINE + rb".\2", _API.sub(rb"\g<1>" + OLD_API, piece))
