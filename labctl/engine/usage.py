"""How much of this Docker host's limits an owner uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.engine import foreign_labels
from labctl.engine.client import TIMEOUT_SECONDS, explained
from labctl.shared import lab_names, quotas
from labctl.shared.docker_api import Engine

if TYPE_CHECKING:
    from labctl.shared.quotas import Use


def used_by(owner: str) -> Use:
    """The labs and servers of an owner, and their memory limits in bytes. Raises LabctlError."""
    with explained():
        of_owner = {"label": f"{lab_names.LABEL_OWNER}={owner}"}
        containers = Engine(TIMEOUT_SECONDS).containers(of_owner, doing=f"counting what {owner} has")
    claims = quotas.claims_in(foreign_labels.left_out("container", containers), lab_names.LABEL_PREFIX)
    return sum(quotas.uses(claims).values(), quotas.Use())
