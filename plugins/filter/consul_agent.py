"""The command line and the settings of a Consul server, for every version that a lab can run.

What a version supports is in the table of `consul_versions`.
"""

from __future__ import annotations

import inspect
import json
import uuid
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.shared import credentials
from ..module_utils.shared.consul_versions import OLDEST, Version, knows, numbers
from ..module_utils.shared.lab_names import HTTP_PORTS, PROFILES
from ..module_utils.shared.lab_spec import RAFT_MULTIPLIER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DATA_DIR = "/consul/data"
HTTPS_PORT = HTTP_PORTS["full"]

_NODE_ID_NAMESPACE = uuid.UUID("5f0c35f1-52b1-5d4e-8d0c-6d1a4f6b7c11")


# Which of a lab's two tokens each one is. An agent's recovery token is only that for it
# (agent/consul/acl.go, resolveLocallyManagedToken), and the other one is unknown before the first leader.
_TOKENS: Mapping[str, str] = {
    "master": "token",
    "initial_management": "token",
    "agent": "token",
    "agent_master": "recovery_token",
    "agent_recovery": "recovery_token",
}


def parse_version(text: str) -> Version:
    """Read the version of a Consul release.

    Args:
        text: as `consul version` or an image's label has it: `1.8.7`, `v1.8.7`, `1.21.4+ent`, `1.0.0-rc1`.

    Returns:
        Major, minor and patch.

    Raises:
        ValueError: the text is not a version of three numbers, or is older than 0.5.2.
    """
    version = numbers(text)
    if version is None:
        raise ValueError(f"{_shown(text)} is not a version of Consul: give three numbers and two dots, such as 1.21.4.")
    if version < OLDEST:
        raise ValueError(f"Consul {_shown(text)} is too old for a lab: give 0.5.2 or newer, such as 1.21.4.")
    return version


def agent_arguments(  # noqa: PLR0913 - a server's identity has this many parts, all by name
    version: str,
    *,
    node: str,
    servers: int,
    bind: str,
    datacenter: str,
    pace: str = "real",
    profile: str = "gossip",
    node_id: str | None = None,
) -> list[str]:
    """Return the words after `consul` that start one server of a lab.

    Args:
        version: the image's version of Consul.
        node: the server's name.
        servers: how many servers the cluster waits for before its first election; 1 elects itself.
        bind: the server's address, or a `${NAME}` that Compose replaces with it.
        datacenter: the lab's own datacenter name.
        pace: `real` or `teach`; before 0.7.0 Raft's timeouts cannot be set, and both paces are real.
        profile: `open`, `gossip` or `full`; the secrets of each are in files. A version that cannot do `full`, and so
            has no `agent_tokens`, gets the words of `gossip`.
        node_id: a UUID, used by 0.7.5 to 0.8.0 only; None derives one from the datacenter and the node.

    Raises:
        ValueError: the version, the size, the pace or the profile is not one.
    """
    known = parse_version(version)
    if isinstance(servers, bool) or not isinstance(servers, int) or servers < 1:
        raise ValueError(f"{_shown(servers)} is not a number of servers: give a whole number from 1 up, such as 3.")
    words = ["agent", "-server", "-bootstrap-expect", str(int(servers))]
    words += ["-data-dir", DATA_DIR, "-config-dir", credentials.CONFIG_FOLDER]
    words += ["-node", node, "-bind", bind, "-client", "0.0.0.0"]  # noqa: S104 - inside a lab's own network
    words += ["-datacenter" if knows(known, "-datacenter") else "-dc", datacenter]
    # A candidate's votes are written at debug only (GRAMMAR: "a granted vote is never logged by the voter").
    words += ["-log-level", "debug"]
    words += ["-ui"] if knows(known, "-ui") else []
    if knows(known, "-node-id"):
        words += ["-node-id", node_id or str(uuid.uuid5(_NODE_ID_NAMESPACE, f"{datacenter}/{node}"))]
    words += ["-disable-host-node-id"] if knows(known, "-disable-host-node-id") else []
    settings = {**_settings(known, pace), **_guards(known, profile)}
    if knows(known, "-hcl"):
        for name, value in settings.items():
            words += ["-hcl", _hcl(name, value)]
    return words


def agent_settings(version: str, *, pace: str = "real") -> dict[str, Any]:
    """Return the settings that this version takes only from a configuration file; {} from 1.0.0 on.

    Args:
        version: the image's version of Consul.
        pace: `real` or `teach`.

    Raises:
        ValueError: the version or the pace is not one.
    """
    known = parse_version(version)
    settings = _settings(known, pace)
    return {} if knows(known, "-hcl") else settings


