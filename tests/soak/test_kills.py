"""SIGKILL and Ctrl-C at random moments of up, down and workshop up: the next command puts everything right.

They are on an engine of their own, because in some trials the engine is stopped (SIGSTOP) in the middle of it. Beside
them stands a healthy lab with data, which nobody may touch. Every command that is not killed must end by its deadline.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import container, docker, left_of, new_name
from tests.integration.kills import ORPHAN_SECONDS, UP, interrupt, moments, must_go_down
from tests.integration.own_engine import OwnEngine, running_engine
from tests.integration.workshops import Room
from tests.soak.command_deadlines import TimedPerson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from random import Random

    from tests.integration.harness import Person
    from tests.soak.trials import Trial, Trials

pytestmark = pytest.mark.soak
# More than two hundred in all, because now and then the command is over before it is killed.
KILLS = {"up": 66, "up again": 44, "down": 56, "workshop up": 54}
INTERRUPTS = 10
SEATS = 3
DEADLINE = 60
"""The options of each `up` of a lab."""
STOPPED_SECONDS = 20.0
"""The engine is stopped for no longer than this."""
KEPT = "kept", "what nobody may lose"


@pytest.fixture(scope="module")
def engine(image: str) -> Iterator[OwnEngine]:
    with running_engine(image) as engine:
        yield engine


@pytest.fixture(scope="module")
def dora(engine: OwnEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimedPerson]:
    # Labs that others start on this machine take no turn of this engine's.
    turns = engine.folder / "tmp"
    turns.mkdir()
    settings = {"DOCKER_HOST": engine.host, "TMPDIR": str(turns)}
    person = TimedPerson("dora", tmp_path_factory.mktemp("dora"), engine.inside, settings)
    yield person
    person.end_processes()


@pytest.fixture(scope="module")
def healthy(dora: TimedPerson) -> str:
    """A lab with data that stands beside all trials."""
    lab = new_name()
    up(dora, lab)
    write(dora, lab)
    return lab


def write(person: Person, lab: str) -> None:
    person.done("exec", "--lab", lab, "consul1", "--", "consul", "kv", "put", *KEPT)


def must_have(engine: OwnEngine, lab: str, what: str) -> None:
    """Every server of a lab has the data."""
    for server in ("consul1", "consul2", "consul3"):
        words = ("exec", container(lab, server), "consul", "kv", "get", "-stale", KEPT[0])
        assert docker(*words, host=engine.host, check=False) == KEPT[1], f"{what}: {server} of {lab}"


@contextmanager
def stopped(engine: OwnEngine, seconds: float) -> Iterator[None]:
    """The engine takes connections and answers nobody, for that many seconds."""
    assert engine.process is not None
    pid = engine.process.pid
    os.kill(pid, signal.SIGSTOP)
    go_on = threading.Timer(seconds, os.kill, (pid, signal.SIGCONT))
    go_on.start()
    try:
        yield
    finally:
        go_on.cancel()
        os.kill(pid, signal.SIGCONT)
        go_on.join()


def apply_fault(
    person: Person, engine: OwnEngine, words: tuple[str, ...], chance: Random, longest: float
) -> tuple[str, str]:
    """End a command with SIGKILL at a random moment, sometimes while the engine is stopped.

    Returns:
        What kind of trial it was, and the moment in words.
    """
    process = person.start(*words)
    seconds, group = chance.uniform(0, 0.7 * longest), chance.random() < 1 / 2
    time.sleep(seconds)
    moment = f"{seconds:.2f} s, {'process group' if group else 'labctl alone'}"
    kind = "killed"
    try:
        if chance.random() < 1 / 4:
            after = chance.uniform(0, STOPPED_SECONDS)
            kind, moment = "killed, engine stopped", f"{moment}, engine stopped for {after:.0f} s"
            with stopped(engine, after):
                time.sleep(chance.uniform(0, min(after, 3.0)))
                _kill(process.pid, group=group)
                process.communicate(timeout=60)
                person.run("ls")
        else:
            _kill(process.pid, group=group)
            process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    return (kind if process.returncode == -signal.SIGKILL else f"{words[0]} had ended"), moment


def _kill(pid: int, *, group: bool) -> None:
    if group:
        os.killpg(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)


def nothing_is_left(  # noqa: PLR0913, PLR0917 - what goes, by whom, and when
    person: Person, engine: OwnEngine, down: tuple[str, ...], labs: Sequence[str], moment: str, chance: Random
) -> None:
    """The next `down` that meets a running engine leaves nothing, and nothing comes back."""

    def left() -> list[str]:
        return [part for lab in labs for part in left_of(lab, engine.host)]

    if chance.random() < 1 / 8:
        with stopped(engine, chance.uniform(0, STOPPED_SECONDS)):
            person.run(*down)
    result = person.run(*down)
    assert result.code == 0, f"{moment}: down: {result.err}{result.out}"
    assert left() == [], moment
    ends = time.monotonic() + ORPHAN_SECONDS
    while person.processes():
        assert time.monotonic() < ends, f"{moment}: orphans {person.processes()}"
        time.sleep(0.1)
    assert left() == [], f"{moment}: it came back"


def put_right(person: Person, engine: OwnEngine, lab: str, trial: Trial, moment: str) -> str:
    """After every second kill `up` makes the lab ready; after each `down` leaves nothing. Says what was there."""
    parts = len(left_of(lab, engine.host))
    if trial.number % 2:
        again = person.run(*_up(lab))
        assert again.code == 0, f"{moment}: the next up: {again.err}{again.out}"
    nothing_is_left(person, engine, ("down", lab), [lab], moment, trial.chance)
    return f"{moment}: {parts} parts were there"


def _up(lab: str, *words: str) -> tuple[str, ...]:
    return ("up", lab, *UP, "--timeout", str(DEADLINE), *words)


@pytest.fixture(scope="module")
def longest(dora: TimedPerson, healthy: str) -> dict[str, float]:
    """How long the commands take here and now."""
    assert healthy
    lab = new_name()
    made = Room(dora, seats=SEATS)
    seconds = {
        "up": dora.done(*_up(lab)).seconds,
        "up again": dora.done("up", lab, "--pace", "teach").seconds,
        "down": dora.done("down", lab).seconds,
        "workshop up": made.done("up").seconds,
    }
    made.done("down")
    return seconds


def test_up_killed(
    dora: TimedPerson,
    engine: OwnEngine,
    healthy: str,
    longest: dict[str, float],
    trials: Callable[[str, int], Trials],
) -> None:
    kinds = trials("up killed", KILLS["up"])
    for trial in kinds:
        lab = new_name()
        kind, moment = apply_fault(dora, engine, _up(lab), trial.chance, longest["up"])
        said = put_right(dora, engine, lab, trial, moment)
        must_have(engine, healthy, moment)
        kinds.record(trial, kind, said, dora.take_latest())


def test_up_of_a_lab_with_data_killed(
    dora: TimedPerson,
    engine: OwnEngine,
    longest: dict[str, float],
    trials: Callable[[str, int], Trials],
) -> None:
    lab = new_name()
    up(dora, lab)
    write(dora, lab)
    pace = "real"
    kinds = trials("up of a lab with data killed", KILLS["up again"])
    for trial in kinds:
        pace = "teach" if pace == "real" else "real"
        words = ("up", lab, "--pace", pace, "--timeout", str(DEADLINE))
        kind, moment = apply_fault(dora, engine, words, trial.chance, longest["up again"])
        # At pace `teach` an election of servers that were made again takes longer than DEADLINE sometimes.
        again = dora.run(*_up(lab))
        assert again.code == 0, f"{moment}: the next up: {again.err}{again.out}"
        pace = "real"
        must_have(engine, lab, moment)
        kinds.record(trial, kind, f"{moment}: the data is there", dora.take_latest())
    must_have(engine, lab, "at the end")
    dora.done("down", lab)
    assert left_of(lab, engine.host) == []


def test_down_killed(
    dora: TimedPerson,
    engine: OwnEngine,
    healthy: str,
    longest: dict[str, float],
    trials: Callable[[str, int], Trials],
) -> None:
    kinds = trials("down killed", KILLS["down"])
    for trial in kinds:
        lab = new_name()
        dora.done(*_up(lab))
        kind, moment = apply_fault(dora, engine, ("down", lab), trial.chance, longest["down"])
        said = put_right(dora, engine, lab, trial, moment)
        must_have(engine, healthy, moment)
        kinds.record(trial, kind, said, dora.take_latest())


def test_workshop_up_killed(
    dora: TimedPerson,
    engine: OwnEngine,
    healthy: str,
    longest: dict[str, float],
    trials: Callable[[str, int], Trials],
) -> None:
    kinds = trials("workshop up killed", KILLS["workshop up"])
    for trial in kinds:
        made = Room(dora, seats=SEATS)
        kind, moment = apply_fault(dora, engine, made.words("up"), trial.chance, longest["workshop up"])
        if trial.number % 2:
            again = made.run("up")
            assert again.code == 0, f"{moment}: the next up: {again.err}{again.out}"
            assert list(made.states().values()) == [True] * SEATS, moment
        labs = [made.lab(f"{seat:02}") for seat in range(1, SEATS + 1)]
        nothing_is_left(dora, engine, made.words("down"), labs, moment, trial.chance)
        must_have(engine, healthy, moment)
        kinds.record(trial, kind, moment, dora.take_latest())


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TimedPerson]:
    person = TimedPerson(f"ada-{new_name()}", tmp_path)
    yield person
    person.end_processes()


def test_ctrl_c_at_random_moments_of_up(
    ada: TimedPerson, names: Callable[[], str], seed: int, say: Callable[[str], None]
) -> None:
    lab = names()
    longest = ada.done("up", lab, *UP).seconds
    must_go_down(ada, lab, "first")
    say(f"\nCtrl-C, seed {seed}, {INTERRUPTS} moments of an `up` that takes {longest:.1f} s")
    for moment in moments(seed, INTERRUPTS, longest):
        what = interrupt(ada, lab, moment)
        say(f"  {what}")
        must_go_down(ada, lab, what)
    say(f"  {INTERRUPTS} of {INTERRUPTS} were interrupted, no orphan, nothing left")
