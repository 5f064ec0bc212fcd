"""The command lines for ssh, and the meaning of its answers; starts nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from labctl.errors import ExitCode, LabctlError
from labctl.shared.docker_api import DEFAULT_SOCKET

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CONNECT_SECONDS = 10
ALIVE_SECONDS = 4
ALIVE_TIMES = 3
"""A host that misses this many keepalives in a row is lost."""
MARK = "labctl-reach"
_LONGEST_QUOTE = 300
# Blanks, what a terminal obeys, and half characters: in no host's name, and some in no program's argument.
_NO_ARGUMENT = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/+:@-]+")

# Runs in whichever shell the user has on the Docker host: no single quote, no `!`. It prints where the engine's socket
# is, and ends when its standard input does, which is when labctl ends, however that ends.
_SCRIPT = (
    "{setting} p=${{s#unix://}};"
    ' if [ "$p" = "$s" ]; then w=elsewhere;'
    ' elif [ ! -S "$p" ]; then'
    " if command -v docker || command -v dockerd || [ -x /usr/sbin/dockerd ]; then w=stopped; else w=missing; fi"
    " >/dev/null 2>&1;"
    ' elif [ ! -w "$p" ]; then w=denied; else w=ready; fi;'
    ' printf "%s %s %s\\n" {mark} "$w" "$s"; exec cat >/dev/null'
)


@dataclass(frozen=True)
class Address:
    """The address of a Docker host's sshd, and who logs in; None leaves it to ssh and its configuration.

    Attributes:
        host: a name, an address, or a name of ssh's configuration.
        user: who logs in there.
        port: where sshd listens.
        key: the private key's file.
        known_hosts: the file with the host keys that are trusted.
        socket: the engine's socket on that host; None is what a remote DOCKER_HOST says, or Docker's own.
    """

    host: str
    user: str | None = None
    port: int | None = None
    key: Path | None = None
    known_hosts: Path | None = None
    socket: str | None = None

    @property
    def url(self) -> str:
        """In the form that DOCKER_HOST has."""
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{user}{host}{f':{self.port}' if self.port else ''}{self.socket or ''}"

    @property
    def login(self) -> str:
        """As typed on ssh's command line, without the port."""
        return f"{self.user}@{self.host}" if self.user else self.host


def address_of(url: str) -> Address:
    """Read `ssh://USER@HOST:PORT/SOCKET`, of which all but the host may be left out. Raises LabctlError (usage)."""
    wrong = LabctlError(
        f"{url!a} is no address of a Docker host: write ssh://USER@HOST or ssh://USER@HOST:PORT.", ExitCode.USAGE
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise wrong from error
    socket = parts.path.rstrip("/")
    if parts.scheme != "ssh" or not parts.hostname or parts.password or parts.query or parts.fragment or port == 0:
        raise wrong
    # `hostname` is in lower case, but a name in ssh's configuration is case-sensitive.
    host = parts.netloc.rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    user = unquote(parts.username) if parts.username else None
    # Of some of these, Python's reader makes nothing, and would read another host.
    if _NO_ARGUMENT.search(url) or _NO_ARGUMENT.search(user or ""):
        raise wrong
    if host.startswith("-") or (user or "").startswith("-") or (socket and not _PLAIN_PATH.fullmatch(socket)):
        raise wrong
    return Address(host, user, port, socket=socket or None)


def master(address: Address, control: Path, engine: Path) -> list[str]:
    """Words that connect, forward the engine's socket to `engine`, and stay until standard input ends."""
    chosen = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        f"ConnectTimeout={CONNECT_SECONDS}",
        f"ServerAliveInterval={ALIVE_SECONDS}",
        f"ServerAliveCountMax={ALIVE_TIMES}",
        "ControlMaster=yes",
        "ControlPersist=no",
        f"ControlPath={_escaped(control)}",
        "ForwardAgent=no",
        "ForwardX11=no",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
        # At this level ssh explains why a forwarded connection was not made.
        "LogLevel=INFO",
    ]
    if address.known_hosts is not None:
        chosen.append(f'UserKnownHostsFile="{_escaped(address.known_hosts)}"')
    if address.key is not None:
        chosen += [f'IdentityFile="{_escaped(address.key)}"', "IdentitiesOnly=yes"]
    words = ["ssh", "-T", *(word for option in chosen for word in ("-o", option))]
    words += ["-l", address.user] if address.user else []
    words += ["-p", str(address.port)] if address.port else []
    words += ["-L", f"{engine}:{address.socket or DEFAULT_SOCKET}"]
    return [*words, "--", address.host, script(address.socket)]


