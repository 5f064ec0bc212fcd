"""An image that is carried as a file: it is known what the file holds before the engine has it."""

from __future__ import annotations

import gzip
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import IMAGE, VERSION, Person, docker, docker_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def image_id(name: str) -> str:
    return docker("image", "inspect", "--format", "{{.Id}}", name, check=False)


@pytest.fixture
def make() -> Iterator[Callable[[str], str]]:
    """Makes an image of the user's under a name, different each time; gives its ID. All are removed at the end."""
    made: list[str] = []

    def image(name: str) -> str:
        container = docker("create", "--label", secrets.token_hex(4), IMAGE)
        made.append(docker("commit", "--change", "LABEL raft-labctl.consul-version=", container, name))
        docker("rm", container)
        return made[-1]

    yield image
    for fromkey in dict.fromkeys(made):
        docker("image", "rm", "--force", fromkey, check=False)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_that_is_refused_has_taken_no_name_and_left_no_image(
    ada: Person, make: Callable[[str], str], tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    name = f"theirs-{secrets.token_hex(4)}:1"
    other = make(name)
    (tmp_path / "f.tar").write_bytes(pack(docker_bytes("image", "save", name)))
    docker("image", "rm", name)
    kept = make(name)
    assert other != kept
    result = ada.run("image", "load", str(tmp_path / "f.tar"))
    assert result.code == 2
    assert f"(it has {name}), so nothing was loaded" in result.sentence()
    assert image_id(name) == kept
    assert image_id(other) == ""


def test_an_image_that_save_wrote_is_loaded_also_where_it_is_packed(ada: Person, image: str, tmp_path: Path) -> None:
    before = image_id(image)
    file = tmp_path / "consul.tar"
    ada.done("image", "save", str(file), "--consul-version", VERSION)
    (tmp_path / "consul.tar.gz").write_bytes(gzip.compress(file.read_bytes(), 1))
    for path in (file, tmp_path / "consul.tar.gz"):
        assert ada.done("image", "load", str(path), "--json").json["name"] == image
        assert image_id(image) == before
