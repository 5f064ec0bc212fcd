"""What the image's modules decide without Docker: versions, labels, binaries, checksums, mirrors, sentences."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils import (
    image_candidate,
    image_choice,
    image_release,
    image_rootfs,
    image_version,
    image_workspace,
)
from plugins.module_utils.shared import consul_versions, image_binary

VERSIONS = [
    ("1.21.4", "1.21.4"),
    ("v1.8.7", "1.8.7"),
    ("0.5.2", "0.5.2"),
    ("1.22.0-rc1", "1.22.0-rc1"),
    ("1.21.4+ent", "1.21.4+ent"),
    ("1.21.4+ent.fips1402", "1.21.4+ent.fips1402"),
    ("1.22.0-rc1+ent", "1.22.0-rc1+ent"),
]
NO_VERSIONS = [
    "", "1", "1.21", "1.2.3.4", "latest", "vv1.2.3", "01.2.3", "1.2.3-", "1.2.3+", "1.2.3 ", "1.2.3\n", "1.2.3;id",
    "../1.2.3", "1.2.3-$(id)", "1.2.3/../x", "\u0661.\u0662.\u0663", "1.2.3-a--b", "9999999.0.0",
]  # fmt: skip
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(("text", "version"), VERSIONS)
def test_a_full_version_is_taken_without_its_v(text: str, version: str) -> None:
    assert consul_versions.full(text) == version


@pytest.mark.parametrize("text", NO_VERSIONS)
def test_anything_else_is_no_version(text: str) -> None:
    assert consul_versions.full(text) is None


@given(st.text())
def test_what_is_a_version_can_be_a_tag_a_path_and_a_word(text: str) -> None:
    version = consul_versions.full(text)
    if version is not None:
        assert set(image_version.tag_of(version)) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
        )


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("Consul v1.8.7\nProtocol 2 spoken by default\n", "1.8.7"),
        ("Consul 1.4.0\n", "1.4.0"),
        ("Consul v0.5.2\nConsul Protocol: 2 (Understands back to: 1)\n", "0.5.2"),
        ("Consul v1.21.4+ent\nRevision x\n", "1.21.4+ent"),
        ("==> deprecated\nConsul v1.9.0-dev\n", "1.9.0-dev"),
        ("Vault v1.8.7\n", None),
        ("", None),
        ("Consul vunknown\n", None),
    ],
)
def test_the_version_is_read_from_what_the_binary_says(output: str, version: str | None) -> None:
    assert image_version.said_version(output) == version


def test_versions_are_sorted_as_numbers_and_candidates_come_first() -> None:
    old_to_new = ["0.5.2", "1.8.7", "1.9.0", "1.10.0-rc1", "1.10.0", "1.21.4", "2.0.0"]
    shuffled = sorted(old_to_new, key=lambda version: version[::-1])
    assert shuffled != old_to_new
    assert sorted(shuffled, key=consul_versions.order) == old_to_new


def test_numbers_within_a_candidates_name_are_numbers_too() -> None:
    candidates = ["2", "10", "alpha", "beta.2", "beta11", "dev", "rc", "rc2", "rc02.1", "rc10", "rc" + "9" * 5000]
    old_to_new = [*(f"1.22.0-{candidate}" for candidate in candidates), "1.22.0", "1.22.1-rc1"]
    shuffled = old_to_new[::-1]
    assert sorted(shuffled, key=consul_versions.order) == old_to_new


def _inspected(**labels: str) -> dict[str, Any]:
    given_labels = {f"raft-labctl.{key.replace('_', '-')}": value for key, value in labels.items()}
    return {
        "Id": DIGEST,
        "RepoTags": ["ours:1.8.7", "theirs/x:1"],
        "Created": "2026",
        "Config": {"Labels": given_labels},
    }


FINISHED = {
    "consul_version": "1.8.7", "image_source": "debian", "image_layout": "1", "image_tools": "ip nc nft tcpdump",
    "image_state": "checked",
}  # fmt: skip


def test_a_finished_image_is_ours() -> None:
    image = image_choice.image_of(_inspected(**FINISHED), "ours")
    assert image is not None
    assert (image.id, image.name, image.version, image.source) == (DIGEST, "ours:1.8.7", "1.8.7", "debian")


@pytest.mark.parametrize(
    "other",
    [
        {"image_state": "candidate of here /var/tmp/x"},
        {"image_state": ""},
        {"image_layout": "2"},
        {"image_tools": "ip nft"},
        {"image_tools": ""},
        {"consul_version": "latest"},
        {"consul_version": ""},
        {"image_source": "mine"},
        {"image_source": "\u202edebian"},
    ],
)
def test_what_is_not_finished_or_of_another_layout_is_not_ours(other: dict[str, str]) -> None:
    assert image_choice.image_of(_inspected(**(FINISHED | other)), "ours") is None


def test_an_image_of_another_name_or_without_labels_is_not_ours() -> None:
    assert image_choice.image_of(_inspected(**FINISHED), "our") is None
    assert image_choice.image_of({"Id": "x", "RepoTags": None, "Config": None}, "ours") is None
    assert image_choice.image_of({"Id": "x", "RepoTags": ["ours:1"], "Config": {"Labels": None}}, "ours") is None


def test_what_a_finished_image_is_labelled_with_is_found_again() -> None:
    labels = image_choice.labels_of("1.8.7", "binary", DIGEST)
    document = {"Id": "x", "RepoTags": ["ours:1.8.7"], "Created": "1", "Config": {"Labels": labels}}
    image = image_choice.image_of(document, "ours")
    assert image is not None
    assert (image.version, image.source, image.origin) == ("1.8.7", "binary", DIGEST)


def _image(version: str, source: str, created: str = "1", origin: str = "") -> Any:
    return image_choice.Image(f"{version}{source}{created}", "n", version, source, origin, created)


def test_the_newest_version_is_chosen_and_then_the_youngest_image() -> None:
    images = [_image("1.9.0", "debian", "9"), _image("1.10.0", "release", "1"), _image("1.10.0", "binary", "2")]
    assert image_choice.choose(images, image_choice.ImageRequest()) == images[2]


def test_a_demand_is_met_or_nothing_is_chosen() -> None:
    images = [_image("1.9.0", "debian"), _image("1.10.0", "binary", origin=DIGEST)]
    wanted = image_choice.ImageRequest
    assert image_choice.choose(images, wanted(source="debian")) == images[0]
    assert image_choice.choose(images, wanted(version="1.10.0")) == images[1]
    assert image_choice.choose(images, wanted(source="binary", origin=DIGEST)) == images[1]
    assert image_choice.choose(images, wanted(source="binary", origin="sha256:other")) is None
    assert image_choice.choose(images, wanted(source="debian", version="1.10.0")) is None
    assert image_choice.choose([], wanted()) is None


def _elf(machine: int, order: int = 1) -> bytes:
    number = machine.to_bytes(2, "little" if order == 1 else "big")
    return b"\x7fELF\x02" + bytes([order]) + b"\0" * 12 + number


@pytest.mark.parametrize(
    ("header", "architecture"),
    [
        (_elf(0x3E), "amd64"),
        (_elf(0xB7), "arm64"),
        (_elf(0x28), "arm"),
        (_elf(0x16, order=2), "s390x"),
        (_elf(0x1234), "machine 4660"),
        (b"#!/bin/sh\necho Consul v1.8.7", None),
        (b"\x7fELF", None),
        (b"", None),
    ],
)
def test_an_architecture_is_read_from_the_header(header: bytes, architecture: str | None) -> None:
    assert image_binary.architecture_of(header) == architecture


def test_a_program_of_this_host_is_taken_and_one_of_another_is_not(tmp_path: Path) -> None:
    file = tmp_path / "it's; $HOME `id`"
    file.write_bytes(_elf(0x3E))
    image_binary.check_binary(str(file), "amd64")
    with pytest.raises(image_binary.BinaryError, match="is made for amd64, and this Docker host is arm64"):
        image_binary.check_binary(str(file), "arm64")


@given(st.binary(max_size=64))
def test_no_header_breaks_the_reading(header: bytes) -> None:
    architecture = image_binary.architecture_of(header)
    assert architecture is None or header.startswith(b"\x7fELF")


def test_a_checksum_is_found_by_the_files_whole_name() -> None:
    first, second = "a" * 64, "B" * 64
    sums = f"{first}  consul_1.21.4_linux_amd64.zip.sig\n{second}  consul_1.21.4_linux_amd64.zip\nnonsense\n"
    assert image_binary.sum_for(sums, "consul_1.21.4_linux_amd64.zip") == second.lower()
    assert image_binary.sum_for(sums, "consul_1.21.4_linux_arm64.zip") is None
    assert image_binary.sum_for("", "x") is None


def test_the_sum_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x" * 3_000_000)
    assert image_binary.sha256_of(str(file)) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_a_release_is_addressed_as_hashicorp_does() -> None:
    release = image_release.Release("https://x/consul/", "1.21.4+ent", "arm64", "", 5)
    assert release.url(release.file) == "https://x/consul/1.21.4+ent/consul_1.21.4+ent_linux_arm64.zip"


def test_only_the_file_consul_is_taken_out_of_a_zip(tmp_path: Path) -> None:
    archive = tmp_path / "consul.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("LICENSE.txt", "no")
        zipped.writestr("../../evil", "no")
        zipped.writestr("consul", "yes")
    target = image_release.unpack_consul(archive, tmp_path / "consul", "url")
    assert target.read_text() == "yes"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["consul"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "consul.zip"
    archive.write_bytes(content)
    with pytest.raises(image_release.ReleaseError, match=r"^url is not a whole zip with a file consul in it"):
        image_release.unpack_consul(archive, tmp_path / "consul", "url")


class _Answer(io.BytesIO):
    def __init__(self, content: bytes, length: int | None = None) -> None:
        super().__init__(content)
        self.headers = {} if length is None else {"Content-Length": str(length)}


def _zip(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zipped:
        zipped.writestr(zipfile.ZipInfo(name), "the binary")
    return content.getvalue()


def _fetch(place: Path, sums: str, archive: _Answer, **limits: float) -> Path:
    """Fetch 1.8.7 from a server that has these two files."""

    def open_url(url: str, **_: Any) -> _Answer:
        return _Answer(sums.encode()) if url.endswith("_SHA256SUMS") else archive

    release = image_release.Release("https://x", "1.8.7", "amd64", "", 5)
    target: Path = image_release.fetch(release, place, open_url, **limits)
    return target


def _sums(content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}  consul_1.8.7_linux_amd64.zip\n"


def test_a_release_that_is_what_its_sums_say_is_taken(tmp_path: Path) -> None:
    content = _zip("consul")
    target = _fetch(tmp_path, _sums(content), _Answer(content, len(content)))
    assert target.read_text() == "the binary"


@pytest.mark.parametrize(
    ("sums", "archive", "words"),
    [
        ("", _Answer(b""), "lists no checksum for consul_1.8.7_linux_amd64.zip"),
        (_sums(b"x"), _Answer(b"y"), "it was damaged or replaced, and is not used"),
        (_sums(b"xx"), _Answer(b"x", 2), "ended after 1 of 2 bytes"),
        (_sums(_zip("../consul")), _Answer(_zip("../consul")), "is not a whole zip with a file consul in it"),
        (_sums(_zip("consul")[:-9]), _Answer(_zip("consul")[:-9]), "is not a whole zip with a file consul in it"),
    ],
)
def test_a_release_that_is_not_is_refused(tmp_path: Path, sums: str, archive: _Answer, words: str) -> None:
    with pytest.raises(image_release.ReleaseError, match=words):
        _fetch(tmp_path, sums, archive)


class _Endless(_Answer):
    """A download that goes on, so many bytes at a time."""

    def __init__(self, size: int) -> None:
        super().__init__(b"")
        self._piece = b"x" * size

    def read1(self, _size: int | None = -1, /) -> bytes:
        return self._piece


@pytest.mark.parametrize(
    ("limit", "words"), [("whole_times", "bytes came in all the time that it may take"), ("zip_limit", "more than 0")]
)
def test_a_release_that_goes_on_without_an_end_is_given_up(tmp_path: Path, limit: str, words: str) -> None:
    with pytest.raises(image_release.ReleaseError, match=rf"could not be read to its end \(.*{words}"):
        _fetch(tmp_path, _sums(b"x"), _Endless(1), **{limit: 0.02})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HTTPError("https://x", 404, "Not Found", Message(), None), "answered 404 Not Found: is there a Consul 1.8.7"),
        (URLError("no route"), r"is out of reach \(no route\)"),
        (TimeoutError("timed out"), r"is out of reach \(timed out\)"),
    ],
)
def test_a_release_server_that_fails_is_named(tmp_path: Path, error: Exception, words: str) -> None:
    def open_url(_: str, **__: Any) -> None:
        raise error

    release = image_release.Release("https://x", "1.8.7", "amd64", "", 5)
    with pytest.raises(image_release.ReleaseError, match=f"^https://x/1.8.7/consul_1.8.7_SHA256SUMS {words}"):
        image_release.fetch(release, tmp_path, open_url)


OS_RELEASE = "NAME=\"Debian GNU/Linux\"\n# x=y\nID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME='D 12'\nbroken\n"


def test_an_os_release_file_is_read_with_its_quotes() -> None:
    fields = image_rootfs.distribution(OS_RELEASE)
    assert (fields["ID"], fields["NAME"], fields["PRETTY_NAME"]) == ("debian", "Debian GNU/Linux", "D 12")
    assert "# x" not in fields


TARGETS = """\
https://cloud.example/apt/|cloud|cloud|main|Cloud
http://mirror.example/debian-security/|oldstable-security|bookworm-security|main|Debian
http://mirror.example/debian/|oldstable|bookworm|contrib|Debian
http://mirror.example/debian/|oldstable|bookworm|main|Debian
"""


def test_the_mirror_is_the_one_of_debians_main_archive() -> None:
    assert image_rootfs.mirror_in(TARGETS, "bookworm") == "http://mirror.example/debian"


def test_the_mirror_is_found_before_the_first_apt_update() -> None:
    unread = "http://mirror.example/debian/|$(SUITE)|bookworm|main|$(ORIGIN)\n"
    assert image_rootfs.mirror_in(unread, "bookworm") == "http://mirror.example/debian"
    assert image_rootfs.mirror_in(unread, "trixie") is None


@pytest.mark.parametrize("targets", ["", "nonsense\n", "a|b\n"])
def test_a_machine_without_debians_archive_has_no_mirror(targets: str) -> None:
    assert image_rootfs.mirror_in(targets, "bookworm") is None


def test_apts_proxies_are_handed_on_and_nothing_else() -> None:
    dump = (
        'Acquire::http::Proxy "http://p:1";\nAcquire::https::Proxy::host "DIRECT";\nAcquire::Retries "3";\nDir "/";\n'
    )
    expected = ['Acquire::http::Proxy "http://p:1"', 'Acquire::https::Proxy::host "DIRECT"']
    assert image_rootfs.proxies(dump) == expected


def test_the_words_for_mmdebstrap_quote_the_binary() -> None:
    recipe = image_rootfs.Recipe("bullseye", "", ("consul",), "/w/it's here", ("one", "two"))
    words = image_rootfs.command(recipe, "http://m", "/w/root.tar", ["A 1"])
    assert words[:3] == ["mmdebstrap", "--format=tar", "--variant=extract"]
    assert "--include=busybox-static,ca-certificates,consul,dash,iproute2,netcat-openbsd,nftables" in words
    assert """--extract-hook=upload '/w/it'"'"'s here' /usr/bin/consul""" in words
    assert words[-5:] == ["--extract-hook=one", "--extract-hook=two", "bullseye", "/w/root.tar", "http://m"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("E: Failed to fetch http://m Could not connect to m\n", "Debian's archive did not give bullseye"),
        ("E: Failed to fetch x  Write error - write (28: No space left on device)\n", "There is no space left in"),
        ("E: You don't have enough free space in /x.\n", "There is no space left in"),
        ("E: unable to pick chroot mode automatically (use --mode)\n", "install Debian's package uidmap, and log in"),
        ("E: Unable to locate package consul\n", "could not make a root file system of bullseye: Unable to locate"),
        ("", "it said nothing"),
    ],
)
def test_what_mmdebstrap_says_becomes_a_sentence(said: str, words: str) -> None:
    recipe = image_rootfs.Recipe("bullseye", "", (), "", ())
    place = image_workspace.Workspace(Path("/w/x"), -1)
    assert words in image_rootfs.failure(said, recipe, place)


def test_a_failed_build_is_told_by_the_command_that_failed() -> None:
    out = "Step 1/9 : FROM x\n ---> 1234\nReading lists\nE: Unable to locate package nft\n---> Running in 12\n"
    verdict = "The command '/bin/sh -c x' returned a non-zero code: 100"
    deprecated = "DEPRECATED: The legacy builder is deprecated.\n            environment-variable.\n\n"
    sentence = image_candidate.build_failure(out, deprecated + verdict)
    assert sentence == f"E: Unable to locate package nft; {verdict}"
    assert image_candidate.build_failure("Step 1/9\n", "pull access denied for x\n") == "pull access denied for x"
    assert image_candidate.build_failure("", "") == "it said nothing"


def test_a_label_is_quoted_for_a_dockerfile() -> None:
    assert image_candidate.quoted('a "b" $HOME \\ ü') == '"a \\"b\\" \\$HOME \\\\ ü"'


def test_a_workspace_is_emptied_at_the_start_and_gone_at_the_end(tmp_path: Path) -> None:
    path = image_workspace.path_of(str(tmp_path), "x/consul")
    (path / "mmdebstrap" / "deep").mkdir(parents=True)
    (path / "root.tar").write_text("left by a killed run")
    outside = tmp_path / "outside"
    outside.mkdir()
    (path / "link").symlink_to(outside)
    with image_workspace.workspace(str(tmp_path), "x/consul") as place:
        assert place.path == path
        assert [path_.name for path_ in path.iterdir()] == ["holder"]
        (path / "new").write_text("x")
        assert os.uname().nodename in place.owner
    assert list(tmp_path.iterdir()) == [outside]


def test_a_workspace_has_one_user_at_a_time(tmp_path: Path) -> None:
    with (
        image_workspace.workspace(str(tmp_path), "x"),
        pytest.raises(
            image_workspace.WorkspaceError,
            match=r"Another run has been making this image .*`consul_image_build repository=x` \(process ",
        ),
        image_workspace.workspace(str(tmp_path), "x", patience=0.2),
    ):
        pytest.fail("two runs were in one workspace")
    with image_workspace.workspace(str(tmp_path), "x"), image_workspace.workspace(str(tmp_path), "y"):
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_is_gone_after_a_failure_too(tmp_path: Path) -> None:

    def fail() -> None:
        with image_workspace.workspace(str(tmp_path), "x") as place:
            place.directory("context")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_workspaces_place_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    image_workspace.path_of(str(tmp_path), "x").symlink_to(precious)
    with (
        pytest.raises(image_workspace.WorkspaceError, match="No image can be made in"),
        image_workspace.workspace(str(tmp_path), "x"),
    ):
        pytest.fail("the link was followed")
    assert (precious / "file").exists()


@pytest.mark.parametrize(
    ("tmp", "words"), [("/nowhere-at-all", "is not there: make it"), ("relative", "is not an absolute path")]
)
def test_a_temporary_directory_that_cannot_be_is_named(tmp: str, words: str) -> None:
    with pytest.raises(image_workspace.WorkspaceError, match=words), image_workspace.workspace(tmp, "x"):
        pytest.fail("there was a workspace")
