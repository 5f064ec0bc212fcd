"""The Docker host's clock beside this machine's, and Docker's own time of what it did."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labctl.engine import clock, labs
from labctl.engine.docker_host import DockerHost
from labctl.faults import inject
from tests.unit import engine_stand_in as stand_in

SERVER = labs.labs_from(stand_in.lab("ada"), "local")[0].servers[0]
BEGIN = datetime(2026, 11, 23, 12, 0, 0, 500_000, UTC)


class Saying(DockerHost):
    """An engine with one answer, and its requests."""

    def __init__(self, said: Any) -> None:
        self.said = said
        self.asked: list[dict[str, Any]] = []

    def engine(self, seconds: float) -> Any:
        assert seconds <= 30
        return self

    def get(self, path: str, **_: Any) -> Any:
        self.asked.append({"path": path})
        return self.said

    def ask(self, method: str, path: str, query: dict[str, Any], **_: Any) -> Any:
        self.asked.append({"method": method, "path": path, **query})
        return self.said


def test_a_clock_that_is_behind_is_found() -> None:
    there = datetime.now(UTC) - timedelta(seconds=100)
    difference = clock.difference(Saying({"SystemTime": there.isoformat()}))
    assert difference is not None
    assert -110 < difference.seconds < -99
    assert difference.certain > 90


def test_what_the_answer_took_is_no_difference() -> None:
    assert clock.Difference(0.03, 0.04).certain == 0
    assert clock.Difference(-0.5, 0.1).certain == pytest.approx(0.4)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"SystemTime": ""},
        {"SystemTime": None},
        None,
        [],
        {"SystemTime": "2026-11-30T02:00:00"},
        {"SystemTime": "9999-12-31T23:59:59.999999-23:59"},
        {"SystemTime": "0001-01-01T00:00:00+23:59"},
        {"SystemTime": "8999-12-31T23:59:59Z"},
    ],
)
def test_an_engine_that_does_not_say_is_none(said: Any) -> None:
    assert clock.difference(Saying(said)) is None


def stamped(seconds: float) -> str:
    return json.dumps({"timeNano": int((BEGIN + timedelta(seconds=seconds)).timestamp() * 1e9), "Action": "kill"})


def test_docker_says_when_it_had_done_something() -> None:
    lines = "\n".join([stamped(-0.2), stamped(0.03), stamped(0.08), "{}"]).encode()
    place = Saying(lines)
    when = inject.done_by(replace(SERVER, place=place), "kill", BEGIN, BEGIN + timedelta(seconds=0.2))
    assert when is not None
    assert (when - BEGIN).total_seconds() == pytest.approx(0.03, abs=1e-5)
    (query,) = place.asked
    assert (query["method"], query["path"]) == ("GET", "/events")
    assert json.loads(query["filters"]) == {"container": [SERVER.id], "event": ["kill"]}
    assert float(query["until"]) - float(query["since"]) == pytest.approx(0.2)


def test_docker_may_not_say() -> None:
    assert inject.done_by(replace(SERVER, place=Saying(b"")), "kill", BEGIN, BEGIN + timedelta(seconds=0.2)) is None
