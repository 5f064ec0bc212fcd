"""The members of a lab as the gossip of one of its servers sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.errors import LabctlError

if TYPE_CHECKING:
    from labctl.engine.labs import Lab

# serf.MemberStatus (serf/member.go): none, alive, leaving, left, failed.
_STATES = ("none", "alive", "leaving", "left", "failed")


@dataclass(frozen=True)
class Member:
    """One member: `state` is Serf's word for it, `build` the Consul version that it says it is."""

    name: str
    address: str
    state: str
    kind: str
    build: str
    datacenter: str

    def row(self) -> dict[str, str]:
        """The JSON shape."""
        return {
            "name": self.name,
            "address": self.address,
            "state": self.state,
            "type": self.kind,
            "build": self.build,
            "datacenter": self.datacenter,
        }


def seen_from(document: dict[str, Any]) -> Member:
    """One entry of /v1/agent/members."""
    tags = document.get("Tags") or {}
    status = document.get("Status")
    return Member(
        name=str(document.get("Name", "")),
        address=f"{document.get('Addr', '')}:{document.get('Port', '')}",
        state=_STATES[status] if isinstance(status, int) and 0 <= status < len(_STATES) else "none",
        kind="server" if tags.get("role") == "consul" else "client",
        build=str(tags.get("build", "")).partition(":")[0],
        datacenter=str(tags.get("dc", "")),
    )


def read(lab: Lab) -> list[Member]:
    """Ask the first server that answers with members. Raises LabctlError where none does."""
    said = ""
    for server in lab.running:
        if server.api is None:
            continue
        try:
            members = [seen_from(member) for member in server.api.request("GET", "/v1/agent/members") or []]
        except (OSError, ValueError) as error:
            said = f" ({server.name}: {error})"
        except (AttributeError, TypeError):
            # Whatever answers at this port, another server may still be one.
            said = f" ({server.name}: answered with something that is no list of members)"
        else:
            return sorted(members, key=lambda member: member.name)
    raise LabctlError(f"No server of the lab {lab.name} answers{said}: `labctl status {lab.name}` shows their state.")
