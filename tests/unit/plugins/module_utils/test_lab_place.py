"""A lab's place is counted and held under one lock, so that labs that start at once do not exceed a limit together."""

from __future__ import annotations

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plugins.module_utils.quota_reservation import QuotaRequest, place_for
from plugins.module_utils.shared import file_lock
from plugins.module_utils.shared.docker_api import DockerError, Engine
from tests.unit.pipes import lonely

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.stand_ins import FakeDocker

OWNER = {"raft-labctl.owner": "ada"}


@pytest.fixture
def limits(tmp_path: Path) -> Path:
    path = tmp_path / "limits.ini"
    path.write_text("[everybody]\nlabs = 2\n", encoding="utf-8")
    return path


def asked(lab: str = "ada", **changed: str) -> QuotaRequest:
    return QuotaRequest(lab, "ada", 3, changed.get("memory", "256m"), "raft-labctl/consul:1.8.7")


def labels(docker: FakeDocker) -> list[dict[str, str]]:
    return [container["Config"]["Labels"] for container in docker.objects("container").values()]


def test_without_a_file_docker_is_not_asked(docker: FakeDocker, tmp_path: Path) -> None:
    for path in (tmp_path / "none.ini", tmp_path / "none" / "limits.ini"):
        with place_for(Engine(), asked(), path, dry=False):
            assert docker.calls == []


def test_without_a_limit_for_this_owner_docker_is_not_asked(docker: FakeDocker, limits: Path) -> None:
    limits.write_text("[everybody]\nlabs = 0\n[ada]\nlabs = unlimited\n", encoding="utf-8")
    with place_for(Engine(), asked(), limits, dry=False):
        assert docker.calls == []


def test_a_place_is_held_by_a_container_with_the_labs_label_while_the_lab_is_made(
    docker: FakeDocker, limits: Path
) -> None:
    with place_for(Engine(), asked(), limits, dry=False):
        assert labels(docker) == [
            {
                "raft-labctl.lab": "ada",
                "raft-labctl.owner": "ada",
                "raft-labctl.reserved-servers": "3",
                "raft-labctl.reserved-memory": str(256 << 20),
            }
        ]
        # The lock is for counting only: the next one need not wait until this lab is up.
        with limits.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert labels(docker) == []


def test_a_place_is_given_back_whatever_happens(docker: FakeDocker, limits: Path) -> None:
    with pytest.raises(KeyboardInterrupt), place_for(Engine(), asked(), limits, dry=False):
        raise KeyboardInterrupt
    assert labels(docker) == []


def test_a_place_that_a_failed_start_has_removed_is_no_error(docker: FakeDocker, limits: Path) -> None:
    docker.answer("container", "rm", err="Error response from daemon: No such container: x", code=1)
    with place_for(Engine(), asked(), limits, dry=False):
        pass
    docker.answer("container", "rm", err="Error response from daemon: stuck", code=1)
    with pytest.raises(DockerError, match="stuck"), place_for(Engine(), asked(), limits, dry=False):
        pass


def test_a_place_that_a_killed_command_left_counts_for_others_and_is_the_labs_own(
    docker: FakeDocker, limits: Path
) -> None:
    limits.write_text("[everybody]\nlabs = 1\n", encoding="utf-8")
    reserved = {"raft-labctl.lab": "ada", "raft-labctl.reserved-servers": "3", "raft-labctl.reserved-memory": "1"}
    docker.put_container("left", labels={**OWNER, **reserved})
    with (
        pytest.raises(DockerError, match="ada has 1, this would make 2"),
        place_for(Engine(), asked("ada-2"), limits, dry=False),
    ):
        pass
    limits.write_text("[everybody]\nlabs = 0\n", encoding="utf-8")
    with place_for(Engine(), asked(), limits, dry=False):
        # What was left is removed before the servers are made, so it must not be all that holds the place.
        assert len(docker.called("create")) == 1


def test_labs_of_others_do_not_count(docker: FakeDocker, limits: Path) -> None:
    for number in range(3):
        other = {"raft-labctl.lab": f"b{number}", "raft-labctl.owner": "bob", "raft-labctl.server": "consul1"}
        docker.put_container(f"b{number}", labels=other)
    with place_for(Engine(), asked(), limits, dry=False):
        assert len(docker.called("create")) == 1


