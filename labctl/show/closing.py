"""The last lines of `labctl up`: what is there now, and what to do with it."""

from __future__ import annotations

from typing import Any

from labctl.show.style import paint


def what_now(result: dict[str, Any]) -> str:
    """Say what a learner can do next with a lab that is up, or that waits to be joined."""
    lab = result["lab"]
    if result["leader"] is None:
        return (
            f"\nThe servers of the lab {paint(lab, 'bold')} wait for each other. What now:\n"
            f"  labctl logs {lab} -f --raft   watch them wait (Ctrl-C ends it)\n"
            f"  labctl join {lab}             join them, and watch the election\n"
            f"  labctl down {lab}             remove the lab"
        )
    followers = [server["name"] for server in result["servers"] if server["role"] == "follower"]
    other = followers[0] if followers else result["leader"]
    return (
        f"\nThe lab {paint(lab, 'bold')} is ready in {result['seconds']['total']:.1f}s. What now:\n"
        f"  labctl status {lab}                       who leads, who votes\n"
        f"  labctl logs {lab} -f --raft               follow what Raft does\n"
        f"  labctl stop {lab} --server {result['leader']}      stop the leader, and watch the others elect {other} or another\n"
        f"  labctl start {lab}                        bring it back\n"
        f"  labctl exec --lab {lab} {other} -- consul operator raft list-peers\n"
        f"  labctl down {lab}                         remove the lab"
    )
