"""The last lines of `labctl up`."""

from __future__ import annotations

from typing import Any

from labctl.show.closing import what_now

RESULT: dict[str, Any] = {
    "lab": "ada",
    "changed": True,
    "leader": "consul2",
    "servers": [{"name": f"consul{number}"} for number in (1, 2, 3)],
    "seconds": {"total": 6.04},
}


def test_a_ready_lab_is_told_with_what_to_try() -> None:
    text = what_now(RESULT)
    assert "The lab ada is ready in 6.0s." in text
    assert "labctl stop ada --server consul2 " in text
    assert "labctl exec --lab ada consul2 -- consul operator raft list-peers" in text
    assert "labctl down ada" in text


def test_a_lab_of_one_server_cannot_elect_another_leader() -> None:
    assert "labctl stop" not in what_now({**RESULT, "servers": [{"name": "consul2"}]})


def test_a_lab_that_waits_is_told_with_the_join() -> None:
    text = what_now({**RESULT, "leader": None})
    assert "wait for each other" in text
    assert "labctl join ada" in text
    assert "labctl stop" not in text
