"""What `labctl doctor` says of the limits that a Docker host's admin has set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labctl.errors import LabctlError
from labctl.setup import doctor
from labctl.setup.doctor import Finding, limits_of
from tests.unit.pipes import lonely

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.engine.client import Client
    from tests.unit.stand_ins import FakeDocker


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.ini"


def server(docker: FakeDocker, lab: str, owner: str) -> None:
    labels = {"raft-labctl.lab": lab, "raft-labctl.owner": owner, "raft-labctl.servers": "3"}
    key = docker.put_container(f"labctl-{lab}-consul1", labels={**labels, "raft-labctl.server": "consul1"})
    document = docker.objects("container")[key]
    docker.put("container", key, {**document, "HostConfig": {"Memory": 256 << 20}})


def test_without_a_file_there_are_no_limits(docker: FakeDocker, path: Path) -> None:
    assert limits_of("ada", path) == Finding("limits", ok=True, found=f"none, because there is no {path}")
    assert docker.calls == []


def test_limits_are_told_with_what_is_used_of_them(docker: FakeDocker, path: Path) -> None:
    path.write_text("[everybody]\nlabs = 2\nmemory = 1g\n[ada]\nservers = 9\n", encoding="utf-8")
    server(docker, "ada", "ada")
    server(docker, "bob", "bob")
    told = f"ada may have 2 labs (has 1), 9 servers (has 3), 1g of memory (has 768m), by {path}"
    assert limits_of("ada", path) == Finding("limits", ok=True, found=told)


def test_who_has_no_limit_is_told_so(docker: FakeDocker, path: Path) -> None:
    path.write_text("[everybody]\nlabs = 2\n[ada]\nlabs = unlimited\n", encoding="utf-8")
    assert limits_of("ada", path).found == f"none for ada in {path}"
    assert docker.calls == []


def test_limits_are_told_also_where_no_engine_answers(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    path.write_text("[everybody]\nlabs = 2\n", encoding="utf-8")
    assert limits_of("ada", path) == Finding("limits", ok=True, found=f"ada may have 2 labs, by {path}")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[everybody]\nlabs = two\n", "section [everybody], key labs: 'two' is not a whole number, nor `unlimited`"),
        (b"\xff", "it is not UTF-8"),
        (b"\n" * ((1 << 20) + 1), "it is longer than a megabyte, and no file of limits is"),
    ],
)
def test_a_file_that_cannot_be_understood_is_something_to_mend(path: Path, content: bytes, why: str) -> None:
    path.write_bytes(content)
    finding = limits_of("ada", path)
    assert finding.found == f"{path} cannot be understood ({why}), so no lab can be started or made larger"
    assert (finding.ok, finding.fix) == (False, f"sudoedit {path}")
    path.unlink()
    path.mkdir()
    assert "(Is a directory)" in limits_of("ada", path).found


def test_a_file_of_limits_that_waits_or_has_no_end_is_something_to_mend(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")
    assert "(it is no plain file)" in limits_of("ada", path).found
    path.unlink()
    assert "(it is no plain file)" in limits_of("ada", lonely(path)).found


def test_the_limits_are_one_of_the_checks() -> None:
    (finding,) = doctor.examine("ada", ())
    assert finding.check == "limits"


def test_an_engine_that_somebody_chose_is_not_one_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    findings = {finding.check: finding for finding in doctor.examine("ada", (doctor.engine_found, doctor.image_found))}
    for check in ("engine", "image"):
        assert findings[check].fix == "unset DOCKER_HOST DOCKER_CONTEXT; docker context use default"


def test_a_socket_that_one_may_not_use_is_mended_by_the_group() -> None:
    def refuse() -> Client:
        raise LabctlError("You do not have permission to use the Docker socket: join the group `docker`.")

    assert doctor.engine_found(refuse).fix == "sudo usermod -aG docker $USER"
