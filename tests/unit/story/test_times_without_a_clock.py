"""Times that no clock has shown, and durations that none has measured, end no story."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labctl.raft.collection import collect
from labctl.raft.timers import seconds_of
from labctl.story import source

if TYPE_CHECKING:
    from pathlib import Path

WON = "[INFO]  agent.server.raft: election won: term=2 tally=2"
GAVE_UP = "[WARN]  agent.server.raft: failed to contact quorum of nodes, stepping down"
LATER = f"2026-01-01T00:00:00.000Z {WON}"


@pytest.mark.parametrize(
    "stamp",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.001+23:59", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-23:59"],
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_line_of_no_time_spoils_no_story(tmp_path: Path, stamp: str, order: int) -> None:
    log = tmp_path / "n1.log"
    log.write_text("\n".join([f"{stamp} {WON}", LATER, LATER.replace("00.000", "01.000")][::order]) + "\n")
    collection = collect(source.source([str(log)]).records())
    assert [event.time.year for event in collection.events if event.time is not None] == [2026, 2026]


def test_a_silence_that_is_longer_than_all_time_spoils_no_story(tmp_path: Path) -> None:
    log = tmp_path / "n1.log"
    silent = "[DEBUG] agent.server.raft: failed to contact: server-id=abc time=99999999h0m0s"
    stamps = [f"2026-01-01T00:00:0{number}.000Z" for number in range(3)]
    lines = [f"{stamp} {text}" for stamp, text in zip(stamps, (WON, silent, GAVE_UP), strict=True)]
    log.write_text("\n".join(lines) + "\n")
    assert collect(source.source([str(log)]).records()).elections


@pytest.mark.parametrize(
    ("text", "seconds"), [("2562047h47m16.854775807s", 9223372036.85), ("99999999h0m0s", None), ("1m2.5s", 62.5)]
)
def test_a_duration_is_no_longer_than_go_can_write_it(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == (None if seconds is None else pytest.approx(seconds))
