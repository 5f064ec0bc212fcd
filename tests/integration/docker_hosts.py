"""Docker hosts of a test's own, reached over SSH: each an address, an engine, an sshd with a key of its own, a home.

A host is a network namespace on a bridge and a mount namespace in it. The machine's own namespace is the controller,
and reaches the hosts by their addresses. A host's root has that host's HOME, and its files are otherwise this
machine's. Everything is ended by process ids, and leaves nothing.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.integration.harness import ROOT, wait_until
from tests.integration.own_engine import END_SECONDS, OwnEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

# Apart from the pools of labs and workshops: 10.213.0.0/16 and 10.216.0.0/13.
RANGE = ipaddress.IPv4Network("10.211.0.0/16")
PREFIX = 26
SSH_PORT = 22
SSH_SECONDS = 20
GUEST = "guest"
"""A user of every host who may log in, and may not use Docker."""
GUEST_ID = 21987
TOOLS = ROOT / ".cache/tools"

_BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir /run/sshd
mount --bind {folder}/passwd /etc/passwd
mount --bind {folder}/shadow /etc/shadow
# Engines that share a key have the same ID.
[ ! -d /etc/docker ] || mount --bind {folder}/docker /etc/docker
touch {folder}/booted
exec sleep infinity
"""


def _run(*words: object, check: bool = True) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{shlex.join(str(word) for word in words)}: {done.stderr}"
    return done.stdout.strip()


def _sshd() -> list[str]:
    """Words that run sshd: the machine's own, or the one that scripts/test-tools.sh unpacked."""
    installed = Path("/usr/sbin/sshd")
    if installed.exists():
        return [str(installed)]
    unpacked = TOOLS / "usr/sbin/sshd"
    assert unpacked.exists(), "no sshd is here: `sh scripts/test-tools.sh openssh-server` brings it"
    (libraries,) = (TOOLS / "usr/lib").glob("*-linux-gnu")
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(unpacked)]


def _key(path: Path) -> Path:
    path.unlink(missing_ok=True)
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path)
    return path


