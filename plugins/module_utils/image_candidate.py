"""A candidate: an image that is built, checked from the inside, and only then given its name and labels."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .docker_cli import IMAGE_SECONDS, Docker, StuckError
from .image_choice import labels_of
from .image_version import said_version, tag_of
from .shared.constants import SERVER_UID
from .shared.docker_api import DockerError, explain
from .shared.image_labels import STATE

if TYPE_CHECKING:
    from pathlib import Path

    from .image_workspace import Workspace

USER = f"{SERVER_UID}:{SERVER_UID}"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Each line of the answer begins with the question's word.
_QUESTIONS = """
ask() { word=$1; shift; "$@" 2>&1 | while read -r line; do echo "$word $line"; done; }
ask consul consul version
ask nft nft --version
ask ip ip -V
ask nc nc -h
ask data stat -c '%a %u:%g' /consul/data
ask config ls -d /consul/config
ask user id -u
"""
# A program that is not Consul may never end; seconds.
_CHECK_TIME = 60


class CandidateError(Exception):
    """Why there is no image, as one sentence."""


@dataclass(frozen=True)
class FinishedImage:
    """An image that was checked, labelled and named."""

    id: str
    name: str
    version: str


class Candidate:
    """The candidate of one run. `tag` is its only name until it is finished."""

    def __init__(self, place: Workspace, repository: str) -> None:
        self.repository = repository
        self.owner = place.owner
        self.tag = f"{repository}:candidate-{secrets.token_hex(4)}"
        # Builds end before another run may begin; containers are removed by that run.
        self._builder = Docker(keep_open=(place.lock,))
        self._docker = Docker()
        _use_a_builder_that_is_there()

    def from_rootfs(self, tar: Path) -> None:
        """Import a root file system. Raises DockerError."""
        changes = [
            f"ENV PATH={_PATH}",
            f"USER {USER}",
            "WORKDIR /",
            'ENTRYPOINT ["consul"]',
            f"LABEL {STATE}={quoted(self.owner)}",
        ]
        words = [word for change in changes for word in ("--change", change)]
        self._builder.run(
            "import", *words, str(tar), self.tag, doing="importing the root file system", seconds=IMAGE_SECONDS
        )

    def from_image(self, base: str, dockerfile: Path, context: Path) -> None:
        """Build DOCKERFILE on another image. Raises CandidateError, or DockerError where that does not end."""
        arguments = ["--build-arg", f"base={base}", "--build-arg", f"state={self.owner}"]
        words = ["--force-rm", "--tag", self.tag, "--file", str(dockerfile), *arguments, str(context)]
        doing = f"building on the image {base}"
        done = self._builder.ended("build", *words, doing=doing, seconds=IMAGE_SECONDS)
        if done.code != 0:
            raise CandidateError(explain(build_failure(done.out, done.err), doing))

    def check(self, wanted: str, source: str) -> str:
        """Return the version that the binary itself prints. Raises CandidateError."""
        said = self._ask()
        output = "\n".join(said.get("consul", ["it said nothing"]))
        version: str | None = said_version(output)
        if version is None:
            raise CandidateError(f"The program of source {source} said no version but: {output.splitlines()[0][:200]}")
        if wanted not in ("", version):
            raise CandidateError(
                f"Source {source} has Consul {version}, and {wanted} was asked for: ask for {version}, "
                f"or take another source."
            )
        for tool, sign in (("nft", "nftables v"), ("ip", "ip utility"), ("nc", "OpenBSD netcat")):
            answer = " ".join(said.get(tool, ["nothing"]))
            if not answer.startswith(sign):
                raise CandidateError(
                    f"The image of source {source} has no {tool} that runs; asked for it: {answer[:200]}"
                )
        if said.get("data") != [f"700 {USER}"] or said.get("config") != ["/consul/config"]:
            raise CandidateError(
                f"The image of source {source} has no /consul/data of {USER} with mode 700, "
                f"or no /consul/config: {said.get('data')}"
            )
        return version

    def finish(self, version: str, source: str, origin: str) -> FinishedImage:
        """Give the candidate its labels and its name, in one step of the engine. Raises DockerError."""
        name = f"{self.repository}:{tag_of(version)}"
        before = self._id(name)
        labels = labels_of(version, source, origin)
        words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        self._builder.run(
            "build",
            *words,
            "--tag",
            name,
            "-",
            doing="labelling the image",
            stdin=f"FROM {self.tag}\n".encode(),
            seconds=IMAGE_SECONDS,
        )
        self._forget(self.tag)
        done = self._id(name)
        if before not in ("", done) and not self._names(before):
            # Labs that run on it keep it; nothing else needs it.
            self._forget(before)
        return FinishedImage(id=done, name=name, version=version)

    def sweep(self) -> None:
        """Remove the containers and the images of candidates that were made in this workspace."""
        mine = f"label={STATE}={self.owner}"
        for container in self._docker.ids("container", mine, doing="looking for leftovers"):
            self._try("container", "rm", "--force", "--volumes", container)
        listed = self._docker.run(
            "image", "ls", "--no-trunc", "--filter", mine, "--format", "{{.ID}} {{.Repository}}:{{.Tag}}",
            doing="looking for leftovers",
        )  # fmt: skip
        for line in listed.splitlines():
            identity, _space, tag = line.partition(" ")
            self._forget(identity if "<none>" in tag else tag)

    def _ask(self) -> dict[str, list[str]]:
        name = f"raft-labctl-image-check-{secrets.token_hex(4)}"
        words = [
            "run", "--rm", "--name", name, "--label", f"{STATE}={self.owner}", "--network", "none",
            "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", USER,
            "--pids-limit", "64", "--entrypoint", "/bin/sh", self.tag, "-c", _QUESTIONS,
        ]  # fmt: skip
        try:
            done = self._docker.ended(*words, doing="asking the program for its version", seconds=_CHECK_TIME)
        except StuckError as error:
            self._try("container", "rm", "--force", "--volumes", name)
            raise CandidateError(
                f"The program did not answer `consul version` within {_CHECK_TIME} s: is it Consul?"
            ) from error
        answers: dict[str, list[str]] = {}
        for line in done.out.splitlines():
            word, _space, answer = line.partition(" ")
            answers.setdefault(word, []).append(answer)
        if done.code != 0 and not answers:
            raise CandidateError(f"The candidate does not run: {done.err.strip()[:300]}")
        return answers

    def _id(self, name: str) -> str:
        images = self._docker.inspect("image", [name], doing=f"looking at the image {name}")
        return str(images[0]["Id"]) if images else ""

    def _names(self, image: str) -> list[str]:
        # Removing an image by its id also removes its last name, even one that somebody else gave it.
        images = self._docker.inspect("image", [image], doing=f"looking at the image {image}")
        return list(images[0]["RepoTags"] or []) if images else []

    def _forget(self, image: str) -> None:
        self._try("image", "rm", image)

    def _try(self, *words: str) -> None:
        # It is no error here if something is already gone, or still in use.
        try:
            self._docker.run(*words, doing="removing leftovers")
        except DockerError:
            return


def sweep_after_interrupt(candidate: Candidate) -> None:
    """Sweep twice: the engine may be finishing a request of its interrupted client."""
    candidate.sweep()
    time.sleep(0.5)
    candidate.sweep()


def build_failure(out: str, err: str) -> str:
    """Return why a build failed: the last words of the failed command, and the builder's verdict.

    The engine's own builder prints a command's output on standard output, buildx on standard error.
    """
    said, verdict = ([line.strip() for line in text.splitlines() if line.strip()] for text in (out, err))
    steps = ("Step ", "--->", "Removing intermediate", "Sending build context")
    words = [line for line in said if not line.startswith(steps)]
    errors = [line for line in words or verdict if line.lower().startswith(("e: ", "error: "))]
    telling = [*(errors or words)[-1:], *verdict[-1:]]
    return "; ".join(dict.fromkeys(telling)) or "it said nothing"


def quoted(text: str) -> str:
    """Quote TEXT for a Dockerfile's LABEL: no variable in it is replaced."""
    return json.dumps(text, ensure_ascii=False).replace("$", "\\$")


def _use_a_builder_that_is_there() -> None:
    """Use buildx's builder of the engine itself, or the engine's own builder without buildx.

    Another buildx builder sees no local image, and leaves its result outside of the engine.
    """
    docker = Docker()
    try:
        docker.run("buildx", "version", doing="looking for buildx")
    except DockerError:
        os.environ["DOCKER_BUILDKIT"] = "0"
        return
    os.environ["BUILDX_BUILDER"] = docker.run("context", "show", doing="asking for Docker's context").strip()
