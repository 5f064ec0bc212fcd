"""The one sentence that an interrupted command leaves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from labctl.lab.interrupt_message import lab_state_sentence
from tests.unit import engine_stand_in as stand_in
from tests.unit.slow_servers import SlowServer, short_folder

if TYPE_CHECKING:
    from tests.unit.engine_stand_in import FakeEngine
    from tests.unit.stand_ins import FakeDocker


@pytest.fixture
def engine(docker: FakeDocker) -> FakeEngine:
    return docker.beside()


def test_it_says_what_runs(engine: FakeEngine) -> None:
    engine.container_list = [
        stand_in.container("ada", "consul1"),
        stand_in.container("ada", "consul2", State="created"),
    ]
    assert lab_state_sentence("ada").startswith("Interrupted: 1 of 3 servers of the lab ada run; `labctl up ada`")


def test_it_says_that_nothing_is_there(engine: FakeEngine) -> None:
    engine.container_list = stand_in.lab("eve")
    assert lab_state_sentence("ada") == "Interrupted: nothing of the lab ada is there."


def test_it_says_that_a_part_is_left(engine: FakeEngine) -> None:
    engine.volume_list = [{"Name": "v", "Labels": {"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"}}]
    assert "a part of the lab ada is there; `labctl up ada` makes it ready, `labctl down ada`" in lab_state_sentence(
        "ada"
    )


def test_without_a_name_it_says_what_to_do() -> None:
    assert "`labctl ls`" in lab_state_sentence(None)


def test_without_an_engine_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert "`labctl up ada` makes the lab ada ready" in lab_state_sentence("ada")


def test_an_engine_that_hangs_is_not_waited_for_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with short_folder() as folder:
        server = SlowServer(folder)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{server.path}")
        begun = time.monotonic()
        said = lab_state_sentence("ada")
        server.close()
    assert time.monotonic() - begun < 5
    assert said == "Interrupted: `labctl up ada` makes the lab ada ready, `labctl down ada` removes it."
