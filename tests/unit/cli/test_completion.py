"""What a shell is offered when somebody presses Tab, and which lab a command takes that names none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.shell_completion import ShellComplete

from labctl.cli import main
from labctl.errors import ExitCode
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.stand_ins import FakeDocker

ROLES = ["leader", "follower", "any", "majority", "minority"]
SERVERS = ["consul1", "consul2", "consul3"]


def offered(line: str) -> list[str]:
    """What a shell offers for the last word of a command line."""
    *words, last = line.split(" ")[1:]
    shell = ShellComplete(main.labctl, {}, "labctl", "_LABCTL_COMPLETE")
    return [item.value for item in shell.get_completions(words, last)]


@pytest.fixture
def labs(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """Ada's lab of three servers and Eve's of one."""
    monkeypatch.setenv("USER", "ada")
    eve = stand_in.container("eve", "consul1", labels={"raft-labctl.owner": "eve", "raft-labctl.servers": "1"})
    docker.beside().container_list = [*stand_in.lab("ada"), eve]
    return docker


@pytest.mark.usefixtures("labs")
@pytest.mark.parametrize(
    "command",
    ["kill", "stop", "start", "pause", "resume", "isolate", "one-way", "one-way consul1", "loss 20", "rate 10",
     "delay 100", "partition", "partition consul1 /"],
)  # fmt: skip
def test_the_target_of_a_fault_is_a_role_or_a_server_of_the_lab(command: str) -> None:
    assert offered(f"labctl fault {command} ") == [*ROLES, *SERVERS]


@pytest.mark.usefixtures("labs")
def test_a_target_is_completed_from_what_was_typed() -> None:
    assert offered("labctl fault kill le") == ["leader"]
    assert offered("labctl fault kill m") == ["majority", "minority"]
    assert offered("labctl fault kill consul3") == ["consul3"]
    assert offered("labctl fault kill x") == []


def test_a_sample_is_completed_from_what_was_typed() -> None:
    assert offered("labctl story --sample lost-") == ["lost-leader", "lost-quorum"]
    assert "2015" in offered("labctl story --sample ")
    assert offered("labctl story --sample x") == []


@pytest.mark.usefixtures("labs")
def test_of_several_servers_the_last_is_completed_with_one_that_is_not_named_yet() -> None:
    assert offered("labctl fault kill consul1,") == ["consul1,consul2", "consul1,consul3"]
    assert offered("labctl fault kill consul1,consul3,c") == ["consul1,consul3,consul2"]


@pytest.mark.usefixtures("labs")
@pytest.mark.parametrize(
    "command", ["exec", "stop --server", "start -s", "restart --server", "logs --server", "fault transfer-leader"]
)
def test_where_a_command_takes_a_server_those_of_the_lab_are_offered(command: str) -> None:
    assert offered(f"labctl {command} ") == SERVERS
    assert offered(f"labctl {command} consul2") == ["consul2"]


@pytest.mark.usefixtures("labs")
def test_the_servers_are_of_the_lab_that_is_named() -> None:
    assert offered("labctl stop eve --server ") == ["consul1"]
    assert offered("labctl exec --lab eve ") == ["consul1"]
    assert offered("labctl fault kill --lab eve ") == [*ROLES, "consul1"]


@pytest.mark.usefixtures("labs")
def test_the_servers_are_of_the_lab_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_LAB", "eve")
    assert offered("labctl exec ") == ["consul1"]


@pytest.mark.usefixtures("labs")
def test_what_exec_runs_is_not_completed_with_servers() -> None:
    assert offered("labctl exec consul1 -- ") == []


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("command", ["exec", "fault kill", "stop --server", "fault kill --lab nobody", "fault heal"])
def test_without_a_lab_nothing_is_offered(command: str) -> None:
    assert offered(f"labctl {command} ") == []


@pytest.mark.parametrize("command", ["exec", "fault kill", "stop --server"])
def test_without_an_engine_nothing_is_offered(command: str) -> None:
    assert offered(f"labctl {command} ") == []


def test_of_several_labs_of_mine_none_is_guessed(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")
    docker.beside().container_list = [*stand_in.lab("ada"), *stand_in.lab("second")]
    assert offered("labctl fault kill ") == []
    assert offered("labctl fault kill --lab second ") == [*ROLES, *SERVERS]


@pytest.mark.usefixtures("labs")
def test_fault_ls_is_completed_and_told_as_its_siblings_are() -> None:
    assert offered("labctl fault ls ") == ["ada", "eve"]
    assert offered("labctl fault ls --lab ") == ["ada", "eve"]


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("words", [["fault", "ls", "eve"], ["fault", "ls", "--lab", "eve"]])
def test_fault_ls_takes_a_lab_either_way(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(words) == ExitCode.FAILED
    assert "There is no lab eve on this Docker host" in capsys.readouterr().err


def test_fault_ls_takes_one_lab(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["fault", "ls", "ada", "--lab", "eve"]) == ExitCode.USAGE
    assert "Name the lab once" in capsys.readouterr().err


# -- LABCTL_LAB ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize(
    "command",
    ["status", "members", "logs", "story", "bundle save", "stop", "start", "restart", "join", "chaos",
     "measure failover", "exec consul1 -- true", "fault ls", "fault kill leader", "fault heal"],
)  # fmt: skip
def test_a_command_without_a_lab_means_the_one_that_the_environment_names(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("USER", "ada")
    monkeypatch.setenv("LABCTL_LAB", "eve")
    assert main.run(command.split()) == ExitCode.FAILED
    assert "There is no lab eve on this Docker host" in capsys.readouterr().err


@pytest.mark.usefixtures("docker")
def test_a_lab_that_is_named_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABCTL_LAB", "eve")
    main.run(["status", "ada"])
    main.run(["fault", "ls", "ada"])
    main.run(["fault", "heal", "--lab", "ada"])
    assert capsys.readouterr().err.count("There is no lab ada") == 3


@pytest.mark.usefixtures("labs")
def test_down_all_is_no_contradiction_to_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("USER", "nobody")
    monkeypatch.setenv("LABCTL_LAB", "eve")
    assert main.run(["down", "--all", "--dry-run"]) == ExitCode.DONE
    assert main.run(["down", "ada", "--all"]) == ExitCode.USAGE
    assert "either a lab or --all" in capsys.readouterr().err


def test_the_lab_of_somebody_else_is_forced_by_its_name_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABCTL_LAB", "eve")
    assert main.run(["down", "--force"]) == ExitCode.USAGE
    assert "--force needs the name" in capsys.readouterr().err


# -- workshop.yml --------------------------------------------------------------------------------------------


@pytest.fixture
def class_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workshop's file of three seats in the current folder."""
    file = tmp_path / "workshop.yml"
    file.write_text("workshop: class\nseats: [ada, eve, bob]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return file


@pytest.mark.usefixtures("class_file")
@pytest.mark.parametrize("command", ["up", "verify", "reset", "down", "cards", "fault heal", "fault kill leader"])
def test_the_seats_of_the_workshops_file_are_offered(command: str) -> None:
    assert offered(f"labctl workshop {command} ") == ["ada", "eve", "bob"]
    assert offered(f"labctl workshop {command} e") == ["eve"]


@pytest.mark.usefixtures("class_file")
def test_the_target_of_a_fault_in_many_seats_is_a_role_or_a_server() -> None:
    assert offered("labctl workshop fault kill ") == [*ROLES, *SERVERS]


def test_without_a_workshops_file_nothing_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered("labctl workshop up ") == []
    assert offered("labctl workshop fault kill ") == []
    (tmp_path / "workshop.yml").write_text("{", encoding="utf-8")
    assert offered("labctl workshop up ") == []
