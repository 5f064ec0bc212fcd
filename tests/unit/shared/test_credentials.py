"""The credentials of a full lab: read once, from whichever container has them."""

from __future__ import annotations

import io
import tarfile

import pytest

from labctl.shared import credentials
from labctl.shared.credentials import Keys, access_from

FILES = {"token": "t\n", "recovery.token": "r", "ca.pem": "PEM", "server-key.pem": "KEY"}


def packed(files: dict[str, str]) -> bytes:
    """As Docker packs the folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        folder = tarfile.TarInfo("access/")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, text in files.items():
            entry = tarfile.TarInfo(f"access/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


def test_the_tokens_and_the_authority_are_taken_from_the_folder() -> None:
    access = access_from(packed(FILES), "ada")
    assert (access.token, access.recovery_token, access.authority) == ("t", "r", "PEM")
    assert access.server_name == "server.ada.consul"


@pytest.mark.parametrize("missing", ["token", "recovery.token", "ca.pem"])
def test_a_folder_that_lacks_something_is_told(missing: str) -> None:
    with pytest.raises(OSError, match="/consul/config/access does not hold what it should"):
        access_from(packed({name: text for name, text in FILES.items() if name != missing}), "ada")


@pytest.mark.parametrize("archive", [b"", b"no tar", packed({**FILES, "token": "\u00e9"})])
def test_what_is_no_such_folder_is_told(archive: bytes) -> None:
    with pytest.raises(OSError, match="does not hold what it should"):
        access_from(archive, "ada")


def test_keys_are_read_when_they_are_asked_for_and_once() -> None:
    asked: list[tuple[str, str]] = []

    def archive(container: str, path: str) -> bytes:
        asked.append((container, path))
        return packed(FILES)

    keys = Keys("ada", ["one", "two"], archive)
    assert asked == []
    assert keys() is keys()
    assert asked == [("one", credentials.FOLDER)]


def test_a_container_that_is_gone_is_no_hindrance_while_another_one_has_the_volume() -> None:
    def archive(container: str, _: str) -> bytes:
        if container == "one":
            raise OSError("No such container: one")
        return packed(FILES)

    assert Keys("ada", ["one", "two"], archive)().authority == "PEM"


def test_keys_that_nobody_has_say_why_and_are_looked_for_again() -> None:
    there: list[bytes] = []

    def archive(*_: str) -> bytes:
        if not there:
            raise OSError("No such container: one")
        return there[0]

    keys = Keys("ada", ["one"], archive)
    with pytest.raises(OSError, match="token of the lab ada cannot be read from its volume: No such container: one"):
        keys()
    there.append(packed(FILES))
    assert keys().authority == "PEM"


def test_an_authority_that_is_none_is_a_server_that_does_not_answer() -> None:
    access = access_from(packed(FILES), "ada")
    with pytest.raises(OSError, match=r"\w"):
        _ = access.context
