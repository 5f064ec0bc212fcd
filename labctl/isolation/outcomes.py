"""What came of a try: nc's and consul's words as one of a few outcomes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from labctl.isolation.tries import DECOY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labctl.isolation.tries import Join, Try


class Outcome(StrEnum):
    """How a try ended; only `CONNECTED` is a crossing, and `UNKNOWN` proves nothing."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NO_ANSWER = "no answer"
    DECOY = "decoy"
    NOT_TRIED = "not tried"
    UNKNOWN = "unknown"
    CONNECTED = "connected"


@dataclass(frozen=True)
class Tried:
    """A connection that was tried."""

    what: Try
    outcome: Outcome
    said: str = ""


@dataclass(frozen=True)
class Joined:
    """A `consul join` that was tried."""

    what: Join
    outcome: Outcome
    said: str = ""


# What OpenBSD's nc says (netcat.c), with the words of strerror(3) and gai_strerror(3). First match wins.
_SAID: tuple[tuple[str, Outcome], ...] = (
    ("succeeded!", Outcome.CONNECTED),
    ("connection refused", Outcome.REFUSED),
    ("connection reset", Outcome.REFUSED),
    ("timed out", Outcome.NO_ANSWER),
    ("no route to host", Outcome.UNREACHABLE),
    ("unreachable", Outcome.UNREACHABLE),
    ("not permitted", Outcome.UNREACHABLE),
    ("permission denied", Outcome.UNREACHABLE),
    ("name or service not known", Outcome.UNREACHABLE),
    ("name does not resolve", Outcome.UNREACHABLE),
    ("name resolution", Outcome.UNREACHABLE),
    ("no address associated", Outcome.UNREACHABLE),
)


def outcome_of(said: str) -> Outcome:
    """What nc's words mean; `UNKNOWN` for any that it does not say."""
    lower = said.lower()
    return next((outcome for sign, outcome in _SAID if sign in lower), Outcome.UNKNOWN)


def read(tries: Iterable[Try], said: str) -> list[Tried]:
    """The outcomes of tries, from the prober's lines (`ADDRESS:PORT words`); one without a line is `UNKNOWN`."""
    lines = answers(said)
    return [
        Tried(one, outcome_of(lines.get(one.where, "")), lines.get(one.where, "the prober said nothing"))
        for one in tries
    ]


def answers(said: str) -> dict[str, str]:
    """What the prober said of each `ADDRESS:PORT`."""
    parts = (line.partition(" ") for line in said.splitlines())
    return {where: words.strip() for where, _, words in parts if where}


def to_ask(tried: Iterable[Tried]) -> list[str]:
    """What to say something to: all that connected, and an address that nobody has, at each of their ports."""
    connected = [one.what for one in tried if one.outcome is Outcome.CONNECTED]
    return list(dict.fromkeys([one.where for one in connected] + [f"{DECOY}:{one.port}" for one in connected]))


def unmasked(tried: Sequence[Tried], decoys: str, said: str) -> list[Tried]:
    """The same tries, without those that something on the way answers for.

    Args:
        tried: the tries.
        decoys: the prober's lines about connections to the decoy.
        said: the prober's lines about what each of `to_ask` answered to a request.
    """
    open_to_all = {where for where, words in answers(decoys).items() if outcome_of(words) is Outcome.CONNECTED}
    words = answers(said)

    def is_masked(one: Tried) -> bool:
        decoy = f"{DECOY}:{one.what.port}"
        return decoy in open_to_all and words.get(decoy, "") == words.get(one.what.where, "")

    return [
        Tried(one.what, Outcome.DECOY, f"just as {DECOY} does, which nobody has")
        if one.outcome is Outcome.CONNECTED and is_masked(one)
        else one
        for one in tried
    ]


# An error of the client itself names the path that it asked for; one of the agent does not.
_NO_AGENT = re.compile(r"/v1/agent/join|rror connecting to Consul agent")
_REFUSALS = ("failed to join", "error joining", "refused", "reset", "denied", "datacenter", "encrypt", "eof")
_ONE_ERROR = re.compile(r"^Error joining address '([^']*)': ", re.MULTILINE)


def joined(asked: Sequence[Join], code: int, said: str) -> list[Joined]:
    """What `consul join ADDRESS...` did, from its exit code and its words.

    It exits 0 when it reached one of them, so what counts is which address it complains of.
    """
    parts = _ONE_ERROR.split(said)
    errors = dict(zip(parts[1::2], parts[2::2], strict=True))
    found = []
    for one in asked:
        words = " ".join(errors.get(one.address, said if code != 0 else "").split())
        if _NO_AGENT.search(words) or (code != 0 and not words):
            found.append(Joined(one, Outcome.UNKNOWN, words or f"consul ended with {code}"))
        elif not words:
            found.append(Joined(one, Outcome.CONNECTED, "joined"))
        else:
            found.append(Joined(one, refusal_of(words), words))
    return found


def joined_by_api(asked: Join, said: str) -> Joined:
    """What the agent's HTTP API did: empty where it joined, `HTTP ...` where the agent refused."""
    if not said:
        return Joined(asked, Outcome.CONNECTED, "joined")
    words = " ".join(said.split())
    return Joined(asked, refusal_of(words) if words.startswith("HTTP ") else Outcome.UNKNOWN, words)


def refusal_of(words: str) -> Outcome:
    """Why a join was refused, out of the agent's words (Go's net errors, memberlist's own)."""
    lower = words.lower()
    if "timeout" in lower or "timed out" in lower:
        return Outcome.NO_ANSWER
    if "no route" in lower or "unreachable" in lower:
        return Outcome.UNREACHABLE
    if any(sign in lower for sign in _REFUSALS):
        return Outcome.REFUSED
    return Outcome.UNKNOWN
