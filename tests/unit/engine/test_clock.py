"""The Docker host's clock beside this machine's, and Docker's own time of what it did."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labctl.engine import clock, labs
from labctl.faults import inject
from tests.unit import engine_stand_in as stand_in

SERVER = labs.labs_from(stand_in.lab("ada"), "local")[0].servers[0]
BEGIN = datetime(2026, 11, 23, 12, 0, 0, 500_000, UTC)


def saying(monkeypatch: pytest.MonkeyPatch, module: Any, said: Any) -> list[dict[str, Any]]:
    """Let the engine say that; what it is asked is returned."""
    asked: list[dict[str, Any]] = []

    class Engine:
        def __init__(self, timeout: float, path: str | None = None) -> None:
            assert timeout <= 30
            assert path is None

        def get(self, path: str, **_: Any) -> Any:
            asked.append({"path": path})
            return said

        def ask(self, method: str, path: str, query: dict[str, Any], **_: Any) -> Any:
            asked.append({"method": method, "path": path, **query})
            return said

    monkeypatch.setattr(module, "Engine", Engine)
    return asked


def test_a_clock_that_is_behind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    there = datetime.now(UTC) - timedelta(seconds=100)
    saying(monkeypatch, clock, {"SystemTime": there.isoformat()})
    found = clock.difference()
    assert found is not None
    assert -110 < found.seconds < -99
    assert found.certain > 90


def test_what_the_answer_took_is_no_difference() -> None:
    assert clock.Difference(0.03, 0.04).certain == 0
    assert clock.Difference(-0.5, 0.1).certain == pytest.approx(0.4)


@pytest.mark.parametrize("said", [{}, {"SystemTime": ""}, {"SystemTime": None}, None, []])
def test_an_engine_that_does_not_say_is_none(monkeypatch: pytest.MonkeyPatch, said: Any) -> None:
    saying(monkeypatch, clock, said)
    assert clock.difference() is None


def stamped(seconds: float) -> str:
    return json.dumps({"timeNano": int((BEGIN + timedelta(seconds=seconds)).timestamp() * 1e9), "Action": "kill"})


def test_docker_says_when_it_had_done_something(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "\n".join([stamped(-0.2), stamped(0.03), stamped(0.08), "{}"]).encode()
    asked = saying(monkeypatch, inject, lines)
    when = inject.done_by(SERVER, "kill", BEGIN, BEGIN + timedelta(seconds=0.2))
    assert when is not None
    assert (when - BEGIN).total_seconds() == pytest.approx(0.03, abs=1e-5)
    (query,) = asked
    assert (query["method"], query["path"]) == ("GET", "/events")
    assert json.loads(query["filters"]) == {"container": [SERVER.id], "event": ["kill"]}
    assert float(query["until"]) - float(query["since"]) == pytest.approx(0.2)


def test_docker_may_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    saying(monkeypatch, inject, b"")
    assert inject.done_by(SERVER, "kill", BEGIN, BEGIN + timedelta(seconds=0.2)) is None
