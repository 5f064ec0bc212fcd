"""Several people on one Docker host: whose lab is whose, what is refused, what is forced, and how much one may have."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import (
    ROOT,
    SCRIPTS,
    VERSION,
    Person,
    Result,
    container,
    docker,
    ended,
    left_of,
    new_name,
    servers,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = ("--pace", "real", "--consul-version", VERSION, "--servers", "1")


@pytest.fixture(scope="module")
def of_bob(bob: Person, module_names: Callable[[], str]) -> str:
    """A lab of three that is bob's."""
    lab = module_names()
    up(bob, lab)
    return lab


@pytest.fixture
def one_of_bob(bob: Person, names: Callable[[], str]) -> str:
    """A lab of one that is bob's, to be removed."""
    lab = names()
    bob.done("up", lab, *SMALL, "--no-join")
    return lab


# -- what is refused, and what is open -----------------------------------------------------------------------

CHANGING = [
    "up {lab}",
    "up {lab} --servers 5",
    "join {lab}",
    "down {lab}",
    "down {lab} --dry-run",
    "stop {lab}",
    "stop {lab} --server consul1",
    "start {lab}",
    "restart {lab}",
    "fault kill leader --lab {lab}",
    "fault stop any --lab {lab}",
    "fault pause any --lab {lab}",
    "fault start consul1 --lab {lab}",
    "fault resume consul1 --lab {lab}",
    "fault transfer-leader --lab {lab}",
    "fault isolate leader --lab {lab}",
    "fault partition consul1 / consul2,consul3 --lab {lab}",
    "fault one-way consul1 consul2 --lab {lab}",
    "fault loss 10 any --lab {lab}",
    "fault delay 10 any --lab {lab}",
    "fault rate 100 any --lab {lab}",
    "fault heal --lab {lab}",
    "chaos {lab}",
    "measure failover {lab}",
    "exec --lab {lab} consul1 -- consul kv put foreign x",
]


@pytest.mark.parametrize("line", CHANGING)
def test_what_changes_or_disturbs_a_lab_of_somebody_else_is_refused(
    ada: Person, bob: Person, of_bob: str, line: str
) -> None:
    before = started(of_bob)
    result = ada.run(*line.format(lab=of_bob).split())
    assert result.code == 4, result
    assert f"The lab {of_bob} on this Docker host belongs to {bob.owner}, not to {ada.owner}" in result.sentence()
    assert started(of_bob) == before
    assert {server["State"]["Status"] for server in servers(of_bob)} == {"running"}


@pytest.mark.parametrize("verb", ["status", "members", "logs", "story", "fault ls", "bundle save"])
def test_what_only_looks_is_open_to_everybody(ada: Person, of_bob: str, verb: str) -> None:
    assert ada.done(*verb.split(), of_bob).out


def test_the_owner_is_shown_where_it_is_not_oneself(ada: Person, bob: Person, of_bob: str) -> None:
    assert ada.done("status", of_bob).out.startswith(f"Lab {of_bob} of {bob.owner}: ready")
    assert bob.done("status", of_bob).out.startswith(f"Lab {of_bob}: ready")
    assert ada.done("status", of_bob, "--json").json["owner"] == bob.owner
    (line,) = [line for line in ada.done("ls").out.splitlines() if line.split()[0] == of_bob]
    assert line.split()[1] == bob.owner


def test_the_only_lab_of_mine_need_not_be_named(
    people: Callable[[str], Person], of_bob: str, names: Callable[[], str]
) -> None:
    carol, lab = people(f"carol-{new_name()}"), names()
    nothing = carol.done("down")
    assert f"{of_bob} of " in nothing.out
    assert "No lab of yours is there: nothing to remove." in nothing.out
    carol.done("up", lab, *SMALL)
    assert carol.done("status", "--json").json["lab"] == lab
    assert carol.done("restart", "--json").json["lab"] == lab
    gone = carol.done("down", "--json").json
    assert (gone["lab"], gone["owner"]) == (lab, carol.owner)
    assert servers(of_bob)


# -- what is forced ------------------------------------------------------------------------------------------


def test_force_removes_a_lab_of_somebody_else_after_saying_whose_it_is(
    ada: Person, bob: Person, one_of_bob: str
) -> None:
    refused = ada.run("down", one_of_bob)
    assert refused.code == 4
    assert f"`labctl down {one_of_bob} --force`" in refused.sentence()
    preview = ada.done("down", one_of_bob, "--force", "--dry-run").out
    assert f"Would remove the lab {one_of_bob} of {bob.owner}" in preview
    assert len(servers(one_of_bob)) == 1
    said = ada.done("down", one_of_bob, "--force").out.splitlines()
    assert said[0] == f"The lab {one_of_bob} belongs to {bob.owner}, not to {ada.owner}: it is removed anyway."
    assert left_of(one_of_bob) == []


