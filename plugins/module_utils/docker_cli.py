"""Run the docker command on a Docker host, and turn what it says when it fails into one sentence.

The command line is used, not the API, because it brings contexts, DOCKER_HOST, TLS and Compose with it, and
because each Python module that imports an API client costs a host a good part of a second.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any


class DockerError(Exception):
    """What docker said, as a sentence; `failure` is the kind that labctl turns into an exit code."""

    def __init__(self, sentence: str, failure: str = "failed", said: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.failure = failure
        self.said = said


# What docker or the kernel says, in lower case, and the sentence that helps. First match wins.
_KNOWN: dict[str, str] = {
    "permission denied while trying to connect": (
        "This user may not use the Docker socket: join the group `docker` "
        "(`sudo usermod -aG docker $USER`, then log in again) or run this with sudo."
    ),
    "cannot connect to the docker daemon": (
        "The Docker Engine does not answer: start it (`sudo systemctl start docker`), "
        "or let `labctl doctor --fix` do it."
    ),
    "is not a docker command": "Docker Compose v2 is not installed here: `labctl doctor --fix` installs it.",
    "no space left on device": (
        "The Docker host's disk is full: free some space (`docker system df` shows what Docker uses) and try again."
    ),
}


def explain(said: str, doing: str) -> str:
    """Make one sentence from what docker printed while it was `doing` something (`starting the servers`)."""
    lower = said.lower()
    for sign, sentence in _KNOWN.items():
        if sign in lower:
            return sentence
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()] or lines
    return f"Docker failed while {doing}: {telling[-1] if telling else 'it said nothing'}"


class Docker:
    """The docker command on this host.

    `keep_open` are file descriptors that each docker process inherits: the lab's lock, which so stays held
    until the last of them has ended, also when the module itself was killed.
    """

    def __init__(self, keep_open: tuple[int, ...] = ()) -> None:
        self.keep_open = keep_open

    def run(self, *words: str, doing: str, stdin: bytes | None = None) -> str:
        """Run `docker WORDS` and return what it printed. Raises DockerError."""
        return self.finish(self.start(*words, stdin=stdin is not None), doing=doing, stdin=stdin)

    def run_together(self, *calls: tuple[str, ...], doing: str) -> list[str]:
        """Run several docker commands at once and return what each printed: most of their time is starting."""
        processes = [self.start(*words) for words in calls]
        # All have ended before the first failure is raised: none is left behind.
        said = [process.communicate() for process in processes]
        return [self._read(process, *one, doing=doing) for process, one in zip(processes, said)]

    def finish(self, process: subprocess.Popen[bytes], *, doing: str, stdin: bytes | None = None) -> str:
        """Wait for a docker command that `start` started. Raises DockerError."""
        return self._read(process, *process.communicate(stdin), doing=doing)

    @staticmethod
    def _read(process: subprocess.Popen[bytes], out: bytes, err: bytes, *, doing: str) -> str:
        if process.returncode != 0:
            said = err.decode("utf-8", "replace") or out.decode("utf-8", "replace")
            raise DockerError(explain(said, doing), said=said)
        return out.decode("utf-8", "replace")

    def start(self, *words: str, stdin: bool = False) -> subprocess.Popen[bytes]:
        """Start `docker WORDS` without waiting for it. Raises DockerError where there is no docker."""
        try:
            return subprocess.Popen(
                ["docker", *words],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=self.keep_open,
            )
        except FileNotFoundError as error:
            raise DockerError(
                "The docker command is not installed on this Docker host: "
                "`make demo` or `labctl doctor --fix` installs it."
            ) from error

    def inspect(self, kind: str, ids: list[str], doing: str) -> list[dict[str, Any]]:
        """Inspect containers, networks or volumes; those that are gone meanwhile are left out."""
        if not ids:
            return []
        try:
            text = self.run(kind, "inspect", *ids, doing=doing)
        except DockerError as error:
            # Docker says "No such container: x", "get x: no such volume", "network x not found".
            if not re.search(r"no such|network \S+ not found", error.said, re.IGNORECASE):
                raise
            if len(ids) == 1:
                return []
            return [found for one in ids for found in self.inspect(kind, [one], doing)]
        found: list[dict[str, Any]] = json.loads(text)
        return found

    def ids(self, kind: str, *filters: str, doing: str) -> list[str]:
        """List containers (also stopped ones), networks or volumes that match all filters."""
        words = ["ls", "-q"] + (["-a", "--no-trunc"] if kind == "container" else [])
        for one in filters:
            words += ["--filter", one]
        return self.run(kind, *words, doing=doing).split()
