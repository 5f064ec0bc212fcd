"""`labctl chaos`: break a lab at random while clients use it, heal it, and check what they were told."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from labctl.chaos.report import Disturbance, Reigned, Report, Run, report_of
from labctl.chaos.schedule import Step, schedule
from labctl.engine import client as engine
from labctl.engine import clock as clocks
from labctl.engine import faults, logs, status
from labctl.engine.labs import choose_lab
from labctl.errors import ExitCode, LabctlError
from labctl.flows import fault
from labctl.flows.alone import alone_with
from labctl.flows.chaos_clients import Crowd
from labctl.flows.chaos_faults import Disturber
from labctl.flows.plan import refuse_foreign
from labctl.flows.reports import refuse_unwritable
from labctl.flows.settled import LOOK_SECONDS, settled
from labctl.flows.story import of_everything, of_lines
from labctl.show.steps import SilentSteps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from labctl.engine.client import Client as Docker
    from labctl.engine.labs import Lab
    from labctl.raft.story import Story
    from labctl.show.steps import Steps

# Clients go on for a moment in the lab that is ready again, so that the report shows how it recovered.
_AFTERWARDS_SECONDS = 1.0
_LAST_LOOK_SECONDS = 20.0


@dataclass(frozen=True)
class Asked:
    """What a run is asked for.

    Attributes:
        lab: its name, or None for the only one there is.
        owner: who asks.
        seconds: how long to break it.
        seed: which gives the same schedule again; None draws one.
        mix: of which faults.
        timeout: how long to wait, at the end, until the lab is ready again.
        files: what will be written to.
    """

    lab: str | None
    owner: str
    seconds: float
    seed: int | None
    mix: tuple[str, ...]
    timeout: float
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A run that may begin."""

    lab: Lab
    seed: int
    steps: tuple[Step, ...]


def plan(asked: Asked, docker: Docker | None = None) -> Plan:
    """Look at the lab, and draw up the schedule. Changes nothing. Raises LabctlError."""
    lab = choose_lab(docker or engine.connect(), asked.lab, asked.owner)
    refuse_foreign(lab, asked.owner)
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    # Also those that are gone: the same seed is the same plan, and what a majority is does not change.
    names = sorted([*(server.name for server in lab.servers), *lab.missing])
    return Plan(lab, seed, schedule(seed, asked.seconds, asked.mix, names, lab.raft_multiplier))


def run(asked: Asked, steps: Steps) -> Report:
    """Do all of it. Ctrl-C ends the breaking early; the lab is healed and checked also then. Raises LabctlError."""
    for path in asked.files:
        refuse_unwritable(path)
    docker = engine.connect()
    planned = plan(asked, docker)
    with alone_with(planned.lab.name):
        _refuse_unfit(docker, planned.lab)
        return report_of(_run(docker, planned, asked, steps))


def _run(docker: Docker, planned: Plan, asked: Asked, steps: Steps) -> Run:
    lab = planned.lab
    steps.note(
        f"{len(planned.steps)} faults in {asked.seconds:g} s; `--seed {planned.seed}` gives the same schedule again."
    )
    began, origin = datetime.now(UTC), time.monotonic()

    def clock() -> float:
        return time.monotonic() - origin

    crowd = Crowd(docker, lab, asked.seconds, clock)
    disturber = Disturber(lab, asked.owner, clock, _telling(steps))
    try:
        interrupted = _break(crowd, disturber, planned.steps, asked.seconds)
        healing = clock()
        steps.begin(f"heal {lab.name}")
        fault.heal(None, fault.Asked(lab.name, asked.owner), SilentSteps())
        ready_after = _ready_after(docker, lab.name, healing, clock, asked.timeout)
        if ready_after is not None:
            time.sleep(_AFTERWARDS_SECONDS)
        operations = crowd.end()
        seconds = clock()
        final = crowd.last_look(clock() + _LAST_LOOK_SECONDS) if ready_after is not None else None
    except BaseException:
        steps.fail()
        _give_up(crowd, disturber, lab, asked)
        raise
    crowd.clear()
    steps.done(_healed(lab, ready_after, asked.timeout))
    done = sorted(disturber.done, key=lambda one: one.begin)
    reigns = _reigns(docker, lab, _by_its_clock(lab, began), seconds)
    return Run(
        lab.name, lab.version, tuple(one.name for one in lab.servers), planned.seed, asked.seconds, asked.mix, began,
        seconds, tuple(done), tuple(operations), final, reigns, ready_after, interrupted,
    )  # fmt: skip


