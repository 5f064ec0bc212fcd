"""A registry and a release server on loopback: the real thing, and the wrong thing, for the image's sources."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import http.server
import ipaddress
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def free_port() -> int:
    """Return a port of loopback without a listener."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Run Debian's docker-registry, unpacked and not installed; yield its address."""
    subprocess.run(["apt-get", "download", "docker-registry"], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("docker-registry_*.deb")
    subprocess.run(["dpkg", "-x", str(package), str(folder / "root")], check=True)
    port = free_port()
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n",
        encoding="utf-8",
    )
    program = folder / "root/usr/bin/docker-registry"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(program), "serve", str(config)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not _answers(f"http://127.0.0.1:{port}/v2/"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own loopback
            return True
    except (urllib.error.URLError, OSError):
        return False


@dataclass(frozen=True)
class ReleaseSite:
    """A server like HashiCorp's. `files` is its folder, `ca` the certificate that vouches for it."""

    url: str
    files: Path
    ca: Path

    def publish(self, version: str, binary: Path, *, inside: str = "consul") -> Path:
        """Put a zip of BINARY and its checksums there, and return the zip."""
        folder = self.files / version
        folder.mkdir()
        archive = folder / f"consul_{version}_linux_amd64.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
            zipped.write(binary, inside)
        self.sign(version, archive)
        return archive

    def sign(self, version: str, archive: Path) -> None:
        """Write the checksums of the files that exist now."""
        text = f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n"
        (self.files / version / f"consul_{version}_SHA256SUMS").write_text(text, encoding="utf-8")


class _Files(http.server.SimpleHTTPRequestHandler):
    """Files, without a word on stderr; one below /short/ ends before its length."""

    def log_message(self, *_: object) -> None:
        return

    def copyfile(self, source: Any, outputfile: Any) -> None:
        if "/short/" not in self.path or not self.path.endswith(".zip"):
            super().copyfile(source, outputfile)
            return
        outputfile.write(source.read(1000))
        self.close_connection = True

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.replace("/short/", "/"))


@contextmanager
def release_site(folder: Path) -> Iterator[ReleaseSite]:
    """Serve a folder over HTTPS, with a certificate that only our own authority vouches for."""
    ca, chain = _certificates(folder)
    files = folder / "files"
    files.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files, directory=str(files)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield ReleaseSite(f"https://127.0.0.1:{server.server_address[1]}", files, ca)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _certificates(folder: Path) -> tuple[Path, Path]:
    now = dt.datetime.now(dt.UTC)
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "labctl's test authority")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])

    def certificate(subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(authority).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=True)
        builder = builder.not_valid_before(now - dt.timedelta(days=1))
        builder = builder.not_valid_after(now + dt.timedelta(days=1))
        signed = builder.sign(authority_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    ca, chain = folder / "ca.pem", folder / "server.pem"
    ca.write_bytes(certificate(authority, authority_key, x509.BasicConstraints(ca=True, path_length=0)))
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(key + certificate(server, server_key, address))
    return ca, chain
