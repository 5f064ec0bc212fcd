"""Commands on one workshop at the same moment, by people with state folders of their own: one after the other."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from labctl.shared import lock_holder
from labctl.shared.engine_lock import LABEL_HOLDER, LABEL_LOCK, LABEL_WORKSHOP
from tests.integration.docker_hosts import DockerHosts
from tests.integration.harness import IMAGE, Person, docker, left_of, remove_lab, wait_until
from tests.integration.workshops import Room, room

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

HELD_SECONDS = 60.0
FREE_SECONDS = 25.0


def holders(workshop: str, host: str = "") -> list[int]:
    """The processes that hold a workshop on a Docker host, as its locks there say."""
    of_workshop = f"label={LABEL_WORKSHOP}={workshop}"
    notes = docker("volume", "ls", "--filter", of_workshop, "--format", f'{{{{.Label "{LABEL_HOLDER}"}}}}', host=host)
    return [json.loads(note)["pid"] for note in notes.splitlines() if note]


@contextmanager
def begun(made: Room, *words: str, into: Path, hosts: tuple[str, ...] = ("",)) -> Iterator[subprocess.Popen[str]]:
    """Start a command on a workshop, and stop it as soon as it holds all Docker hosts, until the block ends."""
    process = made.person.start(*made.words(*words), into=into)
    wait_until(lambda: all(process.pid in holders(made.name, host) for host in hosts), HELD_SECONDS, "the lock")
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGCONT)


def elsewhere(made: Room, person: Person, **keys: Any) -> Room:
    """The same workshop, in a file and a state folder of somebody else."""
    other = Room(person)
    other.name, other.keys = made.name, dict(made.keys)
    other.file = person.home / f"{made.name}.yml"
    other.write(**keys)
    return other


def waiting(made: Room, *words: str, into: Path, verb: str, holder: int) -> subprocess.Popen[str]:
    """Start a command that has to wait for another one, and says so."""
    process = made.person.start(*made.words(*words), into=into)
    where = rf"process {holder} on {os.uname().nodename}, stopped, for \d+ s"
    said = rf"^Waiting for \S+'s `labctl workshop {verb}` \({where}\)$"
    # A host that is slow to answer is waited for before, and that is said too.
    wait_until(lambda: re.search(said, into.read_text(), re.MULTILINE), HELD_SECONDS, "what the second waits for")
    assert process.poll() is None
    return process


def over(process: subprocess.Popen[str]) -> int:
    """Wait for a command's end, and return its code."""
    process.communicate(timeout=170)
    return process.returncode


def test_two_up_with_different_numbers_do_one_after_the_other_what_each_says(
    ada: Person, people: Callable[[str], Person], tmp_path: Path
) -> None:
    with room(ada, servers=1) as made:
        larger = elsewhere(made, people(ada.owner), seats=3, servers=3)
        with begun(made, "up", "--json", into=tmp_path / "first") as first:
            second = waiting(larger, "up", into=tmp_path / "second", verb="up", holder=first.pid)
        assert (over(first), over(second)) == (0, 0)
        seats = json.loads((tmp_path / "first").read_text())["seats"]
        assert [(seat["lab"], seat["voters"]) for seat in seats] == [(made.lab("01"), 1), (made.lab("02"), 1)]
        found = larger.done("status", "--json").json["seats"]
        assert [(seat["seat"], seat["ready"], seat["voters"]) for seat in found] == [
            ("01", True, 3),
            ("02", True, 3),
            ("03", True, 3),
        ]
        assert holders(made.name) == []


def test_an_up_beside_a_reset_finds_the_seat_that_was_made_anew(
    ada: Person, people: Callable[[str], Person], tmp_path: Path
) -> None:
    with room(ada, servers=1) as made:
        made.done("up")
        other = elsewhere(made, people(ada.owner))
        with begun(made, "reset", "01", into=tmp_path / "reset") as first:
            second = waiting(other, "up", into=tmp_path / "said", verb="reset 01", holder=first.pid)
        assert (over(first), over(second)) == (0, 0)
        # Both seats were ready when `up` looked: it brought none up.
        assert "is ready: " in (tmp_path / "reset").read_text()
        assert "is ready: " not in (tmp_path / "said").read_text()
        assert set(made.states().values()) == {True}


def test_a_down_beside_an_up_leaves_nothing_of_what_that_made(
    ada: Person, people: Callable[[str], Person], tmp_path: Path
) -> None:
    with room(ada, servers=1) as made:
        other = elsewhere(made, people(ada.owner))
        with begun(made, "up", into=tmp_path / "up") as first:
            second = waiting(other, "down", into=tmp_path / "down", verb="up", holder=first.pid)
        assert (over(first), over(second)) == (0, 0)
        assert "2 seats are removed, nothing is left of them" in (tmp_path / "down").read_text()
        assert (made.left(), holders(made.name)) == ([], [])