def agent_tokens(version: str, *, profile: str = "gossip") -> dict[str, str]:
    """Return this version's names for the tokens of a `full` lab, and which of the lab's two each one is.

    {} where the profile needs none, and where the version cannot do `full`.

    Raises:
        ValueError: the version or the profile is not one.
    """
    known = parse_version(version)
    if not _is_full(known, profile):
        return {}
    return {name: token for name, token in _TOKENS.items() if knows(known, f"acl.tokens.{name}")}


def agent_environment(version: str, *, datacenter: str, profile: str = "gossip") -> dict[str, str]:
    """Return the environment in which `consul` can talk to its own agent inside a container; no secrets.

    {} where the profile needs nothing, and where the version cannot do `full`.

    Raises:
        ValueError: the version or the profile is not one.
    """
    if not _is_full(parse_version(version), profile):
        return {}
    return {
        "CONSUL_HTTP_ADDR": f"https://127.0.0.1:{HTTPS_PORT}",
        "CONSUL_CACERT": f"{credentials.FOLDER}/{credentials.AUTHORITY}",
        "CONSUL_TLS_SERVER_NAME": credentials.server_name(datacenter),
        "CONSUL_HTTP_TOKEN_FILE": f"{credentials.FOLDER}/{credentials.TOKEN}",
        # Over HTTP/2, two of seven `consul leave` of 1.8.7 were cut off before their answer, over HTTP/1.1 none.
        "GODEBUG": "http2client=0",
    }


def _is_full(version: Version, profile: str) -> bool:
    if profile not in PROFILES:
        raise ValueError(f"{_shown(profile)} is not a profile: choose one of {', '.join(PROFILES)}.")
    return profile == "full" and knows(version, "consul tls")


def _guards(version: Version, profile: str) -> dict[str, Any]:
    """The settings of the profile, without its secrets."""
    if not _is_full(version, profile):
        return {}
    files = {
        "ca_file": f"{credentials.FOLDER}/{credentials.AUTHORITY}",
        "cert_file": f"{credentials.FOLDER}/{credentials.CERTIFICATE}",
        "key_file": f"{credentials.FOLDER}/{credentials.KEY}",
        "verify_outgoing": True,
    }
    # Clients over HTTPS show a token, and no certificate.
    if knows(version, "tls"):
        rpc = {"verify_incoming": True, "verify_server_hostname": True}
        tls: dict[str, Any] = {"tls": {"defaults": files, "internal_rpc": rpc}}
    else:
        tls = {**files, "verify_incoming_rpc": True, "verify_server_hostname": True}
    return {
        "ports": {"http": -1, "https": HTTPS_PORT},
        "acl": {"enabled": True, "default_policy": "deny"},
        **tls,
    }


def _settings(version: Version, pace: str) -> dict[str, Any]:
    if pace not in RAFT_MULTIPLIER:
        raise ValueError(f"{_shown(pace)} is not a pace: choose one of {', '.join(RAFT_MULTIPLIER)}.")
    wanted: dict[str, Any] = {
        # A stopped server is a failed one, as a learner expects; only `consul leave` removes it.
        "leave_on_terminate": False,
        "skip_leave_on_interrupt": True,
        # The only request of an agent to the outside world.
        "disable_update_check": True,
        "performance": {"raft_multiplier": RAFT_MULTIPLIER[pace]},
        # Otherwise a killed server is removed from the cluster, and "2 of 3 are dead" is never seen.
        "autopilot": {"cleanup_dead_servers": False},
    }
    return {name: value for name, value in wanted.items() if knows(version, name)}


def _hcl(name: str, value: bool | int | str | dict[str, Any]) -> str:
    if isinstance(value, dict):
        return f"{name} {{ {' '.join(_hcl(inner, item) for inner, item in value.items())} }}"
    if isinstance(value, str):
        return f"{name} = {json.dumps(value)}"
    return f"{name} = {str(value).lower()}"


def _shown(value: object) -> str:
    """Return a user's text on one line, cut to fit into a sentence."""
    text = repr(value)
    longest = 60
    return text if len(text) <= longest else f"{text[:longest]}..."


def _filter(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a filter on a `LabSpec`, which passes the arguments that the function takes."""
    wanted = inspect.signature(function).parameters

    def checked(spec: Mapping[str, Any], **options: Any) -> Any:
        try:
            return function(**{name: value for name, value in spec.items() if name in wanted}, **options)
        except ValueError as error:
            raise AnsibleFilterError(str(error)) from error

    return checked


class FilterModule:
    """The filters `consul_agent_arguments`, `consul_agent_settings`, `..._tokens` and `..._environment`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "consul_agent_arguments": _filter(agent_arguments),
            "consul_agent_settings": _filter(agent_settings),
            "consul_agent_tokens": _filter(agent_tokens),
            "consul_agent_environment": _filter(agent_environment),
        }
