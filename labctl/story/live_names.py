"""Names for the servers of an endless stream: later servers are unknown yet, and a name once shown stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.raft.log_line import open_envelope
from labctl.story.log_names import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labctl.raft.event import Event

MOST = 4096
"""How many names are kept apart."""
_OF_ALL = frozenset(
    {"consul", "nomad", "vault", "server", "agent", "log", "logs", "var", "data", "output", "stdout", "stderr"}
)
"""Names that files and folders have on every machine."""


class LiveNames:
    """Names servers that lines call by a path, or by a shipper's tag, as soon as they come.

    A path gets the first name that no other server has: its file's, its folders', or else all of it. The first tag is
    that of all lines as far as is known, so its lines are of the one server there is; another tag is of another one.

    Args:
        otherwise: that server's name.
    """

    def __init__(self, otherwise: str) -> None:
        self._otherwise = otherwise
        self._called: dict[str, str] = {}
        self._tagged = False

    def of(self, event: Event) -> str:
        """The name of an event's server."""
        name = event.server
        called = self._called.get(name)
        if called is not None or len(self._called) >= MOST:
            return called or name
        taken = set(self._called.values())
        called = name
        if not self._tagged and (envelope := open_envelope(event.line)) is not None and envelope.tag == name:
            self._tagged = True
            called = self._otherwise if self._otherwise not in taken else name
        elif "/" in name:
            called = next((candidate for candidate in _names_of(name) if candidate not in taken), name)
        self._called[name] = called
        return called


def _names_of(path: str) -> Iterator[str]:
    """Names for the log of a path, the best first: files and folders whose names are not the same everywhere."""
    place = place_of(path)
    nearest = place.folders[::-1]
    # Servers are numbered, more than any other kind of folder.
    names = [place.base, *sorted(nearest, key=lambda part: not any(map(str.isdecimal, part)))]
    yield from (name for name in names if name.lower() not in _OF_ALL and name not in {"..", "~"})
    yield place.base
