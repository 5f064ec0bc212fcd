"""`labctl chaos` as it is typed: what was found is written somewhere, and the exit code says what went wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import pytest

from labctl.cli import main
from labctl.cli.chaos import shown
from labctl.errors import ExitCode, LabctlError
from labctl.experiments.chaos.report import report_of
from tests.unit.experiments.chaos.chaos_run import run

if TYPE_CHECKING:
    from pathlib import Path


def ran(form: str, output: Path | None = None, *, as_json: bool = False, save: Any = None, **changed: Any) -> int:
    """The end of `labctl chaos`, for a run that ends with this report."""
    report = report_of(replace(run(), **changed))
    command = click.Command("chaos", callback=lambda **_: shown(report, form, output, as_json=as_json, save=save))
    command.params.append(click.Option(["--json"], is_flag=True))
    return main.run(["--json"] if as_json else [], command=command)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, ExitCode.FAILED),
        ({"final": None}, ExitCode.NOT_READY),
        ({"interrupted": True}, ExitCode.INTERRUPTED),
    ],
)
def test_a_problem_at_the_end_is_told_beside_the_report(
    capsys: pytest.CaptureFixture[str], changed: dict[str, Any], code: ExitCode
) -> None:
    problem = "history.jsonl could not be written: No space left on device."
    assert ran("json", as_json=True, problems=(problem,), **changed) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["problems"] == [problem]
    assert json.loads(err) == {"error": problem, "code": code}
    assert ran("text", **changed) == {ExitCode.FAILED: ExitCode.DONE}.get(code, code)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_report_that_cannot_be_written_is_shown_instead(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, as_json: bool
) -> None:
    def fail(_: str, path: Path) -> None:
        raise LabctlError(f"{path} could not be written: No space left on device.")

    page = tmp_path / "chaos.html"
    assert ran("html", page, as_json=as_json, save=fail) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert "No space left on device" in err
    if as_json:
        assert json.loads(out)["verdict"] == "valid"
    else:
        assert "valid: Consul kept every promise" in out
