"""The labels of a lab's image, and which of them make it one that a lab may run."""

from __future__ import annotations

VERSION = "raft-labctl.consul-version"
SOURCE = "raft-labctl.image-source"
LAYOUT = "raft-labctl.image-layout"
# What the image was made of: a reference, a URL, a digest of a binary, a suite.
ORIGIN = "raft-labctl.image-origin"
# `checked`, or whose candidate this is: candidates of a run that died are found by it.
STATE = "raft-labctl.image-state"
CHECKED = "checked"
# Raised when the image changes in a way that a lab depends on; an image of another layout is not ours to use.
LAYOUT_NOW = "1"
# The programs of an image beside consul. Adding a tool does not bump the layout: older versions of labctl can still use
# the image, and a labctl that needs the tool makes the image again.
TOOLS = "raft-labctl.image-tools"
TOOLS_NOW = ("ip", "nc", "nft")


def is_finished(labels: dict[str, str]) -> bool:
    """Whether an image with these labels was made whole, was checked, and suits this labctl."""
    suits = labels.get(LAYOUT) == LAYOUT_NOW and set(TOOLS_NOW) <= set(labels.get(TOOLS, "").split())
    return labels.get(STATE) == CHECKED and suits and bool(labels.get(VERSION))
