"""Whether the labctl that started Ansible is still there."""

from __future__ import annotations

import os
import subprocess

import pytest

from labctl.portable import lab_asker


def test_who_is_there_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not lab_asker.is_gone()
    monkeypatch.setenv(lab_asker.ASKER, lab_asker.name_of(os.getpid()))
    assert not lab_asker.is_gone()


def test_a_process_that_ended_and_another_of_its_number_are_not_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        asker = lab_asker.name_of(process.pid)
        assert asker.startswith(f"{process.pid} ")
        process.kill()
    assert lab_asker.name_of(process.pid) == ""
    monkeypatch.setenv(lab_asker.ASKER, asker)
    assert lab_asker.is_gone()
    monkeypatch.setenv(lab_asker.ASKER, f"{os.getpid()} 1")
    assert lab_asker.is_gone()


@pytest.mark.parametrize("asker", ["x", "-1 5", "1_0 5", "²", " 1", "9" * 5000, "9" * 11])
def test_what_is_no_process_tells_nothing(asker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lab_asker.ASKER, asker)
    assert not lab_asker.is_gone()
