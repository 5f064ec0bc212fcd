"""A Docker Engine that gives no container the right to change a network, as one with a strict policy does.

It listens on a socket of its own, takes NET_ADMIN out of what is asked for, and hands everything on.
"""

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from labctl.shared.docker_api import DEFAULT_SOCKET

if TYPE_CHECKING:
    from pathlib import Path

_PIECE = 65536


class StrictEngine:
    """In front of this machine's engine until `close`.

    Args:
        path: where its socket will be; a socket's path has at most 107 bytes.

    Attributes:
        asked: how many containers asked for NET_ADMIN.
    """

    def __init__(self, path: Path) -> None:
        self.host = f"unix://{path}"
        self.asked = 0
        engine = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                engine.hand_on(self.request)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self._server = Server(str(path), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def hand_on(self, theirs: socket.socket) -> None:
        """Carry one request, and its answer to the end."""
        request = b""
        while b"\r\n\r\n" not in request:
            if not (piece := theirs.recv(_PIECE)):
                return
            request += piece
        head, _, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
        while length and len(body) < int(length[1]):
            body += theirs.recv(_PIECE)
        if head.startswith(b"POST /containers/create"):
            head, body = self._without_the_right(head, body)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as docker:
            docker.connect(DEFAULT_SOCKET)
            docker.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
            with suppress(OSError):
                while piece := docker.recv(_PIECE):
                    theirs.sendall(piece)

    def _without_the_right(self, head: bytes, body: bytes) -> tuple[bytes, bytes]:
        wanted = json.loads(body)
        if "NET_ADMIN" in wanted["HostConfig"].get("CapAdd", []):
            self.asked += 1
            wanted["HostConfig"]["CapAdd"].remove("NET_ADMIN")
        body = json.dumps(wanted).encode()
        return re.sub(rb"(?i)^content-length:.*$", b"Content-Length: %d" % len(body), head, flags=re.MULTILINE), body