def forward(control: Path, ways: Iterable[tuple[Path, str]]) -> list[str]:
    """Words that make a connection forward more: local sockets, and their targets (`127.0.0.1:8500`, or a path)."""
    # A user's own configuration would forward its own things again.
    words = ["ssh", "-F", "none", "-S", str(control), "-O", "forward"]
    for here, there in ways:
        words += ["-L", f"{here}:{there}"]
    return [*words, "--", "docker-host"]


def shell(control: Path) -> list[str]:
    """Words that run a shell over a connection; it reads its script from standard input."""
    return ["ssh", "-F", "none", "-S", str(control), "-T", "-o", "BatchMode=yes", "--", "docker-host", "sh -s"]


def ask_docker(control: Path, socket: str) -> list[str]:
    """Words that ask the engine over a connection, without forwarding; they succeed where it answers."""
    # Without the connection, ssh must not look for a host of that name.
    words = ["ssh", "-F", "none", "-S", str(control), "-o", "ProxyCommand=false", "--", "docker-host"]
    return [*words, f"docker --host unix://{socket} version"]


def _escaped(path: Path) -> str:
    """A path in an option of ssh, which expands %."""
    return str(path.absolute()).replace("%", "%%")


def script(socket: str | None) -> str:
    """The script for the Docker host."""
    setting = f"s=unix://{socket};" if socket else f"s=${{DOCKER_HOST:-unix://{DEFAULT_SOCKET}}};"
    return f"sh -c '{_SCRIPT.format(setting=setting, mark=MARK)}'"


@dataclass(frozen=True)
class Greeting:
    """The script's answer: the state of the engine's socket, and its path."""

    state: str
    socket: str


def greeting(line: str) -> Greeting | None:
    """Read a line; None where it is anything else, such as what a login shell prints."""
    words = line.split(maxsplit=2)
    if len(words) != 3 or words[0] != MARK:  # noqa: PLR2004 - mark, state, socket
        return None
    return Greeting(words[1], words[2].strip().removeprefix("unix://"))


# -- sentences --------------------------------------------------------------------------------------------------


def no_docker(name: str, address: Address, answer: Greeting) -> LabctlError:
    """The sentence for a host that is reachable while its engine is not."""
    if answer.state == "denied":
        who = f"The user {address.user}" if address.user else "The user that logs in there"
        return LabctlError(
            f"{who} may not use the Docker socket of the Docker host {name}: add that user to the group `docker` there "
            "(`sudo usermod -aG docker USER`), and connect again."
        )
    if answer.state == "elsewhere":
        return LabctlError(
            f"DOCKER_HOST is {answer.socket!a} on the Docker host {name}, and labctl can only reach a socket there: "
            f"name it, as in DOCKER_HOST={address.url.removesuffix(address.socket or '')}{DEFAULT_SOCKET}."
        )
    if answer.state == "missing":
        return LabctlError(
            f"Docker is not installed on the Docker host {name}: `labctl doctor --fix` with the same DOCKER_HOST, or "
            "`ansible-playbook -i INVENTORY playbooks/engine.yml`, brings it."
        )
    return stopped(name)


