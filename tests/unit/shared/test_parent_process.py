"""Whether the labctl that started Ansible is still there."""

from __future__ import annotations

import os
import subprocess

import pytest

from labctl.shared import parent_process


def test_who_is_there_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not parent_process.is_gone()
    monkeypatch.setenv(parent_process.ASKER, parent_process.name_of(os.getpid()))
    assert not parent_process.is_gone()


def test_a_process_that_ended_and_another_of_its_number_are_not_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        asker = parent_process.name_of(process.pid)
        assert asker.startswith(f"{process.pid} ")
        process.kill()
    assert parent_process.name_of(process.pid) == ""
    monkeypatch.setenv(parent_process.ASKER, asker)
    assert parent_process.is_gone()
    monkeypatch.setenv(parent_process.ASKER, f"{os.getpid()} 1")
    assert parent_process.is_gone()


@pytest.mark.parametrize("asker", ["x", "-1 5", "1_0 5", "²", " 1", "9" * 5000, "9" * 11])
def test_what_is_no_process_tells_nothing(asker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(parent_process.ASKER, asker)
    assert not parent_process.is_gone()
