"""Fixtures of all unit tests: the stand-ins for Docker and Consul, and a machine without either."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils.testing import patch_module_args
from hypothesis import settings

from labctl.engine import foreign_labels
from tests.unit.stand_ins import FakeCluster, FakeDocker, ModuleRun, StreamChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]

# No deadline: a busy machine is no bug.
settings.register_profile("labctl", max_examples=60, deadline=None)
settings.load_profile("labctl")

_tests = itertools.count()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:  # noqa: ARG001 - the hook's own signature
    """One more worker than cores: a good part of the tests' time is waiting."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No unit test reaches a real engine, or a real user's labs and state."""
    # Only named: to make a folder for each of thousands of tests takes longer than most of them.
    own = tmp_path_factory.getbasetemp() / f"nothing-{next(_tests)}"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{own}/no-engine.sock")
    monkeypatch.setenv("XDG_STATE_HOME", str(own / "state"))
    foreign_labels.sentences()
    for name in ("DOCKER_CONTEXT", "DOCKER_CERT_PATH", "LABCTL_OWNER", "LABCTL_LAB", "LABCTL_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> StreamChange:
    """Gives this process another standard input."""
    return lambda stream: monkeypatch.setattr("sys.stdin", stream)


@pytest.fixture
def standard_output(monkeypatch: pytest.MonkeyPatch) -> StreamChange:
    """Gives this process another standard output."""
    return lambda stream: monkeypatch.setattr("sys.stdout", stream)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDocker]:
    """A `docker` in front of every other on PATH."""
    program = FakeDocker(tmp_path / "docker-bin")
    monkeypatch.setenv("PATH", os.pathsep.join([str(program.folder), os.environ["PATH"]]))
    monkeypatch.setenv("DOCKER_HOST", program.host)
    yield program
    program.close()


@pytest.fixture
def clusters() -> Iterator[Callable[..., FakeCluster]]:
    """Makes clusters whose HTTP APIs answer on loopback until the test ends."""
    made: list[FakeCluster] = []

    def make(servers: int = 3, **settings: Any) -> FakeCluster:
        made.append(FakeCluster(servers, **settings))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def module_run(capsys: pytest.CaptureFixture[str]) -> ModuleRun:
    """Runs a module's main() as Ansible does, and gives the result that it printed."""

    def run(main: Callable[[], None], *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run
