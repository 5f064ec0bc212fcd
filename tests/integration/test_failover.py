"""`playbooks/failover.yml` for several labs at once, one of which cannot; and a run of it that is killed."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.integration.elections import ELECTION_SECONDS, status_of
from tests.integration.fixtures import up
from tests.integration.harness import ROOT, SCRIPTS, Person, Result, ended, servers, started, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAID = re.compile(
    r"(consul\d) led the lab (\S+) in term (\d+) and was stopped; ([\d.]+) seconds later (consul\d) led in"
)


class Play:
    """Runs the playbook for some labs, from a folder of its own, as somebody does who has only Ansible."""

    def __init__(self, person: Person, folder: Path) -> None:
        self.folder = folder
        self.env = person.env | {
            "PWD": str(folder),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }

    def words(self, labs: list[str], *more: str) -> list[str]:
        local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        inventory = self.folder / "labs.yml"
        inventory.write_text(yaml.safe_dump({"labs": {"hosts": dict.fromkeys(labs), "vars": local}}))
        playbook = str(ROOT / "playbooks" / "failover.yml")
        return [str(SCRIPTS / "ansible-playbook"), "-i", str(inventory), playbook, *more]

    def __call__(self, labs: list[str], *more: str) -> Result:
        return ended(self.words(labs, *more), self.env, self.folder)


@pytest.fixture
def play(ada: Person, tmp_path: Path) -> Play:
    return Play(ada, tmp_path)


@pytest.fixture(scope="module")
def pair(ada: Person, module_names: Callable[[], str]) -> list[str]:
    """Two labs of three servers."""
    labs = [module_names(), module_names()]
    for lab in labs:
        up(ada, lab)
    return labs


def failed(result: Result) -> dict[str, int]:
    """How many tasks failed for each lab, from the recap."""
    return {lab: int(tasks) for lab, tasks in re.findall(r"^(\S+)\s+: ok=.* failed=(\d+)", result.out, re.MULTILINE)}


def said(result: Result) -> dict[str, tuple[str, str]]:
    """The old and the new leader, for each lab that reports a failover."""
    # Ansible's output is wrapped.
    return {lab: (old, new) for old, lab, _, _, new in SAID.findall(" ".join(result.out.split()))}


def test_check_mode_says_who_would_be_stopped_and_touches_nobody(play: Play, ada: Person, pair: list[str]) -> None:
    before = [(started(lab), status_of(ada, lab)["term"]) for lab in pair]
    result = play(pair, "--check")
    assert result.code == 0, result.out + result.err
    for lab in pair:
        sentence = (
            f"{status_of(ada, lab)['leader']} leads the lab {lab} in term {status_of(ada, lab)['term']}: it would be"
        )
        assert sentence in " ".join(result.out.split())
    assert [(started(lab), status_of(ada, lab)["term"]) for lab in pair] == before
    assert not (play.folder / "raft-logs").exists()


def test_two_labs_get_new_leaders_at_once_and_one_that_cannot_stops_neither(
    play: Play, ada: Person, pair: list[str], names: Callable[[], str]
) -> None:
    alone = names()
    up(ada, alone, "--servers", "1")
    before = {lab: status_of(ada, lab) for lab in pair}
    untouched = started(alone)
    result = play([*pair, alone])
    assert result.code == 2
    assert failed(result) == {**dict.fromkeys(pair, 0), alone: 1}
    assert f"The lab {alone} has only one server" in " ".join(result.out.split())
    assert started(alone) == untouched
    for lab in pair:
        now = status_of(ada, lab)
        assert said(result)[lab] == (before[lab]["leader"], now["leader"])
        assert now["leader"] != before[lab]["leader"]
        assert now["term"] > before[lab]["term"]
        assert now["ready"] is True
        log = (play.folder / "raft-logs" / lab / f"{now['leader']}.log").read_text()
        assert re.search(rf"entering candidate state.* term={now['term']}$", log, re.MULTILINE)
    assert not (play.folder / "raft-logs" / alone).exists()


def test_a_run_that_was_killed_is_put_right_by_the_next_one(play: Play, ada: Person, pair: list[str]) -> None:
    lab = pair[0]
    old = f"/labctl-{lab}-{status_of(ada, lab)['leader']}"
    process = subprocess.Popen(
        play.words([lab]), env=play.env, cwd=play.folder, stdout=subprocess.DEVNULL, start_new_session=True
    )

    def down() -> list[str]:
        return [server["Name"] for server in servers(lab) if not server["State"]["Running"]]

    wait_until(down, ELECTION_SECONDS, f"{old} to be stopped")
    # Ansible's workers have process groups of their own.
    ada.end_processes()
    process.wait()
    assert down() == [old]
    result = play([lab])
    assert result.code == 0, result.out + result.err
    assert "does not run, as after a run that was interrupted: it is started before" in " ".join(result.out.split())
    assert down() == []
    now = status_of(ada, lab)
    assert said(result)[lab][1] == now["leader"]
    assert now["ready"] is True
