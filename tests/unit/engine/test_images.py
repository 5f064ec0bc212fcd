"""The images of labs: found by label, saved whole or not at all, loaded without touching others."""

from __future__ import annotations

import errno
import tarfile
from typing import TYPE_CHECKING, Any, cast

import pytest
from docker.errors import DockerException

from labctl.engine import images
from labctl.errors import ExitCode, LabctlError
from tests.unit import engine_stand_in as stand_in
from tests.unit.engine_stand_in import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.engine.client import Client


def client(engine: FakeEngine) -> Client:
    return cast("Client", engine)


def engine(*found: dict[str, Any]) -> FakeEngine:
    return FakeEngine(image_list=list(found), image=[b"one", b"two"])


def the_image() -> images.Image:
    return images.list_images(client(engine(stand_in.image("1.8.7"))))[0]


def test_the_newest_version_is_first_by_number_and_not_by_text() -> None:
    known = engine(*map(stand_in.image, ["1.9.0", "1.21.4", "1.10.0-rc1", "1.10.0", "0.5.2"]))
    versions = [image.version for image in images.list_images(client(known))]
    assert versions == ["1.21.4", "1.10.0", "1.10.0-rc1", "1.9.0", "0.5.2"]


def test_an_image_without_our_label_or_name_is_none_of_ours() -> None:
    known = engine(
        stand_in.image("1.8.7", Labels=None),
        stand_in.image("1.8.8", RepoTags=None),
        stand_in.image("1.8.9", RepoTags=["somebody/consul:1.8.9"]),
    )
    assert images.list_images(client(known)) == []


def test_an_image_is_found_by_version_and_source() -> None:
    known = client(engine(stand_in.image("1.8.7"), stand_in.image("1.21.4", source="registry")))

    def version(*wanted: str | None) -> str | None:
        image = images.find_image(known, *wanted)
        return image.version if image else None

    assert version() == "1.21.4"
    assert version("1.8.7") == "1.8.7"
    assert version(None, "debian") == "1.8.7"
    assert version(None, "auto") == "1.21.4"
    assert version("1.21.4", "debian") is None
    assert version("1.2.3") is None


def test_the_row_has_the_shape_of_image_ls() -> None:
    assert the_image().row() == {
        "id": "sha256:1.8.7",
        "name": "raft-labctl/consul:1.8.7",
        "version": "1.8.7",
        "source": "debian",
        "size": 132_000_000,
        "created": "1700000000",
    }


def test_a_saved_image_is_whole_and_everybody_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    assert images.save(client(engine()), the_image(), path, force=False) == 6
    assert path.read_bytes() == b"onetwo"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_there_is_overwritten_only_when_told_to(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(b"mine")
    with pytest.raises(LabctlError, match=r"exists already.*--force") as caught:
        images.save(client(engine()), the_image(), path, force=False)
    assert caught.value.code is ExitCode.USAGE
    assert path.read_bytes() == b"mine"
    images.save(client(engine()), the_image(), path, force=True)
    assert path.read_bytes() == b"onetwo"


@pytest.mark.parametrize("error", [DockerException("gone"), OSError(errno.ENOSPC, "No space left on device")])
def test_a_save_that_breaks_off_leaves_no_file_and_keeps_the_old_one(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(b"mine")
    broken = engine()
    broken.error = error
    with pytest.raises(LabctlError):
        images.save(client(broken), the_image(), path, force=True)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"mine"


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabctlError, match=r"could not be written to .*: No such file or directory"):
        images.save(client(engine()), the_image(), tmp_path / "missing" / "image.tar", force=False)


def archive(folder: Path) -> Path:
    path = folder / "image.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(__file__, "manifest.json")
    return path


def test_an_image_that_save_wrote_is_loaded(tmp_path: Path) -> None:
    known = engine()
    known.loads = [stand_in.image("1.8.7")]
    known.says = ["Loaded image: raft-labctl/consul:1.8.7\n"]
    assert images.load(client(known), archive(tmp_path)).version == "1.8.7"
    assert known.removed == []


def foreign(name: str) -> dict[str, Any]:
    return {"Id": f"sha256:{name}", "RepoTags": [name], "Labels": None, "State": ""}


def test_what_is_no_image_of_a_lab_is_refused_and_removed_again(tmp_path: Path) -> None:
    known = engine(stand_in.image("1.8.7"))
    known.loads = [foreign("evil:1")]
    known.says = ["Loaded image: evil:1\n"]
    with pytest.raises(LabctlError, match=r"holds no image of a lab \(it has evil:1\)") as caught:
        images.load(client(known), archive(tmp_path))
    assert caught.value.code is ExitCode.USAGE
    assert known.removed == ["evil:1"]


def test_an_image_of_the_users_that_was_there_before_is_never_removed(tmp_path: Path) -> None:
    known = engine(foreign("debian:12"))
    known.says = ["Loaded image: debian:12\n"]
    with pytest.raises(LabctlError, match="holds no image of a lab"):
        images.load(client(known), archive(tmp_path))
    assert known.removed == []


@pytest.mark.parametrize("content", [b"", b"just text", None])
def test_what_is_no_archive_is_wrong_usage(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "image.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LabctlError, match=r"image\.tar") as caught:
        images.load(client(engine()), path)
    assert caught.value.code is ExitCode.USAGE


@pytest.mark.parametrize(
    "label",
    [
        {"raft-labctl.image-state": "candidate"},
        {"raft-labctl.image-layout": "0"},
        {"raft-labctl.image-tools": "ip nft"},
    ],
)
def test_an_image_that_was_not_finished_or_suits_another_labctl_is_not_there(label: dict[str, str]) -> None:
    summary = stand_in.image("1.8.7")
    summary["Labels"] |= label
    assert images.list_images(client(engine(summary))) == []
