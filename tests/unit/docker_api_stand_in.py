"""The stand-in for Docker as the engine's HTTP API on a socket: requests become words of the docker command."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import socketserver
import struct
import tarfile
import tempfile
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.engine_stand_in import FakeEngine

    # The arguments of the docker command and its standard input; the result is out, err and code.
    Work = Callable[[list[str], Path], tuple[str, str, int]]


# A client may use an older version of the API; it gets the same answers.
_VERSION = re.compile(r"/v1\.\d+(?=/)")


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """The client has hung up; a failure of the stand-in itself comes as an answer."""


class FakeDockerApi:
    """Listens on `socket` until `close`; `documents` gives the objects of a kind by ID.

    Objects that are put into `beside` exist too, in the lists that the engine gives, with its logs.
    """

    def __init__(self, work: Work, documents: Callable[[str], dict[str, Any]]) -> None:
        # A socket's path may have 107 bytes; a test's own folder is too deep.
        self.folder = Path(tempfile.mkdtemp(prefix="labctl-"))
        self.socket = self.folder / "sock"
        self.work = work
        self.documents = documents
        self.beside: FakeEngine | None = None
        self.executed: dict[str, tuple[str, int]] = {}
        self._server = _Server(str(self.socket), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def over_tcp(self) -> Iterator[str]:
        """Listen on loopback, too; yields the address as DOCKER_HOST has it."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self.folder)

    # -- one method for each request of the API ----------------------------------------------------------------

    def answer(  # noqa: PLR0911 - one for each request
        self, method: str, path: str, query: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        parts = [unquote(part) for part in _VERSION.sub("", path).strip("/").split("/")]
        if self.beside is not None and (document := _of(self.beside, parts, query)) is not None:
            return 200, document
        kind, name, verb = parts[0].removesuffix("s"), parts[min(1, len(parts) - 1)], parts[-1]
        if method == "GET" and parts in (["containers", "json"], ["networks"], ["volumes"]):
            return self._list(kind, query)
        if parts == ["info"]:
            return 200, json.dumps({"SystemTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}).encode()
        if kind == "exec":
            return self._exec(name, verb)
        if verb == "logs":
            return 200, self._log(name)
        if verb == "exec":
            return self._new_exec(["exec", name, *json.loads(body)["Cmd"]])
        out, err, code = self._do(_words(method, kind, name, verb, query, body), body)
        if code:
            return _refusal(err)
        if (method, verb) == ("GET", "archive"):
            return 200, self._archive(name, query["path"])
        if name == "create":
            return 201, json.dumps({"Id": out.strip()}).encode()
        return 200, json.dumps(json.loads(out)[0]).encode() if method == "GET" else b""

    def _do(self, words: list[str], stdin: bytes = b"") -> tuple[str, str, int]:
        path = self.folder / f"{threading.get_ident()}.stdin"
        path.write_bytes(stdin)
        return self.work(words, path)

    def _list(self, kind: str, query: dict[str, str]) -> tuple[int, bytes]:
        filters = json.loads(query.get("filters", "{}"))
        words = [kind, "ls", "-q"]
        for name, values in filters.items():
            words += ["--filter", f"{name}={values[0]}"]
        out, err, code = self._do(words)
        if code:
            return _refusal(err)
        documents = self.documents(kind)
        # Another thread may take one away meanwhile.
        listed = [document for key in out.split() if (document := documents.get(key)) is not None]
        if kind == "container":
            listed = [
                {
                    "Id": key["Id"],
                    "Names": [key["Name"]],
                    "Labels": key["Config"].get("Labels"),
                    "State": key.get("State", {}).get("Status", "created"),
                    "Image": "",
                    "Created": 0,
                    "NetworkSettings": {},
                }
                for key in listed
            ]
        if self.beside is not None:
            label = {name: values[0] for name, values in filters.items()}
            listed += getattr(self.beside, f"{kind}s")(filters=label)
        return 200, json.dumps({"Volumes": listed or None} if kind == "volume" else listed).encode()

    def _archive(self, container: str, path: str) -> bytes:
        """A file or a folder of the config volume that a container has, as Docker packs it."""
        documents = self.documents("container")
        document = next(
            document for key, document in documents.items() if container in {key, document["Name"].lstrip("/")}
        )
        labels = document["Config"]["Labels"]
        files = self.documents("volume")[f"labctl-{labels['raft-labctl.lab']}-config"]["Files"]
        wanted = path.removeprefix("/consul/config/")
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, file in files.items():
                if file["content"] is not None and (name == wanted or name.startswith(f"{wanted}/")):
                    entry = tarfile.TarInfo(name)
                    entry.size = len(file["content"].encode())
                    tar.addfile(entry, io.BytesIO(file["content"].encode()))
        return stream.getvalue()

    def _log(self, container: str) -> bytes:
        """A container's output, as Docker frames it."""
        documents = self.documents("container")
        document = next(
            document for key, document in documents.items() if container in {key, document["Name"].lstrip("/")}
        )
        text: bytes = document.get("Log", "").encode()
        return bytes(struct.pack(">BxxxL", 1, len(text)) + text)

    def _new_exec(self, words: list[str]) -> tuple[int, bytes]:
        out, err, code = self._do(words)
        if "is not running" in err or "No such container" in err:
            return _refusal(err)
        key = f"exec{len(self.executed)}"
        self.executed[key] = (out + err, code)
        return 201, json.dumps({"Id": key}).encode()

    def _exec(self, key: str, verb: str) -> tuple[int, bytes]:
        said, code = self.executed[key]
        if verb == "json":
            return 200, json.dumps({"ExitCode": code}).encode()
        half = len(said) // 2
        pieces = [said[:half].encode(), said[half:].encode()]
        return 200, b"".join(struct.pack(">BxxxL", 1, len(piece)) + piece for piece in pieces)


def _of(engine: FakeEngine, parts: list[str], query: dict[str, str]) -> bytes | None:
    """The answers of an engine that FakeDocker does not have; None where it has them."""
    if parts == ["version"]:
        return json.dumps({"ApiVersion": "1.41", **engine.version()}).encode()
    if parts == ["events"]:
        return b"".join(json.dumps(event).encode() + b"\n" for event in engine.events)
    if parts == ["images", "json"]:
        labels = json.loads(query.get("filters", "{}")).get("label", [])
        return json.dumps(engine.images(filters={"label": labels[0]} if labels else None)).encode()
    if parts[0] == "containers" and parts[-1] == "logs" and parts[1] in {*engine.streams, *engine.so_far}:
        tail = query.get("tail", "all")
        since = float(query["since"]) if "since" in query else None
        pieces = engine.log_so_far(parts[1], tail=int(tail) if tail.isdigit() else tail, since=since)
        return b"".join(struct.pack(">BxxxL", 1, len(piece)) + piece for piece in pieces)
    return None


def _words(method: str, kind: str, name: str, verb: str, query: dict[str, str], body: bytes) -> list[str]:  # noqa: PLR0913, PLR0917
    """The docker command that does what a request asks."""
    if name == "create":
        return [kind, "create", body.decode()]
    if verb == "archive":
        there = f"{name}:{query['path']}"
        return ["cp", "-", there] if method == "PUT" else ["cp", there, "-"]
    if verb == "rename":
        return [kind, verb, name, query["name"]]
    return [kind, {"DELETE": "rm", "GET": "inspect"}.get(method, verb), name]


def _refusal(said: str) -> tuple[int, bytes]:
    message = said.strip().removeprefix("Error response from daemon: ")
    gone = any(sign in said.lower() for sign in ("no such", "not found", "could not find"))
    status = 404 if gone else 409
    return status, json.dumps({"message": message}).encode()


def _handler_of(api: FakeDockerApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            where = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(where.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, content = api.answer(self.command, where.path, query, body)
            except Exception:  # noqa: BLE001 - a failure of the stand-in itself comes as an answer
                status, content = 500, json.dumps({"message": traceback.format_exc()}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """A test's output is for the test."""

    for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler.serve)
    return Handler
