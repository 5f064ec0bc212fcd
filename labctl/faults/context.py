"""A lab before a fault, and what every verb prints and logs about it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError
from labctl.faults import targets
from labctl.faults.tools import TOOLS, Tools
from labctl.lab.command_lock import locked_lab
from labctl.lab.desired_state import refuse_foreign
from labctl.results import FaultResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from labctl.engine.labs import Lab
    from labctl.engine.status import Status
    from labctl.faults.forecast import Forecast
    from labctl.progress import Steps

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 86_400.0
# No fault takes longer to apply.
HELD_SECONDS = 300.0


@dataclass(frozen=True)
class FaultRequest:
    """A request for a fault.

    Attributes:
        lab: its name, or None for the only one there is.
        owner: who asks.
        seconds: the lease, or None for the default.
        dry_run: only print what would happen.
        keep: raises LabctlError where somebody else has the lab by now; called before each change.
    """

    lab: str | None
    owner: str
    seconds: float | None = None
    dry_run: bool = False
    keep: Callable[[], None] = field(default=lambda: None, compare=False)


@dataclass(frozen=True)
class FaultContext:
    """A lab, and its cluster, as they are when a fault is planned.

    Attributes:
        lab: as Docker describes it.
        cluster: as its servers describe it.
        cuts: the faults of its network that it has already, in words; None where Docker does not say.
        tools: how it was looked at.
    """

    lab: Lab
    cluster: targets.Cluster
    cuts: tuple[str, ...] | None = ()
    tools: Tools = TOOLS

    def addresses(self, names: Sequence[str]) -> frozenset[str]:
        """Where servers are in the lab's network."""
        return frozenset(self.lab.server(name).address for name in names)


def look(asked: FaultRequest, tools: Tools) -> FaultContext:
    """Find the lab and ask its servers. Raises LabctlError, also for somebody else's lab or an invalid lease."""
    if asked.seconds is not None and not SHORTEST_SECONDS <= asked.seconds <= LONGEST_SECONDS:
        raise LabctlError(
            f"A fault lasts at least a second and at most a day: {asked.seconds:g} seconds is not that.",
            ExitCode.USAGE,
        )
    lab = own_lab(asked, tools)
    return FaultContext(lab, cluster_of(tools.ask(lab)), _cuts(lab, tools), tools)


def _cuts(lab: Lab, tools: Tools) -> tuple[str, ...] | None:
    # They are for the forecast only; the fault must not fail because of them.
    with contextlib.suppress(LabctlError):
        return tuple(fault.words for fault in tools.active(tools.connect(), lab))
    return None


def cluster_of(now: Status) -> targets.Cluster:
    """A lab's cluster. Its servers report who votes; in a lab that was never joined, all of them will."""
    lab, voters = now.lab, now.voters
    return targets.Cluster(
        lab.name,
        tuple(server.name for server in lab.servers),
        tuple(server.name for server in lab.running),
        now.leader.name if now.leader else "",
        len(voters) or lab.spec.servers,
        tuple(lab.missing),
        frozenset(server.name for server in lab.servers if voters and server.address not in voters),
    )


@contextlib.contextmanager
def in_turn(asked: FaultRequest, verb: str, steps: Steps) -> Iterator[FaultRequest]:
    """Lock the lab while a fault is applied: nobody changes it between the look and the fault.

    Only for faults that break something. The holder of a lab may wait for the very server that is to come back, so
    nothing that heals waits for the lock. Yields the request for the locked lab. Raises LabctlError.
    """
    if asked.dry_run:
        yield asked
        return
    lab = own_lab(asked, TOOLS)
    command = f"labctl fault {verb} --lab {lab.name}"
    with locked_lab(lab.place, lab.name, asked.owner, command, steps, seconds=HELD_SECONDS, must_write=False) as lock:
        yield replace(asked, lab=lab.name, keep=lock.keep)


def own_lab(asked: FaultRequest, tools: Tools) -> Lab:
    """The lab that is meant. Raises LabctlError, also where it is somebody else's."""
    lab = tools.choose_lab(tools.connect(), asked.lab, asked.owner)
    refuse_foreign(lab, asked.owner)
    return lab


def note(lab: Lab, names: Sequence[str], line: str, tools: Tools) -> None:
    """Write a line into the logs of the running servers, where it stands beside Raft's own lines."""
    tools.note([server for server in lab.running if server.name in names], line)


def fault_result(  # noqa: PLR0913 - the JSON shape
    scene: FaultContext,
    fault: str,
    words: str,
    servers: Sequence[str],
    seconds: float | None,
    *,
    forecast: Forecast | None = None,
) -> FaultResult:
    """The outcome of a fault; `fault` is "" where it has no name, `seconds` is None where nothing ends it."""
    return FaultResult(
        scene.lab.name,
        changed=True,
        fault=fault or None,
        what=words,
        servers=tuple(servers),
        seconds=seconds,
        forecast=forecast.result if forecast else None,
    )
