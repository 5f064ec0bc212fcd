"""Times as Go writes them, and the seconds of each unit of time."""

from __future__ import annotations

import re

MINUTE, HOUR, DAY = 60, 3600, 86_400
SECONDS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}
"""The units that people write."""
LONGEST_WAIT = DAY
"""The longest wait of a module, a day."""
_GO_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}
_GO_MILLISECONDS = {"h": 3_600_000.0, "m": 60_000.0, "s": 1000.0, "ms": 1.0, "µs": 1e-3, "us": 1e-3, "ns": 1e-6}
LONGEST_SECONDS = 2**63 / 1e9
"""The longest time that Go can represent: 64 bits of nanoseconds, or 292 years."""
# An endless row of digits is no time.
_PART = re.compile(r"([0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(h|ms|µs|us|ns|m|s)")


def go_seconds(text: str) -> float | None:
    """Read a Go duration (`1m2.5s`, `31.4ms`, `0`); None for anything else, and for what is longer than any in Go.

    >>> go_seconds("1m2.5s")
    62.5
    """
    return _go(text, _GO_SECONDS)


def go_milliseconds(text: str) -> float | None:
    """The same in milliseconds, whose fractions are rounded once.

    >>> go_milliseconds("31.4ms")
    31.4
    """
    return _go(text, _GO_MILLISECONDS)


def wait_problem(seconds: float, variable: str, least: int = 1) -> str | None:
    """The error in a module's timeout, as a sentence; `variable` is the role's."""
    if least <= seconds <= LONGEST_WAIT:
        return None
    return f"Cannot wait for {seconds:g} seconds: set {variable} to {least} to {LONGEST_WAIT}."


def _go(text: str, worth: dict[str, float]) -> float | None:
    if text == "0":
        return 0.0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    if sum(float(number) * _GO_SECONDS[unit] for number, unit in parts) > LONGEST_SECONDS:
        return None
    return sum(float(number) * worth[unit] for number, unit in parts)
