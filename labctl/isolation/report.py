"""The verdict: what was tried from each lab, and whether it proves that labs are apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from labctl.isolation.outcomes import Outcome
from labctl.shared.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from labctl.isolation.hardening import CheckRow
    from labctl.isolation.outcomes import AttemptResult, JoinResult
    from labctl.isolation.targets import Place

Members = frozenset[tuple[str, str]]
"""Names and addresses that a lab's servers count as members."""


class Verdict(StrEnum):
    """The verdict; the worst one of several counts."""

    APART = "apart"
    UNKNOWN = "unknown"
    CROSSED = "crossed"


@dataclass(frozen=True)
class Proof:
    """The attempts from inside one lab.

    Attributes:
        place: the lab.
        controls: connections that must succeed.
        tries: connections that must not.
        joins: joins that must not.
        sockets: an engine's socket that a container has: the container's name and the path.
        before, after: the lab's members around all joins; None where no server answered.
        doubts: why the tries may prove nothing, beyond the controls.
    """

    place: Place
    controls: tuple[AttemptResult, ...] = ()
    tries: tuple[AttemptResult, ...] = ()
    joins: tuple[JoinResult, ...] = ()
    sockets: tuple[tuple[str, str], ...] = ()
    before: Members | None = None
    after: Members | None = None
    doubts: tuple[str, ...] = ()

    @property
    def crossed(self) -> list[AttemptResult]:
        """Connections that should not have been."""
        return [attempt for attempt in self.tries if attempt.outcome is Outcome.CONNECTED]

    @property
    def merged(self) -> list[JoinResult]:
        """Joins that should not have been."""
        return [join for join in self.joins if join.outcome is Outcome.CONNECTED]

    @property
    def strangers(self) -> list[str]:
        """Members that came or went meanwhile, as `+ NAME ADDRESS`."""
        if self.before is None or self.after is None:
            return []
        came = [f"+ {name} {address}" for name, address in sorted(self.after - self.before)]
        return came + [f"- {name} {address}" for name, address in sorted(self.before - self.after)]

    @property
    def unproven(self) -> list[str]:
        """Why the lab's tries prove nothing, or not all; empty where they do."""
        failed = [attempt for attempt in self.controls if attempt.outcome is not Outcome.CONNECTED]
        reasons = [
            f"the control to its own {attempt.what.server} ({attempt.what.where}) failed: {attempt.outcome}"
            for attempt in failed
        ]
        if not self.controls:
            reasons.append("no server of it runs, so nothing was tried")
        reasons += [f"{server} does not run, so nothing was tried at it" for server in self.place.down if self.controls]
        unread = [attempt.what.where for attempt in self.tries if attempt.outcome is Outcome.UNKNOWN]
        if unread:
            reasons.append(f"{len(unread)} of the connections proved nothing, such as the one to {unread[0]}")
        passing = [attempt.what for attempt in self.tries if attempt.outcome is Outcome.MOMENTARY]
        if passing:
            reasons.append(
                f"{counted(len(passing), 'connection')} succeeded once and not again, such as one to "
                f"{passing[0].where}: Docker lets packets through between its networks for a moment when a network is "
                "made or removed, so verify again when nobody does"
            )
        reasons += [
            f"the join of {join.what.server} to {join.what.lab} proved nothing: {join.said}"
            for join in self.joins
            if join.outcome is Outcome.UNKNOWN
        ]
        if self.controls and (self.before is None or self.after is None):
            reasons.append("its servers did not say who is a member")
        return [*reasons, *self.doubts]

    @property
    def verdict(self) -> Verdict:
        """A crossing is one, whatever is unproven besides."""
        if self.crossed or self.merged or self.sockets or self.strangers:
            return Verdict.CROSSED
        return Verdict.UNKNOWN if self.unproven else Verdict.APART

    def count(self) -> Mapping[Outcome, int]:
        """How many tries and joins ended how."""
        return Counter([attempt.outcome for attempt in self.tries] + [join.outcome for join in self.joins])


@dataclass(frozen=True)
class Report:
    """All of it: a proof for each lab, each container's hardening, and how many seconds it took."""

    proofs: tuple[Proof, ...]
    judged: tuple[CheckRow, ...]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all labs."""
        return worst(proof.verdict for proof in self.proofs)

    @property
    def failing(self) -> list[CheckRow]:
        """Checks of hardening that failed."""
        return [check for check in self.judged if check.result == "fails"]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several verdicts; of none, nothing is known."""
    return max(verdicts, key=[Verdict.APART, Verdict.UNKNOWN, Verdict.CROSSED].index, default=Verdict.UNKNOWN)
