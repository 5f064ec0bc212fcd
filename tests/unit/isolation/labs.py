"""Labs as `docker inspect` describes them, hardened as labctl makes them."""

from __future__ import annotations

from typing import Any

INFO = {"SecurityOptions": ["name=seccomp,profile=default"]}


def container(lab: str, number: int = 1, subnet: str = "10.213.0", **host: Any) -> dict[str, Any]:
    """A server of a lab; `host` changes its HostConfig."""
    server = f"consul{number}"
    ports = {"8500/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(32_000 + number)}]}
    return {
        "Id": f"{lab}-{server}",
        "Name": f"/labctl-{lab}-{server}",
        "State": {"Status": "running"},
        "AppArmorProfile": "",
        "ProcessLabel": "",
        "Config": {
            "User": "8500:8500",
            "Labels": {"raft-labctl.lab": lab, "raft-labctl.owner": "ada", "raft-labctl.server": server},
        },
        "HostConfig": {
            "CapAdd": None,
            "CapDrop": ["ALL"],
            "IpcMode": "private",
            "Memory": 1 << 28,
            "NetworkMode": f"labctl-{lab}",
            "PidMode": "",
            "PidsLimit": 256,
            "PortBindings": {"8500/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
            "Privileged": False,
            "ReadonlyRootfs": True,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "SecurityOpt": ["no-new-privileges:true"],
            "UTSMode": "",
            "UsernsMode": "",
            **host,
        },
        "Mounts": [
            {
                "Type": "volume",
                "Source": "/var/lib/docker/volumes/x/_data",
                "Destination": "/consul/data",
                "Propagation": "",
            }
        ],
        "NetworkSettings": {
            "Ports": ports,
            "Networks": {
                f"labctl-{lab}": {"IPAddress": f"{subnet}.{number + 1}", "Gateway": f"{subnet}.1", "IPPrefixLen": 28}
            },
        },
    }


def lab(name: str, subnet: str) -> list[dict[str, Any]]:
    """A lab of three servers."""
    return [container(name, number, subnet) for number in (1, 2, 3)]
