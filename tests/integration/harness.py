"""People who type labctl commands, and what Docker really has: the tests' hands and eyes.

Everything that a test makes carries a random name; `remove_lab` takes it away by its label, whatever state it is in.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.shared.engine_lock import LABEL_LOCK
from labctl.shared.lab_names import LABEL_LAB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sys.executable).parent
LABCTL = SCRIPTS / "labctl"


def _version_of(binary: str) -> str:
    """The version that a consul binary reports."""
    said = subprocess.run([binary, "version"], capture_output=True, text=True, check=True).stdout
    match = re.match(r"Consul v(\S+)", said)
    assert match, f"{binary} does not say its version: {said}"
    return match[1]


CONSUL = os.environ.get("LABCTL_TEST_CONSUL", "")
"""A consul binary that all labs of the tests run instead of Debian's, as `make soak CONSUL=FILE` has it."""
VERSION = _version_of(CONSUL) if CONSUL else "1.8.7"
SERIES = tuple(map(int, VERSION.split(".")[:2]))
"""Major and minor number of that version, for what changed with one: (1, 8)."""
IMAGE = f"raft-labctl/consul:{VERSION}"
SECONDS = 180
MARK = "LABCTL_TEST_MARK"
KEY_FILE = "/consul/config/gossip.json"


@dataclass(frozen=True)
class Result:
    """How a command ended; `seconds` is how long it took."""

    code: int
    out: str
    err: str
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)

    def sentence(self) -> str:
        """The one sentence on standard error."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, f"not one sentence:\n{self.err}\n{self.out}"
        assert lines[0].startswith("error: "), lines[0]
        assert lines[0].endswith((".", "?", ")")), lines[0]
        return lines[0].removeprefix("error: ")


# Labctl's notes about foreign objects on the engine, which are not the tests' business.
_OF_OTHERS = re.compile(r"which labctl never writes: it is left alone|^\d+ more (has|have) such labels: left alone too")


def about_us(err: str) -> str:
    """Standard error without the notes about foreign objects on the engine."""
    return "".join(line for line in err.splitlines(keepends=True) if not _OF_OTHERS.search(line))


def ended(words: Sequence[str], env: dict[str, str] | None = None, cwd: Path | None = None) -> Result:
    """Run a command to its end."""
    begun = time.monotonic()
    process = subprocess.run(
        list(words),
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
    )
    return Result(process.returncode, process.stdout, process.stderr, time.monotonic() - begun)


class Person:
    """Somebody with a home folder of their own and the labctl that is installed beside this Python.

    Args:
        owner: the login name that labs get.
        home: their home folder.
        before: words in front of every command, such as `nsenter ...`.
        settings: environment variables on top.
    """

    def __init__(
        self, owner: str, home: Path, before: Sequence[str] = (), settings: dict[str, str] | None = None
    ) -> None:
        self.owner = owner
        self.home = home
        self.state = home / "state" / "raft-labctl"
        self.before = tuple(before)
        self.mark = secrets.token_hex(8)
        self._started: list[subprocess.Popen[str]] = []
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LABCTL_", "ANSIBLE_"))}
        self.env = kept | {
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "LABCTL_OWNER": owner,
            MARK: self.mark,
            **(settings or {}),
        }

    def words(self, *words: str) -> list[str]:
        """The whole command."""
        return [*self.before, str(LABCTL), *words]

    def run(self, *words: str, cwd: Path | None = None, **env: str) -> Result:
        """Run `labctl WORDS` to its end."""
        result = ended(self.words(*words), self.env | env, cwd or self.home)
        return replace(result, err=about_us(result.err))

    def done(self, *words: str) -> Result:
        """Run `labctl WORDS`, which must end well."""
        result = self.run(*words)
        assert result.code == 0, f"labctl {' '.join(words)} ended with {result.code}:\n{result.err}\n{result.out}"
        return result

    def start(self, *words: str, into: Path | None = None) -> subprocess.Popen[str]:
        """Start `labctl WORDS` as a terminal would: with a process group of its own. Output goes `into` a file."""
        into = into or self.home / f"out-{secrets.token_hex(4)}"
        with into.open("w", encoding="utf-8") as out:
            process = subprocess.Popen(
                self.words(*words),
                env=self.env,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def processes(self) -> dict[int, str]:
        """Processes that were started by this person's commands and still run: pid and command line."""
        commands = {}
        wanted = f"{MARK}={self.mark}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    commands[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:500]
        return commands

    def end_processes(self) -> None:
        """Kill this person's remaining commands, by pid, so that a failed test leaves none to others."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._started:
            if process.returncode is None:
                process.communicate(timeout=30)
        self._started.clear()


def docker(*words: str, host: str = "", check: bool = True) -> str:
    """Run `docker WORDS` and return what it printed, stripped."""
    env = {key: value for key, value in os.environ.items() if key != "DOCKER_HOST"} if host else dict(os.environ)
    process = subprocess.run(
        ["docker", *(["--host", host] if host else []), *words], capture_output=True, text=True, check=False, env=env
    )
    assert not check or process.returncode == 0, f"docker {' '.join(words)}: {process.stderr}"
    return process.stdout.strip()


def docker_bytes(*words: str) -> bytes:
    """Run `docker WORDS` and return the bytes that it wrote."""
    return subprocess.run(["docker", *words], capture_output=True, check=True).stdout


def inspect(kind: str, *ids: str, host: str = "") -> list[dict[str, Any]]:
    """Docker's description of containers, networks, volumes or images."""
    documents: list[dict[str, Any]] = json.loads(docker(kind, "inspect", *ids, host=host)) if ids else []
    return documents


