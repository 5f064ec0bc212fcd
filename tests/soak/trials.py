"""Trials by the hundred: each is random out of the seed and its number, and a run that was ended goes on where it was.

The outcome of each trial is a line of a file in `.cache/soak`, named after the version of Consul, the seed and the
trials. A trial that fails writes none, so the next run repeats it with the same chance. When all are done, the file is
put aside, and the next run starts from the beginning.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.integration.harness import ROOT, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from tests.soak.command_deadlines import Late

FOLDER = ROOT / ".cache/soak"


@dataclass(frozen=True)
class Trial:
    """One trial: its number from 1 on, and a source of randomness that no other trial has."""

    number: int
    chance: random.Random


class Trials:
    """Some trials of one kind. Iterate over them, and `record` each that went as it should.

    Args:
        name: what is tried, in words that make a file's name.
        count: how many there are in all; LABCTL_SOAK_TRIALS sets a lower most.
        seed: what all chance comes from.
        say: prints a line of the report.
    """

    def __init__(self, name: str, count: int, seed: int, say: Callable[[str], None], folder: Path = FOLDER) -> None:
        self.count = min(count, int(os.environ.get("LABCTL_SOAK_TRIALS", count)))
        self._name, self._seed, self._say = name, seed, say
        self._file = folder / f"{VERSION}-{seed}-{name.replace(' ', '-')}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)

    def _done(self) -> dict[int, dict[str, Any]]:
        if not self._file.exists():
            return {}
        lines = [json.loads(line) for line in self._file.read_text(encoding="utf-8").splitlines()]
        return {line["trial"]: line for line in lines}

    def __iter__(self) -> Iterator[Trial]:
        """The trials that are not done yet; the report's last line when all are."""
        done = self._done()
        again = f", {len(done)} of them done before" if done else ""
        self._say(f"\n{self._name}: {self.count} trials, Consul {VERSION}, seed {self._seed}{again}")
        for number in range(1, self.count + 1):
            if number not in done:
                chance = random.Random(f"{self._seed} {self._name} {number}")  # noqa: S311 - repeatable on purpose
                yield Trial(number, chance)
        done = self._done()
        assert len(done) >= self.count, f"{self._name}: {self.count - len(done)} trials were not recorded"
        kinds = Counter(line["kind"] for line in done.values())
        counted = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        late = [(line["late"], line["command"]) for line in done.values() if "late" in line]
        self._say(f"  {self._name}: {len(done)} of {self.count}: {counted}{_latest(*max(late)) if late else ''}")
        self._file.replace(self._file.with_suffix(".done"))

    def record(self, trial: Trial, kind: str, said: str, latest: Late | None = None) -> None:
        """A trial went as it should; the report counts each `kind`, and has the latest of all commands."""
        self._say(f"  {trial.number:3}: {kind}: {said}{_latest(*latest) if latest else ''}")
        line = {"trial": trial.number, "kind": kind, "said": said}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | ({"late": latest[0], "command": latest[1]} if latest else {})) + "\n")


def _latest(seconds: float, command: str) -> str:
    return f"; latest: {command}, {abs(seconds):.1f} s {'after' if seconds > 0 else 'before'} its deadline"