def test_json_says_whose_lab_was_removed(ada: Person, bob: Person, one_of_bob: str) -> None:
    document = ada.done("down", one_of_bob, "--force", "--json").json
    assert (document["owner"], document["changed"]) == (bob.owner, True)
    assert container(one_of_bob, "consul1") in document["removed"]
    assert left_of(one_of_bob) == []


def test_force_is_for_one_lab_that_is_named(ada: Person, of_bob: str) -> None:
    before = started(of_bob)
    for words in (("--all", "--force"), ("--force",)):
        result = ada.run("down", *words)
        assert result.code == 2
        assert "needs the name of the" in result.sentence()
    assert started(of_bob) == before


def at_a_terminal(person: Person, answer: str, *words: str) -> Result:
    """Run labctl with a terminal as its standard input, on which somebody types an answer."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        process = subprocess.run(
            person.words(*words),
            env=person.env,
            cwd=person.home,
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return Result(process.returncode, process.stdout, process.stderr)


def test_on_a_terminal_force_asks_first(ada: Person, bob: Person, one_of_bob: str) -> None:
    question = f"The lab {one_of_bob} belongs to {bob.owner}, and its data would be gone for good. Remove it?"
    for answer in ("n", "", "no\n"):
        kept = at_a_terminal(ada, answer, "down", one_of_bob, "--force")
        assert question in kept.err
        assert f"The lab {one_of_bob} of {bob.owner} stays" in kept.err
        assert kept.code == 4
    assert len(servers(one_of_bob)) == 1
    gone = at_a_terminal(ada, "y", "down", one_of_bob, "--force")
    assert question in gone.err
    assert gone.code == 0, gone
    assert left_of(one_of_bob) == []


def test_yes_is_said_beforehand(ada: Person, one_of_bob: str) -> None:
    gone = at_a_terminal(ada, "n", "down", one_of_bob, "--force", "--yes")
    assert (gone.code, "Remove it?" in gone.err) == (0, False)
    assert left_of(one_of_bob) == []


def play(person: Person, playbook: str, inventory: Path, *words: str) -> Result:
    """Run a playbook as a person who uses Ansible alone."""
    command = [str(SCRIPTS / "ansible-playbook"), "-i", str(inventory), str(ROOT / "playbooks" / playbook), *words]
    return ended(command, person.env | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"}, person.home)


def inventory_of(person: Person, labs: list[str], limits: Path | None = None) -> Path:
    """An inventory that has these labs on this Docker host, with a file of limits of the test's own."""
    host = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    path = person.home / "hosts.yml"
    more = {"consul_lab_limits_file": str(limits)} if limits else {}
    path.write_text(json.dumps({"labs": {"hosts": dict.fromkeys(labs, host | more)}}), encoding="utf-8")
    return path


def test_the_playbook_refuses_and_is_forced_in_the_same_way(ada: Person, bob: Person, one_of_bob: str) -> None:
    inventory = inventory_of(ada, [one_of_bob])
    refused = play(ada, "down.yml", inventory)
    assert refused.code == 2
    assert f"belongs to {bob.owner}, not to {ada.owner}" in refused.out + refused.err
    assert len(servers(one_of_bob)) == 1
    forced = play(ada, "down.yml", inventory, "-e", "consul_lab_force=true")
    assert forced.code == 0, forced
    # Ansible breaks a warning into lines where it likes.
    said = " ".join((forced.out + forced.err).split())
    assert f"The lab {one_of_bob} belongs to {bob.owner}, and was removed because consul_lab_force is set." in said
    assert left_of(one_of_bob) == []


# -- how much one may have -----------------------------------------------------------------------------------


