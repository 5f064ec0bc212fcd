"""The module consul_lab_info: a lab's servers as facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugins.modules import consul_lab_info

if TYPE_CHECKING:
    from tests.unit.stand_ins import FakeDocker, ModuleRun


@pytest.mark.parametrize("check", [False, True])
def test_the_servers_are_facts_in_the_order_of_their_names(
    docker: FakeDocker, module_run: ModuleRun, *, check: bool
) -> None:
    for name in ("consul2", "consul1"):
        labels = {"raft-labctl.lab": "ada", "raft-labctl.owner": "ada", "raft-labctl.server": name}
        docker.put_container(f"labctl-ada-{name}", labels=labels, state="exited")
    result = module_run(consul_lab_info.main, check=check, name="ada")
    assert result["changed"] is False
    assert [member["container"] for member in result["ansible_facts"]["consul_lab_members"]] == [
        "labctl-ada-consul1",
        "labctl-ada-consul2",
    ]
    assert {call[1] for call in docker.calls} <= {"ls", "inspect"}


@pytest.mark.usefixtures("docker")
def test_a_lab_that_is_not_there_has_no_servers(module_run: ModuleRun) -> None:
    assert module_run(consul_lab_info.main, name="ada")["ansible_facts"] == {"consul_lab_members": []}


def test_a_name_that_cannot_be_is_wrong_usage(docker: FakeDocker, module_run: ModuleRun) -> None:
    result = module_run(consul_lab_info.main, name="a b")
    assert result["failure"] == "usage"
    assert "'a b' cannot be the name of a lab" in result["msg"]
    assert docker.calls == []


def test_what_docker_says_is_told(docker: FakeDocker, module_run: ModuleRun) -> None:
    docker.answer("ls", err="permission denied while trying to connect to the Docker daemon", code=1, times=9)
    result = module_run(consul_lab_info.main, name="ada")
    assert "You do not have permission to use the Docker socket" in result["msg"]
    assert result["failure"] == "failed"
