"""Two commands on one lab are kept apart, whoever runs them."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from plugins.module_utils.lab_lock import LockRequest, locked
from plugins.module_utils.lab_parts import find
from plugins.module_utils.shared import lock_holder
from plugins.module_utils.shared.docker_api import DockerError, Engine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.stand_ins import FakeDocker

PRESENT = LockRequest("ada", "ada", "present")
ABSENT = LockRequest("ada", "admin", "absent")
IMPATIENT = ABSENT._replace(patience=0.0)


@pytest.fixture
def engine(docker: FakeDocker) -> Any:
    return Engine(path=docker.host.removeprefix("unix://"))


def leave(docker: FakeDocker, **changed: Any) -> str:
    """Put the lock of another holder there, of a process that has ended; returns its volume."""
    who = replace(lock_holder.holder("labctl up ada", 900), pid=2**22 + 1, **changed)
    labels = {"raft-labctl.lock": "ada", "raft-labctl.holder": who.note}
    docker.put("volume", "old", {"Name": "old", "Labels": labels, "CreatedAt": ""})
    return "old"


def test_the_lock_is_held_and_handed_on(tmp_path: Path, engine: Any, docker: FakeDocker) -> None:
    with locked(engine, tmp_path / "ada", PRESENT) as ((handle,), _):
        other = os.open(tmp_path / "ada" / "lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert os.get_inheritable(handle) is False
        (volume,) = docker.objects("volume").values()
        assert volume["Labels"]["raft-labctl.lock"] == volume["Labels"]["raft-labctl.owner"] == "ada"
        assert find(engine, "ada").empty
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    assert docker.objects("volume") == {}
    assert not (tmp_path / "ada").exists()


@pytest.mark.parametrize("second", ["one", "two"])
def test_a_lock_that_is_not_given_up_is_told_and_refused(tmp_path: Path, engine: Any, second: str) -> None:
    """Also where the other one has another state folder."""
    with (
        locked(engine, tmp_path / "one", PRESENT),
        pytest.raises(
            DockerError, match=r"Cannot work on the lab ada: .*'s `consul_lab name=ada state=present` \("
        ) as (raised),
        locked(engine, tmp_path / second, IMPATIENT),
    ):
        pass
    assert raised.value.failure == "refused"


def test_whom_it_waits_for_is_said_after_a_second(tmp_path: Path, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_ASKER", "1 1")
    said: list[str] = []
    with (
        locked(engine, tmp_path / "one", PRESENT),
        pytest.raises(DockerError),
        locked(engine, tmp_path / "two", LockRequest("ada", "admin", "absent", say=said.append, patience=1.5)),
    ):
        pass
    assert len(said) == 1
    assert said[0].startswith("Waiting for ")
    assert f"'s `labctl up ada` (process {os.getpid()} on " in said[0]


def test_who_works_under_the_lock_of_a_whole_command_waits_for_it_no_more_than_for_itself(
    tmp_path: Path, engine: Any, docker: FakeDocker
) -> None:
    whole = lock_holder.holder("labctl up ada", 900)
    labels = {"raft-labctl.lock": "ada", "raft-labctl.holder": whole.note}
    docker.put("volume", "whole", {"Name": "whole", "Labels": labels, "CreatedAt": ""})
    with locked(engine, tmp_path, PRESENT._replace(within=whole.mark)):
        volume_of_command, other = docker.objects("volume").values()
        notes = [lock_holder.holder_of(volume["Labels"]["raft-labctl.holder"]) for volume in (volume_of_command, other)]
        # Nor does the holder of that lock wait for them, where it was removed and is taken again.
        assert [note.mark for note in notes if note] == [whole.mark] * 2
    assert list(docker.objects("volume")) == ["whole"]


def test_a_lock_that_was_removed_is_taken_again_or_ends_the_work(
    tmp_path: Path, engine: Any, docker: FakeDocker
) -> None:
    with locked(engine, tmp_path / "one", PRESENT) as first:
        engine.remove("volume", docker.objects("volume"), doing="pruning")
        first.hold.keep()
        (again,) = docker.objects("volume").values()
        assert again["Labels"]["raft-labctl.lock"] == "ada"
        with pytest.raises(DockerError, match="Cannot work on"), locked(engine, tmp_path / "two", IMPATIENT):
            pass
        engine.remove("volume", docker.objects("volume"), doing="pruning")
        with locked(engine, tmp_path / "two", ABSENT) as second:
            with pytest.raises(DockerError) as raised:
                first.hold.keep()
            second.hold.keep()
        assert raised.value.failure == "refused"
        assert raised.value.sentence.startswith(
            "Cannot go on with the lab ada: its lock was removed, as `docker volume prune` does, and "
        )
        assert "`consul_lab name=ada state=absent`" in raised.value.sentence
    assert docker.objects("volume") == {}


def test_the_lock_of_a_command_that_was_killed_is_cleared_away(tmp_path: Path, engine: Any, docker: FakeDocker) -> None:
    leave(docker)
    with locked(engine, tmp_path, PRESENT):
        assert "old" not in docker.objects("volume")
    # What cannot be seen from here is known to have ended where the kernel gave us the lock that it had.
    leave(docker, boot="another")
    (tmp_path / "lock").write_text(docker.objects("volume")["old"]["Labels"]["raft-labctl.holder"], encoding="utf-8")
    with locked(engine, tmp_path, PRESENT):
        assert "old" not in docker.objects("volume")


def test_a_lock_that_may_still_be_held_is_named_and_stays(tmp_path: Path, engine: Any, docker: FakeDocker) -> None:
    leave(docker, boot="another")
    with pytest.raises(DockerError, match="docker volume rm old") as raised, locked(engine, tmp_path, IMPATIENT):
        pass
    assert raised.value.failure == "refused"
    docker.put("volume", "old", {"Name": "old", "Labels": {"raft-labctl.lock": "ada"}})
    with (
        pytest.raises(DockerError, match=r"somebody \(the lock does not say who\) has it by the volume old"),
        locked(engine, tmp_path, IMPATIENT),
    ):
        pass
    assert list(docker.objects("volume")) == ["old"]


def test_a_full_disk_hinders_only_what_must_write(tmp_path: Path, engine: Any, docker: FakeDocker) -> None:
    docker.answer("volume", "create", err="no space left on device", code=1, times=2)
    with pytest.raises(DockerError, match="disk is full"), locked(engine, tmp_path, PRESENT):
        pass
    leave(docker)
    with locked(engine, tmp_path, ABSENT):
        assert docker.objects("volume") == {}


def test_a_folder_that_cannot_be_made_hinders_only_what_must_write(tmp_path: Path, engine: Any) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    folder = tmp_path / "file" / "ada"
    with locked(engine, folder, ABSENT) as (handles, _):
        assert handles == ()
    with pytest.raises(DockerError, match="XDG_STATE_HOME"), locked(engine, folder, PRESENT):
        pass