def servers(lab: str, host: str = "") -> list[dict[str, Any]]:
    """Docker's description of a lab's servers, in the order of their names.

    A container that goes after it was listed, as a helper of a lab that comes up does, is not among them.
    """

    def listed() -> list[str]:
        return docker("ps", "-aq", "--no-trunc", "--filter", f"label={LABEL_LAB}={lab}", host=host).split()

    ids = listed()
    while ids:
        with suppress(AssertionError):
            return sorted(inspect("container", *ids, host=host), key=lambda server: str(server["Name"]))
        still = [server for server in listed() if server in ids]
        assert still != ids, f"docker cannot inspect {ids}"
        ids = still
    return []


def container(lab: str, server: str) -> str:
    """A server's container."""
    return f"labctl-{lab}-{server}"


_LISTS = {
    "container": ("-a", "--format={{.Names}}"),
    "network": ("--format={{.Name}}",),
    "volume": ("--format={{.Name}}",),
}


def left_of(lab: str, host: str = "") -> list[str]:
    """All that Docker has of a lab, by label or by name."""
    left: set[str] = set()
    for label in (f"label={LABEL_LAB}={lab}", f"name=labctl-{lab}"):
        for kind, words in _LISTS.items():
            listed = docker(kind, "ls", *words, "--filter", label, host=host).split()
            left |= {f"{kind} {thing}" for thing in listed}
    return sorted(left)


def remove_lab(lab: str, host: str = "") -> None:
    """Remove a lab by its label, as well as it goes, and a lock of it that a killed command left."""
    for kind, look, remove, label in (
        ("container", ["ls", "-aq"], ["rm", "--force", "--volumes"], LABEL_LAB),
        ("network", ["ls", "-q"], ["rm"], LABEL_LAB),
        ("volume", ["ls", "-q"], ["rm", "--force"], LABEL_LAB),
        ("volume", ["ls", "-q"], ["rm", "--force"], LABEL_LOCK),
    ):
        ids = docker(kind, *look, "--filter", f"label={label}={lab}", host=host, check=False).split()
        if ids:
            docker(kind, *remove, *ids, host=host, check=False)


def new_name() -> str:
    """A lab's name that nobody else has."""
    return f"it-{secrets.token_hex(4)}"


def started(lab: str, host: str = "") -> dict[str, tuple[str, str]]:
    """Each server's container and when it was started."""
    return {server["Name"].lstrip("/"): (server["Id"], server["State"]["StartedAt"]) for server in servers(lab, host)}


def wait_until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until something is true; fail after that many seconds, saying `what` was waited for."""
    ends = time.monotonic() + seconds
    asked = time.monotonic()
    while not true():
        now = time.monotonic()
        assert now < ends, f"waited {seconds} s for {what}"
        # As long as the question took: tests beside this one need the processor too.
        time.sleep(min(max(now - asked, 0.1), 1.0))
        asked = time.monotonic()


def put(lab: str, key: str, value: str) -> None:
    """Write a key through consul1."""
    docker("exec", container(lab, "consul1"), "consul", "kv", "put", key, value)


def get(lab: str, server: str, key: str) -> str:
    """Read a key from what that server itself has applied."""
    return docker("exec", container(lab, server), "consul", "kv", "get", "-stale", key)


def gossip_key(lab: str) -> str:
    """The key that only the servers' volume has."""
    archive = docker_bytes("cp", f"{container(lab, 'consul1')}:{KEY_FILE}", "-")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(tar.getmembers()[0])
        assert file is not None
        key = str(json.load(file)["encrypt"])
    assert len(key) >= 24
    return key


def node_ids(person: Person, lab: str) -> dict[str, tuple[str, str]]:
    """Each server's node ID and address, as `status` shows them."""
    return {
        server["name"]: (server["id"], server["address"])
        for server in person.done("status", lab, "--json").json["servers"]
    }


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is somewhere in a text, without regard to case."""
    return re.search(pattern, text, re.IGNORECASE) is not None
