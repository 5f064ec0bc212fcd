"""The secrets of one seat, derived from one seed: the same seed gives the same key and token again.

A workshop has a secret; each seat's seed is derived from it and from the seat's name. One seat's seed, and anything
derived from it, reveals nothing about another's (RFC 5869: a key is expanded into keys by HMAC, one purpose each).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import stat
import uuid

SECRET_BYTES = 32
FINGERPRINT_DIGITS = 16
_LONGEST_FILE = 1024
_DOMAIN = b"raft-labctl/1/"


def new_secret() -> bytes:
    """A new workshop's secret, or the seed of a lab that is no seat."""
    return secrets.token_bytes(SECRET_BYTES)


def seed_of(secret: bytes, seat: str) -> bytes:
    """The seed of a seat, from its workshop's secret and its name."""
    return _expand(secret, f"seat/{seat}")


def gossip_key(seed: bytes) -> str:
    """The gossip key as Consul's `encrypt` takes it: 32 bytes in base64."""
    return base64.b64encode(_expand(seed, "gossip")).decode("ascii")


def token(seed: bytes) -> str:
    """The seat's token, a UUID as Consul's access control requires (RFC 9562, version 8: custom)."""
    return _uuid(_expand(seed, "token"))


def recovery_token(seed: bytes) -> str:
    """The token that only the server itself accepts: it joins servers before there is a leader."""
    return _uuid(_expand(seed, "recovery"))


def read_seed(path: str) -> bytes:
    """The seed in a file of 64 hex digits that only its owner may read.

    Raises ValueError with one sentence, without anything of the file's content.
    """
    try:
        # Opening a pipe would wait for its writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            state = os.fstat(file.fileno())
            text = file.read(_LONGEST_FILE) if stat.S_ISREG(state.st_mode) else b""
    except OSError as error:
        raise ValueError(
            f"The seed file {path!a} cannot be read ({error.strerror}): make one with "
            "`(umask 077; openssl rand -hex 32 > FILE)`, or leave it out."
        ) from error
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise ValueError(
            f"The seed file {path!a} has the mode {stat.S_IMODE(state.st_mode):04o} and may be read or written by "
            f"others: `chmod 600` it, because the seed gives access to the lab's key and token."
        )
    if not re.fullmatch(rb"\s*[0-9a-fA-F]{64}\s*", text):
        raise ValueError(
            f"The seed file {path!a} does not hold a seed: it must be a file with 64 hex digits and nothing else, "
            "as `openssl rand -hex 32` makes them."
        )
    return bytes.fromhex(text.decode("ascii").strip())


def fingerprint(seed: bytes) -> str:
    """Tells one seed from another, and nothing about what else is derived from it: 16 hex digits."""
    return _expand(seed, "fingerprint").hex()[:FINGERPRINT_DIGITS]


def _uuid(key: bytes) -> str:
    number = bytearray(key[:16])
    number[6] = 0x80 | number[6] & 0x0F
    number[8] = 0x80 | number[8] & 0x3F
    return str(uuid.UUID(bytes=bytes(number)))


def _expand(key: bytes, purpose: str) -> bytes:
    if len(key) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes, and this one has {len(key)}")
    return hmac.new(key, _DOMAIN + purpose.encode(), hashlib.sha256).digest()
