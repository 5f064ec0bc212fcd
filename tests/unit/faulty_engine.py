"""An engine on a socket that answers late, byte by byte, or with nonsense."""

from __future__ import annotations

import json
import shutil
import socketserver
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """The client has hung up."""


class FaultyEngine:
    """An engine that misbehaves as its attributes say.

    Attributes:
        late: each answer comes this many seconds late.
        drip: this many seconds pass between two bytes of an answer; 0 for an answer at once.
        chunked: an answer that drips comes in pieces that say how long they are, a byte each.
        status: which requests it refuses, by method and path, and with which status.
        says: what it sends instead of an answer, by method and path: bytes as they are, anything else as JSON.
        asked: the methods and paths that were asked for.
    """

    def __init__(self) -> None:
        self.late = self.drip = 0.0
        self.chunked = False
        self.status: dict[str, int] = {}
        self.says: dict[str, Any] = {}
        self.asked: list[str] = []
        self.containers: list[dict[str, Any]] = []
        self.networks: list[dict[str, Any]] = []
        self.volumes: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self._folder = Path(tempfile.mkdtemp(prefix="labctl-"))
        self.host = f"unix://{self._folder / 'sock'}"
        self._server = _Server(str(self._folder / "sock"), _handler_of(self))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._folder)

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        self.asked.append(f"{method} {path}")
        time.sleep(self.late)
        if (odd := self.says.get(f"{method} {path}", self)) is not self:
            return self.status.get(f"{method} {path}", 200), odd if isinstance(odd, bytes) else json.dumps(odd).encode()
        status, document = self._document(method, path, query, body)
        return status, json.dumps(document).encode()

    def _document(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if path == "/volumes/create":
            self.volumes.append({"CreatedAt": "", **json.loads(body)})
            return 201, self.volumes[-1]
        if method == "DELETE":
            name = path.rpartition("/")[2]
            self.volumes = [volume for volume in self.volumes if volume["Name"] != name]
            return 204, None
        if path == "/info":
            return 200, {"SystemTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        (wanted,) = json.loads(query.get("filters") or "{}").get("label") or [""]
        name, sign, value = wanted.partition("=")
        lists = {"/containers/json": "containers", "/networks": "networks", "/volumes": "volumes"}
        lists["/images/json"] = "images"
        if path not in lists:
            return 404, {"message": f"No such thing: {path}"}
        labelled = [(thing, thing.get("Labels") or {}) for thing in getattr(self, lists[path])]
        listed = [
            thing for thing, labels in labelled if not name or (name in labels and (not sign or labels[name] == value))
        ]
        return 200, {"Volumes": listed} if path == "/volumes" else listed


def _handler_of(engine: FaultyEngine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            where = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(where.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = engine.answer(self.command, unquote(where.path), query, body)
            self.send_response(status)
            if engine.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if not engine.drip:
                self.wfile.write(content)
                return
            for byte in content:
                self.wfile.write(b"1\r\n%c\r\n" % byte if engine.chunked else bytes([byte]))
                time.sleep(engine.drip)

        def log_message(self, *_: Any) -> None:
            """A test's output is for the test."""

    for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler.serve)
    return Handler
