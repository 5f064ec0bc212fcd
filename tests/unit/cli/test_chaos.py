"""`labctl chaos` as it is typed: what was found is written somewhere, and the exit code says what went wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from labctl import output_files
from labctl.cli import main
from labctl.errors import ExitCode, LabctlError
from labctl.experiments.chaos import run as flow
from labctl.experiments.chaos.report import report_of
from tests.unit.experiments.chaos.chaos_run import run

if TYPE_CHECKING:
    from pathlib import Path


def ran(monkeypatch: pytest.MonkeyPatch, *words: str, **changed: Any) -> int:
    """Type it, for a run that ends with this report."""
    report = report_of(replace(run(), **changed))
    monkeypatch.setattr(flow, "run", lambda *_: report)
    return main.run(["chaos", "ada", *words])


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, ExitCode.FAILED),
        ({"final": None}, ExitCode.NOT_READY),
        ({"interrupted": True}, ExitCode.INTERRUPTED),
    ],
)
def test_a_problem_at_the_end_is_told_beside_the_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], code: ExitCode
) -> None:
    problem = "history.jsonl could not be written: No space left on device."
    assert ran(monkeypatch, "--json", problems=(problem,), **changed) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["problems"] == [problem]
    assert json.loads(err) == {"error": problem, "code": code}
    assert ran(monkeypatch, **changed) == {ExitCode.FAILED: ExitCode.DONE}.get(code, code)


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_report_that_cannot_be_written_is_shown_instead(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    def fail(_: str, path: Path) -> None:
        raise LabctlError(f"{path} could not be written: No space left on device.")

    monkeypatch.setattr(output_files, "save", fail)
    page = tmp_path / "chaos.html"
    assert ran(monkeypatch, "--format", "html", "-o", str(page), *words) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert "No space left on device" in err
    if words:
        assert json.loads(out)["verdict"] == "valid"
    else:
        assert "valid: Consul kept every promise" in out
