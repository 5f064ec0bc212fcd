"""The handles that experiments need beyond those of faults: reads, writes, logs and the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.engine import client, labs, logs
from labctl.engine.kv import Store
from labctl.faults import tools
from labctl.lab.experiment_lock import exclusive_lab_lock
from labctl.shared.waiting import CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab
    from labctl.engine.logs import LogLine
    from labctl.shared.consul_client import ConsulClient


@dataclass(frozen=True)
class ExperimentTools(tools.Tools):
    """Everything outside that an experiment needs; each raises LabctlError.

    Attributes:
        find_lab: the lab of a name as it is now, or None.
        read_logs: of servers, since a time.
        store: a server's keys.
        exclusive_lab_lock: hold a lab, so that nobody else breaks it.
        host_name: what the Docker host is called.
        time: by which to wait.
    """

    find_lab: Callable[[Client, str], Lab | None] = labs.find_lab
    read_logs: Callable[..., Iterable[LogLine]] = logs.read
    store: Callable[[ConsulClient, str, float], Store] = Store
    exclusive_lab_lock: Callable[[Lab, str, str, float], AbstractContextManager[Callable[[], None]]] = (
        exclusive_lab_lock
    )
    host_name: Callable[[], str] = client.host_name
    time: Clock = CLOCK


TOOLS = ExperimentTools()
