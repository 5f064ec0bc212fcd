"""Lines of three servers, one of which leads, by the second in which they were written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from labctl.raft.collection import Collection, collect
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from labctl.raft.server_names import Names

BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)
LEADS = (0.0, "consul1", "[INFO]  agent.server.raft: entering leader state")
MISSED = "[WARN]  agent.server.raft: heartbeat timeout reached, starting election: last-leader=10.0.0.1:8300"
OUT_OF_REACH = "[WARN]  agent.server.raft: failed to contact: server-id=10.0.0.2:8300 time=501ms"
STARTS = "[INFO]  agent.server.raft: initial configuration: index=1 servers=[]"
FOLLOWS = '[INFO]  agent.server.raft: entering follower state: follower="Node at {}:8300 [Follower]" leader='
MET = '[INFO]  agent.server.raft: pipelining replication: peer="{Voter 10.0.0.2:8300 10.0.0.2:8300}"'


def told(*lines: tuple[float, str, str], complete: bool = True) -> Collection:
    names = Names()
    for number in (1, 2, 3):
        names.add(f"consul{number}", f"10.0.0.{number}")
    events = []
    for second, server, text in lines:
        stamp = (BEGIN + timedelta(seconds=second)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = read_line(f"{stamp} {text}", server=server, line_no=1)
        assert event is not None
        events.append(event)
    return collect(records(events, names=names, complete=complete))
