"""Run the docker command on a Docker host, and turn its errors into one sentence.

Compose and buildx are commands, and rare requests are simplest as commands; the rest is in docker_api.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from .shared import answer_shapes, process_limits
from .shared.docker_api import DockerError, explain, not_installed, read_answer

if TYPE_CHECKING:
    from collections.abc import Collection


# For a command with a question to the engine; and for one that starts servers, on a busy machine.
SECONDS, LONG_SECONDS = 120.0, 180.0
# For one that makes an image, over any network.
IMAGE_SECONDS = 1200.0


class StuckError(DockerError):
    """A docker command did not end in time."""


def environment(without: Collection[str] = ()) -> dict[str, str]:
    """The user's environment without variables that would override our own arguments.

    COMPOSE_PROJECT_NAME, say, would put a lab into another project. Variables that point to the engine stay.
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

    def run(
        self,
        *words: str,
        doing: str,
        stdin: bytes = b"",
        without: Collection[str] = (),
        seconds: float = SECONDS,
    ) -> str:
        """Run `docker WORDS` and return what it printed. Raises DockerError."""
        ended = self.ended(*words, doing=doing, stdin=stdin, without=without, seconds=seconds)
        if ended.code != 0:
            said = ended.err or ended.out
            raise DockerError(explain(said, doing), said=said)
        return str(ended.out)

    def ended(
        self,
        *words: str,
        doing: str,
        stdin: bytes = b"",
        without: Collection[str] = (),
        seconds: float = SECONDS,
    ) -> process_limits.CommandEnd:
        """How `docker WORDS` ended, well or not. Raises DockerError where it did not end, or where there is no docker.

        `without` names variables of the user's environment to hide from it.
        """
        try:
            return process_limits.run(
                ["docker", *words], seconds, stdin=stdin, env=environment(without), pass_fds=self.keep_open
            )
        except FileNotFoundError as error:
            raise not_installed() from error
        except process_limits.NotEndedError as error:
            raise StuckError(
                f"Cannot go on with {doing}: the docker command was ended, because {error}. "
                "Look whether the Docker Engine answers (`docker info`), then run the same command again."
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
            return [document for thing in ids for document in self.inspect(kind, [thing], doing)]
        shape = answer_shapes.INSPECTED.get(kind, answer_shapes.anything)
        documents: list[dict[str, Any]] = read_answer(text.encode(), shape, doing)
        return documents

    def ids(self, kind: str, *filters: str, doing: str) -> list[str]:
        """List containers (also stopped ones), networks or volumes that match all filters."""
        words = ["ls", "-q"] + (["-a", "--no-trunc"] if kind == "container" else [])
        for condition in filters:
            words += ["--filter", condition]
        return self.run(kind, *words, doing=doing).split()