class Limited:
    """Somebody on a Docker host whose admin has set limits."""

    def __init__(self, person: Person, labs: list[str], path: Path) -> None:
        self.person = person
        self.labs = labs
        self.path = path
        self.inventory = inventory_of(person, labs, path)

    def limit(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")

    def up(self, lab: str, *words: str) -> Result:
        return self.person.run("up", lab, *SMALL[:4], "--inventory", str(self.inventory), *words)

    def things(self) -> list[str]:
        """All that Docker has of this person, helpers too."""
        of_owner = f"label=raft-labctl.owner={self.person.owner}"
        return [
            f"{kind} {thing}"
            for kind, words in (("container", ("-a",)), ("network", ()), ("volume", ()))
            for thing in docker(kind, "ls", *words, "-q", "--filter", of_owner).split()
        ]


@pytest.fixture
def dora(people: Callable[[str], Person], names: Callable[[], str], tmp_path: Path) -> Limited:
    """Somebody with four labs to be, and limits of a test's own."""
    return Limited(people(f"dora-{new_name()}"), [names() for _ in range(4)], tmp_path / "limits.ini")


def test_a_limit_is_reached_and_a_lab_that_is_there_is_never_refused(dora: Limited) -> None:
    first, second, third, _ = dora.labs
    owner = dora.person.owner
    dora.limit(f"[everybody]\nlabs = 1\n\n[{owner}]\nlabs = 2\nservers = 4\n")
    assert dora.up(first, "--servers", "1").code == 0
    assert dora.up(second, "--servers", "3").code == 0
    before = dora.things()
    refused = dora.up(third, "--servers", "1")
    assert refused.code == 4
    assert refused.sentence() == (
        f"The lab {third} would be more than {owner} may have on this Docker host, so nothing was changed: at most 2 "
        f"labs ({owner} has 2, this would make 3; section [{owner}]) and at most 4 servers ({owner} has 4, this would "
        f"make 5; section [{owner}]); remove a lab of yours with `labctl down`, or ask the admin to raise the limits "
        f"in {dora.path}."
    )
    grown = dora.up(first, "--servers", "3")
    assert grown.code == 4
    assert f"at most 4 servers ({owner} has 4, this would make 6" in grown.sentence()
    assert left_of(third) == []
    assert dora.things() == before
    dora.limit("[everybody]\nlabs = 0\nservers = 0\nmemory = 1m\n")
    assert dora.up(second).code == 0
    docker("rm", "--force", container(second, "consul2"))
    again = dora.up(second)
    assert again.code == 0, again
    assert len(servers(second)) == 3
    assert dora.up(second, "--servers", "1").code == 0


def test_memory_is_the_sum_of_the_servers_limits(dora: Limited) -> None:
    dora.limit("[everybody]\nmemory = 512m\n")
    first, second, *_ = dora.labs
    refused = dora.up(first, "--servers", "3")
    assert refused.code == 4
    assert "at most 512m of memory" in refused.sentence()
    assert "has 0, this would make 768m" in refused.sentence()
    assert dora.up(first, "--servers", "1").code == 0
    assert dora.up(second, "--servers", "1").code == 0
    assert dora.up(second, "--servers", "3").code == 4


def test_of_four_that_start_at_once_no_more_come_up_than_are_allowed(dora: Limited) -> None:
    dora.limit("[everybody]\nlabs = 2\nservers = 9\n")
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(lambda lab: dora.up(lab, "--servers", "1"), dora.labs))
    assert sorted(end.code for end in ends) == [0, 0, 4, 4], ends
    assert all("at most 2 labs" in end.sentence() for end in ends if end.code)
    there = [lab for lab in dora.labs if servers(lab)]
    assert len(there) == 2
    assert [left_of(lab) for lab in dora.labs if lab not in there] == [[], []]
    # The places that were held are given back: only servers are left of the containers.
    assert sum(thing.startswith("container") for thing in dora.things()) == 2


BROKEN = {
    "a value": ("[everybody]\nservers = many\n", "section [everybody], key servers: 'many' is not a whole number"),
    "a key": ("[eve]\nlab = 1\n", "section [eve], key lab: there is no such key, only labs, servers, memory"),
    "no section": ("labs = 1\n", "line 1: 'labs = 1' is in no section"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_cannot_be_understood_starts_nothing_and_removes_as_ever(dora: Limited, kind: str) -> None:
    text, says = BROKEN[kind]
    dora.limit(text)
    result = dora.up(dora.labs[0], "--servers", "1")
    assert result.code == 1
    assert f"The limits of this Docker host in {dora.path} cannot be understood ({says}" in result.sentence()
    assert dora.things() == []
    assert dora.person.run("down", dora.labs[0], "--inventory", str(dora.inventory)).code == 0


def test_the_playbook_is_held_to_the_same_limits(dora: Limited) -> None:
    dora.limit("[everybody]\nlabs = 2\n")
    words = ("-e", f"consul_image_version={VERSION}", "-e", "consul_lab_servers=1", "-e", "consul_lab_pace=real")
    owner = ("-e", f"consul_lab_owner={dora.person.owner}")
    result = play(dora.person, "up.yml", dora.inventory, *words, *owner)
    # Ansible breaks a sentence into lines where it likes.
    said = " ".join((result.out + result.err).split())
    assert result.code == 2
    assert said.count("failed=1") == 2, result.out
    assert f"at most 2 labs ({dora.person.owner} has 2, this would make 3" in " ".join(
        (result.out + result.err).split()
    )
    assert sum(bool(servers(lab)) for lab in dora.labs) == 2