def test_a_dry_run_makes_nothing_and_refuses_all_the_same(docker: FakeDocker, limits: Path) -> None:
    with place_for(Engine(), asked(), limits, dry=True):
        assert labels(docker) == []
    limits.write_text("[ada]\nlabs = 0\n", encoding="utf-8")
    with pytest.raises(DockerError, match="at most 0 labs") as caught, place_for(Engine(), asked(), limits, dry=True):
        pass
    assert caught.value.failure == "refused"


def test_a_server_without_a_memory_limit_is_more_than_any_limit_of_memory(docker: FakeDocker, limits: Path) -> None:
    limits.write_text("[ada]\nmemory = 900g\n", encoding="utf-8")
    with (
        pytest.raises(DockerError, match="this would make unlimited"),
        place_for(Engine(), asked(memory="0"), limits, dry=False),
    ):
        pass
    with (
        pytest.raises(DockerError, match="'lots' is not an amount of memory") as caught,
        place_for(Engine(), asked(memory="lots"), limits, dry=False),
    ):
        pass
    assert caught.value.failure == "usage"
    assert docker.called("create") == []


def test_of_four_at_once_no_more_start_than_are_allowed(docker: FakeDocker, limits: Path) -> None:
    together = threading.Barrier(4)
    counted = threading.Barrier(4)

    def start(number: int) -> str:
        together.wait()
        try:
            with place_for(Engine(), asked(f"ada-{number}"), limits, dry=False):
                # Nobody has a server yet when the last one counts: only the places that are held tell.
                counted.wait()
        except DockerError as error:
            counted.wait()
            return str(error.sentence)
        return ""

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(start, range(4)))
    assert said.count("") == 2
    assert all("at most 2 labs (ada has 2, this would make 3" in sentence for sentence in said if sentence)
    assert labels(docker) == []


@pytest.fixture
def unreadable(tmp_path: Path) -> Callable[[str], Path]:
    def make(kind: str) -> Path:
        path = tmp_path / kind
        if kind == "a folder":
            path.mkdir()
        elif kind == "a pipe":
            lonely(path)
        elif kind == "a gigabyte":
            with path.open("wb") as file:
                file.truncate(1 << 30)
        else:
            path.write_bytes(b"\xff\xfe[everybody]")
        return path

    return make


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("a folder", "Is a directory"),
        ("a pipe", "it is no plain file"),
        ("bytes", "it is not UTF-8"),
        ("a gigabyte", "it is longer than a megabyte, and no file of limits is"),
    ],
)
def test_what_is_no_readable_file_starts_nothing(
    docker: FakeDocker, unreadable: Callable[[str], Path], kind: str, says: str
) -> None:
    path = unreadable(kind)
    with pytest.raises(DockerError) as caught, place_for(Engine(), asked(), path, dry=False):
        pass
    assert caught.value.sentence.startswith(
        f"The limits of this Docker host in {path} cannot be understood ({says}), so nothing was started: "
    )
    assert caught.value.failure == "failed"
    assert docker.calls == []


def test_whoever_holds_the_file_for_long_is_told(docker: FakeDocker, limits: Path) -> None:
    with limits.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with (
            pytest.raises(DockerError, match=r"Somebody has held .*`fuser -v "),
            place_for(Engine(), asked(), limits, dry=False, seconds=0.1),
        ):
            pass
    assert docker.calls == []


def test_a_file_that_was_replaced_while_it_was_waited_for_is_read_anew(docker: FakeDocker, limits: Path) -> None:
    new = limits.with_suffix(".new")
    new.write_text("[everybody]\nlabs = 0\n", encoding="utf-8")

    def replace_first(file: int) -> bool:
        if new.exists():
            new.replace(limits)
        return file_lock.try_to(file)

    with (
        pytest.raises(DockerError, match="at most 0 labs"),
        place_for(Engine(), asked(), limits, dry=True, try_to=replace_first),
    ):
        pass
    assert docker.called("create") == []
    # Nor is the old file left open, with its lock.
    assert not [path for path in Path("/proc/self/fd").iterdir() if str(limits) in os.path.realpath(path)]
