"""Download Ansible's collections: from Galaxy where that answers, else out of PyPI's bundle.

Nothing is unpacked unless it matches its pin (`runner.galaxy_collections`).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError
from labctl.runner.content import content_root, utf8_locale
from labctl.runner.galaxy_collections import (
    MANIFEST,
    UnfitError,
    fix_command,
    lacking,
    own_folder,
    pins,
    sha256,
    verified,
)
from labctl.shared import file_lock, lock_holder, process_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from labctl.runner.galaxy_collections import Pin, Pins

GALAXY_SECONDS = 120.0
# PyPI's bundle is large, and a network may be slow.
BUNDLE_SECONDS = 900.0
# No collection has a longer file; it is not read to its end.
_MOST_BYTES = 32 * 1024 * 1024
_LONGEST_REASON = 300
# The holder of the folder needs less time than this, unless it was stopped.
LOCK_SECONDS = GALAXY_SECONDS + BUNDLE_SECONDS + 60.0
_PREFIX = "labctl-"
# The last words of ansible-galaxy where it finds no server: an exception of Python's as it shows itself.
_URLOPEN = re.compile(r"<urlopen error (?:\[Errno -?\d+\] )?(.*)>")


def bring(
    tell: Callable[[str], None],
    folder: Path | None = None,
    wanted: Pins | None = None,
    patience: lock_holder.Patience | None = None,
) -> list[Pin]:
    """Download the missing collections: from Galaxy where that answers, else out of PyPI's bundle.

    `tell` receives each step before it is done, `patience` is for another process that downloads. Returns what was
    downloaded. Raises LabctlError.
    """
    folder, wanted = folder or own_folder(), wanted or pins()
    patience = patience or lock_holder.Patience(LOCK_SECONDS, tell)
    try:
        with _alone(folder, patience):
            _sweep(folder)
            missing = lacking(folder, wanted)
            if missing:
                _bring(missing, wanted.bundle, folder, tell)
            return missing
    except lock_holder.LockHeldError as error:
        raise LabctlError(
            f"Cannot bring Ansible's collections: {error}. Wait until that one has ended, or end it, then run the same "
            "command again.",
            ExitCode.REFUSED,
        ) from None
    except OSError as error:
        raise LabctlError(
            f"Cannot write Ansible's collections into {folder} ({error.strerror or error}). Make that folder writable, "
            "and run the same command again."
        ) from error


def _bring(missing: list[Pin], bundle: str, folder: Path, tell: Callable[[str], None]) -> None:
    names = " and ".join(map(str, missing))
    reasons = []
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder) as temporary:
        for source, read in (("Galaxy", _from_galaxy), (f"the package {bundle}", _from_bundle)):
            tell(f"Downloading {names} from {source}.")
            try:
                contents = read(missing, bundle, Path(temporary))
                taken = {pin: verified(pin, contents[pin]) for pin in missing}
            except UnfitError as error:
                reasons.append(f"{source}: {error}")
                tell(f"{source[0].upper()}{source[1:]} did not provide them ({error}).")
                continue
            for pin, files in taken.items():
                _put(pin, files, Path(temporary), folder)
            return
    raise LabctlError(
        f"Cannot bring {names} ({'; '.join(reasons)}). Give this machine a way to Galaxy or to pip's packages, and run "
        f"`{fix_command()}` again."
    )


@contextlib.contextmanager
def _alone(folder: Path, patience: lock_holder.Patience) -> Iterator[None]:
    """Only one process at a time changes the folder. Raises OSError, and LockHeldError."""
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock.locked(folder / ".lock", lock_holder.holder(fix_command(), LOCK_SECONDS).note, patience.pause):
        yield


def _sweep(folder: Path) -> None:
    """Remove what a killed process left; call it while nobody else changes the folder."""
    for left in folder.glob(f"{_PREFIX}*"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)


def _put(pin: Pin, files: Mapping[str, bytes], temporary: Path, folder: Path) -> None:
    """Write a collection, whole or not at all, in place of the old one."""
    new, old, place = temporary / f"{pin.name}-new", temporary / f"{pin.name}-old", pin.folder(folder)
    for name, content in files.items():
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    place.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        place.rename(old)
    new.rename(place)


# -- where they come from --------------------------------------------------------------------------------------


def _from_galaxy(missing: list[Pin], _bundle: str, temporary: Path) -> dict[Pin, dict[str, bytes]]:
    """Download with ansible-galaxy, from the server that the user's settings of Ansible name. Raises UnfitError."""
    folder = temporary / "galaxy"
    words = [_beside_python("ansible-galaxy"), "collection", "download", "--no-deps", "--download-path", str(folder)]
    _run([*words, *(f"{pin.name}:{pin.version}" for pin in missing)], GALAXY_SECONDS, _settings(temporary))
    # A server may name its files as it likes; their manifests identify them.
    came = {sha256(files.get(MANIFEST, b"")): files for files in map(_in_tarball, folder.glob("*.tar.gz"))}
    return {pin: came.get(pin.manifest_sha256, {}) for pin in missing}


def _settings(temporary: Path) -> dict[str, str]:
    """Ansible's settings of the user, and not those of the folder in which labctl was called."""
    usual = (Path("~/.ansible.cfg").expanduser(), Path("/etc/ansible/ansible.cfg"), content_root() / "ansible.cfg")
    config = os.environ.get("ANSIBLE_CONFIG") or next(str(path) for path in usual if path.is_file())
    return {**utf8_locale(), "ANSIBLE_CONFIG": config, "ANSIBLE_HOME": str(temporary / "home"), "ANSIBLE_NOCOLOR": "1"}


def _from_bundle(missing: list[Pin], bundle: str, temporary: Path) -> dict[Pin, dict[str, bytes]]:
    """Download the bundle with pip, from the index that pip is set to. Runs nothing of it. Raises UnfitError."""
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
    """Run a program that downloads. Raises UnfitError with its last words."""
    try:
        ended = process_limits.run(words, seconds, env={**os.environ, **settings})
    except process_limits.NotEndedError as error:
        raise UnfitError(str(error)) from None
    except OSError as error:
        raise UnfitError(f"{words[0]} cannot be run: {error.strerror}") from None
    if ended.code != 0:
        said = [line.strip() for line in f"{ended.out}\n{ended.err}".splitlines() if line.strip()]
        reason = said[-1].removeprefix("[ERROR]:").removeprefix("ERROR:").strip() if said else ""
        reason = _URLOPEN.sub(r"it cannot be reached: \1", reason)
        raise UnfitError(reason[:_LONGEST_REASON] or f"{Path(words[0]).name} failed without a word")


def _in_tarball(path: Path) -> dict[str, bytes]:
    """The files of a collection as Galaxy has it. Raises UnfitError."""
    import tarfile  # noqa: PLC0415 - only where a collection is brought

    try:
        with tarfile.open(path) as archive:
            files = {}
            for member in archive:
                file = archive.extractfile(member) if member.isfile() and member.size <= _MOST_BYTES else None
                if file is not None:
                    files[member.name] = file.read()
            return files
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
