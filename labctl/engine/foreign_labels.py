"""Objects with labels of ours that are not ours: ignored wherever labels are read, and reported once at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labctl.shared import label_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_TOLD = 3
"""At most this many are named. On a Docker host full of them, more would only hide what was asked for."""

_met: dict[str, None] = {}


def left_out(kind: str, things: Iterable[Mapping[str, Any]]) -> list[Any]:
    """The containers, networks, volumes or images, as the engine lists them, whose labels are all valid."""
    ours = []
    for thing in things:
        sentence = label_values.stranger(kind, thing)
        if sentence is None:
            ours.append(thing)
        else:
            _met.setdefault(sentence)
    return ours


def sentences() -> list[str]:
    """A sentence for each new one since the last call, up to a limit; the rest are counted."""
    sentences = list(_met)
    _met.clear()
    more = len(sentences) - MOST_TOLD
    if more <= 0:
        return sentences
    rest = "1 more has such labels" if more == 1 else f"{more} more have such labels"
    return [*sentences[:MOST_TOLD], f"{rest}: left alone too."]
