"""An engine that answers each question late takes a command no further than its --timeout and a little more."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from labctl.cli.main import run
from labctl.engine import client
from labctl.errors import ExitCode
from labctl.lab import lifecycle
from labctl.runner import deadlines
from tests.unit import engine_stand_in as stand_in
from tests.unit.faulty_engine import FaultyEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

LATE = 0.5
# What a command may take beside: to give its lock back, on a machine that is busy with other tests.
MORE = 4.0
COMMANDS = {
    "up": ["up", "ada", "--pace", "real", "--timeout", "1"],
    "join": ["join", "ada", "--timeout", "1"],
    "start": ["start", "ada", "--timeout", "1"],
    "restart": ["restart", "ada", "--timeout", "1"],
    "stop": ["stop", "ada"],
    "down": ["down", "ada"],
}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyEngine]:
    made = FaultyEngine()
    made.containers, made.images = stand_in.lab("ada", port=None), [stand_in.image("1.8.7")]
    monkeypatch.setenv("DOCKER_HOST", made.host)
    monkeypatch.setenv("LABCTL_OWNER", "ada")
    monkeypatch.setattr(client, "LATE_SECONDS", LATE)
    monkeypatch.setattr(deadlines, "STOP", 1.0)
    monkeypatch.setattr(lifecycle, "LOCK_SECONDS", 1.0)
    yield made
    made.close()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("how", ["late", "byte by byte"])
def test_answers_that_come_late_do_not_add_up(
    engine: FaultyEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, how: str
) -> None:
    began: list[bool] = []
    monkeypatch.setattr("ansible_runner.run", lambda **_: began.append(True))
    if how == "late":
        engine.late = 0.9
    else:
        engine.drip = 0.001
    begun = time.monotonic()
    code = run(COMMANDS[command])
    assert time.monotonic() - begun < 1 + LATE + MORE
    assert code == ExitCode.FAILED
    assert not began
    # It reports how long it has waited, for all answers together, which is a little less than its deadline.
    told = re.search(r"it did not answer within (\d\.\d) seconds\.", capsys.readouterr().err)
    assert told is not None
    assert 1 + LATE - 0.1 <= float(told[1]) < 1 + LATE + MORE
    engine.late = engine.drip = 0
    assert engine.volumes == []
