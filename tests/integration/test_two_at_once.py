"""Two people with state folders of their own who work on one lab at the same moment."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from labctl.errors import ExitCode
from tests.integration.elections import ELECTION_SECONDS, status_of
from tests.integration.fixtures import up
from tests.integration.harness import VERSION, docker, left_of, wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.integration.harness import Person

UP = ("--pace", "real", "--no-join", "--consul-version", VERSION)
HELD_SECONDS = 30.0
FREE_SECONDS = 25.0  # 2 s on a machine with nothing else to do; tests run side by side


def locks(lab: str) -> list[str]:
    """The volumes that are the locks of a lab."""
    return docker("volume", "ls", "-q", "--filter", f"label=raft-labctl.lock={lab}").split()


def alone(lab: str) -> list[str]:
    """The volumes of experiments on a lab."""
    return docker("volume", "ls", "-q", "--filter", f"label=raft-labctl.alone={lab}").split()


def holders(lab: str) -> list[int]:
    """The processes that hold a lab's lock, as the lock says; another one may want it at the moment."""
    of_lab = f"label=raft-labctl.lock={lab}"
    notes = docker("volume", "ls", "--filter", of_lab, "--format", '{{.Label "raft-labctl.holder"}}')
    return [json.loads(note)["pid"] for note in notes.splitlines() if note]


def begun(person: Person, lab: str, into: Path, *words: str) -> tuple[subprocess.Popen[str], set[int]]:
    """Start a command on a lab, and stop all of its processes as soon as one of them holds the lab.

    Returns the command's process and those that were stopped: labctl holds the lab, and its modules hold it with it.
    """
    process = person.start(*words, into=into)
    wait_until(lambda: holders(lab), HELD_SECONDS, "the lock")
    stopped: set[int] = set()
    # One that was started between the look and the signals is there at the next look.
    while rest := set(person.processes()) - stopped:
        send(rest, signal.SIGSTOP)
        stopped |= rest
    return process, stopped


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes; one that has ended is none."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def over(process: subprocess.Popen[str]) -> int:
    """Wait for a command's end, and return its code."""
    process.communicate(timeout=120)
    return process.returncode


def test_an_admins_down_waits_for_the_owners_up_and_says_so(
    ada: Person, bob: Person, name: str, tmp_path: Path
) -> None:
    first, stopped = begun(ada, name, tmp_path / "up", "up", name, *UP)
    # Something of the lab is there, so that `down` has a lab to remove.
    labels = (f"raft-labctl.lab={name}", f"raft-labctl.owner={ada.owner}")
    docker("volume", "create", "--label", labels[0], "--label", labels[1], f"x-{name}")
    down = bob.start("down", name, "--force", into=tmp_path / "down")
    waits = rf"'s `labctl up {name}` \(process (\d+) on {re.escape(os.uname().nodename)}, stopped, for "

    def awaited() -> set[int]:
        """The stopped processes that `down` has said it waits for; that Docker is slow may be said before."""
        return {int(pid) for pid in re.findall(waits, (tmp_path / "down").read_text(encoding="utf-8"))} & stopped

    wait_until(awaited, HELD_SECONDS, "what `down` waits for")
    assert down.poll() is None
    send(stopped, signal.SIGCONT)
    assert over(down) == 0
    # Whichever of them had the last word with the other waiting, `down` came after what `up` made.
    assert over(first) == 0
    assert left_of(name) == []


def test_whoever_waits_has_the_lab_within_seconds_after_the_holder_was_killed(
    ada: Person, people: Callable[[str], Person], name: str, tmp_path: Path
) -> None:
    first, stopped = begun(ada, name, tmp_path / "up", "up", name, *UP)
    held_by = {first.pid, *holders(name)}
    # The same owner with another state folder, as in a container or on another machine.
    second = people(ada.owner).start("up", name, *UP, into=tmp_path / "second")
    said = f"'s `labctl up {name}` ("
    wait_until(lambda: said in (tmp_path / "second").read_text(), HELD_SECONDS, "what the second waits for")
    # What else it had started goes on without it.
    send(held_by, signal.SIGKILL)
    send(stopped - held_by, signal.SIGCONT)
    wait_until(lambda: set(holders(name)) - stopped, FREE_SECONDS, "the second one to have the lab")
    assert over(second) == 0
    over(first)
    ada.end_processes()
    ada.done("down", name)
    assert left_of(name) == []


def test_the_next_down_takes_away_the_lock_that_a_killed_command_left(ada: Person, name: str, tmp_path: Path) -> None:
    first, stopped = begun(ada, name, tmp_path / "up", "up", name, *UP)
    held_by = {first.pid, *holders(name)}
    send(held_by, signal.SIGKILL)
    send(stopped - held_by, signal.SIGCONT)
    over(first)
    ada.end_processes()
    assert len(locks(name)) == 1
    assert "nothing is left" in ada.done("down", name).out
    assert left_of(name) == []


