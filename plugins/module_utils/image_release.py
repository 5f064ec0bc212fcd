"""A consul binary from HashiCorp's release: SHA256SUMS, the zip that it names, and the one file inside."""

from __future__ import annotations

import errno
import shutil
import time
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from urllib.error import HTTPError

from ansible.module_utils.urls import SSLValidationError, open_url

from .image_rootfs import no_space
from .shared.image_binary import sha256_of, sum_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A list of checksums has some kilobytes: anything longer is something else.
_SUMS_LIMIT = 1 << 20
# A release's zip has 40 to 100 MB.
_ZIP_LIMIT, _PIECE = 1 << 30, 1 << 20
# The whole download may take this many times the silence that is allowed.
_WHOLE_TIMES = 10


class ReleaseError(Exception):
    """Why there is no binary, as one sentence."""


@dataclass(frozen=True)
class Release:
    """Where a release is.

    Attributes:
        base: the address above the directories of the versions.
        version: in full.
        architecture: as HashiCorp names it (`amd64`).
        ca: a file of certificates, or empty for the system's own.
        timeout: how long the server may be silent, in seconds; the whole zip may take ten times as long.
    """

    base: str
    version: str
    architecture: str
    ca: str
    timeout: float

    @property
    def file(self) -> str:
        """The zip's name, as HashiCorp writes it."""
        return f"consul_{self.version}_linux_{self.architecture}.zip"

    def url(self, file: str) -> str:
        """Return the address of FILE."""
        return f"{self.base.rstrip('/')}/{self.version}/{file}"


def fetch(
    release: Release,
    place: Path,
    opened: Callable[..., Any] = open_url,
    whole_times: float = _WHOLE_TIMES,
    zip_limit: float = _ZIP_LIMIT,
) -> Path:
    """Download, verify and unpack; return the binary's path under PLACE. Raises ReleaseError.

    Args:
        release: the wanted release.
        place: a folder.
        opened: opens a URL.
        whole_times: how many times the timeout the whole download may take.
        zip_limit: how many bytes it may have.
    """
    sums_url = release.url(f"consul_{release.version}_SHA256SUMS")
    url = release.url(release.file)
    try:
        with _open(release, sums_url, opened) as answer:
            sums = answer.read(_SUMS_LIMIT).decode("utf-8", "replace")
        expected = sum_for(sums, release.file)
        if expected is None:
            raise ReleaseError(f"{sums_url} lists no checksum for {release.file}, so it is not taken.")
        archive = place / "consul.zip"
        with _open(release, url, opened) as answer, archive.open("wb") as file:
            _copy(answer, file, time.monotonic() + release.timeout * whole_times, zip_limit)
            length = answer.headers.get("Content-Length")
        size = archive.stat().st_size
        if length is not None and size != int(length):
            raise ReleaseError(f"{url} ended after {size} of {length} bytes: try again.")
        checksum = sha256_of(str(archive))
        if checksum != expected:
            raise ReleaseError(
                f"{url} has the SHA-256 {checksum}, and {sums_url} promises {expected}: it was damaged "
                f"or replaced, and is not used; try again, or ask the publisher."
            )
        return unpack_consul(archive, place / "consul", url)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ReleaseError(no_space(place)) from error
        raise ReleaseError(f"{url} could not be read to its end ({error}): try again.") from error


def _copy(answer: Any, file: IO[bytes], ends: float, most: float) -> None:
    """Write the answer to a file: a server that sends a byte now and then is never silent. Raises OSError."""
    size = 0
    while piece := answer.read1(_PIECE):
        size += len(piece)
        if size > most:
            raise OSError(f"it has more than {most} bytes")
        if time.monotonic() > ends:
            raise OSError(f"{size} bytes came in all the time that it may take")
        file.write(piece)


def _open(release: Release, url: str, opened: Callable[..., Any]) -> Any:
    try:
        return opened(url, ca_path=release.ca or None, timeout=release.timeout, http_agent="labctl")
    except HTTPError as error:
        raise ReleaseError(
            f"{url} answered {error.code} {error.reason}: is there a Consul {release.version} "
            f"for {release.architecture}?"
        ) from error
    except (SSLValidationError, OSError, ValueError) as error:
        said = getattr(error, "reason", None) or error
        raise ReleaseError(f"{url} is out of reach ({said}): is there a network, and is the address right?") from error


def unpack_consul(archive: Path, target: Path, url: str) -> Path:
    """Extract the one file `consul` from the zip; no other name in it is looked at."""
    try:
        with zipfile.ZipFile(archive) as zipped, zipped.open("consul") as inside, target.open("wb") as file:
            shutil.copyfileobj(inside, file, 1 << 20)
    # zipfile raises NotImplementedError for an unknown compression, RuntimeError for an encrypted file.
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ReleaseError(f"{url} is not a whole zip with a file consul in it ({error}).") from error
    archive.unlink()
    target.chmod(0o755)
    return target
