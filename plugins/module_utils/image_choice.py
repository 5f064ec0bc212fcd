"""The labels of our images, and the choice among the existing images (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .shared import consul_versions, label_values
from .shared.image_labels import (
    CHECKED,
    LAYOUT,
    LAYOUT_NOW,
    ORIGIN,
    SOURCE,
    STATE,
    TOOLS,
    TOOLS_NOW,
    VERSION,
    is_finished,
)

SOURCES = ("registry", "release", "binary", "debian")


@dataclass(frozen=True)
class ImageRequest:
    """The user's request; an empty string asks for nothing in particular."""

    source: str = ""
    version: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Image:
    """An existing image of ours."""

    id: str
    name: str
    version: str
    source: str
    origin: str
    created: str


def labels_of(version: str, source: str, origin: str) -> dict[str, str]:
    """Return the labels of a finished image."""
    return {
        VERSION: version,
        SOURCE: source,
        LAYOUT: LAYOUT_NOW,
        TOOLS: " ".join(TOOLS_NOW),
        ORIGIN: origin,
        STATE: CHECKED,
        "org.opencontainers.image.title": "Consul for labctl",
        "org.opencontainers.image.version": version,
    }


def image_of(inspected: dict[str, Any], repository: str) -> Image | None:
    """Return our image from the answer of `docker image inspect`, or None for anything but a finished one."""
    labels = (inspected.get("Config") or {}).get("Labels") or {}
    tags = [tag for tag in inspected.get("RepoTags") or [] if tag.rpartition(":")[0] == repository]
    version = consul_versions.full(labels.get(VERSION, ""))
    if not is_finished(labels) or version is None or not tags or label_values.misfit(labels) is not None:
        return None
    return Image(
        id=inspected["Id"],
        name=min(tags),
        version=version,
        source=labels.get(SOURCE, ""),
        origin=labels.get(ORIGIN, ""),
        created=inspected.get("Created", ""),
    )


def choose(images: list[Image], wanted: ImageRequest) -> Image | None:
    """Return the newest version, then the youngest image, of those that match WANTED."""
    fitting = [
        image
        for image in images
        if wanted.source in ("", image.source)
        and wanted.version in ("", image.version)
        and wanted.origin in ("", image.origin)
    ]
    return max(
        fitting, key=lambda image: (consul_versions.order(image.version), image.version, image.created), default=None
    )
