"""Constants that are the same on every Docker host and belong to no lab."""

from __future__ import annotations

SERVER_UID = 8500
"""The user and the group of a server in its container."""
OLDEST_API = (1, 40)
"""An engine with only older APIs is too old."""
