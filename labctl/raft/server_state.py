"""What a story knows of one server by now: its role, its term, its candidacy, and what its log has shown of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from labctl.raft.candidacy import Candidacy
    from labctl.raft.records import Cause, EndedBy

Role = Literal["follower", "candidate", "leader"]


@dataclass
class ServerState:
    """What the story knows of one server; its role is None until a line shows it."""

    name: str
    role: Role | None = None
    term: int | None = None
    cause: Cause = "unknown"
    led: bool = False  # a line has shown that it leads, or led
    followed: datetime | None = None  # when its first line about its role said that it was a follower
    candidacy: Candidacy | None = None
    before: Candidacy | None = None  # its candidacy before, if it has been nothing else since
    needed: int | None = None  # votes that are a majority
    stood: datetime | None = None  # when it last became a candidate
    stood_before: datetime | None = None  # and when before that
    timer: datetime | None = None  # when its heartbeat or its election timer began to run
    waited: float | None = None
    was_asked: bool = True  # something may have restarted its heartbeat timer since
    tells_requests: bool = False  # its log has lines of level debug, and so those of a newer term in a request
    ending: EndedBy | None = None
    transferring: datetime | None = None
    tells_timeouts: bool = False  # its log has lines of timeouts
    asks_first: bool = False
    is_new: bool | None = None  # its lines are worded as those of Consul 1.11 and later; None where none shows it
    asks_at_once: bool = False  # it won an election of which no line says that it had asked for pre-votes
    tells: bool = False  # its log has lines of level info, or does not name levels
    moves_on: bool = False  # it stood again in a newer term, and no line says that it had asked for pre-votes
    is_back: bool = False  # Docker said that its process runs again
    last: datetime | None = None  # when it spoke last
    heard: datetime | None = None  # when it heard last that another one leads
