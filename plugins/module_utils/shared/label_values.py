"""The values of labels, read strictly: anyone who may use a Docker host may write anything into a label.

Every reader returns None for what labctl does not write, whatever the text and its length, and never raises. A thing
with such a label is not ours: it is reported, and its object neither shown, changed nor removed.
"""

from __future__ import annotations

import calendar
import re
import time
from typing import TYPE_CHECKING, Any

from . import consul_versions, derived_secrets, lab_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PREFIX = "raft-labctl."
LONGEST_OWNER = 256
MOST_DIGITS = 6
MOST_SEATS = 4096
_SHOWN = 40

# As lab_names.name_problem has it; a file here knows no other.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_SERVER = re.compile(r"consul[1-7]", re.ASCII)
_LONGEST_VERSION = 84
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_ID = re.compile(r"[0-9a-z]{1,32}", re.ASCII)
_FINGERPRINT = re.compile(f"[0-9a-f]{{{derived_secrets.FINGERPRINT_DIGITS}}}", re.ASCII)


def name(text: object) -> str | None:
    """The name of a lab, a workshop or a seat."""
    return _whole(_NAME, text)


def server(text: object) -> str | None:
    """The name of a server: `consul1` to `consul7`, from which names of files and containers are made."""
    return _whole(_SERVER, text)


def version(text: object) -> str | None:
    """A version of Consul such as `1.21.4` or `1.22.0-dev`."""
    known = consul_versions.full(text)
    return known if known == text and known is not None and len(known) <= _LONGEST_VERSION else None


def identity(text: object) -> str | None:
    """The name that labctl gives to a fault."""
    return _whole(_ID, text)


def fingerprint(text: object) -> str | None:
    """The fingerprint of a lab's seed."""
    return _whole(_FINGERPRINT, text)


def number(text: object, digits: int = MOST_DIGITS) -> int | None:
    """A whole number of at most that many digits."""
    if not isinstance(text, str) or not 1 <= len(text) <= digits or not (text.isascii() and text.isdecimal()):
        return None
    return int(text)


def size(text: object) -> int | None:
    """How many servers a lab has: 1, 3, 5 or 7."""
    count = number(text)
    return count if count in lab_names.SIZES else None


def port(text: object) -> int | None:
    """A port, or 0 for one that Docker chooses."""
    value = number(text)
    return value if value is not None and value < 1 << 16 else None


def seat_number(text: object) -> int | None:
    """The number of a seat, which counts from 1."""
    value = number(text)
    return value if value is not None and 1 <= value <= MOST_SEATS else None


def moment(text: object) -> int | None:
    """The seconds since 1970 of a moment such as `2026-11-24T18:00:00Z`; None also for one that is in no calendar."""
    if _whole(_STAMP, text) is None:
        return None
    try:
        return calendar.timegm(time.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ"))
    except (ValueError, OverflowError):
        return None


def owner(text: object) -> str | None:
    """The owner: any text in UTF-8 that is not too long; it is made harmless when it is printed."""
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_OWNER:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text


def _whole(pattern: re.Pattern[str], text: object) -> str | None:
    return text if isinstance(text, str) and pattern.fullmatch(text) else None


def _one_of(*words: str) -> Callable[[object], str | None]:
    return lambda text: text if isinstance(text, str) and text in words else None


READERS: Mapping[str, Callable[[object], object]] = {
    "lab": name,
    "owner": owner,
    "workshop": name,
    "seat": name,
    "number": seat_number,
    "reaper": name,
    "expires": moment,
    "removes": _one_of("owned"),
    "server": server,
    "servers": size,
    "pace": _one_of("real", "teach"),
    "profile": _one_of("open", "gossip", "full"),
    "seed": fingerprint,
    "consul-version": version,
    "http-port": port,
    "fault": identity,
    "fault-target": server,
    "reserved-servers": size,
    "image-source": _one_of("registry", "release", "binary", "debian"),
}
"""The reader of each label of ours, by the label's name without the prefix."""
# A thing without one of these never was ours; nor is one with an empty one.
_NEVER_EMPTY = frozenset({"lab", "server", "reaper", "fault"})


def misfit(labels: Mapping[str, Any] | None) -> str | None:
    """The first label of ours that has an invalid value, or is missing; None where all are valid."""
    labels = labels or {}
    for key, text in labels.items():
        bare = key[len(PREFIX) :] if key.startswith(PREFIX) else ""
        if bare not in READERS or (text == "" and bare not in _NEVER_EMPTY):
            continue
        if READERS[bare](text) is None:
            return key
    workshop, lab = labels.get(f"{PREFIX}workshop"), labels.get(f"{PREFIX}lab")
    if workshop and lab and not lab.startswith(f"{workshop}-"):
        # Otherwise, removing the workshop would remove that lab, which is not one of its seats.
        return f"{PREFIX}workshop"
    if lab and not labels.get(f"{PREFIX}owner"):
        # Otherwise it would belong to anybody, and be removed with a lab of that name.
        return f"{PREFIX}owner"
    return None


def fitting(things: Iterable[Mapping[str, Any]]) -> list[Any]:
    """The containers, networks or volumes, as the engine lists or inspects them, whose labels are all valid."""
    return [thing for thing in things if misfit(labels_of(thing)) is None]


def labels_of(thing: Mapping[str, Any]) -> Mapping[str, Any]:
    """The labels of a thing, as the engine lists or inspects it."""
    return thing.get("Labels") or (thing.get("Config") or {}).get("Labels") or {}


def stranger(kind: str, thing: Mapping[str, Any]) -> str | None:
    """One sentence about a thing that carries labels of ours but is not ours; None where all of them are valid."""
    label = misfit(labels_of(thing))
    if label is None:
        return None
    name_of_it, labels = called(thing), labels_of(thing)
    how = f" with `docker {kind} rm {name_of_it}`" if name_of_it[:1] not in {"'", '"'} else ""
    if label == f"{PREFIX}owner" and not labels.get(label):
        return (
            f"The {kind} {name_of_it} has the label {PREFIX}lab with {shown(labels[f'{PREFIX}lab'])} and no {label}, "
            f"which labctl always writes: it is left alone. Remove it{how} if it is yours."
        )
    wrong = "which labctl never writes"
    if label == f"{PREFIX}workshop" and name(labels[label]) is not None:
        wrong = f"and its lab {shown(labels[f'{PREFIX}lab'])} is none of that workshop's seats"
    return (
        f"The {kind} {name_of_it} has the label {label} with {shown(labels[label])}, {wrong}: it is left alone. "
        f"Remove it{how} if it is yours."
    )


def strangers(kind: str, things: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each of these things that is not ours."""
    return [sentence for sentence in (stranger(kind, thing) for thing in things) if sentence is not None]


def shown(text: object) -> str:
    """Text from a label, short and harmless to print."""
    said = text if isinstance(text, str) else str(type(text).__name__)
    return ascii(said if len(said) <= _SHOWN else f"{said[:_SHOWN]}...")


def called(thing: Mapping[str, Any]) -> str:
    """The name of a thing, short and harmless to print: Docker allows any name for a network."""
    names = thing.get("Names") or thing.get("RepoTags") or [thing.get("Name") or thing.get("Id") or ""]
    name = str(names[0]).lstrip("/")
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}", name) else shown(name)
