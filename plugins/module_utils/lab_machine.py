"""What a lab's modules look at and wait for on the Docker host's machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Machine:
    """The machine, as a module meets it.

    Attributes:
        routes: where the kernel lists its routes.
        sleep: lets time pass.
        busy: so long, in seconds, what the engine still does for a command that was killed is waited for.
        answer: so long a server may take to say who is in its cluster.
        leave: so long the others may take to say that a server has left.
    """

    routes: Path = Path("/proc/net/route")
    sleep: Callable[[float], None] = time.sleep
    busy: float = 0.5
    answer: float = 2.0
    leave: float = 30.0


MACHINE = Machine()
