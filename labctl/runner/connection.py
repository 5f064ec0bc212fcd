"""How Ansible reaches the Docker host that DOCKER_HOST names: by its own SSH, with the same checks as labctl's."""

from __future__ import annotations

from typing import Any

from labctl.engine import client as engine
from labctl.engine.ssh_command import ALIVE_SECONDS, ALIVE_TIMES, CONNECT_SECONDS, address_of

# Host keys must be known, nobody is asked for a password, and a lost host is noticed: Ansible keeps its
# connections for a minute, and would go on waiting on one to a host that has restarted.
SSH_ARGUMENTS = (
    f"-o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout={CONNECT_SECONDS} "
    f"-o ServerAliveInterval={ALIVE_SECONDS} -o ServerAliveCountMax={ALIVE_TIMES}"
)


def connection_variables(settings: dict[str, Any]) -> dict[str, Any]:
    """A lab's settings, and the connection to its Docker host where that is reached over SSH. Raises LabctlError."""
    where = engine.address() or ""
    if not where.startswith(engine.SSH):
        return settings
    address = address_of(where)
    connection: dict[str, Any] = {
        "ansible_connection": "ssh",
        "ansible_host": address.host,
        "ansible_ssh_common_args": SSH_ARGUMENTS,
        "ansible_python_interpreter": "auto_silent",
    }
    if address.user:
        connection["ansible_user"] = address.user
    if address.port:
        connection["ansible_port"] = address.port
    if address.socket:
        # Otherwise labctl would look at one engine of that host, and Ansible's modules at another one.
        connection["labctl_environment"] = {"DOCKER_HOST": f"unix://{address.socket}"}
    return settings | connection
