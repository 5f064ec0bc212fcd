"""What `labctl fault` does, verb by verb: break something of a running lab on purpose, and mend it."""

from __future__ import annotations

from labctl.flows.fault.healing import active, heal, ls
from labctl.flows.fault.leadership import transfer
from labctl.flows.fault.network import LEASE_SECONDS, delay, isolate, loss, one_way, partition, rate
from labctl.flows.fault.processes import Struck, process, strike
from labctl.flows.fault.scene import Asked, in_turn

__all__ = [
    "LEASE_SECONDS",
    "Asked",
    "Struck",
    "active",
    "delay",
    "heal",
    "in_turn",
    "isolate",
    "loss",
    "ls",
    "one_way",
    "partition",
    "process",
    "rate",
    "strike",
    "transfer",
]
