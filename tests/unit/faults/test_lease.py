"""The process that ends a fault later: this labctl, from wherever it was called, and nothing out of that folder."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import labs
from labctl.faults import processes
from labctl.faults.context import FaultRequest
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from pathlib import Path

LAB = labs.labs_from(stand_in.lab("ada"), "local")[0]


class Lease:
    """The process that ends a fault, to its end; `path` has what it writes, which nobody sees otherwise."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, words: list[str], **how: Any) -> None:
        with self.path.open("wb") as file:
            process = subprocess.Popen(words, **{**how, "stdout": file, "stderr": file})
        assert process.wait(60) != 0

    def read_text(self) -> str:
        return self.path.read_text(encoding="utf-8")


@pytest.fixture
def said(tmp_path: Path) -> Lease:
    return Lease(tmp_path / "said")


@pytest.mark.parametrize("path", ["", ".", "relative"])
def test_a_folder_called_labctl_where_somebody_typed_is_not_run(
    path: str, said: Lease, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in (tmp_path, tmp_path / "relative"):
        for name in ("labctl", "click"):
            (folder / name).mkdir(parents=True)
            (folder / name / "__init__.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("DOCKER_HOST", "unix://no-engine.sock")
    processes.heal_later("abc123", 0.01, LAB, FaultRequest("ada", "ada"), said.start, again=0.01)
    assert not (tmp_path / "pwned").exists()
    # It was our labctl, and it asked the engine of the folder in which somebody typed.
    assert f"No Docker Engine answers at unix://{tmp_path}/no-engine.sock" in said.read_text()


def test_a_labctl_that_is_not_installed_finds_itself(said: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(processes.FOUND_HERE)
    # As a checkout: nothing on the path knows labctl, but for the folder that it was loaded from.
    start = (
        f"import sys; sys.path[:] = [one for one in sys.path if one != {root!r}]; sys.meta_path[:] = [one for one in "
    )
    start += "sys.meta_path if 'editable' not in repr(one)]; " + processes.START
    this_labctl = (sys.executable, "-P", "-c", start, root)
    monkeypatch.setenv("DOCKER_HOST", "unix:///no-engine.sock")
    processes.heal_later("abc123", 0.01, LAB, FaultRequest("ada", "ada"), said.start, this_labctl, again=0.01)
    assert "No Docker Engine answers at unix:///no-engine.sock" in said.read_text()


@pytest.mark.parametrize(("codes", "times"), [((0,), 1), ((1, 0), 2), ((1, 1, 1, 0), 3), ((4, 0), 1), ((2, 0), 1)])
def test_a_heal_that_failed_is_tried_again(tmp_path: Path, codes: tuple[int, ...], times: int) -> None:
    heal = tmp_path / "heal"
    heal.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\nset -- {" ".join(map(str, codes))}\n'
        f"shift $(($(wc -l <{tmp_path}/asked) - 1))\nexit $1\n",
        encoding="utf-8",
    )
    heal.chmod(0o755)
    ended: list[int] = []

    def start(words: list[str], **how: Any) -> None:
        ended.append(subprocess.run(words, **how, timeout=30, check=False).returncode)

    processes.heal_later("abc123", 0.01, LAB, FaultRequest("ada", "ada"), start, (str(heal),), again=0.01)
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "fault heal abc123 --lab ada\n" * times
    assert ended == [codes[times - 1]]


def test_what_the_docker_command_looks_for_here_is_found_from_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "DOCKER_CONFIG": "config",
        "DOCKER_CERT_PATH": "/certs",
        "DOCKER_HOST": "unix://sock",
        "PYTHONPATH": ":/lib:.",
    }
    assert processes.from_anywhere(given) == {
        "DOCKER_CONFIG": f"{tmp_path}/config",
        "DOCKER_CERT_PATH": "/certs",
        "DOCKER_HOST": f"unix://{tmp_path}/sock",
        "PYTHONPATH": "/lib",
    }
    other = {"DOCKER_HOST": "ssh://ada@host", "HOME": "/home/ada"}
    assert processes.from_anywhere(other) == other
