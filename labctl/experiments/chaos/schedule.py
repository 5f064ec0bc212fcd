"""The schedule of faults: random, and the same again for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHORTEST_SECONDS, LONGEST_SECONDS = 10.0, 1800.0
VERBS = ("kill", "stop", "pause", "isolate", "partition", "one-way", "loss", "rate", "delay")
DEFAULT_MIX = ("kill", "pause", "partition", "loss")
OF_SEVERAL = frozenset({"isolate", "partition", "one-way", "loss", "rate", "delay"})
"""Verbs that need another server to be cut off from."""
QUIET_SECONDS = 2.0
"""Nothing is broken for this long at first: the clients begin in a healthy lab."""
_LASTS, _GAP = (2.0, 6.0), (0.5, 3.0)
_SHORTEST_FAULT = 1.0
# How often a fault begins while the one before it still lasts.
_OVERLAP = 0.3
_PERCENT, _KILOBYTES, _MILLISECONDS = (20, 40, 60, 80), (4, 16, 64), (50, 200, 500)


@dataclass(frozen=True)
class Step:
    """One fault.

    Attributes:
        at: when it begins, in seconds since the run began.
        seconds: how long it lasts.
        verb: one of `VERBS`.
        words: what comes after the verb, as `labctl fault` takes it; a role is looked up when it begins.
    """

    at: float
    seconds: float
    verb: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """As `labctl fault` takes it."""
        return " ".join((self.verb, *self.words))


def schedule(
    seed: int, seconds: float, mix: Sequence[str], servers: Sequence[str], multiplier: int = 1
) -> tuple[Step, ...]:
    """Plan a run.

    Args:
        seed: the same one gives the same plan, for the same lab and the same arguments.
        seconds: how long the run is.
        mix: of which verbs to choose; one named twice is chosen twice as often.
        servers: the lab's.
        multiplier: its raft_multiplier. Elections take longer in a slow lab, so what is broken there lasts longer.

    Raises:
        LabctlError: a verb is unknown or cannot be done with so few servers, or the time is too short or too long.
    """
    _refuse(seconds, mix, servers)
    chance = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    slow = (1 + multiplier) / 2
    end = seconds - QUIET_SECONDS
    at = QUIET_SECONDS
    steps: list[Step] = []
    while at + _SHORTEST_FAULT <= end:
        lasts = min(chance.uniform(*_LASTS) * slow, end - at)
        verb = chance.choice(tuple(mix))
        steps.append(Step(round(at, 3), round(lasts, 3), verb, _WORDS[verb](chance, servers)))
        # The network of a server that is down or paused cannot be changed, so what comes next waits until it is back.
        overlap = verb in OF_SEVERAL and chance.random() < _OVERLAP
        at += lasts * 0.5 if overlap else lasts + chance.uniform(*_GAP) * slow
    return tuple(steps)


def _refuse(seconds: float, mix: Sequence[str], servers: Sequence[str]) -> None:
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise LabctlError(
            f"A run of {seconds:g} seconds is too {'short' if seconds < SHORTEST_SECONDS else 'long'}: "
            f"say {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} seconds.",
            ExitCode.USAGE,
        )
    if not mix:
        raise LabctlError(f"The mix is empty: name some of {', '.join(VERBS)}.", ExitCode.USAGE)
    for verb in mix:
        if verb not in VERBS:
            raise LabctlError(f"{verb!a} is nothing to break: the mix is made of {', '.join(VERBS)}.", ExitCode.USAGE)
        if verb in OF_SEVERAL and len(servers) == 1:
            raise LabctlError(
                f"A lab of one server has no network to break with {verb}: take --mix kill,stop,pause.", ExitCode.USAGE
            )


def _one(chance: random.Random, servers: Sequence[str]) -> str:
    """Which servers are broken: often the leader, where most happens; sometimes so many that no majority is left."""
    draw = chance.random()
    if draw < 0.4:  # noqa: PLR2004 - a share
        return "leader"
    if draw < 0.85:  # noqa: PLR2004 - a share
        return chance.choice(servers)
    return "any" if len(servers) == 1 else chance.choice(("minority", "majority"))


def _target(chance: random.Random, servers: Sequence[str]) -> tuple[str, ...]:
    return (_one(chance, servers),)


def _sides(chance: random.Random, servers: Sequence[str]) -> tuple[str, ...]:
    shuffled = chance.sample(list(servers), len(servers))
    cut = chance.randrange(1, len(servers))
    return (",".join(sorted(shuffled[:cut])), "/", ",".join(sorted(shuffled[cut:])))


def _pair(chance: random.Random, servers: Sequence[str]) -> tuple[str, ...]:
    return tuple(chance.sample(list(servers), 2))


def _much(amounts: Sequence[int]) -> Callable[[random.Random, Sequence[str]], tuple[str, ...]]:
    return lambda chance, servers: (str(chance.choice(amounts)), _one(chance, servers))


_WORDS: dict[str, Callable[[random.Random, Sequence[str]], tuple[str, ...]]] = {
    "kill": _target,
    "stop": _target,
    "pause": _target,
    "isolate": _target,
    "partition": _sides,
    "one-way": _pair,
    "loss": _much(_PERCENT),
    "rate": _much(_KILOBYTES),
    "delay": _much(_MILLISECONDS),
}
