"""The outcomes of attempts: nc's and consul's words as one of a few outcomes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from labctl.isolation.attempts import DECOY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labctl.isolation.attempts import Attempt, Join


class Outcome(StrEnum):
    """How a try ended; only `CONNECTED` is a crossing, `MOMENTARY` and `UNKNOWN` prove nothing."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NO_ANSWER = "no answer"
    DECOY = "decoy"
    MOMENTARY = "momentary"
    NOT_TRIED = "not tried"
    UNKNOWN = "unknown"
    CONNECTED = "connected"


COMPARED = 60
"""Two answers must agree in this many characters; what follows may be the time."""


@dataclass(frozen=True)
class AttemptResult:
    """A connection that was tried."""

    what: Attempt
    outcome: Outcome
    said: str = ""


@dataclass(frozen=True)
class JoinResult:
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
    """The meaning of nc's words; `UNKNOWN` for any others."""
    lower = said.lower()
    return next((outcome for sign, outcome in _SAID if sign in lower), Outcome.UNKNOWN)


def read(tries: Iterable[Attempt], said: str) -> list[AttemptResult]:
    """The outcomes of tries, from the prober's lines (`ADDRESS:PORT words`); one without a line is `UNKNOWN`."""
    lines = answers(said)
    return [
        AttemptResult(
            attempt, outcome_of(lines.get(attempt.where, "")), lines.get(attempt.where, "the prober said nothing")
        )
        for attempt in tries
    ]


def answers(said: str) -> dict[str, str]:
    """The prober's words about each `ADDRESS:PORT`."""
    parts = (line.partition(" ") for line in said.splitlines())
    return {where: words.strip() for where, _, words in parts if where}


def to_ask(tried: Iterable[AttemptResult]) -> list[str]:
    """Targets for a request: all that connected, and an address that nobody has, at each of their ports."""
    connected = [attempt.what for attempt in tried if attempt.outcome is Outcome.CONNECTED]
    return list(
        dict.fromkeys([attempt.where for attempt in connected] + [f"{DECOY}:{attempt.port}" for attempt in connected])
    )


@dataclass(frozen=True)
class Evidence:
    """Evidence of who took the connections that were made.

    Attributes:
        decoys: the prober's lines about connections to the decoy.
        said: the prober's lines about what each of `to_ask` answered to a request.
        again: the prober's lines about the same connections, made once more.
        seen: whether the intended server saw its connection; None or missing where that is unknown.
    """

    decoys: str
    said: str
    again: str
    seen: Mapping[Attempt, bool | None]


def identified(tried: Sequence[AttemptResult], evidence: Evidence) -> list[AttemptResult]:
    """The same attempts; one that connected is a crossing only if the intended server took it, as far as is known."""
    open_to_all = {where for where, words in answers(evidence.decoys).items() if outcome_of(words) is Outcome.CONNECTED}
    said, again = answers(evidence.said), answers(evidence.again)

    def whose(attempt: AttemptResult) -> AttemptResult:
        where, decoy = attempt.what.where, f"{DECOY}:{attempt.what.port}"
        answer, of_decoy = said.get(where, ""), said.get(decoy, "")
        seen, once_more = evidence.seen.get(attempt.what), again.get(where, "")
        if seen or (attempt.what.lab and f'["{attempt.what.lab}"' in answer):
            return attempt
        if decoy in open_to_all and answer[:COMPARED] == of_decoy[:COMPARED]:
            return replace(attempt, outcome=Outcome.DECOY, said=f"just as {DECOY} does, which nobody has")
        if outcome_of(once_more) is not Outcome.CONNECTED:
            return replace(
                attempt, outcome=Outcome.MOMENTARY, said=f"it connected once, and then: {once_more or 'nothing'}"
            )
        if seen is False:
            return replace(
                attempt, outcome=Outcome.DECOY, said="the server itself saw no connection: something else took it"
            )
        if decoy in open_to_all and not (answer and of_decoy):
            return replace(attempt, outcome=Outcome.UNKNOWN, said="something took it that did not say who it is")
        return attempt

    return [whose(attempt) if attempt.outcome is Outcome.CONNECTED else attempt for attempt in tried]


# An error of the client itself names the path that it asked for; one of the agent does not.
_NO_AGENT = re.compile(r"/v1/agent/join|rror connecting to Consul agent")
_REFUSALS = ("failed to join", "error joining", "refused", "reset", "denied", "datacenter", "encrypt", "eof")
_ONE_ERROR = re.compile(r"^Error joining address '([^']*)': ", re.MULTILINE)


def joined(asked: Sequence[Join], code: int, said: str) -> list[JoinResult]:
    """What `consul join ADDRESS...` did, from its exit code and its words.

    It exits 0 when it reached one of them, so what counts is which address it complains of.
    """
    parts = _ONE_ERROR.split(said)
    errors = dict(zip(parts[1::2], parts[2::2], strict=True))
    joins = []
    for join in asked:
        words = " ".join(errors.get(join.address, said if code != 0 else "").split())
        if _NO_AGENT.search(words) or (code != 0 and not words):
            joins.append(JoinResult(join, Outcome.UNKNOWN, words or f"consul ended with {code}"))
        elif not words:
            joins.append(JoinResult(join, Outcome.CONNECTED, "joined"))
        else:
            joins.append(JoinResult(join, refusal_of(words), words))
    return joins


def joined_by_api(asked: Join, said: str) -> JoinResult:
    """The outcome of a join by the agent's HTTP API: empty where it joined, `HTTP ...` where the agent refused."""
    if not said:
        return JoinResult(asked, Outcome.CONNECTED, "joined")
    words = " ".join(said.split())
    return JoinResult(asked, refusal_of(words) if words.startswith("HTTP ") else Outcome.UNKNOWN, words)


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
