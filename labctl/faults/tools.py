"""The handles that faults need: the engine, the servers, the clock. A caller may pass others."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.engine import client, clock, labs, status
from labctl.faults import inject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from labctl.engine.client import Client
    from labctl.engine.clock import Difference, HostClock
    from labctl.engine.docker_host import DockerHost
    from labctl.engine.labs import Lab, Server
    from labctl.engine.status import Status
    from labctl.faults.inject import ActiveFault
    from labctl.faults.nftables import Change


@dataclass(frozen=True)
class Tools:
    """Everything outside that a fault needs; each raises LabctlError.

    Attributes:
        connect: to the engine.
        choose_lab: the lab that is meant.
        ask: what a lab's servers say.
        difference: how far a Docker host's clock is ahead.
        change: put a fault into servers' networks.
        signal: kill, stop, start, pause or unpause servers.
        states_of: Docker's word for how servers are.
        note: write a line into servers' logs.
        last_words: what was noted there last.
        active: the faults of the network that a lab has.
        lift: take faults out of servers' networks.
        transfer: make a leader transfer its leadership.
        done_by: when Docker had done something to a server.
        start_process: of the kind of subprocess.Popen.
    """

    connect: Callable[[], Client] = client.connect
    choose_lab: Callable[[Client, str | None, str], Lab] = labs.choose_lab
    ask: Callable[[Lab], Status] = status.ask
    difference: Callable[[DockerHost], Difference | None] = clock.difference
    change: Callable[[Lab, Mapping[str, Change], str, str, float, HostClock], None] = inject.change
    signal: Callable[[str, Iterable[Server]], None] = inject.signal
    states_of: Callable[[Sequence[Server]], dict[str, str]] = inject.states_of
    note: Callable[[Iterable[Server], str], None] = inject.note
    last_words: Callable[[Server], str] = inject.last_words
    active: Callable[[Client, Lab], list[ActiveFault]] = inject.active
    lift: Callable[[Lab, str | None], dict[str, set[str]]] = inject.heal
    transfer: Callable[[Server, str | None], None] = inject.transfer
    done_by: Callable[[Server, str, datetime, datetime], datetime | None] = inject.done_by
    start_process: Callable[..., Any] = subprocess.Popen

    def clock(self, place: DockerHost) -> HostClock:
        """The clock of a Docker host, asked once."""
        return clock.clock_from(self.difference(place))


TOOLS = Tools()