def test_whoever_waits_for_one_that_is_killed_goes_on_within_seconds(
    ada: Person, people: Callable[[str], Person], tmp_path: Path
) -> None:
    with room(ada, servers=1) as made:
        other = elsewhere(made, people(ada.owner))
        with begun(made, "up", into=tmp_path / "first") as first:
            second = waiting(other, "up", into=tmp_path / "second", verb="up", holder=first.pid)
            first.kill()
            wait_until(lambda: second.pid in holders(made.name), FREE_SECONDS, "the second one to have it")
        assert over(second) == 0
        over(first)
        ada.end_processes()
        assert set(made.states().values()) == {True}
        # And one that nobody waited for.
        with begun(made, "down", into=tmp_path / "third") as third:
            third.kill()
        over(third)
        assert holders(made.name) == [third.pid]
        other.done("down")
        assert (made.left(), holders(made.name)) == ([], [])


@pytest.fixture(scope="module")
def hosts(image: str) -> Iterator[DockerHosts]:
    """Two Docker hosts that are reached over SSH."""
    assert image
    with DockerHosts(2, IMAGE) as hosts:
        yield hosts
    assert hosts.left() == []


def is_said(words: str, file: Path) -> bool:
    return words in file.read_text(encoding="utf-8")


@contextmanager
def somebody_on(lab: str, host: str) -> Iterator[str]:
    """Another machine's command has a lab until the block ends; yields the words for it."""
    note = replace(lock_holder.holder(f"labctl restart {lab}", 900), user="bob", host="desk", boot="another")
    volume = f"labctl-{lab}-lock-{note.mark}"
    labels = (f"{LABEL_LOCK}={lab}", f"{LABEL_HOLDER}={note.note}")
    docker("volume", "create", *(word for label in labels for word in ("--label", label)), volume, host=host)
    try:
        yield f"bob's `labctl restart {lab}` (process {note.pid} on desk"
    finally:
        docker("volume", "rm", "--force", volume, host=host)


def test_a_seat_that_somebody_else_works_on_says_for_whom_it_waits_also_over_ssh(
    hosts: DockerHosts, ada: Person, tmp_path: Path
) -> None:
    there = hosts.hosts[0]
    keys = {"user": "root", "key": str(hosts.key), "known_hosts": str(hosts.known_hosts)}
    made = Room(ada, seats=2, servers=1, hosts=[{"name": "h0", "address": there.address, **keys}])
    lab = made.lab("01")
    try:
        for verb, end in (("up", f"{lab} is ready: "), ("down", "nothing is left")):
            into = tmp_path / verb
            with somebody_on(lab, there.host) as who:
                process = made.person.start(*made.words(verb), into=into)
                said = f"{lab} waits for {who}"
                wait_until(partial(is_said, said, into), HELD_SECONDS, "whom the seat waits for")
                assert process.poll() is None
            assert over(process) == 0
            text = into.read_text()
            assert end in text
            # Once, and not for what works on a seat for this very command.
            assert text.count(" waits for ") == 1
    finally:
        for seat in ("01", "02"):
            remove_lab(made.lab(seat), there.host)


def test_over_ssh_it_is_the_same_on_all_docker_hosts_and_one_that_is_lost_delays_nobody(
    hosts: DockerHosts, people: Callable[[str], Person], ada: Person, tmp_path: Path
) -> None:
    common = {"user": "root", "key": str(hosts.key), "known_hosts": str(hosts.known_hosts)}
    described = [
        {"name": f"h{number}", "address": docker_host.address, **common}
        for number, docker_host in enumerate(hosts.hosts)
    ]
    engines = tuple(docker_host.host for docker_host in hosts.hosts)
    made = Room(ada, servers=1, hosts=described)
    # The same hosts the other way round.
    other = elsewhere(made, people(ada.owner), hosts=described[::-1])
    try:
        with begun(made, "up", into=tmp_path / "first", hosts=engines) as first:
            second = waiting(other, "up", into=tmp_path / "second", verb="up", holder=first.pid)
            assert all(holders(made.name, engine) == [first.pid] for engine in engines)
        assert (over(first), over(second)) == (0, 0)
        assert "is ready: " not in (tmp_path / "second").read_text()
        with begun(made, "reset", "01", into=tmp_path / "third", hosts=engines) as third:
            fourth = waiting(other, "up", into=tmp_path / "fourth", verb="reset 01", holder=third.pid)
            third.kill()
            wait_until(
                lambda: all(fourth.pid in holders(made.name, engine) for engine in engines), FREE_SECONDS, "the fourth"
            )
        over(third)
        assert over(fourth) == 0
        hosts.hosts[1].die()
        again = made.run("up", "--json")
        assert again.code == 1
        assert sorted((seat["ready"], seat["step"]) for seat in again.json["seats"]) == [
            (False, "lost"),
            (True, "ready"),
        ]
        hosts.hosts[1].start()
        made.done("down")
        assert [holders(made.name, engine) for engine in engines] == [[], []]
        assert [part for engine in engines for seat in ("01", "02") for part in left_of(made.lab(seat), engine)] == []
    finally:
        for docker_host in hosts.hosts:
            docker_host.start()
            for seat in ("01", "02"):
                remove_lab(made.lab(seat), docker_host.host)
