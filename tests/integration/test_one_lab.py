"""A lab of three servers as a user sees it: up, ls, status, members, exec, logs."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import sysconfig
import time
import venv
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.harness import (
    ROOT,
    VERSION,
    Person,
    about_us,
    ended,
    left_of,
    matches,
    servers,
    started,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ["consul1", "consul2", "consul3"]
ADDRESS = re.compile(r"10\.\d+\.\d+\.\d+")


@pytest.fixture(scope="module")
def first(ada: Person, module_names: Callable[[], str]) -> dict[str, Any]:
    """The result of the first `up --json`; the lab stays for the module."""
    lab = module_names()
    document = ada.done("up", lab, "--pace", "real", "--consul-version", VERSION, "--json").json
    assert document["lab"] == lab
    return dict(document)


@pytest.fixture(scope="module")
def lab(first: dict[str, Any]) -> str:
    """The lab's name."""
    return str(first["lab"])


def check_types(document: dict[str, Any], types: dict[str, Any]) -> None:
    """Fail where a key is missing or has a value of another type; keys may have been added."""
    for key, kind in types.items():
        assert key in document, f"{key} is missing in {sorted(document)}"
        # In Python a bool is an int, in JSON it is not.
        value = document[key]
        assert isinstance(value, kind), f"{key}: {value!r}"
        assert isinstance(value, bool) == (kind is bool), f"{key}: {value!r}"


def test_up_says_in_json_who_leads_whom_and_how_long_each_part_took(first: dict[str, Any]) -> None:
    check_types(
        first,
        {"lab": str, "changed": bool, "servers": list, "leader": str, "term": int, "voters": int, "seconds": dict},
    )
    assert first["changed"] is True
    assert first["voters"] == 3
    assert first["term"] >= 1
    assert [server["name"] for server in first["servers"]] == NAMES
    for server in first["servers"]:
        check_types(server, {"name": str, "address": str, "role": str})
        assert ADDRESS.fullmatch(server["address"])
        assert server["role"] == ("leader" if server["name"] == first["leader"] else "follower")
    check_types(first["seconds"], dict.fromkeys(("image", "start", "join", "election", "total"), (int, float)))
    assert 0 < first["seconds"]["start"] < first["seconds"]["total"] < 120


def test_without_ansible_playbook_up_makes_nothing(
    ada: Person, names: Callable[[], str], tmp_path: Path, image: str
) -> None:
    assert image
    lab, packages = names(), Path(sysconfig.get_path("purelib"))
    venv.create(tmp_path / "venv")
    (tmp_path / "venv" / packages.relative_to(sys.prefix) / "labctl.pth").write_text(f"{packages}\n{ROOT}\n")
    others = os.environ["PATH"].split(os.pathsep)
    env = ada.env | {"PATH": os.pathsep.join(other for other in others if not Path(other, "ansible-playbook").exists())}
    ended_so = ended([str(tmp_path / "venv" / "bin" / "python"), "-m", "labctl", "up", lab], env, tmp_path)
    assert (ended_so.code, ended_so.out) == (1, "")
    assert ended_so.sentence().startswith("Cannot run Ansible: there is no ansible-playbook in ")
    assert left_of(lab) == []


def test_one_up_is_one_run_of_ansible_playbook(ada: Person, names: Callable[[], str]) -> None:
    lab = names()
    ada.done("up", lab, "--watch", "--pace", "real")
    records = [path.name for path in (ada.state / "runs").iterdir() if f"-{lab}-" in path.name]
    assert len(records) == 1, records
    assert records[0].endswith("-up.log")


def test_a_second_up_changes_nothing(ada: Person, lab: str, first: dict[str, Any]) -> None:
    before = started(lab)
    again = ada.done("up", lab, "--json").json
    assert again["changed"] is False
    assert again["servers"] == first["servers"]
    assert (again["leader"], again["term"], again["voters"]) == (first["leader"], first["term"], 3)
    same = ada.done("up", lab, "--servers", "3", "--pace", "real", "--consul-version", VERSION)
    assert "nothing to do" in same.out
    assert started(lab) == before


def test_a_dry_run_of_a_ready_lab_says_that_nothing_would_change(ada: Person, lab: str) -> None:
    before = started(lab)
    assert "nothing would change" in ada.done("up", lab, "--dry-run").out
    assert "consul4, consul5" in ada.done("up", lab, "--servers", "5", "--dry-run").out
    for words in (("down", lab), ("stop", lab), ("restart", lab, "--server", "consul2")):
        assert "Would" in ada.done(*words, "--dry-run").out
    assert started(lab) == before


def test_ls_lists_the_lab_with_its_leader_and_owner(ada: Person, lab: str, first: dict[str, Any]) -> None:
    (row,) = [row for row in ada.done("ls", "--json").json if row["lab"] == lab]
    check_types(
        row,
        {
            "lab": str,
            "owner": str,
            "host": str,
            "servers": int,
            "ready": bool,
            "leader": str,
            "term": int,
            "created": str,
        },
    )
    assert {"workshop", "expires"} <= set(row)
    assert (row["owner"], row["servers"], row["ready"]) == (ada.owner, 3, True)
    assert (row["leader"], row["term"]) == (first["leader"], first["term"])
    assert lab in ada.done("ls").out


