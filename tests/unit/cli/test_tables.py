"""Labs, servers, members and images as tables and in the JSON shapes that DESIGN promises."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labctl.cli import tables
from labctl.engine import labs
from labctl.engine.images import Image
from labctl.engine.members import Member
from labctl.engine.status import Status
from labctl.faults.condition import condition_of
from labctl.faults.inject import ActiveFault
from labctl.setup.doctor import Finding
from labctl.shared.server_status import View
from labctl.terminal import style
from tests.unit import engine_stand_in as stand_in

LAB = labs.labs_from(stand_in.lab("ada"), "local")[0]
ADDRESSES = frozenset(server.address for server in LAB.servers)


def view(number: int, **changed: Any) -> View:
    server = LAB.servers[number]
    leads = number == 0
    whole: dict[str, Any] = {
        "node_id": f"node-{number}",
        "state": "leader" if leads else "follower",
        "leader": LAB.servers[0].address,
        "term": 2,
        "applied_index": 10,
        "commit_index": 10,
        "last_contact_ms": 0.0 if leads else 31.4,
        "members": 3,
        "voters": ADDRESSES,
    }
    return View(server.name, server.address, **{**whole, **changed})


READY = Status(LAB, (view(0), view(1), view(2)))
WAITING = Status(
    LAB, tuple(view(number, leader="", state="follower", voters=frozenset(), members=1) for number in range(3))
)


def document_of(now: Status, *faults: ActiveFault) -> dict[str, Any]:
    return tables.status_document(now, condition_of(now, faults), list(faults))


def text_of(now: Status, *faults: ActiveFault, viewer: str = "ada", columns: int | None = None) -> str:
    return tables.status_text(now, condition_of(now, faults), list(faults), viewer, columns)


def test_ls_says_of_a_lab_that_works_without_a_server_that_it_does() -> None:
    silent = view(2, problem="is not running")
    alone = view(1, problem="is not running")
    _, works, stuck = tables.ls_table([
        Status(LAB, (view(0), view(1), silent)), Status(LAB, (view(0, state="follower", leader=""), alone, silent)),
    ]).splitlines()  # fmt: skip
    assert "  works without consul3  consul1  2  " in works
    assert "  not ready  " in stuck


def test_ls_has_its_promised_keys() -> None:
    row = tables.ls_row(READY)
    assert row["lab"] == "ada"
    assert (row["servers"], row["running"], row["ready"], row["leader"], row["term"]) == (3, 3, True, "consul1", 2)
    assert (row["workshop"], row["expires"], row["host"]) == (None, None, "local")
    assert row["created"] == "2023-11-14T22:13:21Z"
    assert {"lab", "owner", "workshop", "host", "servers", "ready", "leader", "term", "created", "expires"} <= set(row)


def test_a_lab_without_a_leader_has_none() -> None:
    row = tables.ls_row(WAITING)
    assert (row["ready"], row["leader"], row["term"]) == (False, None, None)


def test_the_table_of_labs() -> None:
    head, ready, waiting = tables.ls_table([READY, WAITING]).splitlines()
    assert head.split() == ["LAB", "OWNER", "SERVERS", "STATE", "LEADER", "TERM", "PACE", "CONSUL", "AGE"]
    assert ready.split()[:6] == ["ada", "ada", "3/3", "ready", "consul1", "2"]
    assert waiting.split()[2:7] == ["3/3", "not", "ready", "-", "-"]


def test_of_servers_that_do_not_answer_nobody_says_that_they_wait_to_be_joined() -> None:
    silent = Status(LAB, tuple(View(server.name, server.address, problem="does not answer") for server in LAB.servers))
    assert not silent.answers
    assert "labctl join" not in tables.status_text(silent, condition_of(silent, []), [], "ada")
    assert WAITING.answers
    assert "labctl join" in tables.status_text(WAITING, condition_of(WAITING, []), [], "ada")


def test_status_has_its_promised_keys() -> None:
    document = document_of(READY)
    assert {"lab", "ready", "leader", "term", "commit_index", "servers", "faults"} <= set(document)
    assert (document["ready"], document["problem"], document["faults"]) == (True, None, [])
    assert document["servers"][1] == {
        "name": "consul2",
        "id": "node-1",
        "address": "10.213.0.3",
        "http": "http://127.0.0.1:30002",
        "state": "running",
        "role": "follower",
        "voter": True,
        "counted_by": ["consul1", "consul2", "consul3"],
        "commit_index": 10,
        "last_contact_ms": 31.4,
        "problem": None,
    }


def test_a_server_that_does_not_answer_has_no_role_and_no_index() -> None:
    silent = View("consul2", "10.213.0.3", problem="is not running")
    lab = replace(
        LAB, servers=(LAB.servers[0], replace(LAB.servers[1], state="exited", http_port=None), LAB.servers[2])
    )
    document = document_of(Status(lab, (view(0), silent, view(2))))
    row = document["servers"][1]
    assert (row["role"], row["commit_index"], row["last_contact_ms"], row["id"]) == (None, None, None, None)
    assert (row["http"], row["state"], row["problem"]) == (None, "exited", "is not running")
    # It votes still, though it is not there: that is the word of the others.
    assert (row["voter"], row["counted_by"]) == (True, ["consul1", "consul3"])
    assert document["ready"] is False


def test_a_leader_that_was_cut_off_is_an_old_leader() -> None:
    cut_off = view(0, state="leader", term=2)
    new = view(1, state="leader", term=3, leader=LAB.servers[1].address)
    document = document_of(Status(LAB, (cut_off, new, view(2, term=3, leader=LAB.servers[1].address))))
    assert [server["role"] for server in document["servers"]] == ["old leader", "leader", "follower"]
    assert (document["leader"], document["term"]) == ("consul2", 3)


def test_status_for_a_person() -> None:
    text = text_of(READY)
    assert text.startswith("Lab ada: ready, consul1 leads in term 2, commit index 10\n")
    assert "31ms" in text
    assert "http://127.0.0.1:30003" in text


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("down", [0, 1, 2])
def test_no_line_of_the_status_is_wider_than_the_terminal(columns: int, down: int) -> None:
    servers = tuple(
        replace(server, address=f"10.213.182.{240 + number}", state="exited" if number < down else "running")
        for number, server in enumerate(LAB.servers)
    )
    addresses = frozenset(server.address for server in servers)
    views_now = tuple(
        View(server.name, server.address, problem="is not running")
        if server.state == "exited"
        else replace(
            view(number, voters=addresses, commit_index=123_456, leader=servers[0].address), address=server.address
        )
        for number, server in enumerate(servers)
    )
    text = text_of(Status(replace(LAB, servers=servers), views_now), columns=columns)
    # The table itself does not get narrower than this.
    assert max(style.width(line) for line in text.splitlines()) <= max(columns, 79)
    assert "http://127.0.0.1:30003" in text


def test_a_server_that_does_not_answer_is_a_voter_by_the_word_of_the_others() -> None:
    silent = View("consul2", LAB.servers[1].address, problem="is not running")
    lab = replace(LAB, servers=(LAB.servers[0], replace(LAB.servers[1], state="exited"), LAB.servers[2]))
    text = text_of(Status(lab, (view(0), silent, view(2))))
    assert re.search(r"^consul2  exited +- +\(yes\) ", text, re.MULTILINE)
    assert text.splitlines()[-1] == "(yes): the others count it as a voter; it does not answer."
    assert "(yes)" not in text_of(READY)


def test_who_votes_is_not_known_where_no_server_answers() -> None:
    gone = Status(LAB, tuple(view(number, problem="is not running", voters=frozenset()) for number in range(3)))
    assert [server["voter"] for server in document_of(gone)["servers"]] == [None] * 3
    assert re.search(r"^consul2  running +- +- ", text_of(gone), re.MULTILINE)
    assert [server["voter"] for server in document_of(WAITING)["servers"]] == [False] * 3


def test_a_server_that_is_frozen_is_told_as_that() -> None:
    lab = replace(LAB, servers=(LAB.servers[0], LAB.servers[1], replace(LAB.servers[2], state="paused")))
    silent = View("consul3", LAB.servers[2].address, problem="is frozen")
    text = text_of(Status(lab, (view(0), view(1), silent)))
    assert re.search(r"^consul3  frozen ", text, re.MULTILINE)
    assert "Not ready because consul3 is frozen." in text


def test_status_names_the_owner_of_a_lab_that_is_not_the_viewers() -> None:
    assert text_of(READY, viewer="bob").startswith("Lab ada of ada: ready,")
    hostile = replace(READY, lab=replace(LAB, owner="e\x1b[2Jve"))
    assert text_of(hostile, viewer="bob").startswith("Lab ada of e\\x1b[2Jve: ready,")
    assert document_of(READY)["owner"] == "ada"


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (WAITING, "consul1, consul2 and consul3 know no leader; `labctl join` joins them."),
        (Status(LAB, (view(0), view(1), view(2, leader=""))), "consul3 knows no leader."),
        (Status(replace(LAB, servers=LAB.servers[:2]), (view(0), view(1))), "consul3 is gone."),
    ],
)
def test_a_lab_that_is_not_ready_says_why_and_what_to_do(now: Status, says: str) -> None:
    assert f"Not ready because {says}" in text_of(now).splitlines()


def test_members_and_images_are_tables() -> None:
    member = Member("consul1", "10.213.0.2:8301", "alive", "server", "1.8.7", "ada")
    assert tables.members_table([member]).splitlines()[1].split() == [
        "consul1", "10.213.0.2:8301", "alive", "server", "1.8.7", "ada"
    ]  # fmt: skip
    image = Image("sha256:0123456789abcdef", "raft-labctl/consul:1.8.7", "1.8.7", "debian", 132_000_000, "")
    assert tables.images_table([image]).splitlines()[1].split() == [
        "raft-labctl/consul:1.8.7", "1.8.7", "debian", "132MB", "0123456789ab"
    ]  # fmt: skip


def test_doctor_says_below_what_is_missing_what_mends_it() -> None:
    well = Finding("python", ok=True, found="3.11", fix=None)
    broken = Finding("engine", ok=False, found="none\x1b[2J", fix="labctl doctor --fix")
    lines = tables.doctor_text([well, broken]).splitlines()
    assert lines[0].split() == ["✓", "python", "3.11"]
    assert lines[1].split() == ["✗", "engine", r"none\x1b[2J"]
    assert lines[2].strip() == "fix: labctl doctor --fix"
    assert lines[3] == "1 of 2 checks failed."
    assert tables.doctor_text([well]).splitlines()[-1] == "Everything that a lab needs is here."


def test_a_fault_of_the_network_is_part_of_the_status() -> None:
    until = datetime.now(UTC) + timedelta(seconds=20)
    fault = ActiveFault("ab12cd", "isolate consul2", ("consul2",), until)
    (row,) = document_of(READY, fault)["faults"]
    assert (row["fault"], row["what"], row["servers"]) == ("ab12cd", "isolate consul2", ["consul2"])
    assert 15 < row["seconds_left"] <= 20
    assert re.search(r"^ab12cd  isolate consul2  consul2 +(19|20)s$", text_of(READY, fault), re.MULTILINE)


def test_a_member_with_a_name_without_end_hides_no_other() -> None:
    endless = Member("x" * 10_000, "10.213.0.9:8301", "alive", "client", "1" * 10_000, "y" * 10_000)
    other = Member("consul1", "10.213.0.2:8301", "alive", "server", "1.8.7", "ada")
    head, first, second = tables.members_table([endless, other]).splitlines()
    assert max(map(len, (head, first, second))) < 320
    assert "..." in first
    assert second.split() == ["consul1", "10.213.0.2:8301", "alive", "server", "1.8.7", "ada"]
