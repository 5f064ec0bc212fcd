"""What a Consul version is, how two of them compare, and how the image of one is named (pure)."""

from __future__ import annotations

import re

# A full version as HashiCorp writes it: 1.21.4, 1.22.0-rc1, 1.21.4+ent. Numbers have no leading zero.
_NUMBER = r"(?:0|[1-9][0-9]{0,5})"
_WORDS = r"[0-9A-Za-z]+(?:[.-][0-9A-Za-z]+)*"
_VERSION = re.compile(rf"v?({_NUMBER}\.{_NUMBER}\.{_NUMBER})(-{_WORDS})?(\+{_WORDS})?")
# The first line of `consul version`, from 0.5 to 2.x: `Consul v1.8.7`, `Consul 1.4.0`.
_SAID = re.compile(r"^Consul v?(\S+)", re.MULTILINE)


def version_of(text: str) -> str | None:
    """Return TEXT without its leading v, or None where it is not a full version."""
    match = _VERSION.fullmatch(text)
    return None if match is None else "".join(part for part in match.groups() if part)


def said_version(output: str) -> str | None:
    """Return the version in what `consul version` printed, or None where it printed something else."""
    match = _SAID.search(output)
    return None if match is None else version_of(match.group(1))


def tag_of(version: str) -> str:
    """Return the tag of VERSION: Docker allows no plus sign, HashiCorp writes 1.21.4-ent."""
    return version.replace("+", "-")


def order_of(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Return a key that sorts versions from old to new: a release comes after its candidates."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return ((), False, version)
    numbers, candidate, _edition = match.groups()
    return (tuple(int(part) for part in numbers.split(".")), candidate is None, version)
