"""Times between stamps in words, no finer than the stamps are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from labctl.raft.durations import about, at_least, at_most, duration, elapsed, offset, on_the_clock_of, zone_of
from labctl.raft.log_line import open_envelope

BEGIN = datetime(2021, 1, 24, 0, 0, 1, 500_000, UTC)


def of(stamp: str) -> datetime:
    envelope = open_envelope(f"{stamp} [INFO]  raft: election won: tally=2")
    assert envelope is not None
    assert envelope.time is not None
    return envelope.time


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.35, "350 ms"), (0.9996, "1.0 s"), (1.3, "1.3 s"), (59.97, "1 min 0 s"), (125.5, "2 min 5 s"),
        (3599.97, "1 h 0 min"), (86_399, "23 h 59 min"), (93_600, "1 d 2 h"), (40 * 86_400, "40 d 0 h"),
    ],
)  # fmt: skip
def test_a_time_has_the_units_that_a_person_would_use(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [
        ("2021/01/24 00:00:01", "2021/01/24 00:00:01", "less than 1 s"),
        ("2021/01/24 00:00:01", "2021/01/24 00:00:03", "about 2 s"),
        ("2021/01/24 00:00:01", "2021/01/24 02:23:47", "about 2 h 23 min"),
        ("2021/01/24 00:00:01", "2021-01-24T00:00:03.104Z", "about 2 s"),
        ("2021-01-24T00:00:01.000Z", "2021-01-24T00:00:01.040Z", "40 ms"),
        ("2021-01-24T00:00:01.040Z", "2021-01-24T00:00:01.040Z", "less than 1 ms"),
    ],
)
def test_the_time_between_two_stamps_is_no_finer_than_they_are(begin: str, end: str, words: str) -> None:
    assert elapsed(of(begin), of(end)) == words


@pytest.mark.parametrize(
    ("took", "words"),
    [("1.3 s", "at least 1.3 s"), ("about 2 s", "about 2 s or more"), ("less than 1 s", "some time")],
)
def test_what_lasted_so_long_or_longer(took: str, words: str) -> None:
    assert at_least(took) == words


@pytest.mark.parametrize(("took", "words"), [("1.3 s", "at most 1.3 s"), ("less than 1 s", "less than 1 s")])
def test_what_lasted_so_long_or_less(took: str, words: str) -> None:
    assert at_most(took) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "less than 1 s"), (1.2, "about 1 s"), (90.0, "about 1 min 30 s")])
def test_a_time_that_is_known_to_the_second_is_never_none(seconds: float, words: str) -> None:
    assert about(seconds) == words


@pytest.mark.parametrize(
    ("first", "time", "words"),
    [
        ("2021/01/24 00:00:01", "2021/01/24 00:02:29", "+148 s"),
        ("2021-01-24T00:00:01.132Z", "2021-01-24T00:00:03.000Z", "+1.868 s"),
        ("2021-01-24T00:00:01.132Z", "2021/01/24 00:00:03", "+2 s"),
        ("2021-01-24T00:00:01.132Z", "2021-01-24T00:00:01.101Z", "-0.031 s"),
        ("2021-01-24T00:00:01.132Z", "2021-01-24T01:02:04.133Z", "+1:02:03.001"),
        ("2021-01-24T00:00:01.132Z", "2021-01-25T02:00:01.132Z", "+1 d 2:00:00.000"),
        ("2021-01-24T00:00:01.132Z", "2021-01-23T22:00:01.131Z", "-2:00:00.001"),
        ("2021/01/24 00:00:01", "2021/01/25 00:00:00", "+23:59:59"),
    ],
)
def test_an_offset_has_the_digits_of_its_line_and_the_units_of_a_clock(first: str, time: str, words: str) -> None:
    assert offset(of(first), of(time)) == words


def test_a_zone_is_named_by_its_offset() -> None:
    assert zone_of(of("2021-01-24T00:00:01.132Z")) == "UTC"
    assert zone_of(of("2021-01-24T00:00:01.132+0545")) == "+05:45"
    assert zone_of(of("2021-01-24T00:00:01.132-0300")) == "-03:00"


def test_a_moment_that_no_calendar_has_stays_as_it_is() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert on_the_clock_of(timezone(timedelta(hours=9)), last) == last
