"""A workshop as Ansible's inventory: every seat once, on its Docker host, and no secret."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import ExitCode, LabctlError
from labctl.runner.inventory import of_workshop
from labctl.workshop.model.file import Workshop, parse
from labctl.workshop.model.inventory import InventorySettings, forks_for, inventory_of
from labctl.workshop.model.seats import seats_of

SEEDS = Path("/state/seats")
HOSTS = """\
hosts:
  - {address: a.example, user: ada, port: 2222, key: id, known_hosts: "kn own", name: one}
  - local
"""


def workshop(text: str) -> Workshop:
    return parse(f"workshop: w\nseats: 3\n{text}", Path("/files/workshop.yml"))


def made(given: Workshop, version: str | None = "1.8.7") -> dict[str, Any]:
    """The inventory with the seats dealt to the hosts in turn."""
    seats = seats_of(given, {})
    placed = {seat.lab: given.hosts[number % len(given.hosts)].name for number, seat in enumerate(seats)}
    return inventory_of(given, seats, placed, InventorySettings("ada", SEEDS, version, 1795539600))


def test_the_real_ansible_finds_every_lab_with_its_connection(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(of_workshop("w", made(workshop(HOSTS)), "").text(unicode=True), encoding="utf-8")
    words = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(path), "--list"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(done.stdout)["_meta"]["hostvars"]
    assert set(told) == {"w-01", "w-02", "w-03", "one", "local"}
    assert told["w-01"]["ansible_host"] == told["w-03"]["ansible_host"] == "a.example"
    assert (told["w-01"]["ansible_user"], told["w-01"]["ansible_port"]) == ("ada", 2222)
    assert told["w-02"]["ansible_connection"] == "local"
    assert [told[f"w-0{number}"]["consul_lab_seat_number"] for number in (1, 2, 3)] == [1, 2, 3]
    assert told["w-03"]["consul_lab_seed_file"] == "/state/seats/w-03.seed"


def test_ssh_trusts_nobody_asks_nobody_and_keeps_a_path_whole() -> None:
    words = made(workshop(HOSTS))["docker_hosts"]["hosts"]["one"]["ansible_ssh_common_args"]
    assert "StrictHostKeyChecking=yes" in words
    assert "BatchMode=yes" in words
    assert "'UserKnownHostsFile=\"/files/kn own\"'" in words


def test_hosts_whose_names_differ_in_a_sign_only_keep_their_seats() -> None:
    children = made(workshop("hosts: [{address: a.b}, {address: a-b}, {address: A.B}]\n"))["labs"]["children"]
    assert {group: list(of["hosts"]) for group, of in children.items()} == {
        "on_a_b": ["w-01"],
        "on_a_b_2": ["w-02"],
        "on_a_b_3": ["w-03"],
    }
    assert [of["vars"]["ansible_host"] for of in children.values()] == ["a.b", "a-b", "A.B"]


def test_labs_on_this_machine_wait_for_their_turn_and_those_over_ssh_come_ten_at_a_time() -> None:
    hosts = workshop(HOSTS).hosts
    local, remote = "local", "one"
    assert {host.name for host in hosts} == {local, remote}
    assert forks_for({f"w-{number}": local for number in range(30)}, hosts) == 30
    assert forks_for({f"w-{number}": local for number in range(100)}, hosts) == 50
    assert forks_for({f"w-{number}": remote for number in range(30)}, hosts) == 10
    assert forks_for({"w-01": local, "w-02": remote, "w-03": remote}, hosts) == 11


def test_a_version_that_nobody_knows_yet_is_told_by_the_docker_host() -> None:
    children = made(workshop(HOSTS), version=None)["labs"]["children"]
    assert children["on_one"]["vars"]["consul_lab_version"] == "{{ hostvars['one'].consul_image_consul_version }}"


def test_a_host_called_like_a_lab_is_refused() -> None:
    with pytest.raises(LabctlError, match="w-01 is the name of a Docker host and of a lab") as caught:
        made(workshop("hosts: [{address: a.b, name: w-01}]\n"))
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.parametrize("name", ["labs", "all"])
def test_a_host_called_like_a_group_is_refused(name: str) -> None:
    with pytest.raises(LabctlError, match="in Ansible's inventory that of a group") as caught:
        made(workshop(f"hosts: [{{address: a.b, name: {name}}}]\n"))
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.parametrize("key", ["key", "known_hosts"])
@pytest.mark.parametrize("text", ["{{ lookup('pipe', 'id') }}", "a{% x", "{# x", 'a"b', "back\\\\slash", "x" * 1025])
def test_a_path_that_no_file_has_is_refused_with_its_line(key: str, text: str) -> None:
    shown = json.dumps(text)
    with pytest.raises(LabctlError, match=rf"line 4: `hosts\[1\]\.{key}` is .* without quotes") as caught:
        workshop(f"hosts:\n- {{address: far, {key}: {shown}}}\n")
    assert caught.value.code is ExitCode.USAGE


def test_ssh_fills_nothing_into_a_path() -> None:
    host = made(workshop("hosts: [{address: a, name: one, key: 50%h, known_hosts: 50%h}]\n"))["docker_hosts"]["hosts"][
        "one"
    ]
    assert host["ansible_ssh_private_key_file"] == "/files/50%%h"
    assert "/files/50%%h" in host["ansible_ssh_common_args"]


@pytest.mark.parametrize("name", ["all", "labs", "ungrouped"])
def test_a_docker_host_with_the_name_of_a_group_is_refused_where_the_file_is_read(name: str) -> None:
    with pytest.raises(LabctlError, match=f"line 4: {name} is the name of a Docker host, and .* that of a group"):
        workshop(f"hosts:\n- {{address: far, name: {name}}}\n")
    with pytest.raises(LabctlError, match="that of a group"):
        workshop("hosts: [{address: on_red}]\n")
