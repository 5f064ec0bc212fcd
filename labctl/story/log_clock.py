"""The time where a log is written, while nothing comes: its last stamp, and the time that has passed here since."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class LogClock:
    """The clock of a log that is followed. The clock of this machine may be another one.

    Args:
        monotonic: how time passes here, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last: datetime | None = None
        self._came = 0.0

    def set(self, stamp: datetime | None) -> None:
        """A line came."""
        if stamp is not None:
            self._last, self._came = stamp, self._monotonic()

    def now(self) -> datetime | None:
        """The time there; None before the first line with a time."""
        return None if self._last is None else self._last + timedelta(seconds=self._monotonic() - self._came)
