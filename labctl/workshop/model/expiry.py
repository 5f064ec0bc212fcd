"""When a workshop ends: a file's or a user's text as a moment, and the time until then in words."""

from __future__ import annotations

import re
from datetime import datetime

from labctl.errors import ExitCode, LabctlError
from labctl.shared.durations import DAY, SECONDS

WARN_SECONDS = 1800.0
"""How long before the end `status` warns."""
LONGEST_SECONDS = 366 * DAY
_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)


def seconds_of(text: str) -> int:
    """A duration such as `90m`, `8h`, `2d`, in seconds. Raises LabctlError (usage)."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise LabctlError(
            f"{text!a} is no duration: give a number and m, h or d, such as 90m, 8h or 2d.", ExitCode.USAGE
        )
    return int(match[1]) * SECONDS[match[2]]


def end_of(text: str, now: float) -> int:
    """The end as a user wrote it: a duration from now, or a time with its zone.

    Args:
        text: `8h`, `2d`, or `2026-11-24T18:00:00+01:00`.
        now: in seconds since 1970.

    Returns:
        Seconds since 1970.

    Raises:
        LabctlError (usage): it is neither, is over already, or is more than a year away.
    """
    if _DURATION.fullmatch(text):
        end = int(now) + seconds_of(text)
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise LabctlError(
                f"Invalid end time {text!a}: use a duration such as 8h, or a time with its zone such as "
                "2026-11-24T18:00:00+01:00.",
                ExitCode.USAGE,
            )
        end = int(moment.timestamp())
    if end <= now:
        raise LabctlError(f"The end {text} is over already: give a later one.", ExitCode.USAGE)
    if end - now > LONGEST_SECONDS:
        raise LabctlError(f"The end {text} is more than a year away: give an earlier one.", ExitCode.USAGE)
    return end


def left_in_words(seconds: float) -> str:
    """A duration in its two largest units: `2d 3h`, `3h 20m`, `12m`, `less than a minute`."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{number}{unit}" for number, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if number]
    return " ".join(parts[:2])
