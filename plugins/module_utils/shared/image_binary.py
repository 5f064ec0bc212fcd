"""Is a file a Consul binary that this Docker host can run, and is a download what its publisher made."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from pathlib import Path

from .plain_files import opened

# e_machine of the ELF header (elf.h), by the names that Docker and HashiCorp use.
_MACHINES = {
    0x03: "386",
    0x28: "arm",
    0x3E: "amd64",
    0xB7: "arm64",
    0xF3: "riscv64",
    0x16: "s390x",
    0x15: "ppc64le",
}
_HEADER = 20
# Six times the largest Consul; a longer file is something else, and would be read for minutes.
MOST_BYTES = 1 << 30
_SUM = re.compile(r"([0-9a-fA-F]{64}) [ *](\S+)")


class BinaryError(Exception):
    """Why a file is refused, as one sentence."""


def architecture_of(header: bytes) -> str | None:
    """Return the architecture in an ELF file's first 20 bytes, or None where they are not an ELF header."""
    if len(header) < _HEADER or header[:4] != b"\x7fELF":
        return None
    order = "big" if header[5] == 2 else "little"  # noqa: PLR2004 - ELFDATA2MSB
    machine = int.from_bytes(header[18:20], "big" if order == "big" else "little")
    return _MACHINES.get(machine, f"machine {machine}")


def check_binary(path: str, architecture: str) -> None:
    """Refuse a PATH that is no program of this ARCHITECTURE. Raises BinaryError."""
    named = f"The Consul binary {path!r}"
    if not Path(path).is_absolute():
        raise BinaryError(f"{named} is not an absolute path: name the file on the Docker host from its root (/...).")
    try:
        with opened(path, MOST_BYTES) as file:
            header = file.read(_HEADER)
    except OSError as error:
        raise BinaryError(
            f"{named} cannot be read ({error.strerror}): name a file that is there on the Docker host."
        ) from error
    actual = architecture_of(header)
    if actual is None:
        raise BinaryError(f"{named} is not a program (it has no ELF header): name the consul binary itself.")
    if actual != architecture:
        raise BinaryError(f"{named} is made for {actual}, and this Docker host is {architecture}: take the other one.")


def origin_of(path: str) -> str:
    """The image label that identifies a binary. Raises OSError."""
    return f"sha256:{sha256_of(path)}"


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits. Raises OSError, also where it is too long for a Consul."""
    digest = hashlib.sha256()
    read = 0
    with opened(path, MOST_BYTES) as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
            read += len(block)
            if read > MOST_BYTES:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return digest.hexdigest()


def sum_for(sums: str, file: str) -> str | None:
    """Return the SHA-256 of FILE in the text of a SHA256SUMS file, or None where it is not listed."""
    for line in sums.splitlines():
        match = _SUM.fullmatch(line.strip())
        if match is not None and match.group(2) == file:
            return match.group(1).lower()
    return None
