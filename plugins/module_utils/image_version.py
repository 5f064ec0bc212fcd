"""The output of `consul version`, and the image name of a version (pure)."""

from __future__ import annotations

import re

from .shared import consul_versions

# The first line of `consul version`, from 0.5 to 2.x: `Consul v1.8.7`, `Consul 1.4.0`.
_SAID = re.compile(r"^Consul v?(\S+)", re.MULTILINE)


def said_version(output: str) -> str | None:
    """Return the version from the output of `consul version`, or None where it is something else."""
    match = _SAID.search(output)
    return None if match is None else consul_versions.full(match.group(1))


def tag_of(version: str) -> str:
    """Return the tag of VERSION: Docker allows no plus sign, HashiCorp writes 1.21.4-ent."""
    return version.replace("+", "-")
