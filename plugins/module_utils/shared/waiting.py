"""Wait for a condition, by a given clock: a test's clock needs no time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Clock:
    """A clock in seconds, from any beginning, and how to sleep."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()


def wait_until(
    look: Callable[[], Seen],
    timeout: float,
    interval: float,
    clock: Clock = CLOCK,
    *,
    enough: Callable[[Seen], object] = bool,
) -> Seen:
    """Look again and again until the result is good enough or the time is over. Returns the last result.

    It looks at least once; an exception of `look` ends it.
    """
    ends = clock.now() + timeout
    while True:
        seen = look()
        if enough(seen) or clock.now() >= ends:
            return seen
        clock.sleep(interval)
