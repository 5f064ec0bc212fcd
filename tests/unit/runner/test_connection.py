"""How Ansible reaches the Docker host that DOCKER_HOST names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from labctl.errors import LabctlError
from labctl.runner import inventory
from labctl.runner.connection import connection_variables
from labctl.runner.content import content_root
from labctl.setup import doctor

if TYPE_CHECKING:
    from pathlib import Path


def test_on_this_machine_nothing_is_added() -> None:
    assert connection_variables({"consul_lab_servers": 3}) == {"consul_lab_servers": 3}


def test_over_ssh_the_lab_lives_on_the_host_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://ada@room:2222")
    made = inventory.of_this_machine("raft-101", connection_variables({"consul_lab_servers": 3}))
    lab = made.own["labs"]["hosts"]["raft-101"]
    assert lab["ansible_connection"] == "ssh"
    assert (lab["ansible_host"], lab["ansible_user"], lab["ansible_port"]) == ("room", "ada", 2222)
    assert "StrictHostKeyChecking=yes" in lab["ansible_ssh_common_args"]
    assert lab["ansible_python_interpreter"] == "auto_silent"
    assert lab["consul_lab_servers"] == 3


def test_what_an_address_leaves_out_is_left_to_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://room")
    assert not {"ansible_user", "ansible_port"} & set(connection_variables({}))


def test_the_modules_ask_the_engine_that_labctl_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://room/run/user/1000/docker.sock")
    assert connection_variables({})["labctl_environment"] == {"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}
    monkeypatch.setenv("DOCKER_HOST", "ssh://room")
    assert "labctl_environment" not in connection_variables({})


@pytest.mark.parametrize("play", sorted((content_root() / "playbooks").glob("*.yml")), ids=lambda path: path.name)
def test_every_play_has_the_environment_of_its_docker_host(play: Path) -> None:
    for task in yaml.safe_load(play.read_text(encoding="utf-8")):
        assert "hosts" not in task or task["environment"] == "{{ labctl_environment | default({}) }}"


def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://ada:secret@room")
    with pytest.raises(LabctlError, match="is no address of a Docker host"):
        connection_variables({})


def test_the_doctor_measures_nothing_of_this_machine_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://room")
    assert doctor.disk_space().found == doctor.limits_of("ada").found == "of another machine"
