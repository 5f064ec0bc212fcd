"""The name of a lab that no inventory names: its host's name, and on this machine its user's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = "localhost"


def lab_of_host(host: str) -> str:
    """The lab of an inventory host. Two users without an inventory do not want to share one lab."""
    if host != HERE:
        return host
    return os.environ.get("LABCTL_LAB") or os.environ.get("USER") or "root"


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Callable[[str], str]]:
        """Return the filter by its name."""
        return {"lab_of_host": lab_of_host}
