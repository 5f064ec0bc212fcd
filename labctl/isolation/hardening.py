"""How hard a container is: what `docker inspect` says, checked by the CIS Docker Benchmark v1.6.0 and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from labctl.isolation.targets import ANYWHERE
from labctl.shared import lab_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

BENCHMARK = "CIS Docker Benchmark v1.6.0"
OURS = "labctl"
"""Stands for a number where the benchmark has none."""

Result = Literal["ok", "fails", "by design", "not applicable"]
HTTP_PORTS = {f"{port}/tcp" for port in lab_names.HTTP_PORTS.values()}
PRIVILEGED_BELOW = 1024
MOST_RESTARTS = 5
_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock")


@dataclass(frozen=True)
class CheckResult:
    """The result of a check in one container; `why` is empty if there is nothing to say."""

    result: Result
    why: str = ""


@dataclass(frozen=True)
class CheckRow:
    """A check of one lab: those of its containers for which it came out the same.

    `alike` is whether these are all of its containers.
    """

    number: str
    title: str
    host: str
    lab: str
    containers: tuple[str, ...]
    alike: bool
    result: Result
    why: str


@dataclass(frozen=True)
class Container:
    """The facts about a container: from `docker inspect`, and `docker info` of its engine."""

    inspect: Mapping[str, Any]
    info: Mapping[str, Any]

    @property
    def config(self) -> Mapping[str, Any]:
        """Its own configuration."""
        return self.inspect.get("Config") or {}

    @property
    def host(self) -> Mapping[str, Any]:
        """Its configuration by the Docker host."""
        return self.inspect.get("HostConfig") or {}

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.config.get("Labels") or {}

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.inspect.get("Name", "")).lstrip("/")

    @property
    def options(self) -> list[str]:
        """Its security options, one way of writing them."""
        return [str(option).replace("=", ":") for option in self.host.get("SecurityOpt") or []]

    @property
    def mounts(self) -> list[Mapping[str, Any]]:
        """Whatever is mounted in it."""
        return list(self.inspect.get("Mounts") or [])

    @property
    def is_of_a_fault(self) -> bool:
        """Whether its purpose is to disturb a network, which takes root and one capability."""
        return bool(self.labels.get(lab_names.LABEL_FAULT))

    def published(self) -> Iterator[tuple[str, str, int]]:
        """The container's port (`8500/tcp`), and the address and the port on the Docker host."""
        asked = self.host.get("PortBindings") or {}
        given = (self.inspect.get("NetworkSettings") or {}).get("Ports") or {}
        for inside in dict.fromkeys([*asked, *given]):
            for binding in given.get(inside) or asked.get(inside) or []:
                port = str(binding.get("HostPort") or "0").partition("-")[0]
                yield inside, binding.get("HostIp") or "", int(port)

    def engine_has(self, feature: str) -> bool:
        """Whether the engine has AppArmor, SELinux or seccomp."""
        options = (str(securityoption).split(",") for securityoption in self.info.get("SecurityOptions") or [])
        return any(feature in (parts[0], parts[0].removeprefix("name=")) for parts in options)


def _where(bad: Iterable[object], words: str) -> CheckResult:
    """Fails where there is something bad, and names it."""
    named = ", ".join(dict.fromkeys(map(str, bad)))
    return CheckResult("fails", f"{words} {named}".strip()) if named else CheckResult("ok")


def _unless(problem: object, why: str) -> CheckResult:
    return CheckResult("fails", why) if problem else CheckResult("ok")


def _user(container: Container) -> CheckResult:
    user = str(container.config.get("User") or "root").partition(":")[0]
    if user not in ("root", "0"):
        return CheckResult("ok")
    if container.is_of_a_fault:
        return CheckResult("by design", "disturbs a network, which takes root and NET_ADMIN in it, and nothing else")
    return CheckResult("fails", "it runs as root")


def _apparmor(container: Container) -> CheckResult:
    if not container.engine_has("apparmor"):
        return CheckResult("not applicable", "the Docker host's kernel has no AppArmor")
    profile = container.inspect.get("AppArmorProfile") or ""
    return _unless(profile in ("", "unconfined"), "no profile confines it")


