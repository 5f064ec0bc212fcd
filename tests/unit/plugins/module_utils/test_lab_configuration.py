"""A lab's gossip key, and what old Consul versions read from a file: in a volume, and nowhere else."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils import lab_configuration
from ansible.module_utils.docker_api import DockerError, Engine
from ansible.module_utils.lab_configuration import Configuration
from ansible.module_utils.lab_found import Found, Server, find

if TYPE_CHECKING:
    from tests.unit.stand_ins import FakeDocker

LABELS = {"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"}
IN_USE = Found(
    servers=(Server("consul1", "labctl-ada-consul1", "x", "running", "", "10.213.0.2", None),),
    volumes=("labctl-ada-config",),
)


def provide(found: Found, settings: dict[str, Any] | None = None) -> Configuration:
    configuration = Configuration(Engine(), "ada", "ada")
    configuration.provide(found, "image", settings or {})
    return configuration


def key_in(docker: FakeDocker, name: str = "gossip.json") -> dict[str, Any]:
    found: dict[str, Any] = docker.objects("volume")["labctl-ada-config"]["Files"][name]
    return found


def test_a_new_lab_gets_a_key_that_only_the_server_reads(docker: FakeDocker) -> None:
    provide(Found())
    file = key_in(docker)
    assert (file["mode"], file["uid"], file["gid"]) == (0o600, 8500, 8500)
    key = json.loads(file["content"])["encrypt"]
    assert len(base64.b64decode(key)) == 32
    assert key not in str(docker.calls)
    assert docker.objects("container") == {}


def test_a_key_is_never_made_twice(docker: FakeDocker) -> None:
    provide(Found())
    first = key_in(docker)
    again = provide(find(Engine(), "ada"))
    assert key_in(docker) == first
    assert not again.made_key


def test_two_labs_have_two_keys() -> None:
    assert lab_configuration.gossip_configuration() != lab_configuration.gossip_configuration()


def test_a_lab_that_runs_keeps_its_key_untouched(docker: FakeDocker) -> None:
    provide(IN_USE)
    assert docker.calls == []


def test_settings_are_written_beside_a_key_in_use(docker: FakeDocker) -> None:
    provide(Found())
    key = key_in(docker)
    provide(IN_USE, {"performance": {"raft_multiplier": 1}})
    assert key_in(docker) == key
    written = key_in(docker, "settings.json")["content"]
    assert json.loads(written) == {"performance": {"raft_multiplier": 1}}


def test_the_volume_and_the_helper_carry_the_labs_labels(docker: FakeDocker) -> None:
    docker.answer("container rm", err="stays", code=0)
    provide(Found())
    assert docker.objects("volume")["labctl-ada-config"]["Labels"] == LABELS
    (helper,) = docker.objects("container").values()
    assert helper["Config"]["Labels"] == LABELS
    assert find(Engine(), "ada").helpers == (helper["Id"],)


def test_a_key_that_cannot_be_stored_is_told(docker: FakeDocker) -> None:
    docker.answer("cp -", err="no such container path", code=1)
    with pytest.raises(DockerError, match="storing the gossip key"):
        provide(Found())


def test_an_archive_holds_its_files_for_the_images_user() -> None:
    with tarfile.open(fileobj=io.BytesIO(lab_configuration.archive({"a": (b"xyz", 0o600), "b": (b"", 0o644)}))) as tar:
        entries = [(one.name, one.size, one.mode, one.uid, one.gid) for one in tar]
    assert entries == [("a", 3, 0o600, 8500, 8500), ("b", 0, 0o644, 8500, 8500)]
