"""Bytes as what somebody wrote for a time, and as labels on a Docker host: a value, one sentence, or no lab of ours."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.times import Time
from labctl.engine import labs
from labctl.errors import ExitCode
from labctl.raft import log_notes, timers
from labctl.shared import durations, label_values
from labctl.story import source
from labctl.workshop.model import expiry
from tests.fuzz import harness
from tests.unit import engine_stand_in

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CONTEXT = click.Context(click.Command("x"))
NAMES = ("lab", "owner", "server", "servers", "pace", "profile", "consul-version", "http-port", "workshop", "number")
SEEDS = [
    b"30s", b"1.5h", b"10m", b"999999d", b"2021-01-24T00:02:16+05:30", b"2026-11-24T18:00:00Z", b"1m2.5s", b"3",
    b"0001-01-01T00:00:00-23:59", b"ada", b"consul1", b"teach", b"1.8.7", b"gossip",
    b"ada\0eve\0consul1\0003\0teach\0gossip\0001.8.7\0",
    b'2021-01-24T00:00:00.000Z [WARN]  labctl.fault: fault began: id=ab12cd servers=consul1 what="kill" seconds=30',
]  # fmt: skip


def _refuses(read: Callable[[str], Any], text: str) -> None:
    error = harness.refusal(lambda: read(text))
    assert error is None or error.code is ExitCode.USAGE
    # Every character may be written as its number.
    assert error is None or len(error.sentence) < 12 * len(text) + 500


def one_try(data: bytes) -> None:
    """Read this text as every kind of time, and its pieces as labels."""
    text = data.decode("utf-8", "replace")[:2000]
    with contextlib.suppress(click.UsageError):
        Time().convert(text, None, CONTEXT)
    for read in (
        lambda text: source.moment(text, NOW),
        lambda text: expiry.end_of(text, NOW.timestamp()),
        expiry.seconds_of,
    ):
        _refuses(read, text)
    for any_text in (timers.seconds_of, durations.go_milliseconds, label_values.moment, log_notes.last):
        any_text(text)
    labels = {f"raft-labctl.{name}": value for name, value in zip(NAMES, text.split("\0"), strict=False)}
    labs_found = labs.labs_from([engine_stand_in.container("ada", "consul1", labels=labels)], "local")
    for lab in labs_found:
        assert lab.spec.servers in {1, 3, 5, 7}
        assert len(lab.missing) < 8
