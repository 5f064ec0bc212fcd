"""Bytes as what a server, or whatever is behind its port, answers: a view of it, or a view with a problem."""

from __future__ import annotations

import json
from typing import Any

from labctl.engine import members
from labctl.shared import server_status
from labctl.shared.server_status import Member

_RAFT = {
    "state": "Leader", "term": "2", "applied_index": "10", "commit_index": "10", "last_contact": "1m2.5s",
    "latest_configuration": "[{Suffrage:Voter ID:a Address:10.0.0.1:8300} {Suffrage:Voter ID:b Address:10.0.0.2:8300}]",
}  # fmt: skip
_SELF: dict[str, Any] = {
    "Config": {"NodeName": "consul1", "NodeID": "u", "Datacenter": "ada"},
    "Stats": {"raft": _RAFT, "serf_lan": {"members": "3"}, "consul": {"leader_addr": "10.0.0.1:8300"}},
    "Member": {"Tags": {"acls": "1"}},
}
_OLD = {"Stats": {"raft": {"state": "Follower", "term": "3"}}}
SEEDS = [
    json.dumps(_SELF).encode(),
    # A number, or a list, where a text should be.
    json.dumps({"Stats": {"raft": {**_RAFT, "latest_configuration": 5}}}).encode(),
    json.dumps({"Stats": {"raft": {**_RAFT, "last_contact": "1" * 60_000, "term": [1]}}}).encode(),
    json.dumps(_OLD).encode(),
    b'["10.0.0.1:8300"]',
    b"null",
    b"[]",
    b"{}",
]


class ConsulClient:
    """Answers every question with the same bytes, as the real one reads them."""

    def __init__(self, data: bytes) -> None:
        self._text = data.decode("utf-8", "replace")

    def request(self, method: str, path: str, body: bytes | None = None, timeout: float = 2.0) -> Any:  # noqa: ARG002
        """Raise ValueError where it is no JSON."""
        try:
            return json.loads(self._text) if self._text.strip() else None
        except RecursionError as error:
            raise ValueError("its JSON is nested too deeply") from error


def one_try(data: bytes) -> None:
    """Ask a server that answers like that."""
    api = ConsulClient(data)
    view = server_status.read_view(Member("consul1", "10.0.0.1", api))
    server_status.disagreement([view])
    server_status.describe(view)
    server_status.likely_cause([view])
    try:
        document = api.request("GET", "/")
    except ValueError:
        return
    for member in document if isinstance(document, list) else []:
        if isinstance(member, dict):
            members.seen_from(member)
