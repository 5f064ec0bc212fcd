"""How much of the input was read: input that is no log of Raft is reported as such, never as an empty story."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labctl.errors import LabctlError
from labctl.raft.log_line import clean
from labctl.raft.reader import is_told
from labctl.story.archive import packed_otherwise
from labctl.story.text_encoding import encoding_of, is_binary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labctl.raft.event import Event

SHOWN = 120
"""Characters of a line that are shown."""
_HEAD = 1 << 12
FORMS = (
    "labctl reads what hashicorp/raft says in Consul, Nomad, Vault and others, as text or JSON, also through journald, "
    "syslog, Docker, Kubernetes, log stores and their exports"
)
# Words of Raft in any of its wordings, which hardly any other program uses.
_LIKE_RAFT = re.compile(
    r"(?<![\w/-])raft(?:-net)?: ?\S|\[raft\]|\"raft\"|entering (?:follower|candidate|leader) state|starting election"
    r"|election (?:won|timeout)|vote granted|requestvote|pre-?vote|rejecting vote|stepping down|votes needed",
    re.IGNORECASE,
)


@dataclass
class Coverage:
    """How much was read of one log.

    Attributes:
        name: the log's.
        lines: how many it has.
        head: its first bytes, as they are on disk, as soon as they were unpacked.
        has_events: whether a line was about Raft.
        unread: how many lines look like Raft's and are in no form that is known.
        example: the number and the text of one of them.
        everything: lines that are not about Raft are wanted, too.
        is_apart: whether lines held several, which are counted each by itself.
    """

    name: str
    lines: int = 0
    head: bytes = b""
    has_events: bool = False
    unread: int = 0
    example: tuple[int, str] | None = None
    everything: bool = False
    is_apart: bool = False
    _is_open: bool = False

    def watch(self, chunk: bytes) -> None:
        """Count the lines of the next piece of the log, in UTF-8."""
        if chunk:
            self.lines += chunk.count(b"\n") - self._is_open
            self._is_open = not chunk.endswith(b"\n")
            self.lines += self._is_open

    def see_several(self) -> None:
        """A line of it holds several."""
        self.is_apart = True

    def see(self, event: Event | None, number: int, line: str) -> None:
        """A line was read, or is in an unknown form."""
        if event is not None:
            self.has_events = self.has_events or self.everything or is_told(event)
        elif _LIKE_RAFT.search(line):
            self.unread += 1
            self.example = self.example or (number, shown(line))

    def nothing(self) -> str:
        """Why there is no story, in a sentence."""
        name = "standard input" if self.name == "-" else self.name
        if not self.head:
            return f"No line of {name} is about Raft: it is empty."
        if (how := packed_otherwise(self.head)) is not None:
            return f"Cannot read {name}: it is packed with {how}. Unpack it first."
        if is_binary(self.head):
            return f"Cannot read {name}: it is no text. Name a log of a server."
        if self.example is not None:
            number, text = self.example
            like = "one of them looks" if self.unread == 1 else f"{self.unread} of them look"
            seen = f"No line of {name} could be read ({counted(self.lines)})"
            return f"{seen}: {like} like Raft's, such as line {number}, {text!r}. {FORMS}."
        first = self.head.decode(encoding_of(self.head), "replace").lstrip("\ufeff").splitlines()
        text = next((line for line in map(shown, first) if line), "")
        return f"No line of {name} is about Raft ({counted(self.lines)} read); its first line is {text!r}. {FORMS}."


@dataclass
class Coverages:
    """How much was read of all logs of a story; with `everything`, also of lines that are not about Raft."""

    everything: bool = False
    logs: list[Coverage] = field(default_factory=list)

    def of(self, name: str) -> Coverage:
        """A log is going to be read."""
        self.logs.append(Coverage(name, everything=self.everything))
        return self.logs[-1]

    def checked(self, events: Iterator[Event]) -> Iterator[Event]:
        """Events of the logs. Raises LabctlError at their end where no line was about Raft: that is no story."""
        yield from events
        self._refuse_nothing()

    def _refuse_nothing(self) -> None:
        if not self.logs or any(log.has_events for log in self.logs):
            return
        first = max(self.logs, key=lambda log: (log.unread > 0, bool(log.head)))
        others = f" The same holds for {len(self.logs) - 1} more." if len(self.logs) > 1 else ""
        raise LabctlError(first.nothing() + others)

    def notes(self) -> list[str]:
        """What a reader of the story should know, in sentences."""
        said = [log.nothing() for log in self.logs if not log.has_events]
        said += [
            f"Lines of {log.name} hold several each: they are counted as if each stood in a line of its own."
            for log in self.logs
            if log.is_apart and log.has_events
        ]
        if (unread := self.unread()) is not None:
            lines = "1 line looks" if unread["lines"] == 1 else f"{unread['lines']} lines look"
            were = "was" if unread["lines"] == 1 else "were"
            where = f"{unread['file']}:{unread['line_no']}"
            said.append(f"{lines} like Raft's and {were} not read; {where} is {unread['line']!r}.")
        return said

    def unread(self) -> dict[str, Any] | None:
        """How many lines look like Raft's and were not read, and one of them; None where all were."""
        logs = [log for log in self.logs if log.example is not None]
        if not logs:
            return None
        number, text = logs[0].example or (0, "")
        return {"lines": sum(log.unread for log in logs), "file": logs[0].name, "line_no": number, "line": text}


def shown(line: str) -> str:
    """The beginning of a line, safe on a terminal."""
    text = clean(line).strip()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def counted(lines: int) -> str:
    """A number of lines, in words."""
    return "1 line" if lines == 1 else f"{lines} lines"
