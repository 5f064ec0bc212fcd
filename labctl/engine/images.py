"""The images of labs on this Docker host: find them by label, save them to a file, load them from one."""

from __future__ import annotations

import contextlib
import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.engine import strangers
from labctl.engine.client import explained
from labctl.errors import ExitCode, LabctlError
from labctl.portable import image_marks, label_values

if TYPE_CHECKING:
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

    def row(self) -> dict[str, Any]:
        """The JSON shape of `labctl image ls`."""
        return {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "source": self.source,
            "size": self.size,
            "created": self.created,
        }


def version_key(version: str) -> tuple[Any, ...]:
    """Sorts versions by number, and a pre-release before its release."""
    core, _, pre = version.partition("+")[0].partition("-")
    return tuple(label_values.number(part) or 0 for part in core.split(".")), pre == "", pre


def list_images(client: Client, repository: str = REPOSITORY) -> list[Image]:
    """All images of labs, the newest version first. Raises LabctlError."""
    with explained(client.place):
        summaries = client.images(filters={"label": image_marks.VERSION})
    found = []
    for summary in strangers.left_out("image", summaries):
        labels = summary.get("Labels") or {}
        version = labels.get(image_marks.VERSION, "")
        name = f"{repository}:{version}"
        if name in (summary.get("RepoTags") or []) and image_marks.is_finished(labels):
            created = str(summary["Created"])
            found.append(
                Image(summary["Id"], name, version, labels.get(image_marks.SOURCE, ""), summary["Size"], created)
            )
    return sorted(found, key=lambda image: version_key(image.version), reverse=True)


def find_image(client: Client, version: str | None = None, source: str | None = None) -> Image | None:
    """The image with that version and source, else the newest; None where there is none."""
    for image in list_images(client):
        if version not in (None, image.version) or source not in (None, "auto", image.source):
            continue
        return image
    return None


def save(client: Client, image: Image, path: Path, *, force: bool) -> int:
    """Write an image to a file that `load` reads, whole or not at all. Returns its size in bytes."""
    if path.exists() and not force:
        raise LabctlError(f"{path} exists already: name another file, or overwrite it with --force.", ExitCode.USAGE)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=f".{path.name}.")
    except OSError as error:
        raise LabctlError(f"The image could not be written to {path}: {error.strerror}.") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, explained(client.place):
            for chunk in client.get_image(image.name):
                file.write(chunk)
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        raise LabctlError(f"The image could not be written to {path}: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)
    return path.stat().st_size


def load(client: Client, path: Path) -> Image:
    """Load an image that `save` wrote. What has no label of ours is removed again. Raises LabctlError."""
    with explained(client.place):
        before = {name for one in client.images() for name in [one["Id"], *(one.get("RepoTags") or [])]}
    try:
        if not tarfile.is_tarfile(path):
            raise LabctlError(f"{path} is not an image: give a file that `labctl image save` wrote.", ExitCode.USAGE)
        with path.open("rb") as file, explained(client.place):
            loaded = [str(line["stream"]) for line in client.load_image(file, quiet=False) if "stream" in line]
    except OSError as error:
        raise LabctlError(f"{path} could not be read: {error.strerror or error}.", ExitCode.USAGE) from error
    names = [text.partition(":")[2].strip() for text in loaded if text.startswith("Loaded image")]
    found = [image for image in list_images(client) if image.name in names or image.id in names]
    if found:
        return found[0]
    with contextlib.suppress(LabctlError), explained(client.place):
        for name in names:
            if name not in before:
                client.remove_image(name)
    raise LabctlError(
        f"{path} holds no image of a lab (it has {', '.join(names) or 'no image'}): "
        "give a file that `labctl image save` wrote.",
        ExitCode.USAGE,
    )
