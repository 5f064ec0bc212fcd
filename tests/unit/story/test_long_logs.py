"""Logs that are long: whatever is made of them, only a part is in the memory."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import logs
from labctl.engine.labs import labs_from
from labctl.experiments.chaos import run as chaos_flow
from labctl.story import bundle
from labctl.story import source as story_flow
from tests.unit import engine_stand_in as stand_in
from tests.unit.story.test_bundle import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SERVERS, LINES = 7, 600
MOST_BYTES = 7_000_000
"""The logs have 16 MB, and more as objects."""


class Long(Engine):
    """Seven servers that have said much; each stands again and again, and leads for a while."""

    def log_so_far(self, container: str, **_: Any) -> Iterator[bytes]:
        server = int(container.rpartition("consul")[2])
        for number in range(LINES):
            time = f"2026-01-02T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.{server:09}Z"
            term = number * SERVERS + server
            said = (
                f"[INFO]  agent.server.raft: entering candidate state: node=x term={term}",
                "[INFO]  agent.server.raft: election won: tally=4",
                f"[INFO]  agent.server.raft: entering leader state: leader={'x' * 200}",
                f"[INFO]  agent.server.raft: entering follower state: follower={'x' * 300} leader=",
            )[number % 4]
            yield f"{time} {time[:23]}Z {said}\n{time} {time[:23]}Z [DEBUG] agent: {'x' * 3500}\n".encode()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Long:
    labels = {"raft-labctl.servers": str(SERVERS)}
    made = Long([stand_in.container("ada", f"consul{number}", labels=labels) for number in range(1, SERVERS + 1)])
    monkeypatch.chdir(tmp_path)
    return made


def story(engine: Any) -> int:
    return sum(1 for _ in story_flow.source([], everything=True, connect=lambda: engine).events) // 2


def kept(engine: Any) -> int:
    return int(bundle.save("ada", None, force=False, connect=lambda: engine).lines) // 2


def read(engine: Long) -> int:
    (lab,) = labs_from(engine.container_list, "local")
    lines = logs.read(engine, lab.servers)  # type: ignore[arg-type]
    return sum(1 for _ in lines) // 2


def who_led(engine: Long) -> int:
    (lab,) = labs_from(engine.container_list, "local")
    leaderships = chaos_flow.leaderships_within(engine, lab, datetime(2026, 1, 2, 0, 5, tzinfo=UTC), 60.0)  # type: ignore[arg-type]
    assert {span.server for span in leaderships} == {f"consul{number}" for number in range(1, SERVERS + 1)}
    assert 100 <= len(leaderships) <= 110
    return SERVERS * LINES


@pytest.mark.parametrize("work", [read, kept, story, who_led])
def test_logs_are_never_in_the_memory_whole(engine: Long, work: Callable[[Long], int]) -> None:
    tracemalloc.start()
    try:
        assert work(engine) == SERVERS * LINES
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
