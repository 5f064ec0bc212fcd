"""Times between stamps in words, never finer than the stamps are: before Consul 1.7 those are whole seconds."""

from __future__ import annotations

from datetime import UTC, timezone
from typing import TYPE_CHECKING

from labctl.shared.durations import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

MILLISECOND = 0.001


FIRST_YEAR, LAST_YEAR = 1970, 9000
"""What a clock may show. Some write a time where they have none, as Go its zero: nothing can be counted by it."""


def is_of_a_clock(time: datetime) -> bool:
    """Whether a clock can have shown a time; then some centuries can be added to it, and taken from it."""
    return FIRST_YEAR <= time.year <= LAST_YEAR


def of_whole_seconds(time: datetime) -> datetime:
    """Mark a time whose stamp has no fraction: `10:00:01` is somewhere in that second, `10:00:01.000` is not.

    `fold` is free to carry the mark: the zone of a stamp is an offset, in which no hour comes twice. It makes no
    difference to any comparison.
    """
    return time.replace(fold=1)


def in_zone(naive: datetime, zone: tzinfo) -> datetime:
    """A stamp that names no zone, as one of this zone, by the offset that the zone has then."""
    if isinstance(zone, timezone):
        return naive.replace(tzinfo=zone)
    away = naive.replace(tzinfo=zone, fold=0).utcoffset()
    return naive.replace(tzinfo=timezone(away)) if away is not None else naive.replace(tzinfo=UTC)


def is_whole(time: datetime) -> bool:
    """Whether a time is known to the second and no finer."""
    return time.fold == 1


def duration(seconds: float) -> str:
    """Write a time as a person would say it: `350 ms`, `1.3 s`, `2 min 5 s`, `23 h 59 min`, `1 d 2 h`."""
    # What would be rounded up to the next unit is written in that unit.
    if round(seconds * 1000) < 1000:  # noqa: PLR2004 - milliseconds of a second
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if round(seconds, 1) < MINUTE else _long(round(seconds, 1))


def _long(seconds: float) -> str:
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min {int(seconds % MINUTE)} s"
    if seconds < DAY:
        return f"{int(seconds // HOUR)} h {int(seconds % HOUR // MINUTE)} min"
    return f"{int(seconds // DAY)} d {int(seconds % DAY // HOUR)} h"


def elapsed(start: datetime | None, end: datetime | None) -> str | None:
    """Write the time between two stamps, no finer than they are; None where it is unknown: a clock was set back."""
    if start is None or end is None:
        return None
    seconds = (end - start).total_seconds()
    is_rough = is_whole(start) or is_whole(end)
    if seconds < (-1 if is_rough else 0):
        return None
    if is_rough or not (start.microsecond or end.microsecond):
        return about(max(seconds, 0))
    return duration(seconds) if seconds >= MILLISECOND else "less than 1 ms"


def about(seconds: float) -> str:
    """Write a time that is known to the second."""
    if not round(seconds):
        return "less than 1 s"
    return f"about {_long(round(seconds)) if round(seconds) >= MINUTE else f'{seconds:.0f} s'}"


def at_least(took: str) -> str:
    """Write that something took that long or longer, where `took` is what `elapsed` writes."""
    if took.startswith("less than"):
        return "some time"
    return f"{took} or more" if took.startswith("about") else f"at least {took}"


def at_most(took: str) -> str:
    """Write that something took that long or less, where `took` is what `elapsed` writes."""
    return took if took.startswith("less than") else f"at most {took}"


def offset(first: datetime, time: datetime) -> str:
    """Write how long after the first event another one came, no finer than its stamp: `+1.868 s`, `+1 d 2:00:01`."""
    seconds = (time - first).total_seconds()
    digits = 0 if is_whole(time) else 3
    rounded = round(abs(seconds), digits)
    if rounded < HOUR:
        return f"{seconds:+.{digits}f} s"
    days, rest = divmod(rounded, DAY)
    hours, rest = divmod(rest, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    clock = f"{int(hours)}:{int(minutes):02}:{rest:0{digits + 3 if digits else 2}.{digits}f}"
    return f"{'-' if seconds < 0 else '+'}{f'{int(days)} d ' if days else ''}{clock}"


def zone_of(time: datetime) -> str:
    """Name the zone of a time as `UTC`, or by its offset: `+08:00`."""
    away = f"{time:%z}"
    return "UTC" if not away or away.strip("+-0:") == "" else f"{away[:3]}:{away[3:]}"


def on_the_clock_of(zone: tzinfo | None, time: datetime) -> datetime:
    """The same moment as the clock of a zone shows it; as it is where no calendar has that."""
    try:
        return time.astimezone(zone).replace(fold=time.fold)
    except (OverflowError, ValueError):
        return time
