"""Availability is a share of the clients' time, and latency that of what was answered."""

from __future__ import annotations

import pytest

from labctl.experiments.chaos.history import Operation
from labctl.experiments.chaos.timeline import availability, timeline


def op(begin: float, end: float, outcome: str = "done", client: str = "c1", server: str = "consul1") -> Operation:
    return Operation(begin, end, client, server, "read", "r", outcome)  # type: ignore[arg-type]


def test_a_request_that_waits_for_long_counts_in_every_slice() -> None:
    history = [op(0, 0.1), op(0.5, 2.5, "unanswered"), op(2.5, 2.6), op(3, 3.5)]
    slices = timeline(history, 4, ["consul1"])
    assert [interval.available.value for interval in slices] == pytest.approx([0.5, 0.0, 0.5, 1.0])
    assert availability(slices) == pytest.approx(1.5 / 3.5)
    assert [(interval.asked, interval.answered) for interval in slices] == [(2, 1), (0, 0), (1, 1), (1, 1)]


def test_servers_have_their_own_share_and_none_where_nobody_asked() -> None:
    history = [op(0, 1), op(0, 1, "refused", "c2", "consul2")]
    (first, second) = timeline(history, 2, ["consul1", "consul2", "consul3"])
    assert {name: share.value for name, share in first.servers.items()} == {"consul1": 1, "consul2": 0, "consul3": None}
    assert second.available.value is None


def test_a_compare_and_set_that_came_too_late_was_answered() -> None:
    (slice_,) = timeline([op(0, 1, "mismatch")], 1, ["consul1"])
    assert slice_.available.value == 1


def test_a_long_run_has_longer_slices() -> None:
    slices = timeline([op(599, 599.5)], 600, ["consul1"], most=60)
    assert len(slices) == 60
    assert slices[-1].asked == 1
    assert slices[-1].seconds == 10


def test_waits_are_quantiles_in_milliseconds() -> None:
    (slice_,) = timeline([op(number / 100, number / 100 + number / 1000) for number in range(100)], 1, ["consul1"])
    assert slice_.wait(0.5) == pytest.approx(49.5)
    assert slice_.wait(0.95) == pytest.approx(94.05)
    assert slice_.wait(1.0) == pytest.approx(99)


def test_a_run_without_requests_has_one_empty_slice() -> None:
    assert [interval.asked for interval in timeline([], 0, ["consul1"])] == [0]
    assert availability(timeline([], 0, ["consul1"])) is None
