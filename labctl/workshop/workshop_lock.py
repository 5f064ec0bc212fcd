"""Hold a workshop on all its Docker hosts for a whole command, so that its decisions stay valid until it is done.

On each host it is a volume, as for a lab, so everybody meets there. Each seat also has its lab's own lock, against
commands on that lab alone. The same machine sees a killed holder at once; others see it because
nobody renews its locks: even those of a workshop that takes an hour to make are over within a minute.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.engine.client import TIMEOUT_SECONDS, explained
from labctl.errors import ExitCode, LabctlError
from labctl.shared import lock_holder
from labctl.shared.docker_api import Allowance, DockerError
from labctl.shared.engine_lock import LABEL_WORKSHOP, EngineLock, LostError
from labctl.shared.lab_hold import LOCK_SECONDS
from labctl.shared.lab_names import LABEL_OWNER
from labctl.shared.parallel import each
from labctl.shared.words import counted
from labctl.workshop import hosts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from labctl.engine.docker_host import DockerHost
    from labctl.progress import Steps
    from labctl.workshop.model.file import Host, Workshop

Meet = Callable[["Host"], "DockerHost | LabctlError"]
"""Finds the engine of a Docker host, or reports why it is not reached."""
LEASE_SECONDS = 60
"""How long a lock without renewal counts, for those that cannot see whether its holder has ended."""
RENEW_SECONDS = 15.0
GRACE_SECONDS = 1.0
"""How much longer all requests together may take than the patience with a holder."""
# How long an engine may take to renew one, as the next renewal comes soon; and what that costs the command's end.
QUICK_SECONDS, END_SECONDS = 10.0, 1.0
CHECK_SECONDS = 3.0
"""How long an engine may take to say, before a step, that the lock is still held."""


@dataclass(frozen=True)
class Times:
    """Durations, in seconds.

    Attributes:
        patience: with the holder.
        say_after: until the holder is reported.
        renew: between two renewals.
    """

    patience: float = LOCK_SECONDS
    say_after: float = lock_holder.SAY_AFTER_SECONDS
    renew: float = RENEW_SECONDS


TIMES = Times()


class Hold:
    """A workshop that is held."""

    def __init__(self, name: str, renew: float = RENEW_SECONDS) -> None:
        self._name, self._every = name, renew
        self._lost: LabctlError | None = None
        self._ended = threading.Event()
        self._renewing: list[threading.Thread] = []
        self._locks: list[tuple[str, EngineLock, threading.Lock]] = []

    def keep(self) -> None:
        """Check before a step that the lock is still held. Raises LabctlError (refused) if somebody else holds it.

        A Docker host that does not answer now is not waited for: the next renewal asks it again.
        """
        each(self._check, self._locks, hosts.AT_ONCE)
        if self._lost is not None:
            raise self._lost

    def add(self, host: str, lock: EngineLock | None) -> None:
        """Hold the workshop on one more Docker host, if possible."""
        if lock is None:
            return
        # One at a time: a lock that is renewed has another volume than before.
        one_at_a_time = threading.Lock()
        self._locks.append((host, lock, one_at_a_time))
        # Each by itself: waiting for a slow engine must not lose the lock on another one.
        renewing = threading.Thread(target=self._renew, args=(host, lock, one_at_a_time), daemon=True)
        self._renewing.append(renewing)
        renewing.start()

    def end(self) -> None:
        """Stop renewing."""
        self._ended.set()
        ends = time.monotonic() + END_SECONDS
        for thread in self._renewing:
            thread.join(max(0.0, ends - time.monotonic()))

    def _check(self, one: tuple[str, EngineLock, threading.Lock]) -> None:
        host, lock, one_at_a_time = one
        if self._lost is not None or not one_at_a_time.acquire(timeout=CHECK_SECONDS):
            return
        try:
            with self._noting(host):
                lock.keep(CHECK_SECONDS)
        finally:
            one_at_a_time.release()

    def _renew(self, host: str, lock: EngineLock, one_at_a_time: threading.Lock) -> None:
        while self._lost is None and not self._ended.wait(self._every):
            with one_at_a_time, self._noting(host):
                lock.renew(QUICK_SECONDS)

    @contextlib.contextmanager
    def _noting(self, host: str) -> Iterator[None]:
        """Remember that a lock is lost; an engine that does not answer now may do so before the lock is over."""
        with contextlib.suppress(DockerError):
            try:
                yield
            except LostError as error:
                self._lost = LabctlError(
                    f"Cannot go on with the workshop {self._name}: its lock on the Docker host {host} was removed, "
                    f"as `docker volume prune` does, and {lock_holder.holder_words(error.rival.note)} has the workshop "
                    "now. Wait until that has ended, then run the same command again.",
                    ExitCode.REFUSED,
                )


@contextlib.contextmanager
def locked_workshop(  # noqa: PLR0913 - what, by whom, and where it is told
    workshop: Workshop,
    owner: str,
    verb: str,
    seats: Sequence[str],
    steps: Steps,
    *,
    label: str = LABEL_WORKSHOP,
    meet: Meet | None = None,
    times: Times = TIMES,
) -> Iterator[Hold]:
    """Lock a workshop for a command, against all who use its Docker hosts. After a second, it names the holder.

    A Docker host where the lock fails, such as one that does not answer, will not answer the command either.

    Args:
        workshop: the workshop.
        owner: who asks.
        verb: the command of `labctl workshop`.
        seats: those that were named.
        steps: where the wait is reported.
        label: what of it is held; LABEL_END is its end alone, so that a change of it need not wait until seats are
            ready.
        meet: how to reach the engine of a Docker host.
        times: the limits and intervals.

    Raises LabctlError, refused where somebody else holds it for too long.
    """
    who = lock_holder.holder(" ".join(("labctl workshop", verb, *seats)), LEASE_SECONDS)
    patience = lock_holder.Patience(times.patience, steps.waits, times.say_after)
    # One time for all hosts and all requests; a command that waits for a holder must still be able to name it.
    allowance = Allowance(times.patience + GRACE_SECONDS)
    hold = Hold(workshop.name, times.renew)
    # Always in the same order, so that no two commands wait for each other's hosts.
    in_order = sorted(workshop.hosts, key=lambda host: (host.address, host.port or 0))
    slow = _Slow(workshop.name, [host.name for host in in_order], steps, times.say_after)

    def met_at(host: Host) -> DockerHost | LabctlError:
        met = meet(host) if meet else _met(host, allowance)
        slow.answered(host.name)
        return met

    with contextlib.ExitStack() as stack:
        stack.callback(hosts.forget_given_up)
        try:
            with slow:
                for host, met in zip(in_order, each(met_at, in_order, hosts.AT_ONCE), strict=True):
                    slow.asked(host.name)
                    taking = _Taking(workshop.name, host, who, owner, label, patience, allowance, slow)
                    try:
                        hold.add(host.name, taking.taken(stack, met))
                    except LabctlError as error:
                        if error.code is ExitCode.REFUSED:
                            raise
                        if not allowance.left:
                            raise _too_slow(workshop.name, host.name, times.patience) from error
                        hosts.give_up(host, error)
            # From here on, each request has only its own time.
            allowance.give(math.inf)
            yield hold
        finally:
            # Before the locks are released: a released lock must not be renewed.
            hold.end()


def remove_ended(workshop: Workshop, label: str, *, meet: Meet | None = None) -> None:
    """Remove the locks of a workshop whose holders have ended, such as one that an engine kept by mistake.

    A Docker host that does not answer keeps its own, and a lock that somebody still holds stays.
    """
    allowance = Allowance(TIMEOUT_SECONDS)

    def met_at(host: Host) -> DockerHost | LabctlError:
        return meet(host) if meet else _met(host, allowance)

    for met in each(met_at, workshop.hosts, hosts.AT_ONCE):
        if not isinstance(met, LabctlError):
            with contextlib.suppress(DockerError, LabctlError):
                engine = met.engine(TIMEOUT_SECONDS).sharing(allowance)
                EngineLock(engine, label, workshop.name, lock_holder.is_over, _never).rivals()


def _never(_note: str, _age: float | None, _volume: str) -> None:
    """Nobody waits here."""


def _too_slow(workshop: str, host: str, seconds: float) -> LabctlError:
    return LabctlError(
        f"Cannot hold the workshop {workshop} within {counted(round(seconds), 'second')}: its Docker hosts answer too "
        f"slowly, the last of them {host}. See what keeps them busy, then run the same command again.",
        ExitCode.NOT_READY,
    )


class _Slow:
    """While entered, reports once for which Docker hosts a command waits, if that takes a while.

    Where somebody holds the workshop, the lock's patience reports who.
    """

    def __init__(self, workshop: str, asked: list[str], steps: Steps, say_after: float) -> None:
        self._workshop, self._asked, self._steps = workshop, asked, steps
        self._timer = threading.Timer(say_after, self._tell)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def asked(self, host: str) -> None:
        """A host is asked."""
        self._asked = [host]

    def answered(self, host: str = "") -> None:
        """A host has answered; without a name, whichever was asked."""
        self._asked = [other for other in self._asked if host and other != host]

    def _tell(self) -> None:
        if waiting := self._asked:
            are = "host" if len(waiting) == 1 else "hosts"
            self._steps.waits(
                f"{lock_holder.WAITING}the Docker {are} {', '.join(waiting)} to answer, to hold the workshop "
                f"{self._workshop} there"
            )


def _met(host: Host, allowance: Allowance) -> DockerHost | LabctlError:
    """The engine of a Docker host, or why it is not reached; one that hangs is asked beside the others."""
    if not allowance.left:
        return LabctlError("there was no time left to ask it")
    try:
        place = hosts.client_of(host).place
        with explained(place):
            place.engine(TIMEOUT_SECONDS).sharing(allowance).ask("GET", "/_ping", doing="locking the workshop")
    except LabctlError as error:
        return error
    return place


@dataclass(frozen=True)
class _Taking:
    """Takes the lock of a workshop on a Docker host, within a time limit."""

    workshop: str
    host: Host
    who: lock_holder.Holder
    owner: str
    label: str
    patience: lock_holder.Patience
    allowance: Allowance
    slow: _Slow

    def taken(self, stack: contextlib.ExitStack, met: DockerHost | LabctlError) -> EngineLock | None:
        """Take it until the stack ends; None on a full disk. Raises LabctlError."""
        if isinstance(met, LabctlError):
            raise met
        engine = met.engine(TIMEOUT_SECONDS).sharing(self.allowance)
        lock = EngineLock(engine, self.label, self.workshop, lock_holder.is_over, self._pause, self._is_ours)
        with explained(met):
            try:
                stack.enter_context(lock.held(self.who.note, {LABEL_OWNER: self.owner}))
            except DockerError as error:
                # There may be seats to remove.
                if "no space left" not in error.said.lower():
                    raise
                lock.wait()
                return None
        return lock

    def _is_ours(self, rival: str) -> bool:
        # Two Docker hosts of the file may be one.
        holder = lock_holder.holder_of(rival)
        return holder is not None and holder.mark == self.who.mark

    def _pause(self, rival: str, _age: float | None, volume: str) -> None:
        self.slow.answered()
        try:
            self.patience.pause(rival)
        except lock_holder.LockHeldError as error:
            holder = lock_holder.holder_of(rival)
            known = holder is not None and holder.is_gone() is False
            otherwise = f", or remove the volume {volume} there if you know that it has"
            raise LabctlError(
                f"Cannot work on the workshop {self.workshop}: {error.who} has it on the Docker host {self.host.name}, "
                f"also after {error.seconds:.0f} seconds. Wait until that has ended{'' if known else otherwise}, then "
                "run the same command again.",
                ExitCode.REFUSED,
            ) from None
