"""`labctl image build`, `save` and `load`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.engine import client as engine
from labctl.engine import images
from labctl.errors import LabctlError
from labctl.results import ImageFile, LoadedImage
from labctl.runner.deadlines import IMAGE
from labctl.runner.run import play
from labctl.terminal.style import byte_size

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.progress import Steps
    from labctl.results import ImageResult
    from labctl.runner.playbook_run import TaskEvent

HOST = "image"
ROLE = "consul_image"


@dataclass(frozen=True)
class ImageOptions:
    """The user's request; an empty version is the newest that the source has."""

    source: str
    version: str
    binary: str
    force: bool
    verbose: bool


def build(options: ImageOptions, steps: Steps) -> ImageResult:
    """Make the image with the role consul_image. Returns its row, and whether it is new."""
    from labctl.runner import inventory  # noqa: PLC0415 - `ls` needs no Ansible
    from labctl.runner.playbook_run import PlaybookRun  # noqa: PLC0415

    engine.connect()
    settings = {
        "consul_image_source": options.source,
        "consul_image_version": options.version,
        "consul_image_binary": options.binary,
        "consul_image_force": options.force,
    }
    steps.begin(f"Image: from the source {options.source}")
    run = PlaybookRun("image.yml", inventory.of_this_machine(HOST, settings), seconds=IMAGE)
    try:
        told = play(run, steps, verbose=options.verbose)
    except KeyboardInterrupt:
        sentence = "Interrupted: no image was made, and the next build removes what was begun."
        raise KeyboardInterrupt(sentence) from None
    # By what the role reported: a source may have several images.
    reported = [made["id"] for item in told if (made := reported_image(item))]
    image = next((each_image for each_image in images.list_images(engine.connect()) if each_image.id in reported), None)
    if image is None:
        raise LabctlError("The image was made but cannot be found by its label: `docker images` lists the images.")
    there = "" if any(item.changed for item in told) else ": it was there already"
    steps.done(f"Image {image.name} from the source {image.source}, {byte_size(image.size)}{there}")
    return image.result


def reported_image(item: TaskEvent) -> dict[str, Any]:
    """The image that the role reports at its end (`id`, `name`, `version`, `source`); ignores all other tasks."""
    said = (item.result or {}).get("msg")
    if item.role == ROLE and isinstance(said, dict) and {"id", "name", "source"} <= said.keys():
        return said
    return {}


def save(path: Path, version: str | None, *, force: bool) -> ImageFile:
    """Save an image to a file."""
    client = engine.connect()
    image = images.find_image(client, version)
    if image is None:
        which = f"of Consul {version} " if version else ""
        raise LabctlError(f"No image {which}is there to save: `labctl image build` makes one.")
    size = images.save(client, image, path, force=force)
    text = f"Saved {image.name} to {path} ({byte_size(size)}): `labctl image load` reads it on another machine."
    return ImageFile(**vars(image.result), file=str(path), file_size=size, text=text)


def load(path: Path) -> LoadedImage:
    """Load an image from a file."""
    image = images.load(engine.connect(), path)
    return LoadedImage(**vars(image.result), text=f"Loaded {image.name} from {path}: `labctl up` uses it.")
