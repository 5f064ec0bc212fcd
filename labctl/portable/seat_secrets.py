"""What is secret about one seat, out of one seed: the same seed gives the same key and token again.

A workshop has a secret; each seat's seed follows from it and from the seat's name. Who knows one seat's seed, or what
was made of it, learns nothing about another's (RFC 5869: a key is expanded into keys by HMAC, one purpose each).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid

SECRET_BYTES = 32
_DOMAIN = b"raft-labctl/1/"


def new_secret() -> bytes:
    """A new workshop's secret, or the seed of a lab that is no seat."""
    return secrets.token_bytes(SECRET_BYTES)


def seed_of(secret: bytes, seat: str) -> bytes:
    """The seed of a seat, out of its workshop's secret and its name."""
    return _expand(secret, f"seat/{seat}")


def gossip_key(seed: bytes) -> str:
    """The gossip key as Consul's `encrypt` takes it: 32 bytes in base64."""
    return base64.b64encode(_expand(seed, "gossip")).decode("ascii")


def token(seed: bytes) -> str:
    """The seat's token, a UUID as Consul's access control wants one (RFC 9562, version 8: of our own making)."""
    number = bytearray(_expand(seed, "token")[:16])
    number[6] = 0x80 | number[6] & 0x0F
    number[8] = 0x80 | number[8] & 0x3F
    return str(uuid.UUID(bytes=bytes(number)))


def _expand(key: bytes, purpose: str) -> bytes:
    if len(key) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes, and this one has {len(key)}")
    return hmac.new(key, _DOMAIN + purpose.encode(), hashlib.sha256).digest()
