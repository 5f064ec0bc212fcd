"""Run the docker command on a Docker host, and turn what it says when it fails into one sentence.

Compose and buildx are commands, and what is not done for every lab is simplest as one; the rest is in docker_api.
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


def not_installed() -> DockerError:
    """The sentence for a host that has no docker command."""
    return DockerError(
        "The docker command is not installed on this Docker host: `make demo` or `labctl doctor --fix` installs it."
    )


class Docker:
    """The docker command on this host.

    `keep_open` are file descriptors that each docker process inherits: the lab's lock, which so stays held
    until the last of them has ended, also when the module itself was killed.
    """

    def __init__(self, keep_open: tuple[int, ...] = ()) -> None:
        self.keep_open = keep_open

    def run(self, *words: str, doing: str, stdin: bytes | None = None) -> str:
        """Run `docker WORDS` and return what it printed. Raises DockerError."""
        process = self.start(*words, stdin=stdin is not None)
        out, err = (stream.decode("utf-8", "replace") for stream in process.communicate(stdin))
        if process.returncode != 0:
            raise DockerError(explain(err or out, doing), said=err or out)
        return out

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
            raise not_installed() from error

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