class DockerHost(OwnEngine):
    """One Docker host: start, stop (the engine alone), die (no power), and start again.

    Args:
        folder: a folder on a real disk that is not there yet.
        address: its address on the bridge.
        bridge: the bridge.
        authorized: the public key that may log in.

    Attributes:
        host: the engine's socket as the harness reaches it; over SSH it is /var/run/docker.sock.
    """

    user = "root"
    port = SSH_PORT

    def __init__(self, folder: Path, address: ipaddress.IPv4Interface, bridge: str, authorized: Path) -> None:
        folder.mkdir(mode=0o700)
        super().__init__(folder)
        self.address = str(address.ip)
        self.home = folder / "home"
        self.host_key = _key(folder / "host_key")
        self.cable = f"lt{self.namespace[-8:]}"
        self._holder: subprocess.Popen[bytes] | None = None
        self.home.mkdir(mode=0o700)
        (folder / "docker").mkdir()
        _run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        _run("ip", "link", "set", self.cable, "master", bridge, "up")
        _run("ip", "-n", self.namespace, "address", "add", address, "dev", "eth0")
        _run("ip", "-n", self.namespace, "link", "set", "eth0", "up")
        shutil.copy(authorized, folder / "authorized_keys")
        (folder / "passwd").write_text(
            f"root:x:0:0:root:{self.home}:/bin/sh\n"
            f"sshd:x:{GUEST_ID + 1}:65534::/run/sshd:/usr/sbin/nologin\n"
            f"{GUEST}:x:{GUEST_ID}:65534::/:/bin/sh\n"
        )
        (folder / "shadow").write_text(f"root:*:1::::::\nsshd:*:1::::::\n{GUEST}:*:1::::::\n")
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress {self.address}\nHostKey {self.host_key}\nPidFile {folder}/sshd.pid\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nAuthenticationMethods publickey\nStrictModes no\n"
            "UsePAM no\nUseDNS no\nPermitRootLogin yes\nPrintMotd no\nMaxSessions 100\nSubsystem sftp internal-sftp\n"
            f"SetEnv PATH={os.defpath}:/usr/sbin:/sbin:/usr/local/bin\n"
        )
        # The guest reads the key that it may log in with; all else in the folder stays root's.
        folder.chmod(0o711)
        (folder / "authorized_keys").chmod(0o644)

    @property
    def url(self) -> str:
        """Its address as DOCKER_HOST has it."""
        return f"ssh://{self.user}@{self.address}"

    @property
    def inside(self) -> list[str]:
        """Words that run a command on the host, once it is started."""
        if self._holder is None:
            return super().inside
        return [*super().inside, f"--mount=/proc/{self._holder.pid}/ns/mnt"]

    def known(self) -> str:
        """Its line for a file of known hosts."""
        kind, key, *_ = self.host_key.with_suffix(".pub").read_text().split()
        return f"{self.address} {kind} {key}\n"

    def dockerd(self) -> list[str]:
        """Words that run the engine where its sshd is."""
        return [*self.inside, "dockerd", *self.options(), "--host=unix:///var/run/docker.sock"]

    def owns(self, process: Path) -> bool:
        """Whether a process is the engine's, or runs in the host's network. Raises OSError."""
        namespace = Path("/run/netns") / self.namespace
        inside = namespace.exists() and (process / "ns/net").stat().st_ino == namespace.stat().st_ino
        return inside or super().owns(process)

    def start(self) -> None:
        """Start what does not run of it, and wait until its engine and its sshd answer."""
        if self._holder is None:
            self._boot()
        if self.process is None:
            super().start()

    def _boot(self) -> None:
        booted = self.folder / "booted"
        booted.unlink(missing_ok=True)
        words = [*super().inside, "unshare", "-m", "sh", "-c", _BOOT.format(folder=self.folder)]
        holder = self.spawn(words)
        wait_until(booted.exists, SSH_SECONDS, f"the host of {self.folder}/log")
        self._holder = holder
        _run("ip", "link", "set", self.cable, "up")
        self._start_sshd()

    def _start_sshd(self, *through: str) -> None:
        pid = self.folder / "sshd.pid"
        pid.unlink(missing_ok=True)
        words = [*self.inside, *through, *_sshd()]
        subprocess.run(
            [*words, "-f", str(self.folder / "sshd_config"), "-E", str(self.folder / "sshd.log")],
            check=True,
        )
        wait_until(self._listens, SSH_SECONDS, f"the sshd of {self.folder}/sshd.log")

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection((self.address, self.port), timeout=1) as there:
            return there.recv(4) == b"SSH-"
        return False

    def stop_sshd(self) -> None:
        """End its sshd and every session."""
        for pid in self.pids():
            with suppress(OSError):
                if b"sshd:" in (Path("/proc") / str(pid) / "cmdline").read_bytes():
                    os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not self._listens(), SSH_SECONDS, "sshd to end")

    def start_sshd(self) -> None:
        """Start its sshd again."""
        self._start_sshd()

    @contextmanager
    def seen_with(self, mount: str) -> Iterator[None]:
        """Make logins, but not the engine, see one more mount on the host: the arguments of `mount`."""
        self.stop_sshd()
        self._start_sshd("unshare", "-m", "sh", "-c", f'mount {mount} && exec "$@"', "sh")
        try:
            yield
        finally:
            self.stop_sshd()
            self._start_sshd()

    def change_host_key(self) -> None:
        """Give it another host key, as after an installation from nothing, or as an impostor has."""
        self.stop_sshd()
        _key(self.host_key)
        self._start_sshd()

    def die(self) -> None:
        """Cut its power: no connection is closed, and from one moment to the next nothing answers at its address."""
        _run("ip", "link", "set", self.cable, "down", check=False)
        super().die()
        if self._holder is not None:
            self._holder.wait(timeout=END_SECONDS)
            self._holder = None
        # On a real host it is below /run, in memory: a container that was just starting leaves nothing there.
        shutil.rmtree(self.folder / "exec", ignore_errors=True)

    def remove(self) -> None:
        """Cut its power and remove everything that it left."""
        super().remove()
        _run("ip", "link", "delete", self.cable, check=False)


