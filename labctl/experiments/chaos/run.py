"""`labctl chaos`: break a lab at random while clients use it, heal it, and check the answers that clients got."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from labctl.engine.client import LATE_SECONDS
from labctl.errors import ExitCode, LabctlError
from labctl.experiments.chaos.clients import PAUSES, ClientPool, Pauses
from labctl.experiments.chaos.json_view import history_text
from labctl.experiments.chaos.nemesis import Nemesis
from labctl.experiments.chaos.report import Disturbance, LeadershipSpan, Report, Run, report_of
from labctl.experiments.chaos.schedule import Step, schedule
from labctl.experiments.teardown import Ending, deferred_interrupts, sentence_of
from labctl.experiments.tools import ExperimentTools
from labctl.faults import context, heal
from labctl.lab.desired_state import refuse_foreign
from labctl.lab.wait import LOOK_SECONDS, settled
from labctl.output_files import refuse_unwritable, save
from labctl.progress import Steps
from labctl.raft.records import Leadership
from labctl.shared.waiting import wait_until
from labctl.story.source import of_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from labctl.engine.client import Client as Docker
    from labctl.engine.labs import Lab
    from labctl.experiments.chaos.history import Final, Operation

_LAST_LOOK_SECONDS = 20.0
# Healing, the last look and the checks take seconds; other machines assume that the run is alive for this long.
_HEALING_SECONDS = 120.0


@dataclass(frozen=True)
class ChaosRequest:
    """A request for a run.

    Attributes:
        lab: its name, or None for the only one there is.
        owner: who asks.
        seconds: how long to break it.
        seed: which gives the same schedule again; None draws one.
        mix: of which faults.
        timeout: how long to wait, at the end, until the lab is ready again.
        output: the file that the report will be written to, or None.
        history: the file that every request is written to, or None.
    """

    lab: str | None
    owner: str
    seconds: float
    seed: int | None
    mix: tuple[str, ...]
    timeout: float
    output: Path | None = None
    history: Path | None = None


@dataclass(frozen=True)
class ChaosTools(ExperimentTools):
    """The outside world of a run.

    Attributes:
        heal_lab: as `labctl fault heal` does it.
        nemesis: what carries the schedule out.
        judge: gives the verdict of a run.
        save: write a text to a file.
        pauses: how long clients pause.
        afterwards: how long clients go on once the lab is ready again, so that the report shows how it recovered.
        look: how often to check whether the lab is ready.
    """

    heal_lab: Callable[..., object] = heal.heal
    nemesis: Callable[..., Nemesis] = Nemesis
    judge: Callable[[Run], Report] = report_of
    save: Callable[[str, Path], None] = save
    pauses: Pauses = PAUSES
    afterwards: float = 1.0
    look: float = LOOK_SECONDS


TOOLS = ChaosTools()


@dataclass(frozen=True)
class Plan:
    """A run that is ready to begin."""

    lab: Lab
    seed: int
    steps: tuple[Step, ...]


def plan(asked: ChaosRequest, docker: Docker | None = None, tools: ChaosTools = TOOLS) -> Plan:
    """Look at the lab, and draw up the schedule. Changes nothing. Raises LabctlError."""
    lab = tools.choose_lab(docker or tools.connect(), asked.lab, asked.owner)
    refuse_foreign(lab, asked.owner)
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    # Servers that are gone count too: the same seed gives the same plan, and the majority does not change.
    names = sorted([*(server.name for server in lab.servers), *lab.missing])
    return Plan(lab, seed, schedule(seed, asked.seconds, asked.mix, names, lab.raft_multiplier))


def run(asked: ChaosRequest, steps: Steps, tools: ChaosTools = TOOLS) -> Report:
    """Run everything. Ctrl-C ends the faults early; the lab is still healed and checked.

    Raises:
        LabctlError: before anything was broken. What goes wrong later is in the report, with what was found by then.
    """
    for path in (asked.output, asked.history):
        if path is not None:
            refuse_unwritable(path)
    docker = tools.connect()
    planned = plan(asked, docker, tools)
    most = asked.seconds + asked.timeout + _HEALING_SECONDS
    with tools.exclusive_lab_lock(planned.lab, asked.owner, f"labctl chaos {planned.lab.name}", most) as keep:
        refuse_unfit(docker, planned.lab, tools)
        return _run(docker, planned, asked, steps, tools, keep)


def _run(  # noqa: PLR0913, PLR0917 - what is broken, for whom, and how
    docker: Docker, planned: Plan, asked: ChaosRequest, steps: Steps, tools: ChaosTools, keep: Callable[[], None]
) -> Report:
    lab = planned.lab
    steps.note(
        f"{len(planned.steps)} faults in {asked.seconds:g} s; `--seed {planned.seed}` gives the same schedule again."
    )
    began, origin = datetime.now(UTC), tools.time.now()

    def clock() -> float:
        return tools.time.now() - origin

    pool = ClientPool(docker, lab, asked.seconds, clock, tools, tools.pauses)
    nemesis = tools.nemesis(lab, asked.owner, clock, _telling(steps), tools)
    try:
        pool.begin()
    except BaseException:
        _give_up(pool)
        raise
    # From here on there may be findings, and no failure may lose them.
    with Ending() as ending:
        _break(
            partial(nemesis.run, planned.steps, keep, asked.seconds), nemesis.stop,
            lambda: tools.time.sleep(max(asked.seconds - clock(), 0.0)), ending,
        )  # fmt: skip
        steps.begin(f"heal {lab.name}")
        healed, ready_after = _mended(docker, asked, lab, clock, steps, ending, tools)
        operations = pool.end()
        seconds = clock()
        _keep(operations, asked.history, ending, tools.save)
        final = _at_the_end(pool, ending) if ready_after is not None else None
        done = sorted(nemesis.done, key=lambda disturbance: disturbance.begin)
        _remove(
            pool, operations, final, _settled(healed, done, tools.pauses) if ready_after is not None else None, ending
        )
        report = tools.judge(
            Run(
                lab.name, lab.spec.version, tuple(server.name for server in lab.servers), planned.seed, asked.seconds,
                asked.mix, began, seconds, tuple(done), tuple(operations), final, ready_after=ready_after,
                died=tuple(pool.died),
            )
        )  # fmt: skip
        leaderships, unknown = _who_led(docker, lab, began, seconds, ending, tools)
    whole = replace(
        report.run,
        leaderships=leaderships,
        leaders_unknown=unknown,
        interrupted=ending.interrupts > 0,
        problems=tuple(ending.problems),
    )
    return replace(report, run=whole)


def refuse_unfit(docker: Docker, lab: Lab, tools: ExperimentTools = TOOLS) -> None:
    """Raise LabctlError where a run would prove nothing about the lab."""
    if problem := settled(lab, tools.ask, tools.time).problem:
        raise LabctlError(
            f"The lab {lab.name} is not ready, and what breaks then says nothing: {problem}; "
            f"`labctl fault heal --lab {lab.name}` or `labctl up {lab.name}` repairs it.",
            ExitCode.NOT_READY,
        )
    if active := tools.active(docker, lab):
        raise LabctlError(
            f"The lab {lab.name} has a fault already, {active[0].words}: `labctl fault heal --lab {lab.name}` lifts it."
        )


def _break(run_all: Callable[[], None], stop: Callable[[], None], wait: Callable[[], None], ending: Ending) -> None:
    """Carry out the schedule while clients work; faults by signals are lifted even after an interrupt."""
    with ending.attempt("The breaking ended early"):
        run_all()
        wait()
    stop()


def _give_up(pool: ClientPool) -> None:
    """The lab took no write, or an interrupt came before the first fault."""
    with deferred_interrupts():
        pool.end()
        pool.clear()


def _mended(  # noqa: PLR0913, PLR0917 - what healing needs
    docker: Docker,
    asked: ChaosRequest,
    lab: Lab,
    clock: Callable[[], float],
    steps: Steps,
    ending: Ending,
    tools: ChaosTools,
) -> tuple[float, float | None]:
    """Heal a lab, and wait until it is ready.

    Returns when it was healed, by the run's clock, and how many seconds all of it took; None where the lab is not
    known to be ready.

    An interrupt ends the wait; the user still wants a healed lab.
    """
    begin, interrupts = clock(), ending.interrupts
    if not _is_healed(asked, lab, ending, tools):
        steps.fail()
        return clock(), None
    healed = clock()
    ready_after = None
    problems = len(ending.problems)
    if ending.interrupts == interrupts:
        with ending.attempt(f"Nobody could say whether the lab {lab.name} is ready"):
            if _is_ready_within(docker, lab.name, asked.timeout - (clock() - begin), tools):
                ready_after = clock() - begin
                tools.time.sleep(tools.afterwards)
    if ready_after is not None:
        steps.done(f"The lab {lab.name} is healed and ready.")
    elif ending.interrupts > interrupts or len(ending.problems) > problems:
        steps.done(f"The lab {lab.name} is healed. Whether it is ready is not known.")
    else:
        steps.done(f"The lab {lab.name} is healed, and was not ready within {asked.timeout:g} s.")
    return healed, ready_after


def _is_healed(asked: ChaosRequest, lab: Lab, ending: Ending, tools: ChaosTools) -> bool:
    """Heal a lab; where that fails or is interrupted, once more."""
    command = f"`labctl fault heal --lab {lab.name}`"
    problems = len(ending.problems)
    for _ in range(2):
        del ending.problems[problems:]
        with ending.attempt(f"The lab {lab.name} could not be healed; {command} does it"):
            tools.heal_lab(None, context.FaultRequest(lab.name, asked.owner), Steps())
            return True
    if len(ending.problems) == problems:
        ending.problems.append(f"The lab {lab.name} is not healed, because labctl was interrupted; {command} does it.")
    return False


def _is_ready_within(docker: Docker, name: str, seconds: float, tools: ChaosTools) -> bool:
    """Wait until a lab is ready. Returns whether it is in that time, and there at all.

    Raises:
        LabctlError: its state was unknown to the end.
    """

    def look() -> bool | LabctlError | None:
        """Whether it is ready; None where it is gone."""
        try:
            lab = tools.find_lab(docker, name)
            return None if lab is None else tools.ask(lab).ready
        except LabctlError as error:
            return error  # an engine that is busy now answers later

    if seconds <= 0:
        return False
    docker = docker.hurried(seconds + LATE_SECONDS)
    seen = wait_until(look, seconds, tools.look, tools.time, enough=lambda seen: seen is True or seen is None)
    if isinstance(seen, LabctlError):
        raise seen
    return bool(seen)


def _keep(
    operations: Iterable[Operation], history: Path | None, ending: Ending, save: Callable[[str, Path], None]
) -> None:
    """Keep every request where that was asked for, before anything else can go wrong."""
    if history is None:
        return
    try:
        save(history_text(operations), history)
    except Exception as error:  # noqa: BLE001 - the verdict is to come
        ending.problems.append(sentence_of(error))


def _at_the_end(pool: ClientPool, ending: Ending) -> Final | None:
    """The keys at the end."""
    with ending.attempt("The keys at the end could not be read"):
        return pool.last_look(pool.clock() + _LAST_LOOK_SECONDS)
    return None


def _settled(healed: float, done: Iterable[Disturbance], pauses: Pauses) -> float:
    """When no request from while the lab was broken is still pending, by the run's clock.

    A server may hold a write. And packets into a cut network are sent again after pauses that double: the last pause
    is no longer than the cut was.
    """
    return healed + max([pauses.held, *(disturbance.end - disturbance.begin for disturbance in done)])


def _remove(
    pool: ClientPool, operations: Iterable[Operation], final: Final | None, settled: float | None, ending: Ending
) -> None:
    """Remove what the run wrote."""
    left = f"Keys below {pool.prefix} are left in the lab {pool.lab.name}, and the next run removes them"
    with ending.attempt(left):
        if not pool.remove(operations, final, settled):
            ending.problems.append(f"{left}: no server removed them.")


def _telling(steps: Steps) -> Callable[[Disturbance], None]:
    def tell(disturbance: Disturbance) -> None:
        if disturbance.skipped:
            steps.note(f"{disturbance.begin:7.1f}s  {disturbance.what}: left out. {disturbance.skipped}")
        else:
            steps.note(f"{disturbance.begin:7.1f}s  {disturbance.what}, for {disturbance.step.seconds:.1f} s")

    return tell


def host_time(lab: Lab, time: datetime, tools: ExperimentTools = TOOLS) -> datetime:
    """The time of the Docker host's clock, which stamps the logs, at a time of this machine's clock."""
    difference = tools.difference(lab.place)
    return time + timedelta(seconds=difference.seconds) if difference is not None and difference.certain else time


def _who_led(  # noqa: PLR0913, PLR0917 - whose, from when to when
    docker: Docker, lab: Lab, began: datetime, seconds: float, ending: Ending, tools: ChaosTools
) -> tuple[tuple[LeadershipSpan, ...], str]:
    """Who led when, or why that is not known."""
    failed = ""
    with ending.attempt("Who led is not known"):
        try:
            return leaderships_within(docker, lab, host_time(lab, began, tools), seconds, tools), ""
        except Exception as error:  # noqa: BLE001 - all else is known, so the run has not failed
            failed = sentence_of(error)
    return (), failed or "labctl was interrupted."


def leaderships_within(
    docker: Docker, lab: Lab, began: datetime, seconds: float, tools: ExperimentTools = TOOLS
) -> tuple[LeadershipSpan, ...]:
    """Who led when, from the servers' logs."""
    told = of_lines(lab, tools.read_logs(docker, list(lab.servers))).records()
    # A log may span many days: lines from outside this run are dropped at once.
    return tuple(spans_within((record for record in told if isinstance(record, Leadership)), began, seconds))


def spans_within(leaders: Iterable[Leadership], began: datetime, seconds: float) -> Iterator[LeadershipSpan]:
    """Who led when, cut to the time of the run."""
    ended = began + timedelta(seconds=seconds)
    for leadership in leaders:
        if leadership.since is not None and leadership.since < ended and (leadership.until or ended) > began:
            yield LeadershipSpan(
                leadership.server,
                leadership.term,
                max((leadership.since - began).total_seconds(), 0.0),
                min(((leadership.until or ended) - began).total_seconds(), seconds),
            )