def test_status_tells_each_servers_role_vote_and_commit_index(ada: Person, lab: str, first: dict[str, Any]) -> None:
    document = ada.done("status", lab, "--json").json
    check_types(
        document,
        {"lab": str, "ready": bool, "leader": str, "term": int, "commit_index": int, "servers": list, "faults": list},
    )
    assert document["ready"] is True
    assert document["faults"] == []
    assert (document["leader"], document["term"]) == (first["leader"], first["term"])
    assert [server["name"] for server in document["servers"]] == NAMES
    for server in document["servers"]:
        check_types(
            server,
            {"name": str, "id": str, "address": str, "state": str, "role": str, "voter": bool, "commit_index": int},
        )
        check_types(server, {"last_contact_ms": (int, float)})
        assert server["voter"] is True
        assert server["state"] == "running"
        assert 0 < server["commit_index"] <= document["commit_index"]
    assert len({server["id"] for server in document["servers"]}) == 3
    text = ada.done("status", lab).out
    assert f"{first['leader']} leads in term {first['term']}" in text


def test_members_tells_what_consul_members_tells(ada: Person, lab: str) -> None:
    rows = ada.done("members", lab, "--json").json
    for row in rows:
        check_types(row, {"name": str, "address": str, "state": str, "type": str, "build": str, "datacenter": str})
    said = ada.done("exec", "--lab", lab, "consul1", "--", "consul", "members").out.splitlines()[1:]
    consul = sorted((words[0], words[1], words[2]) for words in map(str.split, said))
    assert [(row["name"], row["address"], row["state"]) for row in rows] == consul
    # A build without a release is named without the dash.
    assert {row["build"].replace("-", "") for row in rows} == {VERSION.replace("-", "")}


def test_image_ls_lists_the_image_with_its_version_and_source(ada: Person, lab: str) -> None:
    rows = ada.done("image", "ls", "--json").json
    for row in rows:
        check_types(row, {"id": str, "name": str, "version": str, "source": str, "size": int, "created": str})
    (mine,) = [row for row in rows if row["version"] == VERSION]
    assert {server["Image"] for server in servers(lab)} == {mine["id"]}


def test_exec_passes_output_and_exit_code_on(ada: Person, lab: str) -> None:
    said = ada.done("exec", "--lab", lab, "consul2", "--", "consul", "version")
    assert f"v{VERSION}" in said.out
    failed = ada.run("exec", "--lab", lab, "consul1", "--", "sh", "-c", "echo out; echo err >&2; exit 42")
    assert (failed.code, failed.out, failed.err) == (42, "out\n", "err\n")
    assert ada.done("exec", "--lab", lab, "consul1", "--", "echo", "--json", "-f", "--lab").out == "--json -f --lab\n"


def test_exec_in_a_server_that_the_lab_has_not_names_those_that_it_has(ada: Person, lab: str) -> None:
    result = ada.run("exec", "--lab", lab, "consul9", "--", "true")
    assert result.code == 2
    assert "consul9" in result.sentence()
    assert "consul1, consul2, consul3" in result.sentence()


def test_logs_of_raft_are_merged_by_time_and_have_every_server(ada: Person, lab: str) -> None:
    lines = [json.loads(line) for line in ada.done("logs", lab, "--raft", "--json").out.splitlines()]
    assert {line["server"] for line in lines} == set(NAMES)
    for line, then in pairwise(lines):
        back = datetime.fromisoformat(line["time"]) - datetime.fromisoformat(then["time"])
        # Two parts of a server may write at the same moment, and the one with the later stamp first.
        assert back <= (timedelta(milliseconds=10) if line["server"] == then["server"] else timedelta(0)), (line, then)
    assert any("election won" in line["line"] and line["event"] == "election_won" for line in lines)
    assert any(line["words"] == "is the leader" and line["term"] == 2 for line in lines)
    assert not any(matches("serf|memberlist", line["line"]) for line in lines)
    everything = ada.done("logs", lab).out.splitlines()
    assert len(everything) > len(lines)
    assert all(re.match(r"consul[123] ", line) for line in everything)
    tail = ada.done("logs", lab, "--server", "consul2", "--tail", "5").out.splitlines()
    assert len(tail) == 5
    assert all(line.startswith("consul2 ") for line in tail)


@pytest.mark.alone
def test_a_followed_log_shows_the_next_election_as_it_happens_and_ends_with_ctrl_c(
    ada: Person, lab: str, first: dict[str, Any]
) -> None:
    leader = str(first["leader"])
    log = ada.home / "followed"
    process = ada.start("logs", lab, "-f", "--raft", "--tail", "0", into=log)
    try:
        time.sleep(1.5)
        ada.done("stop", lab, "--server", leader)
        wait_until(lambda: "won the election" in log.read_text(), 20, "the new election in the followed log")
        wait_until(lambda: "; it won after" in log.read_text(), 20, "its sentence, while the log goes on")
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert time.monotonic() - begun < 2
        assert process.returncode == 130
        *notes, last = about_us(err).strip().splitlines()
        assert (last, all(note.startswith("Note: ") for note in notes)) == ("Interrupted.", True), err
        winners = re.findall(r"^\S+ (consul\d) .* won the election", log.read_text(), re.MULTILINE)
        assert len(winners) == 1
        assert winners != [leader]
    finally:
        process.kill()
        process.communicate()
        ada.done("start", lab)
