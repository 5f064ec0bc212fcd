"""Run the docker command on a Docker host, and turn what it says when it fails into one sentence.

Compose and buildx are commands, and what is not done for every lab is simplest as one; the rest is in docker_api.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

from ansible.module_utils.docker_api import DockerError, explain, not_installed

if TYPE_CHECKING:
    from collections.abc import Collection


def environment(without: Collection[str] = ()) -> dict[str, str]:
    """The user's environment without what would decide in place of our own words.

    COMPOSE_PROJECT_NAME, say, would make a lab a part of another project. What says where the engine is, stays.
    """
    hidden = {"DOCKER_DEFAULT_PLATFORM", *without}
    return {name: value for name, value in os.environ.items() if name not in hidden and not name.startswith("COMPOSE_")}


class Docker:
    """The docker command on this host.

    `keep_open` are file descriptors that each docker process inherits: the lab's lock, which so stays held
    until the last of them has ended, also when the module itself was killed.
    """

    def __init__(self, keep_open: tuple[int, ...] = ()) -> None:
        self.keep_open = keep_open

    def run(self, *words: str, doing: str, stdin: bytes | None = None, without: Collection[str] = ()) -> str:
        """Run `docker WORDS` and return what it printed. Raises DockerError."""
        process = self.start(*words, stdin=stdin is not None, without=without)
        out, err = (stream.decode("utf-8", "replace") for stream in process.communicate(stdin))
        if process.returncode != 0:
            raise DockerError(explain(err or out, doing), said=err or out)
        return out

    def start(self, *words: str, stdin: bool = False, without: Collection[str] = ()) -> subprocess.Popen[bytes]:
        """Start `docker WORDS` without waiting for it. Raises DockerError where there is no docker.

        `without` names variables of the user's environment that it shall not see.
        """
        try:
            return subprocess.Popen(
                ["docker", *words],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=self.keep_open,
                env=environment(without),
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
