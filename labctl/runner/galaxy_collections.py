"""Ansible's collections that labctl needs of others: where they are, and how `labctl doctor --fix` brings them.

Each is pinned by the SHA-256 of its MANIFEST.json, which has that of its FILES.json, which has that of every file. So
the same pin holds whether a collection comes from Galaxy or out of PyPI's bundle, and nothing that was changed on the
way is unpacked.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from importlib import util
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from labctl import state
from labctl.errors import LabctlError
from labctl.runner.content import content_root, in_a_clone, utf8_locale
from labctl.shared import process_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PINS = Path(__file__).with_name("collections.json")
GALAXY_SECONDS = 120.0
# PyPI's bundle is large, and a network may be slow.
BUNDLE_SECONDS = 900.0
# A file longer than this is in no collection of ours; it is not read to its end.
_MOST_BYTES = 32 * 1024 * 1024
_MANIFEST, _FILES = "MANIFEST.json", "FILES.json"
# What Ansible runs, which is never left out; and what its licences want beside it.
_NEEDED = ("plugins/", "meta/")
_KEPT = (*_NEEDED, "LICENSES/", "COPYING", "README.md")
_LONGEST_REASON = 300


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
    """What labctl needs, and the package of PyPI that has it too."""

    bundle: str
    collections: tuple[Pin, ...]


def pins(path: Path = PINS) -> Pins:
    """The collections that this labctl was built and tested with."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return Pins(document["bundle"], tuple(Pin(**one) for one in document["collections"]))


def own_folder() -> Path:
    """Labctl's own folder of collections: in a clone beside the playbooks, else in the user's state folder."""
    return content_root() / "playbooks" / "collections" if in_a_clone() else state.state_folder() / "collections"


def fix_command() -> str:
    """What brings the collections."""
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


def bring(tell: Callable[[str], None], folder: Path | None = None, wanted: Pins | None = None) -> list[Pin]:
    """Bring the collections that are not there: from Galaxy where that answers, else out of PyPI's bundle.

    `tell` hears what is done before it is done. Returns what was brought. Raises LabctlError.
    """
    folder, wanted = folder or own_folder(), wanted or pins()
    try:
        with _alone(folder):
            missing = lacking(folder, wanted)
            if missing:
                _bring(missing, wanted.bundle, folder, tell)
            return missing
    except OSError as error:
        raise LabctlError(
            f"Cannot write Ansible's collections into {folder} ({error.strerror or error}). Make that folder writable, "
            "and run the same command again."
        ) from error


def _bring(missing: list[Pin], bundle: str, folder: Path, tell: Callable[[str], None]) -> None:
    names = " and ".join(map(str, missing))
    reasons = []
    with tempfile.TemporaryDirectory(prefix="labctl-", dir=folder) as temporary:
        for source, read in (("Galaxy", _from_galaxy), (f"the package {bundle}", _from_bundle)):
            tell(f"Bringing {names} from {source}.")
            try:
                contents = read(missing, bundle, Path(temporary))
                taken = {pin: verified(pin, contents[pin]) for pin in missing}
            except UnfitError as error:
                reasons.append(f"{source}: {error}")
                tell(f"{source[0].upper()}{source[1:]} did not give them ({error}).")
                continue
            for pin, files in taken.items():
                _put(pin, files, Path(temporary), folder)
            return
    raise LabctlError(
        f"Cannot bring {names} ({'; '.join(reasons)}). Give this machine a way to Galaxy or to pip's packages, and run "
        f"`{fix_command()}` again."
    )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process at a time changes the folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _put(pin: Pin, files: Mapping[str, bytes], temporary: Path, folder: Path) -> None:
    """Write a collection, whole or not at all, in place of what is there."""
    new, old, place = temporary / f"{pin.name}-new", temporary / f"{pin.name}-old", pin.folder(folder)
    for name, content in files.items():
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    place.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        place.rename(old)
    new.rename(place)


# -- what is taken ---------------------------------------------------------------------------------------------


