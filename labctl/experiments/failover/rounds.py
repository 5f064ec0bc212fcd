"""Take a lab's leader away, time what the others do about it, and bring it back: again and again."""

from __future__ import annotations

import contextlib
import random
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from labctl.engine.clock import HostClock
from labctl.engine.kv import Indeterminate, NotApplied
from labctl.errors import ExitCode, LabctlError
from labctl.experiments.failover.from_logs import told_by_logs
from labctl.experiments.failover.write_probe import FirstWrite
from labctl.experiments.teardown import deferred_interrupts, sentence_of
from labctl.experiments.tools import ExperimentTools
from labctl.faults import processes
from labctl.faults.process_verbs import BACK_FROM
from labctl.raft.failover import Failover
from labctl.raft.timers import timers_of
from labctl.shared.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab, Server
    from labctl.engine.status import Status
    from labctl.faults.processes import FaultApplied
    from labctl.progress import Steps
    from labctl.raft.failover import By, FailoverTimeline

Seen = TypeVar("Seen")

PREFIX = "raft-labctl/failover-"
# A request that a server still holds is looked at again within 7 s / 16 of there being a leader.
_HELD_SECONDS = 0.5
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class FailoverTools(ExperimentTools):
    """The outside world of failovers.

    Attributes:
        apply_fault: do something to servers.
        first_write: wait for the first write after the leader was lost.
    """

    apply_fault: Callable[..., FaultApplied] = processes.apply_fault
    first_write: Callable[[Lab, Server, str], FirstWrite] = FirstWrite


TOOLS = FailoverTools()


