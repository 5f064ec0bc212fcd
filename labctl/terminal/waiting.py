"""Say on standard error who a command waits for; standard output is for its result alone."""

from __future__ import annotations

import contextlib
import json
import sys

_as_json = False
"""Whether standard output is JSON; then standard error is, too."""


def choose(*, as_json: bool) -> None:
    """Set once how this process reports it: as a sentence, or as one document a line."""
    global _as_json  # noqa: PLW0603 - a process has one standard error
    _as_json = as_json


def tell(sentence: str) -> None:
    """Print it now."""
    from labctl.terminal.style import harmless  # noqa: PLC0415 - few commands wait

    # The reader may be gone.
    with contextlib.suppress(OSError):
        line = json.dumps({"note": sentence}) if _as_json else harmless(sentence)
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - all that a command shows is written in this room