def stopped(name: str) -> LabctlError:
    """The sentence for a reachable host whose engine does not answer."""
    return LabctlError(
        f"Docker does not run on the Docker host {name}: start it there (`sudo systemctl start docker`)."
    )


def forbidden(name: str) -> LabctlError:
    """The sentence for an sshd that forwards nothing."""
    return LabctlError(
        f"The sshd of the Docker host {name} forwards nothing: let its sshd_config say `AllowTcpForwarding yes` and "
        "`AllowStreamLocalForwarding yes`."
    )


def lost(name: str) -> LabctlError:
    """The sentence for a connection that was up and broke."""
    return LabctlError(
        f"The connection to the Docker host {name} was lost: look whether it runs and is reachable, and repeat this."
    )


def not_connected(name: str, address: Address, said: str) -> LabctlError:
    """The sentence for ssh's message when it failed before the command ran."""
    lower = said.lower()
    port = f" -p {address.port}" if address.port else ""
    for sign, sentence in _REASONS.items():
        if sign in lower:
            why = sentence.format(
                host=address.host,
                login=address.login,
                key=address.key or "the private key",
                identity=f" -i {address.key}" if address.key else "",
                known=f" -f {address.known_hosts}" if address.known_hosts else "",
                entry=f"[{address.host}]:{address.port}" if address.port else address.host,
                into=address.known_hosts or "~/.ssh/known_hosts",
                port=port,
                seconds=CONNECT_SECONDS,
            )
            return LabctlError(f"The Docker host {name} was not reached: {why}")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    why = lines[-1].rstrip(".") if lines else "ssh ended and said nothing"
    if len(why) > _LONGEST_QUOTE:
        why = f"{why[:_LONGEST_QUOTE]}..."
    return LabctlError(f"The Docker host {name} was not reached: {why}; `ssh{port} {address.login}` shows more.")


# What ssh prints, in lower case, and what it means. First match wins: for a wrong host key ssh prints two of them.
_REASONS = {
    "remote host identification has changed": (
        "its host key is not the one that is known for it, so nobody knows who answers there. If it was installed "
        "again, ask its admin for its fingerprint; only then forget the old key (`ssh-keygen{known} -R '{entry}'`) "
        "and learn the new one."
    ),
    "host key is known for": (
        "its host key is not known here, and labctl trusts no host that nobody has checked. Connect once with "
        "`ssh{port} {login}` and compare the fingerprint, or take the key over from a network that you trust "
        "(`ssh-keyscan{port} {host} >> {into}`)."
    ),
    "revoked": "its host key is revoked, so nobody may trust it.",
    "host key verification failed": "its host key could not be verified; `ssh{port} {login}` shows why.",
    "could not resolve hostname": "the name {host} is not known: correct it, or give the host's address.",
    "unprotected private key file": "others may read {key}, so ssh does not use it: `chmod 600 {key}`.",
    "bad permissions": "others may read {key}, so ssh does not use it: `chmod 600 {key}`.",
    "no such identity": "there is no key {key}.",
    "permission denied (": (
        "it refused the login {login}: let `ssh{identity}{port} {login}` work without a password "
        "(`ssh-copy-id{identity}{port} {login}`; `ssh-add` for a key with a passphrase)."
    ),
    "too many authentication failures": (
        "it refused the login {login} after too many keys: name the right one (IdentityFile and IdentitiesOnly in "
        "~/.ssh/config)."
    ),
    "connection refused": "it answers, and no sshd does: start sshd there, or correct the port.",
    "timed out": "nothing answered within {seconds} seconds: look whether it runs, and whether its address is right.",
    "no route to host": "no way leads to {host}: look whether it runs, and whether its address is right.",
    "network is unreachable": "no way leads to {host}: look whether this machine is on the right network.",
    "connection reset": "sshd there hung up at once: its log says why.",
    "connection closed": "sshd there hung up at once: its log says why.",
}
