"""Apply the faults of a schedule, and lift each when its time is over."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from labctl.errors import LabctlError
from labctl.experiments.chaos.report import Disturbance
from labctl.experiments.teardown import sentence_of
from labctl.faults import network, processes
from labctl.faults.context import FaultRequest
from labctl.faults.process_verbs import PROCESS_VERBS, TAKES_AWAY
from labctl.faults.tools import TOOLS, Tools
from labctl.progress import Steps
from labctl.raft import log_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labctl.engine.labs import Lab
    from labctl.experiments.chaos.schedule import Step
    from labctl.results import FaultResult

# How the words of a step become the arguments of its verb.
_ARGUMENTS: dict[str, Callable[[Sequence[str]], tuple[Any, ...]]] = {
    "isolate": lambda words: (words[0],),
    "partition": lambda words: (words,),
    "one-way": lambda words: (words[0], words[1]),
    "loss": lambda words: (float(words[0]), words[1]),
    "rate": lambda words: (int(words[0]), words[1]),
    "delay": lambda words: (int(words[0]), words[1], 0),
}


@dataclass(frozen=True)
class Verbs:
    """The faults, each as `labctl fault` applies it; each gets its arguments, the request, and the steps."""

    process: Callable[..., FaultResult] = processes.process
    isolate: Callable[..., FaultResult] = network.isolate
    partition: Callable[..., FaultResult] = network.partition
    one_way: Callable[..., FaultResult] = network.one_way
    loss: Callable[..., FaultResult] = network.loss
    rate: Callable[..., FaultResult] = network.rate
    delay: Callable[..., FaultResult] = network.delay

    def begin(self, verb: str, words: Sequence[str], asked: FaultRequest, steps: Steps) -> FaultResult:
        """Do what a step says. Raises LabctlError."""
        if verb in TAKES_AWAY:
            return self.process(verb, words[0], asked, steps)
        do: Callable[..., FaultResult] = getattr(self, verb.replace("-", "_"))
        return do(*_ARGUMENTS[verb](words), asked, steps)


VERBS = Verbs()


class Nemesis:
    """Carries out a schedule.

    Args:
        lab: the lab to break.
        owner: who asked for it.
        clock: seconds since the run began.
        say: takes a line for each fault that begins, and for each that could not begin.
        tools: how servers are brought back.
        verbs: how faults are applied.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as above
        self,
        lab: Lab,
        owner: str,
        clock: Callable[[], float],
        say: Callable[[Disturbance], None],
        tools: Tools = TOOLS,
        verbs: Verbs = VERBS,
    ) -> None:
        self._tools, self._verbs = tools, verbs
        self._lab, self._owner, self._clock, self._say = lab, owner, clock, say
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self.done: list[Disturbance] = []

    def run(self, steps: Sequence[Step], keep: Callable[[], None] = lambda: None, seconds: float = math.inf) -> None:
        """Begin each step at its time, and return when the last one has ended.

        `keep` raises LabctlError once the lab is locked by somebody else: then no further fault is begun. Nor is one
        begun when the run's `seconds` are over, as with an engine that needs many of them for each step.
        """
        for step in steps:
            if self._stopped.wait(max(step.at - self._clock(), 0.0)):
                break
            if (now := self._clock()) >= seconds:
                late = f"The run's {seconds:g} seconds were over: the Docker Engine was too slow."
                self._keep(Disturbance(step, "", step.text, (), now, now, late))
                continue
            keep()
            thread = threading.Thread(target=self._do, args=(step,), daemon=True)
            self._threads.append(thread)
            thread.start()
            if step.verb in TAKES_AWAY:
                # Where Docker was slow, the next step is late: the network of a server that is down cannot be changed.
                thread.join()
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Begin no more faults, and lift the faults by signals at once."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _do(self, step: Step) -> None:
        try:
            result = self._begin(step)
        except Exception as error:  # noqa: BLE001 - a thread's errors reach nobody, and the run goes on
            now = self._clock()
            skipped = Disturbance(step, "", step.text, (), now, now, sentence_of(error))
            self._keep(skipped)
            self._say(skipped)
            return
        begin = self._clock()
        begun = Disturbance(step, result.fault or "", result.what, result.servers, begin, begin)
        self._say(begun)
        self._stopped.wait(step.seconds)
        self._keep(replace(begun, end=self._lift(begun)))

    def _keep(self, disturbance: Disturbance) -> None:
        with self._lock:
            self.done.append(disturbance)

    def _begin(self, step: Step) -> FaultResult:
        asked = FaultRequest(self._lab.name, self._owner, None if step.verb in TAKES_AWAY else step.seconds)
        try:
            return self._verbs.begin(step.verb, step.words, asked, Steps())
        except LabctlError:
            if "leader" not in step.words:
                raise
            # There is no leader just now: any server will do.
            instead = tuple("any" if word == "leader" else word for word in step.words)
            return self._verbs.begin(step.verb, instead, asked, Steps())

    def _lift(self, begun: Disturbance) -> float:
        """End a fault. Returns when, by the run's clock."""
        if begun.step.verb not in TAKES_AWAY:
            # Faults of the network end with their leases.
            return self._clock()
        back = PROCESS_VERBS[begun.step.verb].undo
        servers = [server for server in self._lab.servers if server.name in begun.servers]
        try:
            self._tools.signal(PROCESS_VERBS[back].docker, servers)
            ended = self._clock()
            line = log_notes.ended(self._tools.clock(self._lab.place).now(), begun.fault, begun.servers)
            self._tools.note(servers, line)
        except Exception:  # noqa: BLE001 - as above
            # For example, another fault holds the same server: the heal at the end lifts what is left.
            return self._clock()
        return ended