def _refuse_unfit(docker: Docker, lab: Lab) -> None:
    if problem := settled(lab).problem:
        raise LabctlError(
            f"The lab {lab.name} is not ready, and what breaks then says nothing: {problem}; "
            f"`labctl fault heal --lab {lab.name}` or `labctl up {lab.name}` mends it.",
            ExitCode.NOT_READY,
        )
    if active := faults.active(docker, lab.name):
        raise LabctlError(
            f"The lab {lab.name} has a fault already, {active[0].words}: `labctl fault heal --lab {lab.name}` lifts it."
        )


def _break(crowd: Crowd, disturber: Disturber, steps: Sequence[Step], seconds: float) -> bool:
    """Let clients work while the schedule is carried out. Returns whether somebody interrupted it."""
    crowd.begin()
    try:
        disturber.run(steps)
        time.sleep(max(seconds - crowd.clock(), 0.0))
    except KeyboardInterrupt:
        disturber.stop()
        return True
    return False


def _give_up(crowd: Crowd, disturber: Disturber, lab: Lab, asked: Asked) -> None:
    """Something failed, or somebody interrupted again: end the clients, and leave a healed lab where possible."""
    disturber.stop()
    crowd.end()
    try:
        fault.heal(None, fault.Asked(lab.name, asked.owner), SilentSteps())
    except LabctlError:
        return  # what is raised already says more
    crowd.clear()


def _ready_after(docker: Docker, name: str, begin: float, clock: Callable[[], float], timeout: float) -> float | None:
    """Wait until a lab is ready. Returns how long that took, in seconds; None where it took too long."""
    while clock() - begin < timeout:
        if status.ask(choose_lab(docker, name)).ready:
            return clock() - begin
        time.sleep(LOOK_SECONDS)
    return None


def _healed(lab: Lab, ready_after: float | None, timeout: float) -> str:
    if ready_after is None:
        return f"The lab {lab.name} is healed, and was not ready within {timeout:g} s."
    return f"The lab {lab.name} is healed and ready."


def _telling(steps: Steps) -> Callable[[Disturbance], None]:
    def tell(one: Disturbance) -> None:
        if one.skipped:
            steps.note(f"{one.begin:7.1f}s  {one.what}: left out. {one.skipped}")
        else:
            steps.note(f"{one.begin:7.1f}s  {one.what}, for {one.step.seconds:.1f} s")

    return tell


def _by_its_clock(lab: Lab, time: datetime) -> datetime:
    """What the Docker host's clock, which stamps the logs, said at a time of this machine's clock."""
    found = clocks.difference(lab.place)
    return time + timedelta(seconds=found.seconds) if found is not None and found.certain else time


def _reigns(docker: Docker, lab: Lab, began: datetime, seconds: float) -> tuple[Reigned, ...]:
    """Who led when, out of the servers' logs."""
    lines = logs.read(docker, list(lab.servers))
    story, told = of_everything(of_lines(lab, lines))
    for _ in told:
        pass
    return tuple(_within(story, began, seconds))


def _within(story: Story, began: datetime, seconds: float) -> list[Reigned]:
    ended = began + timedelta(seconds=seconds)
    return [
        Reigned(
            one.server,
            one.term,
            max((one.since - began).total_seconds(), 0.0),
            min(((one.until or ended) - began).total_seconds(), seconds),
        )
        for one in story.leaders
        if one.since is not None and one.since < ended and (one.until or ended) > began
    ]
