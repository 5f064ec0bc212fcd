"""Short names for the files of a story: the end of each name, as far as it is unique."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.raft.records import Evidence

LONG = 32
MOST_SAID = 20


class FileNames:
    """Short names of files, each of one file only, and a legend of those that were used.

    Args:
        files: all of them, by their whole names.
        long: where all names are shorter than this, they stay as they are.
    """

    def __init__(self, files: Iterable[str] = (), long: int = LONG) -> None:
        names = list(dict.fromkeys(files))
        self._short = _shortest(names) if any(len(name) > long for name in names) else {}
        self._used: dict[str, str] = {}

    def __call__(self, line: Evidence) -> str:
        """A line, with the short name of its file."""
        short = self._short.get(line.file or "")
        if short is None or line.file is None or short == line.file:
            return str(line)
        self._used[line.file] = short
        return f"{short}:{line.line_no}"

    def said(self) -> str:
        """The legend of the short names that were used; "" where none was."""
        folders = {name.removesuffix(short) for name, short in self._used.items()}
        if len(folders) == 1 and len(self._used) > 1:
            return f"These files are in {folders.pop().rstrip('/')}."
        names = sorted(self._used.items(), key=lambda item: item[::-1])
        more = f"; {len(names) - MOST_SAID} more have longer names, too" if len(names) > MOST_SAID else ""
        said = "; ".join(f"{short} is {name}" for name, short in names[:MOST_SAID])
        return f"{said}{more}." if said else ""


def _shortest(files: list[str]) -> dict[str, str]:
    """For each file the fewest last parts of its name that no other one ends with."""
    short_names: dict[str, str] = {}
    waiting = {name: name.split("/") for name in files}
    length = 1
    while waiting:
        ends = {name: "/".join(parts[-length:]) for name, parts in waiting.items()}
        count = Counter("/".join(name.split("/")[-length:]) for name in files)
        for name, end in ends.items():
            if count[end] == 1 or length >= len(waiting[name]):
                short_names[name] = end
                del waiting[name]
        length += 1
    return short_names
