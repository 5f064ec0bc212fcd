"""The shapes of an engine's answers, as far as they are read: anything else is reported, never taken for an answer."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SHOWN = 60
# The last second of the year 9999, the end of every calendar.
_LAST_MOMENT = 253_402_300_799
# Go's zero time: the first second of the year 1. An image need not have a creation time.
_NO_MOMENT = -62_135_596_800
_MOST = 2**63


class Mismatch(NamedTuple):
    """A mismatch: where it is in the answer, what is there, and what was expected."""

    where: str
    value: Any
    expected: str

    def __str__(self) -> str:
        return f"{self.where} is {shown(self.value)}, and not {self.expected}"


def shown(value: Any) -> str:
    """A value out of an answer, short and harmless to print."""
    if isinstance(value, bytes):
        text = ascii(value[: _SHOWN + 1].decode("utf-8", "replace"))
    else:
        try:
            text = json.dumps(value)
        except (TypeError, ValueError, RecursionError):
            text = type(value).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _is(expected: str, test: Callable[[Any], bool]) -> Callable[[Any, str], Mismatch | None]:
    return lambda value, where: None if test(value) else Mismatch(where, value, expected)


def _text(value: Any) -> bool:
    # JSON can hold surrogates, which no engine sends and nobody can print or encode.
    try:
        return isinstance(value, str) and (value.isascii() or bool(value.encode()))
    except UnicodeEncodeError:
        return False


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,255}", re.ASCII)
text = _is("a text", _text)
identity = _is("an ID", lambda value: isinstance(value, str) and _ID.fullmatch(value) is not None)
number = _is("a number", lambda value: type(value) is int and abs(value) < _MOST)
moment = _is("a moment", lambda value: type(value) is int and 0 <= value <= _LAST_MOMENT)
flag = _is("true or false", lambda value: isinstance(value, bool))
anything = _is("", lambda _: True)
size = _is("a size", lambda value: type(value) is int and 0 <= value < _MOST)
# A list of images has seconds, a single image a text; and some engines a text in both.
when = _is(
    "a moment",
    lambda value: (
        isinstance(value, str) or (type(value) is int and (value == _NO_MOMENT or 0 <= value <= _LAST_MOMENT))
    ),
)


_PORTS = 1 << 16
port_number = _is("a port", lambda value: type(value) is int and 0 <= value < _PORTS)


def _port(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    return not value or (value.isascii() and value.isdigit() and len(value) <= 5 and int(value) < _PORTS)  # noqa: PLR2004


def _subnet(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return not value or bool(ipaddress.ip_network(value, strict=False))
    except ValueError:
        return False


def _address(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return not value or bool(ipaddress.ip_address(value))
    except ValueError:
        return False


address = _is("an address", _address)
prefix = _is("the length of a subnet", lambda value: type(value) is int and 0 <= value <= 128)  # noqa: PLR2004
_INSIDE = re.compile(r"([0-9]{1,5})(/[a-z]{1,8})?", re.ASCII)


def some(shape: Callable[[Any, str], Mismatch | None]) -> Callable[[Any, str], Mismatch | None]:
    """Of that shape, or null."""
    return lambda value, where: None if value is None else shape(value, where)


def listed(shape: Callable[[Any, str], Mismatch | None]) -> Callable[[Any, str], Mismatch | None]:
    """A list of things of that shape."""

    def look(value: Any, where: str) -> Mismatch | None:
        if not isinstance(value, list):
            return Mismatch(where, value, "a list")
        problems = (shape(element, f"{where}[{at}]") for at, element in enumerate(value))
        return next((odd for odd in problems if odd is not None), None)

    return look


def named(shape: Callable[[Any, str], Mismatch | None]) -> Callable[[Any, str], Mismatch | None]:
    """An object whose values all have that shape."""

    def look(value: Any, where: str) -> Mismatch | None:
        if not isinstance(value, dict):
            return Mismatch(where, value, "an object")
        problems = (shape(element, f"{where}.{key[:_SHOWN]!a}") for key, element in value.items())
        return next((odd for odd in problems if odd is not None), None)

    return look


def with_keys(
    must: Mapping[str, Callable[[Any, str], Mismatch | None]], may: Mapping[str, Callable[[Any, str], Mismatch | None]]
) -> Callable[[Any, str], Mismatch | None]:
    """An object that has some keys, and may have others, each of its shape; of these, also null."""

    def look(value: Any, where: str) -> Mismatch | None:
        if not isinstance(value, dict):
            return Mismatch(where, value, "an object")
        missing = next((key for key in must if key not in value), None)
        if missing is not None:
            return Mismatch(where, value, f"an object with {missing}")
        shapes = {**{key: some(shape) for key, shape in may.items()}, **must}
        problems = (shape(value[key], f"{where}.{key}") for key, shape in shapes.items() if key in value)
        return next((odd for odd in problems if odd is not None), None)

    return look


_labels = named(text)
_network_of_container = with_keys(
    {},
    {
        "IPAddress": address,
        "IPAMConfig": with_keys({}, {"IPv4Address": address}),
        "IPPrefixLen": prefix,
        "Gateway": address,
    },
)
_networks = named(some(_network_of_container))
object_of_any = named(anything)
CONTAINERS = listed(
    with_keys(
        {
            "Id": identity, "State": text, "Image": text, "Created": moment,
            "NetworkSettings": with_keys({}, {"Networks": _networks}),
        },
        {
            "Names": listed(text), "Labels": _labels, "HostConfig": with_keys({}, {"NetworkMode": text}),
            "Ports": listed(with_keys({"PrivatePort": port_number}, {"PublicPort": port_number})),
        },
    )
)  # fmt: skip
"""Of containers, as a list has them."""
_bound = named(some(listed(with_keys({}, {"HostPort": _is("a port", _port), "HostIp": address}))))


def _bindings(value: Any, where: str) -> Mismatch | None:
    """The published ports, by the port inside and its protocol, as `8500/tcp`."""
    if isinstance(value, dict):
        for inside in value:
            match = _INSIDE.fullmatch(inside)
            if match is None or int(match[1]) >= _PORTS:
                return Mismatch(f"a name in {where}", inside, "a port with its protocol")
    return _bound(value, where)


_host_config = with_keys(
    {},
    {
        "NetworkMode": text, "PortBindings": _bindings, "Binds": listed(text), "SecurityOpt": listed(text),
        "CapAdd": listed(text), "CapDrop": listed(text), "Devices": listed(anything), "Ulimits": listed(object_of_any),
        "RestartPolicy": with_keys({}, {"Name": text, "MaximumRetryCount": number}), "Memory": number,
        "PidsLimit": number, "NanoCpus": number, "CpuShares": number, "Privileged": flag, "ReadonlyRootfs": flag,
        "PidMode": text, "IpcMode": text, "UTSMode": text, "UsernsMode": text, "CgroupParent": text,
    },
)  # fmt: skip
CONTAINER = with_keys(
    {
        "Id": identity,
        "Name": text,
        "Config": with_keys(
            {}, {"Labels": _labels, "Image": text, "Cmd": listed(text), "Env": listed(text), "User": text}
        ),
        "State": with_keys(
            {"Status": text, "Running": flag, "StartedAt": text},
            {"FinishedAt": text, "ExitCode": number, "OOMKilled": flag, "Pid": number},
        ),
        "NetworkSettings": with_keys({}, {"Networks": _networks, "Ports": _bindings}),
    },
    {
        "HostConfig": _host_config,
        "Mounts": listed(with_keys({}, {"Source": text, "Destination": text, "Type": text, "Name": text, "RW": flag})),
        "Image": text,
    },
)
"""Of one container, when it is inspected."""
NETWORKS = listed(
    with_keys(
        {"Id": identity, "Name": text},
        {
            "Labels": _labels,
            "IPAM": with_keys({}, {"Config": listed(with_keys({}, {"Subnet": _is("a subnet", _subnet)}))}),
        },
    )
)
_volume = with_keys({"Name": text}, {"Labels": _labels, "CreatedAt": text})
VOLUMES = with_keys({}, {"Volumes": listed(_volume)})
IMAGES = listed(
    with_keys({"Id": identity, "Created": when, "Size": size}, {"RepoTags": listed(text), "Labels": _labels})
)
IMAGE = with_keys({"Id": identity}, {"RepoTags": listed(text), "Config": with_keys({}, {"Labels": _labels})})
"""Of one image, when it is inspected."""
INFO = with_keys(
    {},
    {
        "NCPU": size, "MemTotal": size, "DockerRootDir": text, "SystemTime": text, "OperatingSystem": text,
        "SecurityOptions": listed(text), "ServerVersion": text, "LiveRestoreEnabled": flag,
    },
)  # fmt: skip
VERSION = with_keys({}, {"Version": text, "ApiVersion": text, "Arch": text, "Os": text})
MADE = with_keys({"Id": identity}, {})
ENDED = with_keys({}, {"ExitCode": number})
_BY_PATH = {
    "/containers/json": CONTAINERS, "/networks": NETWORKS, "/volumes": VOLUMES, "/images/json": IMAGES,
    "/info": INFO, "/version": VERSION,
}  # fmt: skip
INSPECTED = {
    "container": listed(CONTAINER), "network": NETWORKS, "volume": listed(_volume), "image": listed(IMAGE),
}  # fmt: skip
"""What `docker KIND inspect` prints, by the kind."""
_BY_KIND = {"containers": CONTAINER, "exec": ENDED}


def shape_of(path: str) -> Callable[[Any, str], Mismatch | None]:
    """The shape of an answer, by the path of the engine's API."""
    kind = path.split("/")[1] if path.count("/") == 3 and path.endswith("/json") else ""  # noqa: PLR2004
    return _BY_PATH.get(path) or _BY_KIND.get(kind, anything)
