"""The last lines of `labctl up`: what is there now, and what to do with it."""

from __future__ import annotations

from typing import Any

from labctl.show.style import harmless, paint


def what_now(result: dict[str, Any]) -> str:
    """Say what a learner can do next with a lab that is up, or that waits to be joined."""
    lab = result["lab"]
    if result["leader"] is None:
        lines = [
            (f"labctl logs {lab} -f --raft", "watch them wait (Ctrl-C ends it)"),
            (f"labctl join {lab}", "join them, and watch the election"),
            (f"labctl down {lab}", "remove the lab"),
        ]
        return f"\nThe servers of the lab {paint(lab, 'bold')} wait for each other. What now:\n{_commands(lines)}"
    leader = result["leader"]
    lines = [
        (f"labctl status {lab}", "who leads, who votes"),
        (f"labctl logs {lab} -f --raft", "follow what Raft does (Ctrl-C ends it)"),
        (f"labctl exec --lab {lab} {leader} -- consul operator raft list-peers", "ask Consul itself"),
    ]
    if len(result["servers"]) > 1:
        lines += [
            (f"labctl stop {lab} --server {leader}", "stop the leader, and watch the others elect a new one"),
            (f"labctl start {lab}", "bring it back"),
        ]
    lines.append((f"labctl down {lab}", "remove the lab"))
    return f"\n{_ready(result)} What now:\n{_commands(lines)}"


def _ready(result: dict[str, Any]) -> str:
    lab = paint(result["lab"], "bold")
    return f"The lab {lab} is ready in {result['seconds']['total']:.1f}s."


def _commands(lines: list[tuple[str, str]]) -> str:
    width = max(len(harmless(command)) for command, _ in lines)
    return "\n".join(f"  {harmless(command):<{width}}  {paint(text, 'dim')}" for command, text in lines)
