"""An inventory host is a lab; a user's own inventory is read by Ansible itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from labctl.errors import ExitCode, LabctlError
from labctl.provision import inventory

NESTED = """
all:
  children:
    labs:
      hosts: {ada: {ansible_connection: local, consul_lab_servers: 5}}
      children:
        room:
          children:
            row: {hosts: {eve: , bob: }}
    other: {hosts: {printer: }}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "hosts.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_lab_on_this_machine_is_a_local_host_with_our_own_python() -> None:
    made = inventory.of_this_machine("ada", {"consul_lab_servers": 5})
    assert made.limit == "ada"
    assert made.sources == ()
    assert made.own["labs"]["hosts"]["ada"] == {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "consul_lab_name": "ada",
        "consul_lab_servers": 5,
    }


def test_labs_of_groups_below_the_group_are_labs_too(tmp_path: Path) -> None:
    labs = inventory.labs_in(written(tmp_path, NESTED))
    assert set(labs) == {"ada", "eve", "bob"}
    assert labs["ada"]["consul_lab_servers"] == 5


def test_a_users_inventory_stays_a_source_and_our_settings_lie_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = inventory.from_file(Path("hosts.yml"), "eve", {"consul_lab_servers": 5})
    assert made.limit == "eve"
    assert made.sources == (tmp_path / "hosts.yml",)
    assert made.own["labs"]["hosts"] == {"eve": {"consul_lab_name": "eve", "consul_lab_servers": 5}}


def test_a_lab_that_the_inventory_does_not_name_is_refused_with_those_it_does(tmp_path: Path) -> None:
    path = written(tmp_path, NESTED)
    assert inventory.lab_in(path, "ada")["consul_lab_servers"] == 5
    with pytest.raises(LabctlError, match="names no lab printer: it has ada, bob, eve") as caught:
        inventory.lab_in(path, "printer")
    assert caught.value.code is ExitCode.USAGE


def test_a_lab_of_another_docker_host_is_refused_with_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(LabctlError, match=r"another Docker host.*ansible-playbook -i .* --limit eve") as caught:
        inventory.lab_in(written(tmp_path, NESTED), "eve")
    assert caught.value.code is ExitCode.USAGE


def test_an_inventory_that_is_missing_is_never_taken_for_text(tmp_path: Path) -> None:
    with pytest.raises(LabctlError, match="does not exist") as caught:
        inventory.labs_in(tmp_path / "ada,")
    assert caught.value.code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("text", "says"),
    [("all: {hosts: {ada: }}", "names no lab"), ("{ broken", "cannot be read"), ("", "cannot be read|names no lab")],
)
def test_an_inventory_without_a_lab_is_wrong_usage(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(LabctlError, match=says) as caught:
        inventory.labs_in(written(tmp_path, text))
    assert caught.value.code is ExitCode.USAGE
    assert "\n" not in caught.value.sentence
