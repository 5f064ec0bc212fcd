"""The images of labs: found by label, saved whole or not at all, loaded without touching others."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import json
import lzma
import os
import tarfile
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import pytest

from labctl.engine import image_archive, images
from labctl.errors import ExitCode, LabctlError
from labctl.shared.docker_api import DockerError
from tests.unit import engine_stand_in as stand_in
from tests.unit.engine_stand_in import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from labctl.engine.client import Client


OURS = "raft-labctl/consul:1.8.7"
LAB = stand_in.image("1.8.7")["Labels"]


def tar_of(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "image.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def _docker(held: dict[str, dict[str, str]]) -> dict[str, bytes]:
    members, listed = {}, []
    for number, (name, labels) in enumerate(held.items()):
        members[f"{number}.json"] = json.dumps({"config": {"Labels": labels or None}}).encode()
        listed.append({"Config": f"{number}.json", "RepoTags": [name] if name else None, "Layers": []})
    return members | {"manifest.json": json.dumps(listed).encode()}


def _oci(held: dict[str, dict[str, str]]) -> dict[str, bytes]:
    """As buildx writes it: an index for each name, with a manifest that says how it was built."""
    members: dict[str, bytes] = {}

    def blob(document: Any) -> dict[str, Any]:
        text = json.dumps(document).encode()
        digest = hashlib.sha256(text).hexdigest()
        members[f"blobs/sha256/{digest}"] = text
        return {"digest": f"sha256:{digest}"}

    listed = []
    for name, labels in held.items():
        image = blob({"config": blob({"config": {"Labels": labels}}), "layers": []})
        built = blob({"config": blob({"os": "unknown"})}) | {
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"}
        }
        absent = {"digest": "sha256:of-another-platform"}
        marks = {"io.containerd.image.name": f"docker.io/{name}", "org.opencontainers.image.ref.name": "1.8.7"}
        listed.append(blob({"manifests": [image, built, absent]}) | {"annotations": marks})
    return members | {"index.json": json.dumps({"manifests": listed}).encode()}


def docker_archive(folder: Path, held: dict[str, dict[str, str]]) -> Path:
    return tar_of(folder, _docker(held))


def oci_layout(folder: Path, held: dict[str, dict[str, str]]) -> Path:
    return tar_of(folder, _oci(held))


def both(folder: Path, held: dict[str, dict[str, str]]) -> Path:
    """A harmless manifest beside an index that has all: an engine may read either."""
    return tar_of(folder, _oci(held) | _docker({OURS: LAB}))


def plain(content: bytes) -> bytes:
    return content


def foreign(name: str) -> dict[str, Any]:
    return {"Id": f"sha256:{name}", "RepoTags": [name], "Labels": None, "State": ""}


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
    assert asdict(the_image().result) == {
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


@pytest.mark.parametrize("error", [DockerError("gone"), OSError(errno.ENOSPC, "No space left on device")])
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
    with pytest.raises(LabctlError, match=r"missing/image.tar could not be written: No such file or directory"):
        images.save(client(engine()), the_image(), tmp_path / "missing" / "image.tar", force=False)


def test_an_image_that_save_wrote_is_loaded(tmp_path: Path) -> None:
    known = engine()
    known.loads = [stand_in.image("1.8.7")]
    assert images.load(client(known), docker_archive(tmp_path, {OURS: LAB})).version == "1.8.7"
    assert known.loaded == 1


@pytest.mark.parametrize("pack", [plain, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("write", [docker_archive, oci_layout, both])
def test_an_image_is_loaded_out_of_whatever_docker_and_others_write(
    tmp_path: Path, write: Callable[..., Path], pack: Callable[[bytes], bytes]
) -> None:
    known = engine()
    known.loads = [stand_in.image("1.8.7")]
    path = write(tmp_path, {OURS: LAB})
    path.write_bytes(pack(path.read_bytes()))
    assert images.load(client(known), path).name == OURS
    known = engine(stand_in.image("1.8.7"))
    path = write(tmp_path, {OURS: LAB, "debian:12": {}})
    path.write_bytes(pack(path.read_bytes()))
    with pytest.raises(LabctlError, match=r"holds an image that is not of a lab \(it has debian:12\)"):
        images.load(client(known), path)
    assert known.loaded == 0


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ({"debian:12": {}}, r"holds no image of a lab \(it has debian:12\), so nothing was loaded"),
        ({"debian:12": LAB}, r"holds an image that is not of a lab \(it has debian:12\)"),
        ({"debian:12": LAB | {"raft-labctl.image-state": "candidate"}}, "holds no image of a lab"),
        ({OURS: {}}, r"holds no image of a lab \(it has raft-labctl/consul:1.8.7\)"),
        ({OURS: LAB, "evil:1": {}}, r"holds an image that is not of a lab \(it has evil:1\)"),
        ({"": LAB}, r"\(it has one without a name\)"),
        ({"evil\x1b]0;x\x07": {}}, r"\(it has evil\\x1b\]0;x\\x07\)"),
        ({}, "holds no image"),
    ],
)
def test_what_is_no_image_of_a_lab_is_refused_and_never_loaded(
    tmp_path: Path, held: dict[str, dict[str, str]], says: str
) -> None:
    known = engine(foreign("debian:12"))
    with pytest.raises(LabctlError, match=says) as caught:
        images.load(client(known), docker_archive(tmp_path, held))
    assert caught.value.code is ExitCode.USAGE
    assert known.loaded == 0


def test_an_image_of_the_users_does_not_lose_its_name_to_that_of_a_lab(tmp_path: Path) -> None:
    known = engine(foreign(OURS))
    with pytest.raises(LabctlError, match=f"the image {OURS} on this Docker host is not one of a lab") as caught:
        images.load(client(known), docker_archive(tmp_path, {f"docker.io/{OURS}": LAB}))
    assert caught.value.code is ExitCode.REFUSED
    assert known.loaded == 0


def test_an_older_image_of_a_lab_makes_way(tmp_path: Path) -> None:
    known = engine(stand_in.image("1.8.7") | {"Id": "sha256:old"})
    known.loads = [stand_in.image("1.8.7")]
    assert images.load(client(known), docker_archive(tmp_path, {OURS: LAB})).name == OURS
    assert known.loaded == 1


@pytest.mark.parametrize(
    "members",
    [
        {"manifest.json": b"[" * 200_000},
        {"manifest.json": b"{}"},
        {"manifest.json": b'[{"Config": 1}]'},
        {"manifest.json": b'[{"Config": "missing.json"}]'},
        {"manifest.json": b'[{"Config": "c", "RepoTags": [1]}]', "c": b"{}"},
        {"manifest.json": b'[{"Config": "c"}]', "c": b'{"config": {"Labels": {"a": 1}}}'},
        {"manifest.json": b'[{"Config": "../../../etc/passwd"}]'},
        {"manifest.json": b" " * (2 << 20)},
        {"manifest.json": b"[]"},
        {"index.json": b"[]"},
        {"index.json": b'{"manifests": [{"digest": "sha256:a"}]}', "blobs/sha256/a": b'{"manifests": 1}'},
        {
            "index.json": b'{"manifests": [{"digest": "sha256:a"}]}',
            "blobs/sha256/a": b'{"manifests": [{"digest": "sha256:a"}]}',
        },
        {f"{number}": b"" for number in range(5000)},
    ],
    ids=range(13),
)
def test_a_tar_that_docker_did_not_write_is_refused_in_a_sentence(tmp_path: Path, members: dict[str, bytes]) -> None:
    known = engine()
    with pytest.raises(LabctlError, match=r"image\.tar is not an image, because it (is|holds|has)") as caught:
        images.load(client(known), tar_of(tmp_path, members))
    assert "\n" not in caught.value.sentence
    assert caught.value.code is ExitCode.USAGE
    assert known.loaded == 0


def test_a_manifest_that_is_a_link_is_none(tmp_path: Path) -> None:
    path = docker_archive(tmp_path, {OURS: LAB})
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("manifest.json")
        link.type, link.linkname = tarfile.SYMTYPE, "other.json"
        tar.addfile(link)
    with pytest.raises(LabctlError, match="is not as Docker writes an image"):
        images.load(client(engine()), path)


def _two_readings(name: str) -> dict[str, bytes]:
    """Members that Go, in which engines are written, may read in another way than Python."""
    image, evil = json.dumps({"config": {"Labels": LAB}}), json.dumps({"config": {"Cmd": ["/evil"]}})
    manifest = f'[{{"Config": "a.json", "RepoTags": ["{OURS}"], MORE}}]'
    document = {
        "two spellings": manifest.replace("MORE", '"config": "b.json", "repotags": ["debian:12"]'),
        "another spelling": manifest.replace('"RepoTags"', '"repoTags"').replace("MORE", '"Layers": []'),
        "twice": manifest.replace("MORE", '"RepoTags": ["debian:12"], "Layers": []'),
        "a letter that folds": manifest.replace("MORE", '"RepoTag\\u017f": ["debian:12"]'),
    }
    if name in document:
        return {"a.json": image.encode(), "b.json": evil.encode(), "manifest.json": document[name].encode()}
    if name == "another spelling of labels":
        labels = json.dumps({"config": {"Labels": LAB}, "Config": {"Labels": {}}})
        return _docker({OURS: LAB}) | {"0.json": labels.encode()}
    return _oci({OURS: LAB}) | {"repositories": b'{"debian": {"12": "a"}}'}


@pytest.mark.parametrize(
    "name",
    [
        "two spellings", "another spelling", "twice", "a letter that folds", "another spelling of labels",
        "names beside a layout",
    ],
)  # fmt: skip
def test_what_the_engine_may_read_in_another_way_is_refused(tmp_path: Path, name: str) -> None:
    known = engine(foreign("debian:12"))
    with pytest.raises(LabctlError, match="is not as Docker writes an image"):
        images.load(client(known), tar_of(tmp_path, _two_readings(name)))
    assert known.loaded == 0


def _header(name: bytes, content: bytes, magic: bytes = b"") -> bytes:
    """A member of a tar without a format, as before 1988; a number that none is, where only some programs look."""
    head = bytearray(512)
    head[: len(name)] = name
    for at, text in ((100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"), (124, b"%011o\0" % len(content))):
        head[at : at + len(text)] = text
    head[136:148], head[148:156], head[156:157] = b"00000000000\0", b" " * 8, b"0"
    head[257 : 257 + len(magic)] = magic
    if not magic:
        head[329:337] = b"zzzzzzzz"
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + content + bytes(-len(content) % 512)


@pytest.mark.parametrize(
    "what", ["not the end", "no format", "text behind the end", "no end", "for all", "below a link"]
)
def test_an_archive_that_the_engine_may_unpack_in_another_way_is_refused(tmp_path: Path, what: str) -> None:
    path = docker_archive(tmp_path, {OURS: LAB})
    with tarfile.open(path) as tar:
        tar.getmembers()
        whole = path.read_bytes()[: tar.offset]
    evil = json.dumps([{"Config": "b.json", "RepoTags": ["debian:12"], "Layers": []}]).encode()
    if what == "not the end":
        whole += _header(b"manifest.json", evil) + bytes(1024)
    elif what == "no format":
        whole += _header(b"manifest.json", evil, b"none") + bytes(1024)
    elif what == "text behind the end":
        whole += bytes(1024) + b"more"
    elif what == "for all":
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", pax_headers={"comment": "all"}):
            pass
        whole = stream.getvalue()[:1024] + whole + bytes(1024)
    elif what == "below a link":
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            link = tarfile.TarInfo("x")
            link.type, link.linkname = tarfile.SYMTYPE, "y"
            tar.addfile(tarfile.TarInfo("x/c.json"))
            tar.addfile(link)
            whole = stream.getvalue()[: tar.offset] + whole + bytes(1024)
    path.write_bytes(whole)
    known = engine(foreign("debian:12"))
    with pytest.raises(LabctlError, match=r"is not as Docker writes an image|is no archive, or a damaged one"):
        images.load(client(known), path)
    assert known.loaded == 0


def test_a_small_file_that_unpacks_to_a_large_one_fills_neither_memory_nor_hours(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    for entry in (tarfile.TarInfo("layer"), tarfile.TarInfo("a" * 200)):
        entry.size = 1 << 40
        # The second is a name of a terabyte.
        head = entry.tobuf(tarfile.GNU_FORMAT)
        if len(head) > tarfile.BLOCKSIZE:
            head = head[:124] + b"\x80" + (1 << 40).to_bytes(11, "big") + b" " * 8 + head[156:512]
            total = sum(head)
            head = head[:148] + f"{total:06o}\0 ".encode() + head[156:]
        path.write_bytes(gzip.compress(head + b"\0" * (1 << 20)))
        with pytest.raises(LabctlError, match="is not an image") as caught:
            images.load(client(engine()), path)
        assert caught.value.code is ExitCode.USAGE


@pytest.mark.parametrize("packed", [False, True])
def test_an_archive_that_ends_in_gigabytes_of_nothing_is_refused_at_once(tmp_path: Path, *, packed: bool) -> None:
    path = tmp_path / "image.tar"
    if packed:
        path.write_bytes(gzip.compress(b"\0" * (300 << 20), 1))
    else:
        path.touch()
        os.truncate(path, 40 << 30)
    begun = time.monotonic()
    with pytest.raises(LabctlError, match="is not an image") as caught:
        images.load(client(engine()), path)
    assert caught.value.code is ExitCode.USAGE
    assert time.monotonic() - begun < 5


class Hungry(io.BytesIO):
    """A file that says of itself that more has to be kept of it than there is memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size and size > 100:
            raise MemoryError
        return super().read(size)


