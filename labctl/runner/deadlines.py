"""How long each run of Ansible may take, in seconds, without --timeout.

Generous: a slow machine on a slow network is not cut off, and still every run ends.
"""

from __future__ import annotations

from typing import NamedTuple

IMAGE = 1200.0
"""To make the image from one source or several, over a network."""
IMAGE_CARRIED = 120.0
"""To carry it to one more Docker host."""
ENGINE = 1800.0
"""To install Docker Engine and Compose; another program may hold apt for ten minutes."""
DOWN = 180.0
"""To remove a lab, or to record a workshop's end."""
STOP = 120.0
"""To stop a lab's servers."""
_EACH_SEAT = 20.0
_EACH_REMOVED = 10.0


class Deadline(NamedTuple):
    """A time limit in seconds `since` a time of time.monotonic(); None is the start of the run."""

    seconds: float
    since: float | None = None


def of_seats(seats: int, ready: float) -> float:
    """To bring that many seats up, each of which may take `ready` seconds to be ready."""
    return ready + DOWN + _EACH_SEAT * seats


def of_removal(seats: int) -> float:
    """To remove that many seats."""
    return DOWN + _EACH_REMOVED * seats
