"""The timeline of a failover from the servers' logs, as soon as it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from labctl.engine import logs
from labctl.raft.event import Event
from labctl.raft.failover import timeline_of
from labctl.story.source import of_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab
    from labctl.engine.logs import LogLine
    from labctl.raft.failover import FailoverTimeline


def told_by_logs(
    client: Client,
    lab: Lab,
    lost: Container[str],
    since: datetime,
    read: Callable[..., Iterable[LogLine]] = logs.read,
) -> FailoverTimeline | None:
    """Read the survivors' logs. None where they have no new leader yet; Docker may deliver a line a moment late.

    Args:
        client: the lab's engine.
        lab: as it is now.
        lost: the servers that were taken away, by name.
        since: not earlier than this; by the Docker host's clock.
        read: reads the logs.
    """
    others = tuple(server for server in lab.servers if server.name not in lost)
    lines = read(client, list(others), since=(since - timedelta(seconds=1)).timestamp())
    records = of_lines(replace(lab, servers=others), lines).records()
    events = (record for record in records if isinstance(record, Event))
    return timeline_of(sorted(events, key=_when), since)


def _when(event: Event) -> datetime:
    return event.time or datetime.min.replace(tzinfo=UTC)
