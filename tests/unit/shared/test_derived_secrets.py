"""A seat's secrets: the same again from the same seed, and no two alike."""

from __future__ import annotations

import base64
import os
import uuid
from typing import TYPE_CHECKING

import pytest

from labctl.shared import derived_secrets

if TYPE_CHECKING:
    from pathlib import Path

SECRET = bytes(range(32))


def test_a_seat_that_is_made_again_has_the_same_key_and_token() -> None:
    seed = derived_secrets.seed_of(SECRET, "raft101-07")
    assert seed == derived_secrets.seed_of(SECRET, "raft101-07")
    # Written down: cards that were printed must fit after an upgrade of labctl.
    assert derived_secrets.gossip_key(seed) == "12NL2o0xlwX5YtpmTdVZz1UAnnP9+hFETAUVnwawxrg="
    assert derived_secrets.token(seed) == "fef1b6cd-da0e-8b96-b90f-fb3cef73acfa"


def test_no_two_seats_share_a_secret() -> None:
    seeds = [derived_secrets.seed_of(SECRET, f"raft101-{number}") for number in range(1000)]
    seeds += [derived_secrets.seed_of(bytes(32), f"raft101-{number}") for number in range(1000)]
    secrets = {*seeds, *map(derived_secrets.gossip_key, seeds), *map(derived_secrets.token, seeds)}
    assert len(secrets) == 3 * len(seeds)


def test_a_gossip_key_has_the_32_bytes_of_aes_256() -> None:
    assert len(base64.b64decode(derived_secrets.gossip_key(SECRET), validate=True)) == 32


def test_a_token_is_a_uuid() -> None:
    u_u_i_d = uuid.UUID(derived_secrets.token(SECRET))
    assert (u_u_i_d.version, u_u_i_d.variant) == (8, uuid.RFC_4122)


def test_a_secret_that_was_cut_off_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        derived_secrets.seed_of(SECRET[:-1], "raft101-07")


def test_a_new_secret_is_new() -> None:
    assert derived_secrets.new_secret() != derived_secrets.new_secret()


def test_the_token_that_joins_servers_is_another_one() -> None:
    seed = derived_secrets.seed_of(SECRET, "raft101-07")
    assert derived_secrets.recovery_token(seed) == "c5c31355-8c21-807a-9046-25b80a899bec"
    assert uuid.UUID(derived_secrets.recovery_token(seed)).version == 8
    assert derived_secrets.recovery_token(seed) != derived_secrets.token(seed)


# -- the file of a seed --------------------------------------------------------------------------------------


def seed_file(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "seed"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("text", [SECRET.hex(), f"{SECRET.hex()}\n", SECRET.hex().upper()])
def test_a_seed_is_read_from_a_file_that_only_its_owner_reads(tmp_path: Path, text: str) -> None:
    assert derived_secrets.read_seed(seed_file(tmp_path, text)) == SECRET
    assert derived_secrets.read_seed(seed_file(tmp_path, text, 0o400)) == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_seed_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ValueError, match=rf"has the mode {mode:04o} .*`chmod 600`") as caught:
        derived_secrets.read_seed(seed_file(tmp_path, SECRET.hex(), mode))
    assert SECRET.hex()[:8] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "ab", SECRET.hex()[:-1], SECRET.hex() + "0", "g" * 64, f"{SECRET.hex()} # mine"])
def test_a_file_that_holds_no_seed_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="must be a file with 64 hex digits and nothing else") as caught:
        derived_secrets.read_seed(seed_file(tmp_path, text))
    assert SECRET.hex()[:8] not in str(caught.value)


def test_a_seed_file_that_is_missing_a_folder_or_a_pipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        derived_secrets.read_seed(str(tmp_path / "none"))
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    with pytest.raises(ValueError, match="cannot be read"):
        derived_secrets.read_seed(str(folder))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ValueError, match="does not hold a seed"):
        derived_secrets.read_seed(str(tmp_path / "pipe"))
