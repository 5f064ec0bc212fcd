"""A Docker Engine of a test's own, beside the machine's: it may be stopped and killed.

It has a network namespace, so that its bridges and rules meet nobody else's, a mount namespace with a /run of its
own, and a data folder of its own. It is ended by process ids, and leaves nothing.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.harness import docker, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_SECONDS = 40
END_SECONDS = 30
CGROUPS = Path("/sys/fs/cgroup")


class OwnEngine:
    """A Docker Engine that only this test uses.

    Args:
        folder: an empty folder on a disk (not on an overlay) for its data.
    """

    def __init__(self, folder: Path) -> None:
        assert os.geteuid() == 0, "an engine of one's own needs root: run the tests as root"
        self.folder = folder
        self.namespace = f"labctl-test-{secrets.token_hex(4)}"
        self.host = f"unix://{folder}/docker.sock"
        # Linux gives a socket's path 107 bytes.
        assert len(str(folder)) < 60, folder
        self.cgroup = f"/{self.namespace}"
        self.process: subprocess.Popen[bytes] | None = None
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "lo", "up"], check=True)

    @property
    def inside(self) -> list[str]:
        """Words that run a command where the engine's published ports are."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}"]

    def dockerd(self) -> list[str]:
        """Words that run the engine, with a /run of its own."""
        run = 'mount --make-rprivate / && mount -t tmpfs none /run && exec "$@"'
        return [*self.inside, "unshare", "-m", "sh", "-c", run, "sh", "dockerd", *self.options()]

    def options(self) -> list[str]:
        """The engine's own options."""
        options = {
            "data-root": self.folder / "data",
            "exec-root": self.folder / "exec",
            "pidfile": self.folder / "docker.pid",
            "host": self.host,
            "cgroup-parent": self.cgroup,
            "log-level": "warn",
        }
        return [f"--{name}={value}" for name, value in options.items()]

    def start(self) -> None:
        """Start it and wait until it answers."""
        # For dockerd a zombie that nobody has reaped is alive (roles/docker_engine/files/start-dockerd.sh knows).
        (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        self.process = self.spawn(self.dockerd())
        wait_until(self._answers, ANSWER_SECONDS, f"the engine of {self.folder}/log")

    def spawn(self, words: list[str]) -> subprocess.Popen[bytes]:
        """Start a command of this engine's; what it says goes into the log."""
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def load(self, image: str) -> None:
        """Give it an image that this machine's engine has."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            words = ["docker", "--host", self.host, "load"]
            subprocess.run(words, stdin=saved.stdout, check=True, stdout=subprocess.DEVNULL)
        assert docker("image", "ls", "-q", image, host=self.host)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        return docker("version", "--format", "{{.Server.Version}}", host=self.host, check=False) != ""

    def halt(self) -> None:
        """Suspend it: it takes no call, and its work stands still."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume it after `halt`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it as a service manager does: it stops its containers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=END_SECONDS)
        self.process = None

    def die(self) -> None:
        """End everything of it at once, as when its machine loses power: pid file, socket and bridges stay."""
        for _ in range(20):
            pids = self.pids()
            if not pids:
                break
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        if self.process is not None:
            self.process.wait(timeout=END_SECONDS)
            self.process = None
        assert self.pids() == []

    def pids(self) -> list[int]:
        """Its processes: those whose command line names its folder, those in its cgroup, and those below them."""
        parents: dict[int, int] = {}
        left = set()
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if stat[0] == "Z":
                    continue
                pid = int(entry.name)
                parents[pid] = int(stat[1])
                if self.owns(entry):
                    left.add(pid)
        left.discard(os.getpid())
        grown = True
        while grown:
            below = {pid for pid, parent in parents.items() if parent in left} - left
            left |= below
            grown = bool(below)
        return sorted(left)

    def owns(self, process: Path) -> bool:
        """Whether a process, by its folder in /proc, is named or grouped as this engine's. Raises OSError."""
        return (
            str(self.folder).encode() in (process / "cmdline").read_bytes()
            or f"{self.cgroup}/" in (process / "cgroup").read_text()
        )

    def remove(self) -> None:
        """End it and remove its data, its mounts, its control groups and its network."""
        self.die()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((mount for mount in mounts if mount.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        for top in [*CGROUPS.glob(f"*{self.cgroup}"), *CGROUPS.glob(self.cgroup.strip("/"))]:
            for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):
                    group.rmdir()
            with suppress(OSError):
                top.rmdir()
        subprocess.run(["ip", "netns", "delete", self.namespace], check=False)


@contextmanager
def running_engine(image: str) -> Iterator[OwnEngine]:
    """A running engine with the image; at the end nothing of it is left."""
    # Not pytest's folder: its path is too long for a socket, and overlay2 wants a real disk, as Docker's own has.
    engine = OwnEngine(Path(tempfile.mkdtemp(prefix="labctl-", dir="/var/tmp")))
    try:
        engine.start()
        engine.load(image)
        yield engine
    finally:
        engine.remove()
    assert engine.pids() == []
    assert not engine.folder.exists()
