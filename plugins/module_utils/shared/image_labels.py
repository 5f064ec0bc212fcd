"""The labels of a lab's image, and which of them make an image usable for a lab."""

from __future__ import annotations

VERSION = "raft-labctl.consul-version"
SOURCE = "raft-labctl.image-source"
LAYOUT = "raft-labctl.image-layout"
# The source of the image: a reference, a URL, a digest of a binary, a suite.
ORIGIN = "raft-labctl.image-origin"
# `checked`, or the run of a candidate, by which candidates of a dead run are found.
STATE = "raft-labctl.image-state"
CHECKED = "checked"
# Bumped when the image changes in a way that a lab depends on; an image of another layout cannot be used.
LAYOUT_NOW = "1"
# The programs of an image beside consul. Adding a tool does not bump the layout: older versions of labctl can still use
# the image, and a labctl that needs the tool makes the image again.
TOOLS = "raft-labctl.image-tools"
TOOLS_NOW = ("ip", "nc", "nft")


def is_finished(labels: dict[str, str]) -> bool:
    """Whether an image with these labels is complete, was checked, and suits this labctl."""
    suits = labels.get(LAYOUT) == LAYOUT_NOW and set(TOOLS_NOW) <= set(labels.get(TOOLS, "").split())
    return labels.get(STATE) == CHECKED and suits and bool(labels.get(VERSION))
