"""The Docker host's machine, as a lab's modules see it, and their waits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Machine:
    """The machine, as a module sees it.

    Attributes:
        routes: where the kernel lists its routes.
        sleep: lets time pass.
        busy: how many seconds to wait while the engine finishes work for a killed command.
        answer: how many seconds a server may take to report who is in its cluster.
        leave: how many seconds the others may take to report that a server has left.
    """

    routes: Path = Path("/proc/net/route")
    sleep: Callable[[float], None] = time.sleep
    busy: float = 0.5
    answer: float = 2.0
    leave: float = 30.0


MACHINE = Machine()
