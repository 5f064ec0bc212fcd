"""`labctl measure failover`: take the leader away again and again, and time what the others do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError
from labctl.experiments.failover.rounds import TOOLS, Failovers, FailoverTools
from labctl.lab.desired_state import refuse_foreign
from labctl.lab.wait import settled
from labctl.output_files import refuse_unwritable
from labctl.raft.failover import Measurement
from labctl.raft.prediction import FEWEST_SERVERS, expected, has_pre_vote
from labctl.raft.timers import timers_of
from labctl.shared.words import counted

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.engine.labs import Lab
    from labctl.progress import Steps
    from labctl.raft.failover import By

MOST_TIMES = 500
# One failover with all its waits; other machines assume that the run is alive for this long.
_MOST_SECONDS = 60.0
MOST_DIFFERENCE = 0.05
"""How far the Docker host's clock may be off, in seconds."""


@dataclass(frozen=True)
class MeasureRequest:
    """A request for a measurement.

    Attributes:
        lab: its name, or None for the only one there is.
        owner: who asks.
        times: how many failovers.
        by: what happens to the leader.
        output: the file that it will be written to, or None.
    """

    lab: str | None
    owner: str
    times: int
    by: By
    output: Path | None = None


@dataclass(frozen=True)
class Result:
    """The result.

    Attributes:
        measurement: has every failover that was measured completely.
        ended: what ended it too early, or None.
    """

    measurement: Measurement
    ended: LabctlError | KeyboardInterrupt | None


def failover(asked: MeasureRequest, steps: Steps, tools: FailoverTools = TOOLS) -> Result:
    """Measure failovers, one after the other. The lab is then as it was before, but for its leader and its term.

    Raises:
        LabctlError: before the first failover. What ends it later is in the result.
    """
    if not 1 <= asked.times <= MOST_TIMES:
        raise LabctlError(f"{asked.times} failovers cannot be measured: say 1 to {MOST_TIMES}.", ExitCode.USAGE)
    if asked.output is not None:
        refuse_unwritable(asked.output)
    client = tools.connect()
    lab = tools.choose_lab(client, asked.lab, asked.owner)
    refuse_foreign(lab, asked.owner)
    with tools.exclusive_lab_lock(
        lab, asked.owner, f"labctl measure failover {lab.name}", asked.times * _MOST_SECONDS
    ) as keep:
        _refuse_unfit(lab, tools)
        _refuse_other_clock(lab, tools)
        predicted = expected(timers_of(lab.raft_multiplier), lab.spec.servers, pre_vote=has_pre_vote(lab.spec.version))
        rounds = Failovers(client, lab, asked.by, steps, tools)
        ended = rounds.run(asked.times, keep)
        return Result(
            Measurement(
                lab.name, lab.spec.servers, lab.spec.pace, lab.spec.version, asked.by, asked.times, rounds.timers,
                predicted, tuple(rounds.done),
            ),
            ended,
        )  # fmt: skip


def _refuse_unfit(lab: Lab, tools: FailoverTools) -> None:
    if lab.spec.servers < FEWEST_SERVERS:
        raise LabctlError(
            f"The lab {lab.name} has {counted(lab.spec.servers, 'server')}, so nobody can "
            f"follow its leader: `labctl up {lab.name} --servers 3` makes it larger.",
            ExitCode.REFUSED,
        )
    problem = settled(lab, tools.ask, tools.time).problem
    if problem:
        raise LabctlError(
            f"The lab {lab.name} is not ready because {problem}, and a failover is measured from a lab that is: "
            f"`labctl join {lab.name}` joins its servers, `labctl fault heal --lab {lab.name}` heals faults, "
            f"`labctl start {lab.name}` starts what is stopped.",
            ExitCode.NOT_READY,
        )


def _refuse_other_clock(lab: Lab, tools: FailoverTools) -> None:
    """Refuse a Docker host with a clock of its own: it stamps the logs, and labctl stamps the write."""
    host = tools.host_name()
    if host != "local":
        raise LabctlError(
            f"The Docker host is {host}, whose clock stamps the logs while this machine's stamps the writes: "
            "run `labctl measure failover` on the Docker host itself.",
            ExitCode.REFUSED,
        )
    difference = tools.difference(lab.place)
    if difference is not None and difference.certain > MOST_DIFFERENCE:
        raise LabctlError(
            f"The Docker host's clock is {difference.seconds:+.2f} s off this machine's (a virtual machine?), which is "
            "more than what is to be measured can bear: set it, or run this on the Docker host itself.",
            ExitCode.REFUSED,
        )
