"""Interrupt and kill labctl at chosen moments, and check that the next command repairs everything."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.integration.harness import VERSION, Person, about_us, left_of

if TYPE_CHECKING:
    from collections.abc import Iterator

UP = ("--pace", "real", "--consul-version", VERSION)
INTERRUPT_SECONDS = 2.0
ORPHAN_SECONDS = 20.0


@dataclass(frozen=True)
class Moment:
    """When a command was ended (seconds after its start), and whether the whole terminal's group was."""

    number: int
    seconds: float
    group: bool

    def earlier(self) -> Moment:
        """A moment for a second try, where the command had ended before this one came."""
        return replace(self, seconds=self.seconds * 0.8)

    def __str__(self) -> str:
        return f"moment {self.number}: {self.seconds:.2f} s, {'process group' if self.group else 'labctl alone'}"


def moments(seed: int, count: int, longest: float) -> Iterator[Moment]:
    """Moments spread over `longest` seconds: one in each of `count` equal parts, at a random place of it."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    for number in range(count):
        yield Moment(number + 1, longest * (number + chance.random()) / count, chance.random() < 1 / 2)


def how_long(person: Person, *words: str) -> float:
    """Run a command to its end and return the seconds it takes on this machine now."""
    return person.done(*words).seconds


def interrupt(person: Person, lab: str, moment: Moment) -> str:
    """Press Ctrl-C in the middle of `up`. Returns the outcome, in a line."""
    process = person.start("up", lab, *UP)
    time.sleep(moment.seconds)
    begun = time.monotonic()
    if moment.group:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    took = time.monotonic() - begun
    if process.returncode == 0:
        # It was quicker than the one that was measured: there was nothing to interrupt.
        must_go_down(person, lab, f"{moment}: it was ready already")
        return interrupt(person, lab, moment.earlier())
    lines = about_us(err).strip().splitlines()
    assert process.returncode == 130, f"{moment}: code {process.returncode}\n{err}"
    assert len(lines) == 1, f"{moment}: not one sentence\n{err}"
    assert "nterrupted" in lines[0], f"{moment}: {err}"
    assert took < INTERRUPT_SECONDS, f"{moment}: it took {took:.1f} s to end"
    time.sleep(0.2)
    orphans = person.processes()
    assert orphans == {}, f"{moment}: still running are {orphans}"
    return f"{moment}: 130 after {took:.2f} s; {lines[0]}"


def kill(person: Person, verb: str, lab: str, moment: Moment) -> str:
    """End `up` or `down` with SIGKILL in the middle. Returns what was left of the lab at that moment, in a line."""
    process = person.start(verb, lab, *(UP if verb == "up" else ()))
    time.sleep(moment.seconds)
    if moment.group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate(timeout=60)
    if process.returncode == 0:
        if verb == "up":
            must_go_down(person, lab, f"{moment}: it was ready already")
        else:
            must_come_up(person, lab, f"{moment}: it was removed already")
        return kill(person, verb, lab, moment.earlier())
    assert process.returncode == -signal.SIGKILL, f"{moment}: {verb} ended with {process.returncode}"
    left = left_of(lab)
    return f"{moment}: {verb} left {len(left)} parts and {len(person.processes())} processes"


def must_come_up(person: Person, lab: str, what: str) -> None:
    """The next `up` gives a ready lab."""
    result = person.run("up", lab, *UP)
    assert result.code == 0, f"{what}: up: {result.err}{result.out}"
    status = person.run("status", lab, "--json")
    assert status.code == 0, f"{what}: status: {status.out}"
    assert [server["state"] for server in status.json["servers"]] == ["running"] * 3


def must_go_down(person: Person, lab: str, what: str) -> None:
    """The next `down` leaves nothing, and nothing comes back from a process that was orphaned."""
    result = person.run("down", lab)
    assert result.code == 0, f"{what}: down: {result.err}{result.out}"
    assert left_of(lab) == [], what
    ends = time.monotonic() + ORPHAN_SECONDS
    while person.processes():
        assert time.monotonic() < ends, f"{what}: orphans {person.processes()}"
        time.sleep(0.1)
    assert left_of(lab) == [], f"{what}: it came back"