def test_two_up_of_one_lab_at_once_do_one_after_the_other_what_each_announces(
    ada: Person, people: Callable[[str], Person], name: str, tmp_path: Path
) -> None:
    ready = ("--pace", "real", "--consul-version", VERSION)
    up(ada, name)
    ada.done("exec", "--lab", name, "consul1", "--", "consul", "kv", "put", "greeting", "hello")
    elsewhere = people(ada.owner)
    files = {size: tmp_path / f"up-{size}" for size in (5, 1)}
    first = ada.start("up", name, "--servers", "5", *ready, into=files[5])
    second = elsewhere.start("up", name, "--servers", "1", *ready, into=files[1])
    assert (over(first), over(second)) == (0, 0)
    said = {size: path.read_text(encoding="utf-8") for size, path in files.items()}
    # The second command found the size that the other one had given it, and waited for it to be ready.
    if "changes: consul4, consul5 join, so 5 servers vote" in said[5]:
        last = 1
        assert "consul2, consul3, consul4, consul5 leave the cluster" in said[1]
    else:
        last = 5
        assert "changes: consul2, consul3 leave the cluster" in said[1]
        assert "consul2, consul3, consul4, consul5 join, so 5 servers vote" in said[5]
    assert "Waiting for" in said[last]
    status = status_of(ada, name)
    assert (status["ready"], len(status["servers"])) == (True, last)
    assert ada.done("exec", "--lab", name, "consul1", "--", "consul", "kv", "get", "greeting").out.strip() == "hello"
    ada.done("down", name)
    assert left_of(name) == []


def test_down_waits_until_up_is_ready_and_then_removes_all_that_it_made(
    ada: Person, bob: Person, name: str, tmp_path: Path
) -> None:
    first = ada.start("up", name, "--pace", "real", "--consul-version", VERSION, "--json", into=tmp_path / "up")
    wait_until(lambda: locks(name), HELD_SECONDS, "the lock")
    down = bob.done("down", name, "--force")
    assert over(first) == 0
    document = json.loads((tmp_path / "up").read_text(encoding="utf-8"))
    assert (document["voters"], document["leader"] is None) == (3, False)
    assert "3 containers" in down.out
    assert left_of(name) == []


def test_a_lock_that_is_pruned_away_is_back_within_seconds_and_nobody_comes_between(
    ada: Person, people: Callable[[str], Person], name: str, tmp_path: Path
) -> None:
    first = ada.start("up", name, "--pace", "teach", "--no-watch", "--consul-version", VERSION, into=tmp_path / "up")
    wait_until(lambda: len(docker("ps", "-q", "--filter", f"label=raft-labctl.lab={name}").split()) == 3, HELD_SECONDS,
               "the servers")  # fmt: skip
    docker("volume", "rm", "--force", *locks(name), check=False)
    wait_until(lambda: locks(name), FREE_SECONDS, "the lock to be back")
    second = people(ada.owner).start("stop", name, into=tmp_path / "stop")
    assert (over(first), over(second)) == (0, 0)
    assert "leads in term" in (tmp_path / "up").read_text(encoding="utf-8")
    assert "Waiting for" in (tmp_path / "stop").read_text(encoding="utf-8")
    assert status_of(ada, name)["ready"] is False
    ada.done("down", name)
    assert left_of(name) == []


def test_a_volume_of_a_stranger_with_the_locks_label_is_named_and_stays(
    ada: Person, names: Callable[[], str], tmp_path: Path
) -> None:
    lab = names()
    stranger = f"labctl-{lab}-lock-0"
    docker("volume", "create", "--label", f"raft-labctl.lock={lab}", stranger)
    try:
        first = ada.start("up", lab, *UP, into=tmp_path / "up")
        said = "Waiting for somebody (the lock does not say who)"
        wait_until(lambda: said in (tmp_path / "up").read_text(), HELD_SECONDS, "whom `up` waits for")
        assert stranger in locks(lab)
    finally:
        docker("volume", "rm", stranger)
    assert over(first) == 0
    ada.done("down", lab)


def test_a_second_run_that_breaks_a_lab_is_refused_wherever_it_is_typed_and_one_that_was_killed_lets_go(
    ada: Person, people: Callable[[str], Person], name: str, tmp_path: Path
) -> None:
    up(ada, name)
    elsewhere = people(ada.owner)
    first = ada.start("chaos", name, "--for", "60s", "--mix", "pause", into=tmp_path / "first")
    wait_until(lambda: alone(name), HELD_SECONDS, "the first run")
    for words in (("chaos", name, "--for", "10s"), ("measure", "failover", name, "--times", "1")):
        second = elsewhere.run(*words)
        assert second.code == ExitCode.REFUSED, second
        said = (
            rf"Cannot break the lab {name} now: \S+'s `labctl chaos {name}` \(process {first.pid} on \S+, for \d+ s\) "
        )
        assert re.match(said, second.sentence()), second.err
    first.kill()
    over(first)
    ada.end_processes()
    assert len(alone(name)) == 1
    ada.done("fault", "heal", "--lab", name)
    wait_until(lambda: status_of(ada, name)["ready"], ELECTION_SECONDS, f"{name} to be ready")
    third = elsewhere.start("chaos", name, "--for", "10s", "--mix", "pause", into=tmp_path / "third")
    wait_until(lambda: "faults in 10 s" in (tmp_path / "third").read_text(), FREE_SECONDS, "the third run")
    third.send_signal(signal.SIGINT)
    over(third)
    ada.done("down", name)
    assert left_of(name) == []
