"""`labctl workshop fault`: the same fault in many seats at the same moment, and how soon each had a leader again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labctl.engine.clock import HostClock
from labctl.errors import LabctlError
from labctl.experiments.failover.from_logs import told_by_logs
from labctl.experiments.tools import TOOLS, ExperimentTools
from labctl.faults import processes, targets
from labctl.faults.context import cluster_of
from labctl.faults.process_verbs import PROCESS_VERBS
from labctl.raft.timers import timers_of
from labctl.shared.parallel import each
from labctl.shared.waiting import wait_until
from labctl.shared.words import counted
from labctl.workshop.hosts import AT_ONCE, labs_of
from labctl.workshop.model.fault_result import SeatFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labctl.engine.client import Client
    from labctl.engine.docker_host import DockerHost
    from labctl.engine.labs import Lab
    from labctl.progress import Steps
    from labctl.raft.failover import FailoverTimeline
    from labctl.workshop.model.hosts import Fleet
    from labctl.workshop.model.seats import Seat

# A fault mostly waits for Docker; all seats must be hit at the same moment, not one after the other.
STROKES_AT_ONCE = 64
_LOOK_SECONDS = 0.2


class SeatFaults:
    """The same fault in many seats. Every method raises LabctlError only where nothing was begun.

    Raises LabctlError where none of the seats is there.

    Args:
        fleet: the workshop's current state.
        seats: the seats to fault.
        steps: where progress goes.
        tools: how faults are applied.
        labs: the workshop's labs with their engines.
        told: reads an election from the logs.
        keep: raises LabctlError where somebody else has the workshop by now.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as above
        self,
        fleet: Fleet,
        seats: Sequence[Seat],
        steps: Steps,
        tools: ExperimentTools = TOOLS,
        labs: Callable[[Fleet], Sequence[tuple[Client, Lab]]] = labs_of,
        told: Callable[..., FailoverTimeline | None] = told_by_logs,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self._tools, self._told, self._keep = tools, told, keep
        wanted = {seat.lab: seat.name for seat in seats}
        self._names = wanted
        self._hosts = fleet.existing
        self._steps = steps
        self._labs = {lab.name: (client, lab) for client, lab in labs(fleet) if lab.name in wanted}
        if not self._labs:
            raise LabctlError(
                "None of these seats is there, or their Docker hosts do not answer: `labctl workshop status` shows "
                "which, `labctl workshop up` brings them up."
            )
        self._clocks: dict[str, HostClock | str] = {}
        self._absent = [
            SeatFault(lab, name, fleet.existing.get(lab), problem="it is not there, or its Docker host does not answer")
            for lab, name in wanted.items()
            if lab not in self._labs
        ]

    def apply_fault(self, verb: str, target: str) -> list[SeatFault]:
        """Kill, stop or pause servers in every seat at once, and wait until each seat has a leader again, if it can."""
        self._steps.begin(f"{verb} {target} in {counted(len(self._labs), 'seat')}: choosing the servers")
        chosen = dict(
            zip(self._labs, each(lambda item: self._choose(item[1], target), self._labs.values(), AT_ONCE), strict=True)
        )
        # Before all are hit at the same moment: each Docker host stamps with its own clock.
        self._clocks = self._asked_clocks()
        self._keep()
        self._steps.begin(f"{verb} {target} in {counted(len(self._labs), 'seat')}: now")
        struck = each(lambda lab: self._struck(verb, lab, chosen[lab]), self._labs, STROKES_AT_ONCE)
        count = sum(seat_fault.problem is None for seat_fault in struck)
        self._steps.done(f"{verb} {target} in {counted(count, 'seat')}, within {self._within(struck):.2f} s")
        self._steps.begin("elections: waiting until every seat has a leader again")
        ended = each(self._election, struck, STROKES_AT_ONCE)
        elected = sum(seat_fault.leader is not None for seat_fault in ended)
        self._steps.done(f"{elected} of {counted(len(ended), 'seat')} {'has' if elected == 1 else 'have'} a leader")
        return self._ordered(ended)

    def bring_back(self, verb: str, target: str) -> list[SeatFault]:
        """Start or resume servers in every seat."""
        states = PROCESS_VERBS[verb].states

        def back(lab: str) -> SeatFault:
            _, seat_lab = self._labs[lab]
            waiting = tuple(server.name for server in seat_lab.servers if server.state in states)
            cluster = replace(cluster_of(self._tools.ask(seat_lab)), running=waiting, leader="")
            names = [name for name in targets.resolve(target, cluster) if name in waiting] if waiting else []
            if names:
                processes.apply_fault(verb, names, seat_lab, tools=self._tools)
            return self._of(lab, servers=tuple(names))

        return self._each(back, f"{verb} {target}")

    def heal(self) -> list[SeatFault]:
        """Lift every fault in every seat, and let every server run."""

        def heal_seat(lab: str) -> SeatFault:
            client, seat_lab = self._labs[lab]
            away = processes.taken_away(seat_lab, None, self._tools)
            processes.bring_back(away, tools=self._tools)
            # Looked up again: some servers have started only now.
            self._tools.lift(self._tools.find_lab(client, lab) or seat_lab, None)
            return self._of(lab, servers=tuple(server.name for server in away))

        return self._each(heal_seat, "heal")

    def _asked_clocks(self) -> dict[str, HostClock | str]:
        """The clock of each lab's Docker host, each asked once, or why it is not known."""
        places = {id(lab.place): lab.place for _, lab in self._labs.values()}

        def ask(place: DockerHost) -> HostClock | str:
            try:
                return self._tools.clock(place)
            except LabctlError as error:
                return error.sentence

        clocks = dict(zip(places, each(ask, places.values(), AT_ONCE), strict=True))
        return {name: clocks[id(lab.place)] for name, (_, lab) in self._labs.items()}

    def _within(self, struck: Sequence[SeatFault]) -> float:
        """The seconds between the first fault and the last, by this machine's clock, as there may be several hosts."""
        times = []
        for seat_fault in struck:
            host = self._clocks.get(seat_fault.lab)
            if seat_fault.lost is not None and isinstance(host, HostClock):
                times.append(host.here(seat_fault.lost))
        return (max(times) - min(times)).total_seconds() if times else 0.0

    # -- one seat --------------------------------------------------------------------------------------------

    def _choose(self, lab: Lab, target: str) -> list[str] | str:
        """The servers that a target means in a lab, or why there are none."""
        try:
            return targets.resolve(target, cluster_of(self._tools.ask(lab)))
        except LabctlError as error:
            return error.sentence

    def _struck(self, verb: str, lab: str, chosen: list[str] | str) -> SeatFault:
        if isinstance(chosen, str):
            return self._of(lab, problem=chosen)
        _, seat_lab = self._labs[lab]
        host = self._clocks[lab]
        if isinstance(host, str):
            return self._of(lab, problem=host)
        try:
            struck = processes.apply_fault(verb, chosen, seat_lab, host=host, tools=self._tools)
            done_by = self._tools.done_by
            times = [done_by(seat_lab.server(name), verb, struck.begin, struck.end) or struck.end for name in chosen]
        except LabctlError as error:
            return self._of(lab, servers=tuple(chosen), problem=error.sentence)
        return self._of(lab, servers=tuple(chosen), fault=struck.fault, begun=struck.begin, lost=max(times))

    def _election(self, struck: SeatFault) -> SeatFault:
        """Wait for the seat's election; a seat without a majority has none."""
        if struck.problem is not None or struck.begun is None or struck.lost is None:
            return struck
        client, lab = self._labs[struck.lab]
        left = [server for server in lab.running if server.name not in struck.servers]
        if len(left) <= lab.spec.servers // 2:
            return replace(struck, note=f"{len(left)} of {lab.spec.servers} servers remain: nobody can win an election")
        seconds = 30.0 + 10.0 * timers_of(lab.raft_multiplier).heartbeat
        try:
            ended = wait_until(lambda: self._looked(client, lab, struck), seconds, _LOOK_SECONDS, self._tools.time)
        except LabctlError as error:
            return replace(struck, problem=error.sentence)
        return ended or replace(struck, problem="no new leader in time")

    def _looked(self, client: Client, lab: Lab, struck: SeatFault) -> SeatFault | None:
        """The outcome of a fault; None if it is not known yet."""
        others = replace(lab, servers=tuple(server for server in lab.servers if server.name not in struck.servers))
        now = self._tools.ask(others)
        leader = now.leader
        if leader is None or struck.begun is None or struck.lost is None:
            return None
        if not all(view.leader == leader.address for view in now.views):
            return None
        timeline = self._told(client, lab, struck.servers, struck.begun)
        if timeline is not None:
            seconds = (timeline.elected - struck.lost).total_seconds()
            return replace(
                struck, leader=timeline.leader, term=timeline.term, seconds=seconds, campaigns=len(timeline.stood)
            )
        if leader.address not in {lab.server(name).address for name in struck.servers}:
            # Followers were hit: the leader went on, so there was no election.
            return replace(struck, leader=leader.name, term=leader.term)
        return None

    # -- all of them -----------------------------------------------------------------------------------------

    def _of(self, lab: str, **known: object) -> SeatFault:
        return SeatFault(lab, self._names[lab], self._hosts.get(lab), **known)  # type: ignore[arg-type]

    def _each(self, work: Callable[[str], SeatFault], title: str) -> list[SeatFault]:
        self._steps.begin(f"{title} in {counted(len(self._labs), 'seat')}")

        def told(lab: str) -> SeatFault:
            try:
                return work(lab)
            except LabctlError as error:
                return self._of(lab, problem=error.sentence)

        done = each(told, self._labs, AT_ONCE)
        well = sum(seat_fault.problem is None for seat_fault in done)
        self._steps.done(f"{title} in {counted(well, 'seat')}")
        return self._ordered(done)

    def _ordered(self, seat_faults: Sequence[SeatFault]) -> list[SeatFault]:
        by_lab = {seat_fault.lab: seat_fault for seat_fault in [*seat_faults, *self._absent]}
        return [by_lab[lab] for lab in self._names]
