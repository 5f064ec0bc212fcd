"""The images of labs on this Docker host: find them by label, save them to a file, load them from one."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from labctl import files
from labctl.engine import foreign_labels, image_archive
from labctl.engine.client import explained
from labctl.errors import ExitCode, LabctlError
from labctl.results import ImageResult
from labctl.shared import consul_versions, image_binary, image_labels
from labctl.shared.docker_api import odd

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.engine.client import Client

REPOSITORY = "raft-labctl/consul"


@dataclass(frozen=True)
class Image:
    """An image that labctl made: `size` in bytes, `created` as Docker writes it."""

    id: str
    name: str
    version: str
    source: str
    size: int
    created: str
    origin: str = ""

    @property
    def result(self) -> ImageResult:
        """What `labctl image ls` shows of it."""
        return ImageResult(self.id, self.name, self.version, self.source, self.size, self.created)


def list_images(client: Client, repository: str = REPOSITORY) -> list[Image]:
    """All images of labs, the newest version first. Raises LabctlError."""
    with explained(client.place):
        summaries = client.images(filters={"label": image_labels.VERSION})
    images = []
    for summary in foreign_labels.left_out("image", summaries):
        labels = summary.get("Labels") or {}
        version = labels.get(image_labels.VERSION, "")
        name = f"{repository}:{version}"
        if name in (summary.get("RepoTags") or []) and image_labels.is_finished(labels):
            created = str(summary["Created"])
            source, origin = labels.get(image_labels.SOURCE, ""), labels.get(image_labels.ORIGIN, "")
            images.append(Image(summary["Id"], name, version, source, summary["Size"], created, origin))
    return sorted(images, key=lambda image: consul_versions.order(image.version), reverse=True)


def find_image(
    client: Client, version: str | None = None, source: str | None = None, origin: str | None = None
) -> Image | None:
    """The image with that version, source and origin, else the newest; None if there is none."""
    for image in list_images(client):
        if version not in (None, image.version) or source not in (None, "auto", image.source):
            continue
        if origin in (None, image.origin):
            return image
    return None


def origin_of_binary(client: Client, path: str) -> str:
    """The origin label of an image made from this file. Raises LabctlError where it is no program of the host."""
    try:
        with explained(client.place):
            if not (kind := client.version().get("Arch")):
                raise odd("it names no Arch", "asking which engine it is")
            image_binary.check_binary(path, kind)
        return image_binary.origin_of(path)
    except image_binary.BinaryError as error:
        raise LabctlError(str(error), ExitCode.USAGE) from error
    except OSError as error:
        raise LabctlError(f"The Consul binary {path!a} cannot be read ({error.strerror}).", ExitCode.USAGE) from error


def save(client: Client, image: Image, path: Path, *, force: bool) -> int:
    """Write an image to a file that `load` reads, whole or not at all. Returns its size in bytes."""
    if path.exists() and not force:
        raise files.exists_already(path)
    size = 0
    with files.write_atomically(path, new=not force) as file, explained(client.place):
        for chunk in client.saved_image(image.name):
            size += file.write(chunk)
        if not size:
            raise odd(f"it sent nothing of {image.name}", "saving an image")
    return size


def load(client: Client, path: Path) -> Image:
    """Load an image that `save` wrote, and nothing else: what the file holds is known before it is loaded.

    Raises LabctlError.
    """
    try:
        # Reading an open pipe would wait, and cannot be repeated.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise LabctlError(f"{path} is no plain file: give one that `labctl image save` wrote.", ExitCode.USAGE)
            names = _names_in(file, path)
            _refuse_to_take(client, path, names)
            file.seek(0)
            with explained(client.place):
                client.load_image(file)
    except OSError as error:
        raise LabctlError(f"{path} could not be read: {error.strerror or error}.", ExitCode.USAGE) from error
    for image in list_images(client):
        if image.name in names:
            return image
    raise LabctlError(
        f"The engine took {path} and has no image {', '.join(names)} for a lab now: `labctl image ls` shows what there "
        "is."
    )


def _names_in(file: IO[bytes], path: Path) -> list[str]:
    """The names of the images in a file. Raises LabctlError where not all of them are images of labs."""
    try:
        held = image_archive.read(file)
    except image_archive.ArchiveError as error:
        raise LabctlError(
            f"{path} is not an image, because it {error}: give a file that `labctl image save` wrote.", ExitCode.USAGE
        ) from error
    ours = [image for image in held if image_labels.is_finished(dict(image.labels)) and image.names]
    others = [image for image in held if image not in ours or any(not _is_ours(name) for name in image.names)]
    if others:
        told = ", ".join(
            ascii(name)[1:-1][:80] for image in others[:5] for name in image.names[:5] or ("one without a name",)
        )
        raise LabctlError(
            f"{path} holds {'an image that is not' if ours else 'no image'} of a lab (it has {told}), so nothing was "
            "loaded: give a file that `labctl image save` wrote.",
            ExitCode.USAGE,
        )
    return [name for image in ours for name in image.names]


def _is_ours(name: str) -> bool:
    return name.rpartition(":")[0] == REPOSITORY


def _refuse_to_take(client: Client, path: Path, names: list[str]) -> None:
    """Raise LabctlError where an image that is no lab's has a name that the file's image would take."""
    with explained(client.place):
        there = client.images()
    for found_image in there:
        taken = sorted(set(found_image.get("RepoTags") or []) & set(names))
        if taken and image_labels.VERSION not in (found_image.get("Labels") or {}):
            raise LabctlError(
                f"Cannot load {path}: the image {taken[0]} on this Docker host is not one of a lab, and would lose its "
                f"name to the file's. Give it another one with `docker tag {taken[0]} NAME`, then `docker image rm "
                f"{taken[0]}`, and load the file again.",
                ExitCode.REFUSED,
            )
