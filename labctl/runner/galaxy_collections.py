"""The collections that labctl needs besides its own: which, where they are, and whether they are complete.

Each is pinned by the SHA-256 of its MANIFEST.json, which has that of its FILES.json, which has that of every file. So
the same pin holds whether a collection comes from Galaxy or out of PyPI's bundle, and nothing that was changed on the
way is unpacked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from labctl import state
from labctl.errors import LabctlError
from labctl.runner.content import content_root, in_a_clone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PINS = Path(__file__).with_name("collections.json")
MANIFEST, FILES = "MANIFEST.json", "FILES.json"
# What Ansible runs is never left out; the licences require the rest.
_NEEDED = ("plugins/", "meta/")
_KEPT = (*_NEEDED, "LICENSES/", "COPYING", "README.md")


class UnfitError(Exception):
    """Why a collection was not taken, as a part of a sentence."""


@dataclass(frozen=True)
class Pin:
    """A collection, its version, and the SHA-256 of its manifest."""

    name: str
    version: str
    manifest_sha256: str

    def folder(self, collections: Path) -> Path:
        """Its folder in one of collections."""
        return collections.joinpath("ansible_collections", *self.name.split("."))

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Pins:
    """The collections that labctl needs, and the package of PyPI that has them too."""

    bundle: str
    collections: tuple[Pin, ...]


def pins(path: Path = PINS) -> Pins:
    """The collections that this labctl was built and tested with."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return Pins(document["bundle"], tuple(Pin(**collection) for collection in document["collections"]))


def own_folder() -> Path:
    """Labctl's own folder of collections: in a clone beside the playbooks, else in the user's state folder."""
    return content_root() / "playbooks" / "collections" if in_a_clone() else state.state_folder() / "collections"


def fix_command() -> str:
    """The command that brings the collections."""
    return "make venv" if in_a_clone() else "labctl doctor --fix"


def lacking(folder: Path, wanted: Pins) -> list[Pin]:
    """The collections that are not in the folder as they were pinned."""
    return [pin for pin in wanted.collections if not _is_whole(pin, pin.folder(folder))]


def require(folder: Path | None = None, wanted: Pins | None = None) -> None:
    """Raise LabctlError where a collection that Ansible needs is not there: only `fix_command` downloads code."""
    folder = folder or own_folder()
    missing = lacking(folder, wanted or pins())
    if missing:
        raise LabctlError(
            f"Cannot run Ansible: {' and '.join(map(str, missing))} {'is' if len(missing) == 1 else 'are'} not in "
            f"{folder}. Run `{fix_command()}`, which brings Ansible's collections."
        )


# -- which files are taken -------------------------------------------------------------------------------------


def verified(pin: Pin, contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a collection that are kept, each with the content that was pinned. Raises UnfitError.

    PyPI's bundle has no tests in it, so not every listed file exists; those that Ansible runs must.
    """
    manifest = contents.get(MANIFEST, b"")
    if sha256(manifest) != pin.manifest_sha256:
        raise UnfitError(f"the manifest of {pin.name} is not that of {pin}")
    listing = contents.get(FILES, b"")
    if sha256(listing) != json.loads(manifest)["file_manifest_file"]["chksum_sha256"]:
        raise UnfitError(f"the list of files of {pin} is not the one that was pinned")
    taken = {MANIFEST: manifest, FILES: listing}
    for name, checksum in _listed(listing):
        if name not in contents and not name.startswith(_NEEDED):
            continue
        if sha256(contents.get(name, b"")) != checksum:
            raise UnfitError(f"the file {name} of {pin} is {'changed' if name in contents else 'missing'}")
        taken[name] = contents[name]
    return taken


def _listed(listing: bytes) -> Iterator[tuple[str, str]]:
    """The files that are kept, by a FILES.json that was verified: their names and checksums."""
    for entry in json.loads(listing)["files"]:
        name = entry["name"]
        inside = not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
        if entry["ftype"] == "file" and inside and name.startswith(_KEPT):
            yield name, entry["chksum_sha256"]


def _is_whole(pin: Pin, folder: Path) -> bool:
    """Whether the files of a collection that Ansible runs exist as they were pinned."""
    try:
        listing = (folder / FILES).read_bytes()
        contents = {name: (folder / name).read_bytes() for name, _ in _listed(listing) if name.startswith(_NEEDED)}
        verified(pin, {**contents, MANIFEST: (folder / MANIFEST).read_bytes(), FILES: listing})
    except (OSError, ValueError, LookupError, TypeError, UnfitError):
        return False
    return True


def sha256(content: bytes) -> str:
    """The checksum by which a collection is pinned."""
    return hashlib.sha256(content).hexdigest()
