"""A seat's secrets: the same again from the same seed, and no two alike."""

from __future__ import annotations

import base64
import uuid

import pytest

from labctl.portable import seat_secrets

SECRET = bytes(range(32))


def test_a_seat_that_is_made_again_has_the_same_key_and_token() -> None:
    seed = seat_secrets.seed_of(SECRET, "raft101-07")
    assert seed == seat_secrets.seed_of(SECRET, "raft101-07")
    # Written down: cards that were printed must fit after an upgrade of labctl.
    assert seat_secrets.gossip_key(seed) == "12NL2o0xlwX5YtpmTdVZz1UAnnP9+hFETAUVnwawxrg="
    assert seat_secrets.token(seed) == "fef1b6cd-da0e-8b96-b90f-fb3cef73acfa"


def test_no_two_seats_share_a_secret() -> None:
    seeds = [seat_secrets.seed_of(SECRET, f"raft101-{number}") for number in range(1000)]
    seeds += [seat_secrets.seed_of(bytes(32), f"raft101-{number}") for number in range(1000)]
    secrets = {*seeds, *map(seat_secrets.gossip_key, seeds), *map(seat_secrets.token, seeds)}
    assert len(secrets) == 3 * len(seeds)


def test_a_gossip_key_has_the_32_bytes_of_aes_256() -> None:
    assert len(base64.b64decode(seat_secrets.gossip_key(SECRET), validate=True)) == 32


def test_a_token_is_a_uuid() -> None:
    found = uuid.UUID(seat_secrets.token(SECRET))
    assert (found.version, found.variant) == (8, uuid.RFC_4122)


def test_a_secret_that_was_cut_off_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        seat_secrets.seed_of(SECRET[:-1], "raft101-07")


def test_a_new_secret_is_new() -> None:
    assert seat_secrets.new_secret() != seat_secrets.new_secret()
