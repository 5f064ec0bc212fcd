"""Commands in a server's container."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from labctl.engine import labs
from labctl.engine.exec import run_in
from labctl.errors import ExitCode, LabctlError
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.stand_ins import FakeDocker

LAB = labs.labs_from(stand_in.lab("ada"), "local")[0]


def test_a_command_runs_in_the_server_and_its_code_is_returned(docker: FakeDocker) -> None:
    docker.answer("exec", code=7)
    assert run_in(LAB, LAB.servers[1], ["consul", "members"]) == 7
    assert docker.calls == [["exec", "--interactive", "ada-consul2", "consul", "members"]]


def test_a_server_that_does_not_run_is_told(docker: FakeDocker) -> None:
    with pytest.raises(LabctlError, match="consul1 of the lab ada is not running: `labctl start ada`"):
        run_in(LAB, replace(LAB.servers[0], state="exited"), ["consul", "members"])
    assert docker.calls == []


@pytest.mark.usefixtures("docker")
def test_no_command_is_wrong_usage() -> None:
    with pytest.raises(LabctlError, match="Nothing to run") as caught:
        run_in(LAB, LAB.servers[0], [])
    assert caught.value.code is ExitCode.USAGE


def test_without_the_docker_command_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabctlError, match="docker command is not installed"):
        run_in(LAB, LAB.servers[0], ["consul"])
