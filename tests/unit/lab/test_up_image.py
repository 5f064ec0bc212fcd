"""Which image `labctl up` takes: the requested one, and never another one without a word."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from labctl.errors import ExitCode, LabctlError
from labctl.lab import up
from labctl.lab.desired_state import UpOptions
from labctl.progress import Steps
from labctl.results import UpPreview
from tests.unit import engine_stand_in as stand_in
from tests.unit.engine_stand_in import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The header of a program for amd64, and what makes one differ from another.
PROGRAM = b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00"
OTHER_MACHINE = b"\x7fELF\x02\x01" + bytes(12) + b"\xb7\x00"
DIGEST = f"sha256:{'a' * 64}"


def image(version: str, source: str, origin: str) -> dict[str, Any]:
    made = stand_in.image(version, source=source)
    made["Labels"] |= {"raft-labctl.image-origin": origin}
    return made


def origin(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def would() -> Callable[..., list[str]]:
    """What `labctl up ada --dry-run` would do where these images are there."""

    def would(*images: dict[str, Any], lab: list[dict[str, Any]] | None = None, **options: Any) -> list[str]:
        engine = FakeEngine(image_list=list(images), container_list=lab or [])
        asked = UpOptions("ada", "ada", dry_run=True, join=False, **options)
        up_preview = up.Up(asked, Steps(), engine).run()  # type: ignore[arg-type]
        assert isinstance(up_preview, UpPreview)
        return list(up_preview.would)

    return would


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "consul"
    path.write_bytes(PROGRAM)
    return path


def test_an_image_of_another_binary_is_not_that_of_the_one_that_was_named(
    would: Callable[..., list[str]], binary: Path
) -> None:
    older = image("1.22.0", "binary", origin(b"another"))
    named = {"image_source": "binary", "image_binary": str(binary)}
    assert would(older, **named)[0] == f"make an image of Consul in {binary} from the source binary"
    its = image("1.8.7", "binary", origin(PROGRAM))
    assert would(older, its, **named) == [
        "start 3 servers of Consul 1.8.7 as the lab ada at pace teach with the profile gossip"
    ]
    # The same bytes from elsewhere are another image: what is named is a binary.
    assert would(image("1.8.7", "debian", origin(PROGRAM)), **named)[0].startswith("make an image")


def test_the_source_binary_alone_takes_an_image_that_is_there_and_makes_none(would: Callable[..., list[str]]) -> None:
    there = image("1.22.0", "binary", origin(b"another"))
    assert would(there, image_source="binary")[0].startswith("start 3 servers of Consul 1.22.0")
    with pytest.raises(LabctlError, match=r"name it with `--binary FILE`\.") as caught:
        would(image("1.22.0", "debian", ""), image_source="binary")
    assert caught.value.code is ExitCode.USAGE


def test_a_lab_that_is_there_gets_the_consul_of_the_binary(would: Callable[..., list[str]], binary: Path) -> None:
    named = {"image_source": "binary", "image_binary": str(binary), "lab": stand_in.lab("ada")}
    newer = image("1.22.0", "binary", origin(PROGRAM))
    assert would(newer, **named)[0].startswith("in the lab ada, Consul 1.8.7 becomes 1.22.0")
    assert would(image("1.8.7", "binary", origin(b"x")), **named)[0].startswith(f"make an image of Consul in {binary}")


def nothing(path: Path) -> None:
    path.unlink()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    os.truncate(path, 2 << 30)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (nothing, r"cannot be read \(No such file or directory\)"),
        (fifo, r"cannot be read \(it is no plain file\)"),
        (endless, r"cannot be read \(it is no plain file\)"),
        (folder, r"cannot be read \(Is a directory\)"),
        (huge, r"cannot be read \(File too large\)"),
        (lambda path: path.write_text("#!/bin/sh\n"), "is not a program"),
        (lambda path: path.write_bytes(OTHER_MACHINE), "is made for arm64, and this Docker host is amd64"),
    ],
    ids=["nothing", "pipe", "endless", "folder", "huge", "text", "other machine"],
)
def test_a_binary_that_cannot_be_one_is_refused_although_there_is_an_image_of_another(
    would: Callable[..., list[str]], binary: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(binary)
    with pytest.raises(LabctlError, match=says) as caught:
        would(image("1.8.7", "binary", origin(PROGRAM)), image_source="binary", image_binary=str(binary))
    assert caught.value.code is ExitCode.USAGE


def test_a_binary_beside_another_source_is_wrong_usage(would: Callable[..., list[str]], binary: Path) -> None:
    with pytest.raises(LabctlError, match="binary from the source debian") as caught:
        would(image("1.8.7", "debian", ""), image_source="debian", image_binary=str(binary))
    assert caught.value.code is ExitCode.USAGE


def test_a_file_of_another_docker_host_is_looked_at_there(
    would: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://ada@host")
    named = {"image_source": "binary", "image_binary": "/there/consul"}
    assert would(image("1.8.7", "binary", origin(PROGRAM)), **named)[0] == (
        "make an image of Consul in /there/consul from the source binary"
    )


def test_an_image_of_another_digest_is_not_that_of_the_one_that_an_inventory_names(
    would: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "hosts.yml").write_text(
        "labs: {hosts: {ada: {ansible_connection: local, consul_image_source: registry, "
        f"consul_image_registry_digest: '{DIGEST}'}}}}}}\n",
        encoding="utf-8",
    )
    tagged = image("1.22.0", "registry", "hashicorp/consul:1.22.0")
    assert would(tagged, inventory=tmp_path / "hosts.yml")[0] == (
        f"make an image of Consul in {DIGEST} from the source registry"
    )
    pinned = image("1.8.7", "registry", DIGEST)
    assert "Consul 1.8.7" in would(tagged, pinned, inventory=tmp_path / "hosts.yml")[0]


def test_a_file_that_holds_no_seed_is_refused_before_anything_is_made(
    would: Callable[..., list[str]], tmp_path: Path
) -> None:
    good = tmp_path / "seed"
    good.write_text("0" * 64, encoding="ascii")
    good.chmod(0o600)
    assert would(seed_file=str(good))
    for wrong, says in (("/dev/zero", "chmod 600|does not hold a seed"), (str(tmp_path / "gone"), "cannot be read")):
        with pytest.raises(LabctlError, match=says) as caught:
            would(seed_file=wrong)
        assert caught.value.code is ExitCode.USAGE
    # The lab that is there keeps what it has.
    assert would(lab=stand_in.lab("ada"), seed_file="/dev/zero", given={"servers": 5})


def test_a_pool_in_the_environment_that_no_lab_can_have_is_refused_where_it_is_used(
    would: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_SUBNET_POOL", "0.0.0.0/0")
    with pytest.raises(LabctlError, match=r"Cannot use the addresses of LABCTL_SUBNET_POOL: '0\.0\.0\.0/0'") as caught:
        would()
    assert caught.value.code is ExitCode.USAGE
    assert would(subnet_pool="10.214.0.0/16")
    assert would(subnet="10.214.7.0/28")
    monkeypatch.setenv("LABCTL_SUBNET_POOL", "")
    assert would()