def test_what_needs_more_memory_to_unpack_than_there_is_is_no_image() -> None:
    with pytest.raises(image_archive.ArchiveError, match="needs more memory to unpack than this machine gives"):
        image_archive.read(Hungry(b"x" * 1024))


def test_an_image_of_which_the_engine_sends_nothing_is_not_saved(tmp_path: Path) -> None:
    known = engine()
    known.image = []
    with pytest.raises(LabctlError, match="sent nothing"):
        images.save(client(known), the_image(), tmp_path / "image.tar", force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "image.tar")
    with pytest.raises(LabctlError, match=r"image\.tar is no plain file"):
        images.load(client(engine()), tmp_path / "image.tar")
    with pytest.raises(LabctlError, match="could not be read: Is a directory"):
        images.load(client(engine()), tmp_path)


def test_a_damaged_or_cut_file_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    whole = docker_archive(tmp_path, {OURS: LAB}).read_bytes()
    known = engine()
    for broken in (whole[:700], gzip.compress(whole)[:200], gzip.compress(whole)[:-40] + b"x" * 40):
        (tmp_path / "broken.tar").write_bytes(broken)
        with pytest.raises(LabctlError, match="is not an image"):
            images.load(client(known), tmp_path / "broken.tar")
    assert known.loaded == 0


def test_an_engine_that_has_another_image_afterwards_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabctlError, match=f"took .* and has no image {OURS} for a lab now"):
        images.load(client(engine()), docker_archive(tmp_path, {OURS: LAB}))


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
