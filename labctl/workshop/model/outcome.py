"""The outcome of a command on a workshop, seat by seat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from labctl.workshop.model.plan import Plan


@dataclass
class Outcome:
    """How far a seat came. `step` is the last one, `reason` why it went no further, `seconds` how long it took."""

    lab: str
    step: str = "waiting"
    changed: bool = False
    reason: str | None = None
    leader: str | None = None
    term: int | None = None
    voters: int | None = None
    seconds: float = 0.0
    begun: float = field(default=0.0, repr=False)

    @property
    def ready(self) -> bool:
        """Whether the lab is ready."""
        return self.step == "ready"


@dataclass(frozen=True)
class Result:
    """The result: each seat's outcome, in the order of their numbers; `places` are their Docker hosts."""

    plan: Plan
    outcomes: tuple[Outcome, ...]
    places: dict[str, str]
    seconds: float

    @property
    def failed(self) -> list[Outcome]:
        """The seats that are not ready."""
        return [outcome for outcome in self.outcomes if not outcome.ready]


@dataclass(frozen=True)
class Removal:
    """The result of a `down`: each lab's removed parts by name, why others could not be removed, and what is left.

    `unseen` are the Docker hosts that could not be checked for leftovers, with the reasons.
    """

    workshop: str
    labs: Mapping[str, list[str]]
    failed: Mapping[str, str]
    left: Sequence[str]
    unseen: Mapping[str, str]

    @property
    def proven(self) -> bool:
        """Whether everything to remove is gone, and was seen to be gone."""
        return not (self.failed or self.left or self.unseen)


@dataclass(frozen=True)
class SeatStatus:
    """One seat as it is now.

    Attributes:
        lab: the seat's lab.
        name: the seat's name.
        host: its Docker host; None where it has no place yet.
        problem: why it is not ready, as a sentence without its end; None where it is.
        leader: who leads, in `term`, with how many `voters`; None where there is no leader.
        servers: how many servers the lab was created with; None if it does not exist, or that is unknown.
        running: how many of them run.
        faults: how many faults it has now.
        created: when its oldest server was made.
        election: when its leader won, by the leader's own log.
        writes: whether writes are committed; None where that is not known.
        without: the servers that it works without, while writes are committed.
    """

    lab: str
    name: str
    host: str | None
    problem: str | None
    leader: str | None = None
    term: int | None = None
    voters: int = 0
    servers: int | None = None
    running: int = 0
    faults: int = 0
    created: datetime | None = None
    election: datetime | None = None
    writes: bool | None = None
    without: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Whether it works although it is not ready: some servers are away, and the others go on."""
        return self.problem is not None and bool(self.writes) and bool(self.without)
