"""A lab's gossip key, and what old Consul versions read from a file: in a volume, and nowhere else."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from plugins.module_utils import lab_secrets_volume
from plugins.module_utils.lab_parts import LabParts, find
from plugins.module_utils.lab_secrets_volume import Configuration, SecretsRequest
from plugins.module_utils.shared import derived_secrets
from plugins.module_utils.shared.docker_api import DockerError, Engine
from plugins.module_utils.shared.lab_server import LabServer

if TYPE_CHECKING:
    from tests.unit.stand_ins import FakeDocker

LABELS = {"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"}
SEED = bytes(range(32))
TOKENS = {"agent": "token", "agent_master": "recovery_token", "master": "token"}
NEWER_TOKENS = {"agent": "token", "agent_recovery": "recovery_token", "initial_management": "token"}
AUTHORITY, CERTIFICATE, KEY = (
    f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n"
    for kind, text in (("CERTIFICATE", "Y2E="), ("CERTIFICATE", "c2VydmVy"), ("EC PRIVATE KEY", "a2V5"))
)
IN_USE = LabParts(
    servers=(LabServer("consul1", "labctl-ada-consul1", "x", "running", "10.213.0.2", None),),
    volumes=("labctl-ada-config",),
)


def provide(
    lab_parts: LabParts,
    settings: dict[str, Any] | None = None,
    *,
    profile: str = "gossip",
    seed: bytes = SEED,
    tokens: dict[str, str] | None = None,
) -> Configuration:
    configuration = Configuration(Engine(), "ada", "ada")
    named = tokens or (TOKENS if profile == "full" else {})
    configuration.provide(lab_parts, "image", settings or {}, SecretsRequest(profile, seed, named))
    return configuration


def provide_full(docker: FakeDocker, **changed: Any) -> Configuration:
    docker.answer("exec", "consul tls ca create", out=AUTHORITY + CERTIFICATE + KEY)
    return provide(LabParts(), profile="full", **changed)


def files_in(docker: FakeDocker) -> dict[str, Any]:
    files: dict[str, Any] = docker.objects("volume")["labctl-ada-config"]["Files"]
    return files


def key_in(docker: FakeDocker, name: str = "gossip.json") -> dict[str, Any]:
    content: dict[str, Any] = files_in(docker)[name]
    return content


def test_a_new_lab_gets_a_key_that_only_the_server_reads(docker: FakeDocker) -> None:
    provide(LabParts())
    file = key_in(docker)
    assert (file["mode"], file["uid"], file["gid"]) == (0o600, 8500, 8500)
    key = json.loads(file["content"])["encrypt"]
    assert len(base64.b64decode(key)) == 32
    assert key not in str(docker.calls)
    assert docker.objects("container") == {}


def test_a_key_is_never_made_twice(docker: FakeDocker) -> None:
    provide(LabParts())
    first = key_in(docker)
    again = provide(find(Engine(), "ada"))
    assert key_in(docker) == first
    assert again.made == []


def test_the_key_is_the_seeds_and_a_lab_that_is_there_keeps_its_own(docker: FakeDocker) -> None:
    provide(LabParts())
    assert json.loads(key_in(docker)["content"]) == {"encrypt": derived_secrets.gossip_key(SEED)}
    provide(find(Engine(), "ada"), seed=bytes(32))
    assert json.loads(key_in(docker)["content"]) == {"encrypt": derived_secrets.gossip_key(SEED)}


@pytest.mark.parametrize("said", ["Error response from daemon: No such container: x", "Error: something went wrong"])
@pytest.mark.parametrize("profile", ["gossip", "full"])
def test_secrets_are_not_made_anew_because_an_engine_stumbles_while_it_is_asked_for_them(
    docker: FakeDocker, profile: str, said: str
) -> None:
    _ = provide_full(docker) if profile == "full" else provide(LabParts())
    before = files_in(docker)
    docker.answer("cp", ":/consul/config/gossip.json", err=said, code=1)
    with pytest.raises(DockerError):
        provide(find(Engine(), "ada"), profile=profile, seed=bytes(32))
    assert files_in(docker) == before
    assert docker.called("create", "start") == []


def test_a_token_is_not_told_as_lost_because_an_engine_stumbles_while_it_is_asked_for_it(docker: FakeDocker) -> None:
    provide_full(docker)
    for path in ("access", "acl.json"):
        docker.answer("cp", f":/consul/config/{path}", err="Error: something went wrong", code=1)
        with pytest.raises(DockerError, match="something went wrong") as caught:
            provide(IN_USE, profile="full", tokens=NEWER_TOKENS)
        assert "lost" not in caught.value.sentence


def test_an_open_lab_has_a_volume_and_no_key(docker: FakeDocker) -> None:
    made = provide(LabParts(), profile="open")
    assert files_in(docker) == {}
    assert made.made == []
    provide(find(Engine(), "ada"), profile="open")
    assert files_in(docker) == {}


# -- the profile full ----------------------------------------------------------------------------------------


def test_a_full_lab_gets_tokens_and_certificates_that_only_the_server_reads(docker: FakeDocker) -> None:
    made = provide_full(docker)
    files = files_in(docker)
    assert {(file["mode"], file["uid"], file["gid"]) for file in files.values() if file["content"] is not None} == {
        (0o600, 8500, 8500)
    }
    assert files["access"]["mode"] == 0o700
    token, recovery = derived_secrets.token(SEED), derived_secrets.recovery_token(SEED)
    assert {name: file["content"] for name, file in files.items() if name.startswith("access/")} == {
        "access/ca.pem": AUTHORITY,
        "access/server.pem": CERTIFICATE,
        "access/server-key.pem": KEY,
        "access/token": token,
        "access/recovery.token": recovery,
    }
    assert json.loads(files["acl.json"]["content"]) == {
        "acl": {"tokens": {"agent": token, "agent_master": recovery, "master": token}}
    }
    # What is complete has a gossip key, so it is written last.
    assert list(files)[-1] == "gossip.json"
    assert made.made == ["made certificates and a token", "made a gossip key"]
    assert not [call for call in docker.calls if token in str(call) or recovery in str(call)]
    assert docker.objects("container") == {}


def test_the_helper_that_makes_certificates_has_no_network_no_disk_and_no_rights(docker: FakeDocker) -> None:
    provide_full(docker)
    (created,) = docker.called("create")
    body = json.loads(created[2])
    host = body["HostConfig"]
    assert (body["User"], host["NetworkMode"], host["ReadonlyRootfs"]) == ("8500:8500", "none", True)
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
    assert list(host["Tmpfs"]) == ["/tmp"]  # noqa: S108 - in the helper


def test_a_lab_without_certificates_starts_no_helper(docker: FakeDocker) -> None:
    provide(LabParts())
    assert docker.called("start") == []
    assert docker.called("exec") == []


def test_certificates_that_were_not_made_are_told_and_nothing_is_stored(docker: FakeDocker) -> None:
    docker.answer("exec", "consul tls ca create", out=AUTHORITY)
    with pytest.raises(DockerError, match="made no certificates"):
        provide(LabParts(), profile="full")
    assert files_in(docker) == {}


def test_a_failing_consul_tls_is_told_with_its_own_words(docker: FakeDocker) -> None:
    docker.answer("exec", "consul tls ca create", err="Error: no entropy", code=1)
    with pytest.raises(DockerError, match="making the lab's certificates: Error: no entropy"):
        provide(LabParts(), profile="full")


def test_another_version_of_consul_reads_the_same_tokens_under_its_own_names(docker: FakeDocker) -> None:
    provide_full(docker)
    before = files_in(docker)
    provide(IN_USE, profile="full", seed=bytes(32))
    assert files_in(docker) == before
    provide(IN_USE, profile="full", seed=bytes(32), tokens=NEWER_TOKENS)
    after = files_in(docker)
    token, recovery = derived_secrets.token(SEED), derived_secrets.recovery_token(SEED)
    assert json.loads(after["acl.json"]["content"])["acl"]["tokens"] == {
        "agent": token,
        "agent_recovery": recovery,
        "initial_management": token,
    }
    assert {name: content for name, content in after.items() if name != "acl.json"} == {
        name: content for name, content in before.items() if name != "acl.json"
    }


@pytest.mark.usefixtures("docker")
def test_a_full_lab_that_has_lost_its_token_is_told() -> None:
    provide(LabParts())
    with pytest.raises(DockerError, match="has lost its token"):
        provide(IN_USE, profile="full")


# -- the volume ----------------------------------------------------------------------------------------------


def test_a_lab_that_runs_keeps_its_key_untouched(docker: FakeDocker) -> None:
    provide(IN_USE)
    assert docker.calls == []


def test_settings_are_written_beside_a_key_in_use(docker: FakeDocker) -> None:
    provide(LabParts())
    key = key_in(docker)
    provide(IN_USE, {"performance": {"raft_multiplier": 1}})
    assert key_in(docker) == key
    written = key_in(docker, "settings.json")["content"]
    assert json.loads(written) == {"performance": {"raft_multiplier": 1}}


def test_the_volume_and_the_helper_carry_the_labs_labels(docker: FakeDocker) -> None:
    docker.answer("container rm", err="stays", code=0)
    provide(LabParts())
    labels = {**LABELS, "raft-labctl.profile": "gossip"}
    seed = {"raft-labctl.seed": derived_secrets.fingerprint(SEED)}
    assert docker.objects("volume")["labctl-ada-config"]["Labels"] == labels | seed
    (helper,) = docker.objects("container").values()
    assert helper["Config"]["Labels"] == {**labels, "raft-labctl.helper": "configuration"}
    assert find(Engine(), "ada").helpers == (helper["Id"],)


def test_a_volume_of_a_killed_run_never_tells_of_another_seed_than_its_own(docker: FakeDocker) -> None:
    docker.answer("cp -", err="killed", code=1)
    with pytest.raises(DockerError):
        provide(LabParts())
    assert find(Engine(), "ada").seed == derived_secrets.fingerprint(SEED)
    assert files_in(docker) == {}
    provide(find(Engine(), "ada"), seed=bytes(32))
    assert json.loads(key_in(docker)["content"]) == {"encrypt": derived_secrets.gossip_key(bytes(32))}
    assert find(Engine(), "ada").seed == derived_secrets.fingerprint(bytes(32))
    # One that has its secrets keeps them, whoever comes next.
    provide(find(Engine(), "ada"))
    assert find(Engine(), "ada").seed == derived_secrets.fingerprint(bytes(32))


def test_a_volume_without_secrets_tells_of_no_seed(docker: FakeDocker) -> None:
    provide(LabParts(), profile="open")
    assert docker.objects("volume")["labctl-ada-config"]["Labels"] == {**LABELS, "raft-labctl.profile": "open"}


def test_a_key_that_cannot_be_stored_is_told(docker: FakeDocker) -> None:
    docker.answer("cp -", err="no such container path", code=1)
    with pytest.raises(DockerError, match="storing the gossip key"):
        provide(LabParts())


def test_an_archive_holds_its_files_for_the_images_user() -> None:
    with tarfile.open(fileobj=io.BytesIO(lab_secrets_volume.archive({"a": (b"xyz", 0o600), "b": (b"", 0o644)}))) as tar:
        entries = [(tar_info.name, tar_info.size, tar_info.mode, tar_info.uid, tar_info.gid) for tar_info in tar]
    assert entries == [("a", 3, 0o600, 8500, 8500), ("b", 0, 0o644, 8500, 8500)]
