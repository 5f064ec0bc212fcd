"""A root file system out of Debian packages, made by mmdebstrap from the machine's own Debian mirror."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .shared import process_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .image_workspace import Workspace

PACKAGES = ("busybox-static", "ca-certificates", "dash", "iproute2", "netcat-openbsd", "nftables")
# Every file is dated no later than this (2020-09-13): two builds of the same packages are the same bytes.
EPOCH = "1600000000"
# apt answers these without a network.
_ASK_SECONDS = 60.0
# Fields of `apt-get indextargets` that identify Debian's main archive among the machine's sources.
_FIELDS = ("REPO_URI", "SUITE", "CODENAME", "COMPONENT", "ORIGIN")
_PROXY = re.compile(r'^(Acquire::https?::Proxy(?:::\S+)?) "([^"]+)";$')


class RootfsError(Exception):
    """Why there is no root file system, as one sentence."""


@dataclass(frozen=True)
class Recipe:
    """The recipe of a root file system.

    Attributes:
        suite: Debian's name of the release (`bullseye`).
        mirror: the archive's URL; empty for the machine's own.
        packages: names of packages beyond PACKAGES.
        binary: a file that becomes /usr/bin/consul; empty where a package brings it.
        scripts: shell texts that finish the tree; each gets its root as $1.
    """

    suite: str
    mirror: str
    packages: tuple[str, ...]
    binary: str
    scripts: tuple[str, ...]


def distribution(os_release: str) -> dict[str, str]:
    """Return the fields of an os-release file."""
    fields = (line.partition("=") for line in os_release.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _colon, value in fields}


def this_distribution() -> dict[str, str]:
    """Return this machine's os-release fields; none where it has no such file."""
    try:
        return distribution(Path("/etc/os-release").read_text(encoding="utf-8"))
    except OSError:
        return {}


def mirror_in(targets: str, codename: str) -> str | None:
    """Return the URL of Debian's main archive in what `apt-get indextargets` listed, or None."""
    rows = [dict(zip(_FIELDS, line.split("|"))) for line in targets.splitlines()]
    # The origin is known only after `apt-get update`: before it, apt prints the field's name.
    main = [row for row in rows if row.get("COMPONENT") == "main" and row.get("ORIGIN", "")[:1] in ("D", "$", "")]
    suites = {codename, "oldstable", "stable", "testing", "unstable", "sid"}
    for row in main:
        if suites & {row["SUITE"], row["CODENAME"]} - {""}:
            return row["REPO_URI"].rstrip("/")
    return None


def own_mirror() -> str:
    """Return the URL that this machine takes Debian's packages from. Raises RootfsError."""
    form = "|".join(f"$({field})" for field in _FIELDS)
    listed = _run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    mirror = mirror_in(listed.out if listed else "", this_distribution().get("VERSION_CODENAME", ""))
    if mirror is None:
        raise RootfsError("This machine's apt sources name no Debian archive: name one in consul_image_debian_mirror.")
    return mirror


def proxies(dump: str) -> list[str]:
    """Return apt's proxy settings out of `apt-config dump`, as mmdebstrap's --aptopt takes them."""
    matches = (_PROXY.match(line) for line in dump.splitlines())
    return [f'{match.group(1)} "{match.group(2)}"' for match in matches if match]


def command(recipe: Recipe, mirror: str, target: str, settings: list[str]) -> list[str]:
    """Return the words that make TARGET, a tar file, after RECIPE."""
    words = ["mmdebstrap", "--format=tar", "--variant=extract"]
    words += [f"--aptopt={setting}" for setting in settings]
    words.append("--include=" + ",".join(sorted({*PACKAGES, *recipe.packages})))
    if recipe.binary:
        words.append(f"--extract-hook=upload {shlex.quote(recipe.binary)} /usr/bin/consul")
    words += [f"--extract-hook={script}" for script in recipe.scripts]
    return [*words, recipe.suite, target, mirror]


def make_rootfs(recipe: Recipe, place: Workspace, timeout: float) -> Path:
    """Make the root file system and return its tar file. Raises RootfsError."""
    system = this_distribution()
    if system.get("ID") != "debian":
        raise RootfsError(
            f"This Docker host is {system.get('PRETTY_NAME', 'not Linux as we know it')}, not Debian, "
            f"so it has no Debian mirror of its own to build from: take another source."
        )
    dump = _run(["apt-config", "dump"])
    settings = proxies(dump.out if dump else "")
    # mmdebstrap without root works as other user ids: they must reach their directory through ours.
    work = place.directory("mmdebstrap", mode=0o1777)
    target: Path = place.path / "root.tar"
    words = command(recipe, recipe.mirror or own_mirror(), str(target), settings)
    environment = {**os.environ, "TMPDIR": str(work), "SOURCE_DATE_EPOCH": EPOCH, "LC_ALL": "C.UTF-8"}
    done = _run(words, environment, place.lock, timeout)
    if done is None:
        raise RootfsError(
            "mmdebstrap is not installed on this Docker host: `sudo apt-get install mmdebstrap` brings it."
        )
    if done.code != 0:
        raise RootfsError(failure(done.err, recipe, place))
    return target


def failure(said: str, recipe: Recipe, place: Workspace) -> str:
    """Why mmdebstrap made nothing, from its output."""
    lower = said.lower()
    if "no space left" in lower or "enough free space" in lower or "write error" in lower:
        return no_space(place.path)
    if "could not resolve" in lower or "could not connect" in lower or "failed to fetch" in lower:
        return (
            f"Debian's archive did not give {recipe.suite} to mmdebstrap ({_telling(said)}): "
            f"is the mirror in reach, and does it still have {recipe.suite}?"
        )
    if "unable to pick chroot mode" in lower:
        return (
            "mmdebstrap may not work as other user ids here: install Debian's package uidmap, and log in again "
            "where `sg` or `newgrp` has changed this user's group."
        )
    return f"mmdebstrap could not make a root file system of {recipe.suite}: {_telling(said)}"


def no_space(path: Path) -> str:
    """The sentence for a full disk under PATH."""
    return (
        f"There is no space left in {path.parent} to make the image in (it takes about 600 MB for a while): "
        f"free some, or name another directory in consul_image_tmp_directory."
    )


def _telling(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("E:")] or lines
    return telling[0].removeprefix("E: ") if telling else "it said nothing"


def _run(
    words: list[str],
    environment: Mapping[str, str] | None = None,
    lock: int | None = None,
    timeout: float = _ASK_SECONDS,
) -> process_limits.CommandEnd | None:
    try:
        return process_limits.run(words, timeout, env=environment, pass_fds=() if lock is None else (lock,))
    except FileNotFoundError:
        return None
    except process_limits.NotEndedError as error:
        raise RootfsError(f"{words[0]} was ended, because {error}: is the Debian mirror in reach?") from error
