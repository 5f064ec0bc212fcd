"""Collections for tests, and their sources: a Galaxy that answers on loopback, a folder for pip."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from labctl.runner.galaxy_collections import Pin, Pins

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME, VERSION, BUNDLE = "community.docker", "4.8.5", "ansible==12.3.0"
FILES = {
    "README.md": b"# Docker\n",
    "meta/runtime.yml": b"requires_ansible: '>=2.17.0'\n",
    "plugins/modules/docker_image_info.py": b"print('info')\n",
    "tests/sanity/ignore.txt": b"",
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def collection(files: Mapping[str, bytes] = FILES) -> dict[str, bytes]:
    """A collection's files, with the two that Galaxy wants."""
    namespace, name = NAME.split(".")
    entries = [
        {"name": path, "ftype": "file", "chksum_type": "sha256", "chksum_sha256": sha256(content), "format": 1}
        for path, content in files.items()
    ]
    listing = json.dumps({"files": [{"name": ".", "ftype": "dir"}, *entries], "format": 1}).encode()
    info = {"namespace": namespace, "name": name, "version": VERSION, "dependencies": {}, "authors": ["somebody"]}
    manifest = {
        "collection_info": info,
        "file_manifest_file": {"name": "FILES.json", "ftype": "file", "chksum_sha256": sha256(listing), "format": 1},
        "format": 1,
    }
    return {**files, "FILES.json": listing, "MANIFEST.json": json.dumps(manifest).encode()}


def pinned(contents: Mapping[str, bytes]) -> Pins:
    return Pins(BUNDLE, (Pin(NAME, VERSION, sha256(contents["MANIFEST.json"])),))


def bundle(folder: Path, contents: Mapping[str, bytes]) -> None:
    """A wheel such as PyPI's bundle, in a folder that pip can look into; without the tests, as the real one."""
    folder.mkdir()
    metadata = "Metadata-Version: 2.1\nName: ansible\nVersion: 12.3.0\n"
    with zipfile.ZipFile(folder / "ansible-12.3.0-py3-none-any.whl", "w") as wheel:
        for name, content in contents.items():
            if not name.startswith("tests/"):
                wheel.writestr(f"ansible_collections/community/docker/{name}", content)
        wheel.writestr("ansible_collections/community/other/plugins/evil.py", "print('evil')\n")
        wheel.writestr("ansible-12.3.0.dist-info/METADATA", metadata)
        wheel.writestr("ansible-12.3.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        wheel.writestr("ansible-12.3.0.dist-info/RECORD", "")


def tarball(contents: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


class Galaxy:
    """A server that has one collection in one version."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.asked: list[str] = []
        galaxy, served = self, tarball(contents)
        path = f"/api/v3/collections/{NAME.replace('.', '/')}"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                galaxy.asked.append(self.path)
                asked = self.path.partition("?")[0]
                answers = galaxy.answers(path, served)
                answer = answers.get(asked, answers.get(f"{asked}/"))
                body = answer if isinstance(answer, bytes) else json.dumps(answer or {}).encode()
                self.send_response(404 if answer is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answers(self, path: str, served: bytes) -> dict[str, Any]:
        namespace, name = NAME.split(".")
        href = f"{path}/versions/{VERSION}/"
        return {
            "/api/": {"available_versions": {"v3": "v3/"}},
            f"{path}/": {"namespace": namespace, "name": name, "highest_version": {"version": VERSION, "href": href}},
            f"{path}/versions/": {
                "meta": {"count": 1},
                "data": [{"version": VERSION, "href": href}],
                "links": {"next": None},
            },
            href: {
                "version": VERSION,
                "href": href,
                "namespace": {"name": namespace},
                "collection": {"name": name},
                "download_url": f"{self.url}/file.tar.gz",
                "artifact": {"filename": "file.tar.gz", "sha256": sha256(served), "size": len(served)},
                "metadata": {"dependencies": {}},
                "signatures": [],
            },
            "/file.tar.gz": served,
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