def verified(pin: Pin, contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a collection that are kept, each with the content that was pinned. Raises UnfitError.

    PyPI's bundle has no tests in it, so not all that is listed is there; what Ansible runs has to be.
    """
    manifest = contents.get(_MANIFEST, b"")
    if sha256(manifest) != pin.manifest_sha256:
        raise UnfitError(f"the manifest of {pin.name} is not that of {pin}")
    listing = contents.get(_FILES, b"")
    if sha256(listing) != json.loads(manifest)["file_manifest_file"]["chksum_sha256"]:
        raise UnfitError(f"the list of files of {pin} is not the one that was pinned")
    taken = {_MANIFEST: manifest, _FILES: listing}
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
    """Whether what Ansible runs of a collection is there, as it was pinned."""
    try:
        listing = (folder / _FILES).read_bytes()
        contents = {name: (folder / name).read_bytes() for name, _ in _listed(listing) if name.startswith(_NEEDED)}
        verified(pin, {**contents, _MANIFEST: (folder / _MANIFEST).read_bytes(), _FILES: listing})
    except (OSError, ValueError, LookupError, TypeError, UnfitError):
        return False
    return True


def sha256(content: bytes) -> str:
    """The checksum by which a collection is pinned."""
    return hashlib.sha256(content).hexdigest()


# -- where it comes from ---------------------------------------------------------------------------------------


def _from_galaxy(missing: list[Pin], _bundle: str, temporary: Path) -> dict[Pin, dict[str, bytes]]:
    """Download with ansible-galaxy, from the server that the user's settings of Ansible name. Raises UnfitError."""
    folder = temporary / "galaxy"
    words = [_beside_python("ansible-galaxy"), "collection", "download", "--no-deps", "--download-path", str(folder)]
    _run([*words, *(f"{pin.name}:{pin.version}" for pin in missing)], GALAXY_SECONDS, _settings(temporary))
    # A server may name its files as it likes; what they are is in their manifests.
    came = {sha256(files.get(_MANIFEST, b"")): files for files in map(_in_tarball, folder.glob("*.tar.gz"))}
    return {pin: came.get(pin.manifest_sha256, {}) for pin in missing}


def _settings(temporary: Path) -> dict[str, str]:
    """Ansible's settings of the user, and not those of the folder in which labctl was called."""
    usual = (Path("~/.ansible.cfg").expanduser(), Path("/etc/ansible/ansible.cfg"), content_root() / "ansible.cfg")
    config = os.environ.get("ANSIBLE_CONFIG") or next(str(path) for path in usual if path.is_file())
    return {**utf8_locale(), "ANSIBLE_CONFIG": config, "ANSIBLE_HOME": str(temporary / "home"), "ANSIBLE_NOCOLOR": "1"}


def _from_bundle(missing: list[Pin], bundle: str, temporary: Path) -> dict[Pin, dict[str, bytes]]:
    """Download the bundle with pip, from where its settings say. Nothing of it is run. Raises UnfitError."""
    folder = temporary / "pip"
    words = [*_pip(), "--disable-pip-version-check", "--no-input", "download", "--quiet", "--no-deps"]
    _run([*words, "--only-binary", ":all:", "--dest", str(folder), bundle], BUNDLE_SECONDS, {})
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise UnfitError("pip has brought no wheel")
    return {pin: in_wheel(wheels[0], pin) for pin in missing}


def _pip() -> list[str]:
    if util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    program = shutil.which("pip3") or shutil.which("pip")
    if program is None:
        raise UnfitError("there is no pip")
    return [program]


def _beside_python(program: str) -> str:
    return str(Path(sysconfig.get_path("scripts"), program))


def _run(words: list[str], seconds: float, settings: dict[str, str]) -> None:
    """Run a program that downloads. Raises UnfitError with what it said last."""
    try:
        ended = process_limits.run(words, seconds, env={**os.environ, **settings})
    except process_limits.NotEndedError as error:
        raise UnfitError(str(error)) from None
    except OSError as error:
        raise UnfitError(f"{words[0]} cannot be run: {error.strerror}") from None
    if ended.code != 0:
        said = [line.strip() for line in f"{ended.out}\n{ended.err}".splitlines() if line.strip()]
        reason = said[-1].removeprefix("[ERROR]:").removeprefix("ERROR:").strip() if said else ""
        raise UnfitError(reason[:_LONGEST_REASON] or f"{Path(words[0]).name} failed without a word")


def _in_tarball(path: Path) -> dict[str, bytes]:
    """The files of a collection as Galaxy has it. Raises UnfitError."""
    import tarfile  # noqa: PLC0415 - only where a collection is brought

    try:
        with tarfile.open(path) as archive:
            found = {}
            for member in archive:
                file = archive.extractfile(member) if member.isfile() and member.size <= _MOST_BYTES else None
                if file is not None:
                    found[member.name] = file.read()
            return found
    except (OSError, tarfile.TarError, EOFError) as error:
        raise UnfitError(f"{path.name} cannot be read: {error}") from None


def in_wheel(path: Path, pin: Pin) -> dict[str, bytes]:
    """The files of a collection as PyPI's bundle has it. Raises UnfitError."""
    import zipfile  # noqa: PLC0415 - only where a collection is brought

    prefix = f"{pin.folder(Path()).as_posix()}/"
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename.removeprefix(prefix): archive.read(info)
                for info in archive.infolist()
                if info.filename.startswith(prefix) and not info.is_dir() and info.file_size <= _MOST_BYTES
            }
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise UnfitError(f"{path.name} cannot be read: {error}") from None
