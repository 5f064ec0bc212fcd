"""Whatever hangs, a command ends in time, says which step did not end, and the next command puts things right."""

from __future__ import annotations

import contextlib
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import Person, Result, docker, ended, left_of, new_name, remove_lab, wait_until
from tests.integration.own_engine import OwnEngine, running_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# How much longer than its deadline a command may take.
MORE_SECONDS = 10
# labctl, with less time for the removal of a lab than a user's patience has.
HURRIED_DOWN = (
    "import sys; from labctl.runner import deadlines; deadlines.DOWN = 5.0\n"
    "from labctl.cli.main import run; sys.exit(run(sys.argv[1:]))"
)


@pytest.fixture
def without_compose(tmp_path: Path) -> str:
    """A PATH whose docker hangs as soon as Compose is wanted."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\n[ "$1" = compose ] && exec sleep 1000\nexec {shutil.which("docker")} "$@"\n')
    program.chmod(0o755)
    return f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.parametrize("next_command", ["up", "down"])
def test_up_ends_in_time_where_compose_hangs(ada: Person, name: str, without_compose: str, next_command: str) -> None:
    result = ada.run("up", name, "--timeout", "5", PATH=without_compose)
    assert result.code == 3
    assert "Cannot finish within 5 seconds: the step `Bring the lab to its desired state`" in result.sentence()
    assert result.seconds < 5 + MORE_SECONDS
    assert ada.processes() == {}
    if next_command == "up":
        up(ada, name)
    ada.done("down", name)
    assert left_of(name) == []


@pytest.fixture(scope="module")
def engine(image: str) -> Iterator[OwnEngine]:
    """An engine that may be kept from answering."""
    with running_engine(image) as engine:
        yield engine


@pytest.fixture(scope="module")
def dora(engine: OwnEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody who uses that engine, where its ports are."""
    person = Person("dora", tmp_path_factory.mktemp("dora"), engine.inside, {"DOCKER_HOST": engine.host})
    yield person
    person.end_processes()


@pytest.fixture
def lab(engine: OwnEngine) -> Iterator[str]:
    name = new_name()
    yield name
    remove_lab(name, engine.host)


@contextlib.contextmanager
def hanging(engine: OwnEngine) -> Iterator[None]:
    """The engine takes calls and answers none of them."""
    engine.halt()
    try:
        yield
    finally:
        engine.go_on()


def interrupted_by(engine: OwnEngine, dora: Person, when: Callable[[], bool], words: list[str]) -> Result:
    """Run a command whose engine hangs from a moment on."""
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(ended, words, dora.env, dora.home)
        wait_until(when, 60, "the command to get so far")
        with hanging(engine):
            result = running.result()
            # What was killed takes a moment to go on a busy machine.
            wait_until(lambda: dora.processes() == {}, 3, "the end of all its processes")
    return result


def test_up_ends_in_time_where_the_engine_hangs_in_the_middle(engine: OwnEngine, dora: Person, lab: str) -> None:
    def some() -> bool:
        return docker("ps", "-aq", "--filter", f"label=raft-labctl.lab={lab}", host=engine.host) != ""

    result = interrupted_by(engine, dora, some, dora.words("up", lab, "--timeout", "5"))
    assert result.code == 3, result.err
    assert result.seconds < 5 + MORE_SECONDS
    assert "did not" in result.sentence()
    dora.done("down", lab)
    assert left_of(lab, engine.host) == []


@pytest.mark.parametrize("verb", ["up", "join", "start"])
def test_an_engine_that_hangs_from_the_beginning_is_not_waited_for_longer(
    engine: OwnEngine, dora: Person, lab: str, verb: str
) -> None:
    with hanging(engine):
        result = dora.run(verb, lab, "--timeout", "2")
    assert result.code == 1, result.err
    assert "did not answer" in result.sentence()
    assert result.seconds < 2 + MORE_SECONDS


def test_down_ends_in_time_where_the_engine_hangs_in_the_middle(engine: OwnEngine, dora: Person, lab: str) -> None:
    up(dora, lab)

    def begun() -> bool:
        return any("ansible-playbook" in words for words in dora.processes().values())

    hurried = [*engine.inside, sys.executable, "-c", HURRIED_DOWN, "down", lab]
    result = interrupted_by(engine, dora, begun, hurried)
    assert result.code == 1
    assert "Cannot finish within 5 seconds" in result.sentence()
    assert result.seconds < 5 + MORE_SECONDS
    dora.done("down", lab)
    assert left_of(lab, engine.host) == []


def test_a_look_ends_in_time_where_the_engine_hangs(engine: OwnEngine, dora: Person) -> None:
    with hanging(engine):
        result = ended(dora.words("ls"), dora.env, dora.home)
    assert result.code == 1
    assert engine.host in result.sentence()
    assert "within 20 seconds" in result.sentence()
    assert result.seconds < 20 + MORE_SECONDS