def _selinux(container: Container) -> CheckResult:
    if not container.engine_has("selinux"):
        return CheckResult("not applicable", "this engine does not use SELinux")
    return _unless("label:disable" in container.options or not container.inspect.get("ProcessLabel"), "it has no label")


def _capabilities(container: Container) -> CheckResult:
    added = [str(name).upper().removeprefix("CAP_") for name in container.host.get("CapAdd") or []]
    dropped = [str(name).upper() for name in container.host.get("CapDrop") or []]
    if added == ["NET_ADMIN"] and dropped == ["ALL"] and container.is_of_a_fault:
        return CheckResult("by design", "a fault of the network is made with NET_ADMIN")
    if added:
        return CheckResult("fails", f"it was given {', '.join(added)}")
    return _unless("ALL" not in dropped, "it keeps the capabilities that Docker gives to all")


def _binds(container: Container) -> CheckResult:
    return _where((mount.get("Source") for mount in container.mounts if mount.get("Type") == "bind"), "the host's")


def _low_ports(container: Container) -> CheckResult:
    return _where((port for _, _, port in container.published() if 0 < port < PRIVILEGED_BELOW), "published on port")


def _open_ports(container: Container) -> CheckResult:
    extra = [inside for inside, _, _ in container.published() if inside not in HTTP_PORTS]
    extra += ["all that it exposes"] if container.host.get("PublishAllPorts") else []
    return _where(extra, "a lab needs its HTTP API alone, and published is")


def _interface(container: Container) -> CheckResult:
    return _where(
        (f"{inside} on all addresses" for inside, ip, _ in container.published() if ip in ANYWHERE), "published:"
    )


def _restart(container: Container) -> CheckResult:
    policy = container.host.get("RestartPolicy") or {}
    name, times = policy.get("Name") or "no", int(policy.get("MaximumRetryCount") or 0)
    if name == "no":
        return CheckResult("by design", "a restart would undo a fault behind the learner's back")
    if name == "on-failure" and 0 < times <= MOST_RESTARTS:
        return CheckResult("ok")
    return CheckResult("fails", f"its restart policy is {name}" + (f", {times} times" if times else ""))


def _cpu(container: Container) -> CheckResult:
    if container.host.get("CpuShares") or container.host.get("NanoCpus") or container.host.get("CpuQuota"):
        return CheckResult("ok")
    return CheckResult("by design", "all servers have equal shares; a limit would be seen in the times of elections")


def _devices(container: Container) -> CheckResult:
    named = [str(device.get("PathOnHost", device)) for device in container.host.get("Devices") or []]
    named += [str(rule) for rule in container.host.get("DeviceCgroupRules") or []]
    named += [str(request.get("Driver") or "a request") for request in container.host.get("DeviceRequests") or []]
    return _where(named, "it has")


def _ulimits(container: Container) -> CheckResult:
    changed = [f"{limit.get('Name')}={limit.get('Hard')}" for limit in container.host.get("Ulimits") or []]
    return _where(changed, "nothing of a lab needs")


def _propagation(container: Container) -> CheckResult:
    return _where(
        (mount.get("Destination") for mount in container.mounts if "shared" in (mount.get("Propagation") or "")), ""
    )


def _seccomp(container: Container) -> CheckResult:
    if not container.engine_has("seccomp"):
        return CheckResult("not applicable", "this engine has no seccomp")
    return _unless("seccomp:unconfined" in container.options, "its system calls are not filtered")


def _privileges(container: Container) -> CheckResult:
    given = {"no-new-privileges", "no-new-privileges:true"} & set(container.options)
    return _unless(not given, "a program in it may gain rights")


def _health(container: Container) -> CheckResult:
    test = (container.config.get("Healthcheck") or {}).get("Test") or []
    if test and test[0] != "NONE":
        return CheckResult("ok")
    return CheckResult(
        "by design", "labctl asks every server itself; a process more in each, again and again, costs elections"
    )


def _docker0(container: Container) -> CheckResult:
    networks = (container.inspect.get("NetworkSettings") or {}).get("Networks") or {}
    mode = container.host.get("NetworkMode") or "default"
    return _unless("bridge" in networks or mode in ("default", "bridge"), "it is on Docker's default bridge")


