"""Check each command against its deadline, without a test having to think of it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from labctl.engine.client import TIMEOUT_SECONDS
from tests.integration.harness import Person

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.integration.harness import Result

GRACE = 10.0
"""How long after its deadline a command may still take to report that it gave up."""
DEADLINES: Mapping[str, float] = {
    "up": 120,
    "down": 30,
    "exec": TIMEOUT_SECONDS,
    "ls": TIMEOUT_SECONDS,
    "workshop up": 120,
    "workshop down": 60,
    "workshop status": TIMEOUT_SECONDS,
}
"""The deadline of each command without --timeout: labctl's own, or a shorter one."""


class Late(NamedTuple):
    """How long after its deadline a command ended, in seconds; less than 0 is before it."""

    seconds: float
    command: str


class TimedPerson(Person):
    """A person whose commands must end in time, or the test fails; a command without a deadline is an error."""

    latest: Late | None = None
    grace = GRACE
    deadlines = DEADLINES

    def run(self, *words: str, cwd: Path | None = None, **env: str) -> Result:
        """Run `labctl WORDS` to its end, in time."""
        deadline = deadline_of(words, self.deadlines)
        result = super().run(*words, cwd=cwd, **env)
        late = Late(result.seconds - deadline, _command(words))
        self.latest = max(self.latest or late, late)
        assert late.seconds <= self.grace, (
            f"`labctl {' '.join(words)}` took {result.seconds:.1f} s, and its deadline is {deadline:.0f} s:\n"
            f"{result.err}{result.out}"
        )
        return result

    def take_latest(self) -> Late | None:
        """The command that ended latest, measured by its deadline, since this was asked before."""
        latest, self.latest = self.latest, None
        return latest


def deadline_of(words: tuple[str, ...], deadlines: Mapping[str, float] = DEADLINES) -> float:
    """The deadline of a command, in seconds."""
    for word, value in pairwise(words):
        if word == "--":
            break
        if word == "--timeout":
            return float(value)
    command = _command(words)
    assert command in deadlines, f"`labctl {command}` has no deadline here"
    return deadlines[command]


def _command(words: tuple[str, ...]) -> str:
    return " ".join(words[:2] if words[0] == "workshop" else words[:1])
