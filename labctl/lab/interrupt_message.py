"""The one sentence after an interrupted command: the state of the lab, and the command that repairs it."""

from __future__ import annotations

from labctl.engine import client as engine
from labctl.engine.labs import find_lab, leftovers
from labctl.errors import LabctlError

# A user who pressed Ctrl-C because the engine hangs does not want to wait for it again.
SECONDS = 2.0


def lab_state_sentence(name: str | None) -> str:
    """Say what is left of a lab after Ctrl-C. Never raises LabctlError: on an error it says only what to do."""
    if name is None:
        return "Interrupted: `labctl ls` shows the labs, and the next `labctl up` or `labctl down` repairs them."
    try:
        client = engine.connect(SECONDS).hurried(SECONDS)
        lab = find_lab(client, name)
        rest = lab is None and name in leftovers(client)
    except LabctlError:
        return f"Interrupted: `labctl up {name}` makes the lab {name} ready, `labctl down {name}` removes it."
    if lab is None and not rest:
        return f"Interrupted: nothing of the lab {name} is there."
    if lab is None:
        return (
            f"Interrupted: a part of the lab {name} is there; "
            f"`labctl up {name}` makes it ready, `labctl down {name}` removes it."
        )
    return (
        f"Interrupted: {len(lab.running)} of {lab.spec.servers} servers of the lab {name} run; "
        f"`labctl up {name}` makes it ready, `labctl down {name}` removes it."
    )
