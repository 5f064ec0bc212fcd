"""What becomes of the cluster and of its log, in words: members, snapshots, disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.raft.membership import changed_in, command_of, majority, members_in, voters_in
from labctl.shared.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from labctl.raft.event import Event
    from labctl.raft.membership import Member

LONGEST_REASON = 80


def _peer(event: Event) -> str:
    return event.peer or "another server"


def _because(event: Event) -> str:
    """The end of what an error says: `write raft.db: no space left on device` says more than a learner needs."""
    error = event.values.get("error", "").rpartition(": ")[2].strip()
    return f": {error[:LONGEST_REASON]}" if error else ""


def _majority_of(members: tuple[Member, ...] | None) -> str:
    voters = voters_in(members)
    return "" if voters is None else f"a majority is {majority(voters)} of {voters}"


def _config_initial(event: Event) -> str | None:
    members = members_in(event.values.get("servers"))
    voters = voters_in(members)
    if members is None or voters is None:
        return None
    others = len(members) - voters
    known = f"{counted(voters, 'voter')} and {counted(others, 'non-voter')}" if others else None
    return f"knows {known or counted(voters, 'server')} when it starts: {_majority_of(members)}"


_ADDED = {"none": "adds {} as a voter", "nonvoter": "makes {} a voter"}


def _config_change(event: Event) -> str:
    members = members_in(event.values.get("servers"))
    voters = _majority_of(members)
    now = f": {voters} now" if voters else ""
    command, is_now, was = command_of(event), changed_in(event, members), event.values.get("was")
    if command == "peers":
        listed = "the servers again" if members is None else f"{counted(len(members), 'server')} now"
        return f"lists {listed}{f': {voters}' if voters else ''}"
    who = _peer(event)
    if command == "remove":
        return f"removes {who}, a non-voter" if was == "nonvoter" else f"removes {who}{now}"
    if command == "demote":
        return f"makes {who} a non-voter{now}"
    # Raft then only writes down its address, which may be the same as before.
    noted = f"adds {who} again: it is a member already"
    if command == "vote":
        return noted if was == "voter" else f"{_ADDED.get(was or '', 'has {} as a voter').format(who)}{now}"
    if command == "follow":
        return noted if is_now == "voter" or was == "nonvoter" else f"adds {who} as a non-voter"
    return f"changes who is in the cluster{now}"


def _autopilot_remove(event: Event) -> str:
    who, why = _peer(event), event.values.get("why", "")
    if why == "duplicate":
        return f"has removed an older server that had the address {who}"
    if why.startswith("stale"):
        return f"removes {who} from the cluster: gossip does not know it"
    return f"removes the failed server {who} from the cluster"


def _autopilot_spare(event: Event) -> str:
    who = f"the failed server {event.peer}" if event.peer else "the failed servers"
    return f"does not remove {who}: too few voters would be left"


def _flapped(event: Event) -> str:
    did = "gained and lost" if event.values.get("what", "").lower().startswith("gained") else "lost and regained"
    return f"{did} leadership at once: its network, memory or CPU may be too slow"


def _snapshot_taken(event: Event) -> str:
    index = event.values.get("index")
    return f"has taken a snapshot{f', up to entry {index}' if index else ''}"


def _snapshot_restored(event: Event) -> str:
    if event.values.get("whose", "").lower() == "user":
        return "has replaced the cluster's data with a snapshot that a user restored"
    return "has restored its data from a snapshot"


def _log_write_failed(event: Event) -> str:
    # A leader that cannot write steps down (raft.go, dispatchLogs).
    led = ", and gives up leadership" if event.values.get("what", "").lower() == "commit" else ""
    return f"cannot write to its log{led}{_because(event)}"


def _log_damaged(event: Event) -> str:
    if event.values.get("where", "").lower() == "storage":
        return "finds that its disk has damaged its log"
    return "finds entries that were damaged on their way from the leader"


def _log_store(event: Event) -> str:
    store = event.values.get("store", "").lower()
    if store in {"bolt", "wal"}:
        return f"keeps its log in {'BoltDB' if store == 'bolt' else 'a write-ahead log'}"
    return "keeps its log in BoltDB, whose file is there, and not in the write-ahead log that is set"


SENTENCES: Mapping[str, Callable[[Event], str | None]] = {
    "autopilot_promote": lambda event: f"is about to make {_peer(event)} a voter",
    "autopilot_demote": lambda event: f"is about to make {_peer(event)} a non-voter",
    "autopilot_remove": _autopilot_remove,
    "autopilot_spare": _autopilot_spare,
    "config_initial": _config_initial,
    "config_change": _config_change,
    "bootstrap_failed": lambda event: f"could not make them the cluster{_because(event)}",
    "leadership_flapped": _flapped,
    "barrier_failed": lambda event: f"could not commit its first entry as leader{_because(event)}",
    "snapshot_taken": _snapshot_taken,
    "snapshot_sent": lambda event: f"sends {_peer(event)} a snapshot: it is too far behind for the log alone",
    "snapshot_restored": _snapshot_restored,
    "snapshot_failed": lambda event: f"cannot {event.values.get('what', 'make').lower()} a snapshot{_because(event)}",
    "log_write_failed": _log_write_failed,
    "vote_write_failed": lambda event: f"cannot record its vote, so it does not vote{_because(event)}",
    "log_damaged": _log_damaged,
    "log_store": _log_store,
}