class Failovers:
    """Failovers of one lab, one after the other.

    Args:
        client: the engine.
        lab: whose.
        by: what happens to the leader.
        steps: where each is reported.
        tools: how it is done.

    Attributes:
        timers: the lab's.
        done: those that were measured completely.
    """

    def __init__(self, client: Client, lab: Lab, by: By, steps: Steps, tools: FailoverTools = TOOLS) -> None:
        self._client, self._lab, self._by, self._steps, self._tools = client, lab, by, steps, tools
        self.timers = timers_of(lab.raft_multiplier)
        self.done: list[Failover] = []
        self._prefix = f"{PREFIX}{secrets.token_hex(4)}/"
        self._limit = 30.0 + 10.0 * self.timers.heartbeat

    def run(self, times: int, keep: Callable[[], None] = lambda: None) -> LabctlError | KeyboardInterrupt | None:
        """Run that many rounds, and remove what was written. Returns what ended it early.

        `keep` raises LabctlError once the lab is locked by somebody else.
        """
        ended: LabctlError | KeyboardInterrupt | None = None
        try:
            for number in range(1, times + 1):
                self._steps.begin(f"failover {number} of {times}")
                keep()
                self.done.append(self._failover(number))
                self._steps.done(f"{number} of {times}: {_told_in_words(self._by, self.done[-1])}")
        except (LabctlError, KeyboardInterrupt) as error:
            ended = error
        except Exception as error:  # noqa: BLE001 - what was measured by then must survive it
            ended = LabctlError(f"The measuring ended early: {sentence_of(error)}")
        if ended is not None:
            self._steps.fail()
        left = self._keys_removed()
        # The first error says more.
        return ended or left

    # -- one failover ----------------------------------------------------------------------------------------

    def _failover(self, number: int) -> Failover:
        self._ready()
        # Timers that were reset by one election are correlated; after a random while they are not.
        self._tools.time.sleep(self.timers.heartbeat * random.uniform(1.0, 3.0))  # noqa: S311 - no secret
        lab, leader = self._ready()
        with self._tools.first_write(lab, leader, f"{self._prefix}{number}") as first, self._away(leader):
            # The caller has checked that there is one clock.
            struck = self._tools.apply_fault(self._by, [leader.name], lab, host=HostClock())
            written = first.wait(self._limit)
            if written is None:
                raise self._too_late(f"no write after {self._by}ing {leader.name}")
            lost = self._tools.done_by(leader, self._by, struck.begin, struck.end) or struck.end
            story = self._story(lab, leader, struck)
        self._ready()
        uncertain = (lost - struck.begin).total_seconds()
        return Failover(leader.name, lost, uncertain, story, written.time, written.through, written.unseen)

    def _ready(self) -> tuple[Lab, Server]:
        """Wait until every server follows one leader; returns the lab as it is then, with its ports, and the leader."""

        def look() -> tuple[Lab, Status]:
            lab = self._now()
            return lab, self._tools.ask(lab)

        lab, now = self._wait_until(look, enough=lambda seen: seen[1].ready and seen[1].leader is not None)
        if not now.ready or now.leader is None:
            raise self._too_late(f"not all servers followed one leader, because {now.problem}")
        return lab, lab.server(now.leader.name)

    def _now(self) -> Lab:
        """The lab as it is now."""
        return self._tools.choose_lab(self._client, self._lab.name, "")

    def _wait_until(self, look: Callable[[], Seen], enough: Callable[[Seen], object] = bool) -> Seen:
        return wait_until(look, self._limit, _LOOK_SECONDS, self._tools.time, enough=enough)

    def _story(self, lab: Lab, leader: Server, struck: FaultApplied) -> FailoverTimeline:
        """What the others' logs show."""
        read = self._tools.read_logs
        timeline = self._wait_until(lambda: told_by_logs(self._client, lab, [leader.name], struck.begin, read))
        if timeline is None:
            raise self._too_late("the servers' logs show no new leader")
        return timeline

    def _too_late(self, what: str) -> LabctlError:
        return LabctlError(
            f"In the lab {self._lab.name} {what}, within {self._limit:.0f} seconds: "
            f"`labctl story {self._lab.name} --since 5m` shows what happened.",
            ExitCode.NOT_READY,
        )

    # -- cleaning up, whatever happens -----------------------------------------------------------------------

    @contextlib.contextmanager
    def _away(self, leader: Server) -> Iterator[None]:
        """Bring the old leader back in any case; if that fails too, the first error is raised."""
        try:
            yield
        except BaseException:
            try:
                self._bring_back(leader)
            except LabctlError as error:
                self._steps.note(f"{leader.name} could not be brought back: {error.sentence}")
            raise
        self._bring_back(leader)

    def _bring_back(self, leader: Server) -> None:
        """Bring the old leader back. A request that Docker did not answer may still take effect: look twice."""
        with deferred_interrupts():
            for _ in range(2):
                lab = self._now()
                if verb := BACK_FROM.get(lab.server(leader.name).state):
                    self._tools.apply_fault(verb, [leader.name], lab)
                    return
                self._tools.time.sleep(_LOOK_SECONDS)

    def _remove_keys(self) -> None:
        """Remove what was written, including writes that a server held and applied late."""
        if not self._wait_until(lambda: any(self._is_removed_through(server) for server in self._now().running)):
            self._keys_are_left("no server removed them.")

    def _keys_removed(self) -> LabctlError | KeyboardInterrupt | None:
        """Remove what was written. Returns what went wrong."""
        try:
            self._remove_keys()
        except (LabctlError, KeyboardInterrupt) as error:
            self._keys_are_left(str(error))
            return error
        return None

    def _keys_are_left(self, why: str) -> None:
        self._steps.note(f"Keys under {self._prefix} are left in the lab {self._lab.name}: {why or 'interrupted.'}")

    def _is_removed_through(self, server: Server) -> bool:
        if server.api is None:
            return False
        store = self._tools.store(server.api, self._lab.name, 2.0)
        try:
            store.delete(self._prefix)
            self._tools.time.sleep(_HELD_SECONDS)
            return not store.all(self._prefix)
        except (NotApplied, Indeterminate):
            return False
        finally:
            store.close()


def _told_in_words(by: By, failover: Failover) -> str:
    done = {"kill": "killed", "pause": "paused"}[by]
    return (
        f"{failover.old_leader} {done}, noticed after {failover.seconds('detection'):.2f} s, "
        f"{failover.told.leader} leads after {failover.seconds('leaderless'):.2f} s, written after "
        f"{failover.seconds('first_write'):.2f} s"
    )
