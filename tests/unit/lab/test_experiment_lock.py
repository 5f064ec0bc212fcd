"""Only one experiment at a time runs on a lab, wherever it is started."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.engine import labs
from labctl.errors import ExitCode, LabctlError
from labctl.lab.experiment_lock import exclusive_lab_lock
from labctl.shared import lock_holder
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from tests.unit.stand_ins import FakeDocker

ROOT = Path(__file__).parents[3]
LAB, OTHER = (labs.labs_from(stand_in.lab(name), "local")[0] for name in ("ada", "bob"))
HOLD = """
import time
from labctl.engine import labs
from labctl.lab.experiment_lock import exclusive_lab_lock
from tests.unit import engine_stand_in as stand_in
with exclusive_lab_lock(labs.labs_from(stand_in.lab("ada"), "local")[0], "eve", "labctl chaos ada", 60):
    print("held", flush=True)
    time.sleep(60)
"""


def refused() -> str:
    with pytest.raises(LabctlError) as raised, exclusive_lab_lock(LAB, "ada", "labctl measure failover ada", 60):
        pass
    assert raised.value.code is ExitCode.REFUSED
    return raised.value.sentence


def test_only_one_command_at_a_time_has_a_lab(docker: FakeDocker) -> None:
    with exclusive_lab_lock(LAB, "ada", "labctl chaos ada", 60):
        (volume,) = docker.objects("volume").values()
        assert {"raft-labctl.lab", "raft-labctl.owner", "raft-labctl.alone"} < set(volume["Labels"])
        said = refused()
        assert said.startswith("Cannot break the lab ada now: ")
        assert f"'s `labctl chaos ada` (process {os.getpid()} on " in said
        assert said.endswith("Wait until that has ended.")
        with exclusive_lab_lock(OTHER, "ada", "labctl chaos bob", 60):
            pass
    with pytest.raises(RuntimeError), exclusive_lab_lock(LAB, "ada", "labctl chaos ada", 60):
        raise RuntimeError
    assert docker.objects("volume") == {}


def test_the_lock_is_no_matter_of_the_state_folder_and_who_is_killed_lets_go(
    docker: FakeDocker, tmp_path: Path
) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "elsewhere")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert f"(process {other.pid} on " in refused()
    finally:
        other.kill()
        other.communicate()
    assert len(docker.objects("volume")) == 1
    with exclusive_lab_lock(LAB, "ada", "labctl chaos ada", 60):
        assert len(docker.objects("volume")) == 1
    assert docker.objects("volume") == {}


def test_a_lock_that_was_removed_is_taken_again_or_ends_the_breaking(docker: FakeDocker) -> None:
    with exclusive_lab_lock(LAB, "ada", "labctl chaos ada", 60) as keep:
        for name in docker.objects("volume"):
            docker.lose_volume(name)
        keep()
        (again,) = docker.objects("volume").values()
        assert again["Labels"]["raft-labctl.alone"] == "ada"
        docker.lose_volume(again["Name"])
        labels = {"raft-labctl.alone": "ada", "raft-labctl.holder": lock_holder.holder("labctl measure", 60).note}
        docker.put("volume", "theirs", {"Name": "theirs", "Labels": labels, "CreatedAt": ""})
        with pytest.raises(
            LabctlError, match=r"Cannot go on breaking the lab ada: .*`labctl measure` .* breaks it"
        ) as it:
            keep()
        assert it.value.code is ExitCode.REFUSED
        docker.lose_volume("theirs")
        # An engine that is busy says nothing of the lock.
        docker.answer("volume", err="the engine restarts", code=1, times=1)
        keep()


def test_of_a_holder_elsewhere_the_volume_is_named(docker: FakeDocker) -> None:
    who = replace(lock_holder.holder("labctl chaos ada", 10**6), boot="another")
    labels = {"raft-labctl.alone": "ada", "raft-labctl.holder": who.note}
    docker.put("volume", "v", {"Name": "v", "Labels": labels})
    assert "or remove the volume v on the Docker host if you know that it has" in refused()


def test_an_engine_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'none'}")
    with (
        pytest.raises(LabctlError, match="No Docker Engine answers"),
        exclusive_lab_lock(LAB, "ada", "labctl chaos ada", 60),
    ):
        pass
