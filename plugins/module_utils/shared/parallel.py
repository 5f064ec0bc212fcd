"""Do the same for many things at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def each(work: Callable[[Thing], Result], things: Iterable[Thing], at_once: int) -> list[Result]:
    """Do the same for all, that many at a time, and return each result or error, in their order.

    All are tried even if one fails; the first failure is raised when all have ended. An interrupt waits for
    those that have begun, which may have to remove what they made; no other one begins.
    """
    things = list(things)
    if not things:
        return []
    with ThreadPoolExecutor(max_workers=min(at_once, len(things))) as pool:
        done = [pool.submit(work, thing) for thing in things]
        try:
            return [future.result() for future in done]
        except KeyboardInterrupt:
            for future in done:
                future.cancel()
            raise
