"""A chaos run that is made up."""

from __future__ import annotations

from datetime import UTC, datetime

from labctl.experiments.chaos.history import Final, Operation
from labctl.experiments.chaos.report import Disturbance, LeadershipSpan, Run
from labctl.experiments.chaos.schedule import Step


def run() -> Run:
    """Ten seconds: consul1 leads, is killed from 2 to 5, and consul2 takes over."""
    servers = ("consul1", "consul2", "consul3")
    operations = [Operation(0.0, 0.1, "creator", "consul1", "cas", "register/a", "done", "v0")]
    for number, server in enumerate(servers):
        for at in range(10):
            down = server == "consul1" and 2 <= at < 5
            adder, reader = f"adder{number + 1}", f"reader{number + 1}"
            begin, key = at + 0.2, f"set/{adder}:{at}"
            operations += [
                Operation(begin, begin + 0.01, adder, server, "add", key, "refused" if down else "done", "x"),
                Operation(
                    begin, begin + 0.02, reader, server, "read", "register/a", "unanswered" if down else "done",
                    None if down else "v0", None, 7, "consistent",
                ),
            ]  # fmt: skip
    added = [operation.key for operation in operations if operation.kind == "add" and operation.outcome == "done"]
    killed = Step(2.0, 3.0, "kill", ("leader",))
    left_out = Step(6.0, 1.0, "pause", ("leader",))
    return Run(
        "ada", "1.8.7", servers, 7, 10.0, ("kill", "pause"), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 10.0,
        (
            Disturbance(killed, "abc123", "kill consul1", ("consul1",), 2.0, 5.0),
            Disturbance(left_out, "", "pause leader", (), 6.0, 6.0, "nobody leads"),
        ),
        tuple(sorted(operations, key=lambda operation: operation.begin)),
        Final(dict.fromkeys(added, "x"), {"register/a": "v0"}),
        (LeadershipSpan("consul1", 2, 0.0, 2.0), LeadershipSpan("consul2", 3, 4.0, 10.0)),
        0.7,
    )  # fmt: skip
