"""`labctl measure failover` as it is typed: what was measured is shown where it cannot be written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from labctl import output_files
from labctl.cli import main
from labctl.errors import ExitCode, LabctlError
from labctl.experiments.failover import measure
from tests.unit.raft.failovers import failover, measurement

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("ended", "code", "says"),
    [
        (None, ExitCode.FAILED, "error: x.svg could not be written"),
        (LabctlError("No leader came.", ExitCode.NOT_READY), ExitCode.NOT_READY, "error: No leader came. x.svg could"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "error: x.svg could not be written"),
    ],
)
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_measurement_that_cannot_be_written_is_shown_instead(  # noqa: PLR0913, PLR0917 - every way to end
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ended: LabctlError | KeyboardInterrupt | None,
    code: ExitCode,
    says: str,
    words: tuple[str, ...],
) -> None:
    def fail(_: str, __: Path) -> None:
        raise LabctlError("x.svg could not be written: No space left on device.")

    monkeypatch.setattr(measure, "failover", lambda *_: measure.Result(measurement(failover(1.2, 2.7, 2.75)), ended))
    monkeypatch.setattr(output_files, "save", fail)
    assert main.run(["measure", "failover", "ada", "--format", "svg", "-o", "x.svg", *words]) == code
    out, err = capsys.readouterr()
    if words:
        assert len(json.loads(out)["rounds"]) == 1
        assert json.loads(err)["error"] == says.removeprefix("error: ").partition("x.svg")[0] + (
            "x.svg could not be written: No space left on device."
        )
    else:
        assert "detection" in out
        assert err.startswith(says)
