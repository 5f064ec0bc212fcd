"""`labctl measure failover` as it is typed: what was measured is shown where it cannot be written."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click
import pytest

from labctl.cli import main
from labctl.cli.measure import show
from labctl.errors import ExitCode, LabctlError
from labctl.experiments.failover.measure import Result
from tests.unit.raft.failovers import failover, measurement


@pytest.mark.parametrize(
    ("ended", "code", "says"),
    [
        (None, ExitCode.FAILED, "error: x.svg could not be written"),
        (LabctlError("No leader came.", ExitCode.NOT_READY), ExitCode.NOT_READY, "error: No leader came. x.svg could"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "error: x.svg could not be written"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_measurement_that_cannot_be_written_is_shown_instead(
    capsys: pytest.CaptureFixture[str],
    ended: LabctlError | KeyboardInterrupt | None,
    code: ExitCode,
    says: str,
    as_json: bool,
) -> None:
    def fail(_: str, __: Path) -> None:
        raise LabctlError("x.svg could not be written: No space left on device.")

    result = Result(measurement(failover(1.2, 2.7, 2.75)), ended)
    end = partial(show, result, "svg", Path("x.svg"), as_json=as_json, save=fail)
    command = click.Command("failover", callback=lambda **_: end())
    command.params.append(click.Option(["--json"], is_flag=True))
    assert main.run(["--json"] if as_json else [], command=command) == code
    out, err = capsys.readouterr()
    if as_json:
        assert len(json.loads(out)["rounds"]) == 1
        assert json.loads(err)["error"] == says.removeprefix("error: ").partition("x.svg")[0] + (
            "x.svg could not be written: No space left on device."
        )
    else:
        assert "detection" in out
        assert err.startswith(says)
