"""The plain Ansible way: `ansible-playbook playbooks/X.yml` from the repository's root, without labctl."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import ROOT, SCRIPTS, VERSION, Person, Result, ended, get, left_of, put, started

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = {"consul_lab_pace": "real", "consul_image_version": VERSION}
RECAP = re.compile(r"^localhost\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=0\s+failed=(\d+)", re.MULTILINE)


@pytest.fixture(scope="module")
def lab(module_names: Callable[[], str]) -> str:
    """The name of the lab that the playbooks are about."""
    return module_names()


@pytest.fixture(scope="module")
def play(ada: Person, lab: str) -> Callable[..., Result]:
    """Run a playbook as a user does who has only Ansible."""

    def run(playbook: str, *words: str, **settings: str) -> Result:
        extra = [word for name, value in (SETTINGS | settings).items() for word in ("--extra-vars", f"{name}={value}")]
        env = ada.env | {"LABCTL_LAB": lab, "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"}
        return ended([str(SCRIPTS / "ansible-playbook"), f"playbooks/{playbook}.yml", *words, *extra], env, ROOT)

    return run


def changed(result: Result) -> int:
    """How many tasks changed something, from a recap without failures."""
    assert result.code == 0, result.out + result.err
    recap = RECAP.search(result.out)
    assert recap is not None, result.out
    assert recap.group(3) == "0"
    return int(recap.group(2))


def test_check_mode_of_up_shows_a_diff_and_makes_nothing(play: Callable[..., Result], ada: Person, lab: str) -> None:
    result = play("start", "--check", "--diff", consul_lab_version=VERSION)
    assert changed(result) == 1
    assert "+name: labctl-" in result.out
    assert left_of(lab) == []
    assert not (ada.state / "labs" / lab).exists()


def test_up_makes_a_ready_lab_and_the_second_run_changes_nothing(
    play: Callable[..., Result], ada: Person, lab: str
) -> None:
    assert changed(play("up")) >= 2
    status = ada.done("status", lab, "--json").json
    assert status["ready"] is True
    before = started(lab)
    again = play("up", "--diff")
    assert changed(again) == 0, again.out
    assert started(lab) == before
    dry = play("up", "--check", "--diff")
    assert changed(dry) == 0, dry.out
    assert started(lab) == before


def test_stop_resume_and_restart_keep_the_cluster(play: Callable[..., Result], ada: Person, lab: str) -> None:
    put(lab, "kept", "by Ansible")
    assert changed(play("stop")) == 1
    assert changed(play("stop")) == 0
    assert ada.run("status", lab).code == 3
    assert changed(play("resume")) == 1
    assert changed(play("resume")) == 0
    assert ada.run("status", lab).code == 0
    assert get(lab, "consul3", "kept") == "by Ansible"


def test_logs_fetches_every_servers_log_with_what_was_broken(
    play: Callable[..., Result], ada: Person, lab: str
) -> None:
    fetched = ROOT / "raft-logs" / lab
    ada.done("fault", "stop", "consul1", "--lab", lab)
    ada.done("fault", "start", "consul1", "--lab", lab)
    try:
        assert play("logs").code == 0
        for server in ("consul1", "consul2", "consul3"):
            (file,) = [path for path in fetched.rglob("*") if path.is_file() and server in path.name]
            text = file.read_text()
            assert "raft" in text
            assert text.count("labctl.fault: fault began") == (1 if server == "consul1" else 0)
    finally:
        shutil.rmtree(fetched, ignore_errors=True)


def test_down_leaves_nothing_and_a_second_down_changes_nothing(
    play: Callable[..., Result], ada: Person, lab: str
) -> None:
    dry = play("down", "--check")
    assert changed(dry) == 1
    assert len(left_of(lab)) == 8
    assert changed(play("down")) == 1
    assert left_of(lab) == []
    assert not (ada.state / "labs" / lab).exists()
    assert changed(play("down")) == 0


def test_a_number_of_servers_that_cannot_be_fails_with_a_sentence(play: Callable[..., Result], lab: str) -> None:
    result = play("start", consul_lab_version=VERSION, consul_lab_servers="4")
    assert result.code == 2
    assert "consul_lab_servers" in result.out
    assert left_of(lab) == []