class DockerHosts:
    """Some running Docker hosts, and the means to reach them; use it with `with`.

    Args:
        count: how many.
        image: an image that each of them gets from this machine's engine, or "".

    Attributes:
        hosts: the hosts.
        key: a private key that may log in as root and as GUEST, file mode 0600.
        known_hosts: the hosts' keys.
        ssh_config: a configuration of ssh that has both.
    """

    def __init__(self, count: int, image: str = "") -> None:
        # Not pytest's folder: its path is too long for a socket, and overlay2 wants a real disk, as Docker's own has.
        self.folder = Path(tempfile.mkdtemp(prefix="labctl-", dir="/var/tmp"))
        self.folder.chmod(0o711)
        self.bridge = f"ltb{secrets.token_hex(4)}"
        self.key = _key(self.folder / "key")
        self.known_hosts = self.folder / "known_hosts"
        self.ssh_config = self.folder / "ssh_config"
        self.hosts: list[DockerHost] = []
        self._count = count
        self._image = image

    def __enter__(self) -> Self:
        """Start them."""
        try:
            self._start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Remove them."""
        self.remove()

    def _start(self) -> None:
        network = _free_network()
        here, *there = list(network.hosts())[: self._count + 1]
        _run("ip", "link", "add", self.bridge, "type", "bridge")
        _run("ip", "address", "add", f"{here}/{PREFIX}", "dev", self.bridge)
        _run("ip", "link", "set", self.bridge, "up")
        # Docker drops what it does not forward itself, also what only crosses a bridge.
        _run("iptables", "--wait", "--insert", *self._rule())
        for number, address in enumerate(there, 1):
            where = ipaddress.IPv4Interface(f"{address}/{PREFIX}")
            self.hosts.append(DockerHost(self.folder / f"h{number}", where, self.bridge, self.key.with_suffix(".pub")))
        self.learn()
        self.ssh_config.write_text(
            f"Host {' '.join(host.address for host in self.hosts)}\n  User root\n  IdentityFile {self.key}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {self.known_hosts}\n  StrictHostKeyChecking yes\n"
        )
        for host in self.hosts:
            host.start()
            if self._image:
                host.load(self._image)

    def _rule(self) -> list[str]:
        return ["FORWARD", "-i", self.bridge, "-o", self.bridge, "-j", "ACCEPT"]

    def learn(self) -> None:
        """Write the hosts' keys, as they are now, into the file of known hosts."""
        self.known_hosts.write_text("".join(host.known() for host in self.hosts))

    def settings(self) -> dict[str, str]:
        """Environment variables of somebody who has `ssh_config`: it stands in for a file ~/.ssh/config of their own.

        ssh looks into the home folder of the user database, so HOME would not do.
        """
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "ssh"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.ssh_config} "$@"\n')
        program.chmod(0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}"}

    def ssh(self, host: DockerHost, *words: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        """Run a command on a host, as somebody there."""
        where = ["ssh", "-F", str(self.ssh_config), "-o", "ConnectTimeout=3", "-l", user, host.address, *words]
        return subprocess.run(where, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def remove(self) -> None:
        """End the hosts, and remove their disks, namespaces, cables, the bridge and its rule."""
        for host in self.hosts:
            host.remove()
        _run("iptables", "--wait", "--delete", *self._rule(), check=False)
        _run("ip", "link", "delete", self.bridge, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def left(self) -> list[str]:
        """All of their processes, namespaces, cables, the bridge, its rule, mounts, control groups, files."""
        leftovers = [f"process {pid}" for host in self.hosts for pid in host.pids()]
        namespaces = _run("ip", "netns", "list").split()
        mounts = Path("/proc/mounts").read_text()
        leftovers += [f"namespace {host.namespace}" for host in self.hosts if host.namespace in namespaces]
        links = {load["ifname"] for load in json.loads(_run("ip", "-json", "link"))}
        cables = {self.bridge} | {host.cable for host in self.hosts}
        leftovers += [f"link {name}" for name in sorted(links & cables)]
        leftovers += [f"rule {line}" for line in _run("iptables", "-S", "FORWARD").splitlines() if self.bridge in line]
        leftovers += [f"mount {line}" for line in mounts.splitlines() if str(self.folder) in line]
        for host in self.hosts:
            leftovers += [f"group {path}" for path in Path("/sys/fs/cgroup").rglob(f"{host.namespace}*")]
        return leftovers + ([f"folder {self.folder}"] if self.folder.exists() else [])


def _free_network() -> ipaddress.IPv4Network:
    """A network of RANGE that no route of this machine overlaps."""
    routes = [load["dst"] for load in json.loads(_run("ip", "-json", "-4", "route")) if load["dst"] != "default"]
    taken = [ipaddress.IPv4Network(route) for route in routes]
    networks = list(RANGE.subnets(new_prefix=PREFIX))
    while True:
        network = secrets.choice(networks)
        if not any(network.overlaps(taken_network) for taken_network in taken):
            return network
