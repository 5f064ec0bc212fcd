"""The Docker host's clock, which stamps the servers' logs, beside this machine's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from labctl.engine.client import TIMEOUT_SECONDS, explained
from labctl.engine.docker_host import LOCAL_HOST, DockerHost

FIRST_YEAR, LAST_YEAR = 1970, 9000
# A clock without a battery begins in 1970; one that is further off says nothing.
MOST_APART = timedelta(days=100 * 365)


@dataclass(frozen=True)
class Difference:
    """How far the Docker host's clock is ahead of this machine's, and by how much that may be wrong, in seconds."""

    seconds: float
    uncertain: float

    @property
    def certain(self) -> float:
        """By how much the clocks differ at least, in seconds."""
        return max(abs(self.seconds) - self.uncertain, 0.0)


def difference(place: DockerHost = LOCAL_HOST) -> Difference | None:
    """Ask an engine what time it is; None where it does not say. Raises LabctlError."""
    begin = datetime.now(UTC)
    with explained(place):
        said: Any = place.engine(TIMEOUT_SECONDS).get("/info", doing="asking for the time")
    end = datetime.now(UTC)
    there = moment_of(said.get("SystemTime")) if isinstance(said, dict) else None
    half: timedelta = (end - begin) / 2
    if there is None or abs(there - begin) > MOST_APART:
        return None
    return Difference((there - (begin + half)).total_seconds(), half.total_seconds())


def moment_of(text: object) -> datetime | None:
    """A moment with its zone, from text, in UTC; None if it is not one, or not one that a clock can show."""
    try:
        return shown_by_clocks(datetime.fromisoformat(text)) if isinstance(text, str) else None
    except ValueError:
        return None


def shown_by_clocks(moment: datetime | None) -> datetime | None:
    """A moment in UTC; None for one outside the range of any clock.

    Differences between clocks can be added to the result without leaving the years that Python can represent.
    """
    # A moment without a zone cannot be compared with one that has a zone.
    if moment is None or moment.tzinfo is None:
        return None
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        return None
    return moment if FIRST_YEAR <= moment.year < LAST_YEAR else None


@dataclass(frozen=True)
class HostClock:
    """The clock that stamps what happens on a Docker host: its logs, its events, what labctl notes there.

    Attributes:
        ahead: how far it is ahead of this machine's, in seconds; 0 where no difference is known.
        uncertain: by how much that may be wrong, in seconds.
    """

    ahead: float = 0.0
    uncertain: float = 0.0

    def now(self) -> datetime:
        """Its time now."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def here(self, time: datetime) -> datetime:
        """This machine's time at a time of the host's."""
        return time - timedelta(seconds=self.ahead)


def of(place: DockerHost = LOCAL_HOST) -> HostClock:
    """The clock of the Docker host of a place, asked once. Raises LabctlError."""
    return clock_from(difference(place))


def clock_from(difference: Difference | None) -> HostClock:
    """A clock that is this far ahead; the same as this machine's where the difference is unknown."""
    return (
        HostClock(difference.seconds, difference.uncertain)
        if difference is not None and difference.certain
        else HostClock()
    )


def now(place: DockerHost = LOCAL_HOST) -> datetime:
    """The time by the Docker host's clock, as well as it can be known. Raises LabctlError."""
    return of(place).now()