def _users(container: Container) -> CheckResult:
    if container.host.get("UsernsMode") == "host":
        return CheckResult("fails", "it asks for the host's users")
    if not container.engine_has("userns"):
        return CheckResult("not applicable", "this engine maps no users, for any container")
    return CheckResult("ok")


def _socket(container: Container) -> CheckResult:
    paths = [str(mount.get(end) or "") for mount in container.mounts for end in ("Source", "Destination")]
    return _where((path for path in paths if path.endswith(_SOCKETS)), "mounted:")


def _own_network(container: Container) -> CheckResult:
    mode = str(container.host.get("NetworkMode") or "default")
    if mode.startswith("container:"):
        return CheckResult("ok")
    own = lab_names.project_name(container.labels.get(lab_names.LABEL_LAB, ""))
    networks = (container.inspect.get("NetworkSettings") or {}).get("Networks") or {}
    return _where((name for name in networks if name != own), "it is also on")


def _host_namespace(key: str, what: str) -> Callable[[Container], CheckResult]:
    return lambda container: _unless(container.host.get(key) == "host", f"it shares the host's {what}")


CHECKS: tuple[tuple[str, str, Callable[[Container], CheckResult]], ...] = (
    ("4.1", "runs as a user that is not root", _user),
    ("5.2", "confined by AppArmor", _apparmor),
    ("5.3", "confined by SELinux", _selinux),
    ("5.4", "has no capability of the kernel", _capabilities),
    (
        "5.5",
        "not privileged",
        lambda container: _unless(container.host.get("Privileged"), "it may do all that root may"),
    ),
    ("5.6", "sees no directory of the host", _binds),
    ("5.8", "published on no privileged port", _low_ports),
    ("5.9", "publishes what is needed, no more", _open_ports),
    ("5.10", "a network of its own, not the host's", _host_namespace("NetworkMode", "network")),
    ("5.11", "memory is limited", lambda container: _unless(not container.host.get("Memory"), "it has no limit")),
    ("5.12", "a share of the processors is set", _cpu),
    (
        "5.13",
        "root file system is read-only",
        lambda container: _unless(not container.host.get("ReadonlyRootfs"), "it is not"),
    ),
    ("5.14", "published on a specific address", _interface),
    ("5.15", "restarted at most 5 times", _restart),
    ("5.16", "processes of its own", _host_namespace("PidMode", "processes")),
    ("5.17", "shared memory of its own", _host_namespace("IpcMode", "shared memory")),
    ("5.18", "has no device of the host", _devices),
    ("5.19", "ulimits are the engine's own", _ulimits),
    ("5.20", "mounts do not reach the host", _propagation),
    ("5.21", "a host name of its own", _host_namespace("UTSMode", "host name")),
    ("5.22", "system calls are filtered", _seccomp),
    (
        "5.25",
        "in the engine's own cgroup",
        lambda container: _where([container.host.get("CgroupParent") or ""], "it is in"),
    ),
    ("5.26", "cannot gain rights", _privileges),
    ("5.27", "its health is checked", _health),
    (
        "5.29",
        "processes are limited",
        lambda container: _unless((container.host.get("PidsLimit") or 0) <= 0, "it has no limit"),
    ),
    ("5.30", "not on Docker's default bridge", _docker0),
    ("5.31", "users of its own, not the host's", _users),
    ("5.32", "no engine's socket inside", _socket),
    (OURS, "on its lab's own network only", _own_network),
)


def judge(host: str, lab: str, containers: Iterable[Container]) -> list[CheckRow]:
    """Every check of a lab's containers; those that a check finds alike are one row."""
    every = sorted(containers, key=lambda container: container.name)
    rows = []
    for number, title, check in CHECKS:
        alike: dict[CheckResult, list[str]] = {}
        for container in every:
            alike.setdefault(check(container), []).append(container.name)
        rows += [
            CheckRow(number, title, host, lab, tuple(names), len(alike) == 1, judged.result, judged.why)
            for judged, names in alike.items()
        ]
    return rows
