"""What is the same on every Docker host and belongs to no lab."""

from __future__ import annotations

SERVER_UID = 8500
"""The user and the group of a server in its container."""
OLDEST_API = (1, 40)
"""An engine that knows no newer API is too old."""
