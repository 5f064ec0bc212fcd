"""Each owner's limits on a Docker host, as the host's admin set them in a file; and how much an owner uses.

Pure: the file is read, Docker asked and the lock held elsewhere.
"""

from __future__ import annotations

import configparser
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LIMITS_FILE = "/etc/raft-labctl/limits.ini"
EVERYBODY = "everybody"
KEYS = ("labs", "servers", "memory")
UNLIMITED = "unlimited"
# Labels of a container that reserves the share of new servers; both numbers are plain.
RESERVED_SERVERS = "reserved-servers"
RESERVED_MEMORY = "reserved-memory"

# Longer than any real number, and short enough for every parser.
_MEMORY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([kmgt]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"[0-9]{1,15}", re.ASCII)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_SHOWN = 60
LONGEST_FILE = 1 << 20
"""The most characters of a file of limits; one more is read, and refused."""


class LimitsError(ValueError):
    """The error in a file of limits, as the part of a sentence that names section and key."""


@dataclass(frozen=True)
class Use:
    """How many labs and servers there are, and their memory limits in bytes; infinite where one has no limit."""

    labs: float = 0
    servers: float = 0
    memory: float = 0

    def __add__(self, other: Use) -> Use:
        """Both together."""
        return Use(self.labs + other.labs, self.servers + other.servers, self.memory + other.memory)

    def of(self, key: str) -> float:
        """The number for a key of the file."""
        return {"labs": self.labs, "servers": self.servers, "memory": self.memory}[key]


@dataclass(frozen=True)
class Limit:
    """The most of one key that an owner may have (infinite where unlimited), and the section that sets it."""

    key: str
    most: float
    section: str


@dataclass(frozen=True)
class Claim:
    """One container's claim for its lab: how many servers it has or will have, and the memory of each in bytes."""

    lab: str
    servers: int
    memory: float


def parse(text: str) -> dict[str, dict[str, float]]:
    """Read a file of limits: each section's keys and numbers. Raises LimitsError."""
    if len(text) > LONGEST_FILE:
        raise LimitsError("it is longer than a megabyte, and no file of limits is")
    # No section is special to configparser, and a `%` is a `%`: an owner may be called DEFAULT.
    reader = configparser.ConfigParser(default_section="", interpolation=None, strict=True)
    # The keys as they stand there, so that a sentence quotes the admin's own words.
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        reader.read_string(text)
    except configparser.Error as error:
        raise LimitsError(_what_is_wrong(error)) from error
    return {name: {key: _number(name, key, reader[name][key]) for key in reader[name]} for name in reader.sections()}


def _shown(text: str) -> str:
    """Text from a file, harmless and short."""
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _what_is_wrong(error: configparser.Error) -> str:
    if isinstance(error, configparser.DuplicateOptionError):
        return (
            f"section [{_inside(error.section)}], key {_inside(error.option)}: it is there twice (line {error.lineno})"
        )
    if isinstance(error, configparser.DuplicateSectionError):
        return f"section [{_inside(error.section)}]: it is there twice (line {error.lineno})"
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno}: {_shown(error.line.strip())} is in no section, such as [{EVERYBODY}]"
    if isinstance(error, configparser.ParsingError) and error.errors:
        number, line = error.errors[0]
        # configparser shows the line as a Python literal.
        return f"line {number}: {_shown(_unquoted(line))} is neither a [section] nor a `key = value`"
    return _shown(str(error).splitlines()[0])


def _unquoted(line: str) -> str:
    return line[1:-1].replace("\\n", "").strip() if line[:1] in {"'", '"'} else line.strip()


def _inside(name: str) -> str:
    return _shown(name)[1:-1]


def _number(section: str, key: str, value: str) -> float:
    where = f"section [{_inside(section)}], key {_inside(key)}"
    if key not in KEYS:
        raise LimitsError(f"{where}: there is no such key, only {', '.join(KEYS)}")
    if value == UNLIMITED:
        return math.inf
    if key == "memory":
        try:
            return memory(value)
        except ValueError as error:
            raise LimitsError(f"{where}: {error}, nor `{UNLIMITED}`") from error
    if not _WHOLE.fullmatch(value):
        raise LimitsError(f"{where}: {_shown(value)} is not a whole number, nor `{UNLIMITED}`")
    return int(value)


def memory(text: str) -> float:
    """Bytes of an amount in Docker's units, such as `256m` or `1.5g`. Raises ValueError with the end of a sentence."""
    match = _MEMORY.fullmatch(text)
    if not match:
        raise ValueError(f"{_shown(text)} is not an amount of memory such as 512m or 4g")
    return int(float(match.group(1)) * (1 << _UNITS[match.group(2).lower()]))


def limits_of(owner: str, sections: Mapping[str, Mapping[str, float]]) -> list[Limit]:
    """The limits of an owner, in the order of KEYS: a key of their own section counts before everybody's."""
    limits = []
    for key in KEYS:
        section = owner if key in sections.get(owner, {}) else EVERYBODY
        limits.append(Limit(key, sections.get(section, {}).get(key, math.inf), section))
    return limits


def claims_in(containers: Iterable[Mapping[str, Any]], prefix: str) -> Iterator[Claim]:
    """The claims of containers that were inspected, by labels that begin with a prefix."""
    for container in containers:
        limit = (container.get("HostConfig") or {}).get("Memory") or 0
        claim = claim_of(container["Config"].get("Labels") or {}, limit, prefix)
        if claim is not None:
            yield claim


def claim_of(labels: Mapping[str, str], limit: float, prefix: str) -> Claim | None:
    """A container's claim: a server's is its lab's size, a reservation's is its plan; None for any other helper.

    Args:
        labels: the container's.
        limit: its memory limit in bytes, 0 where it has none.
        prefix: the prefix of our labels.
    """
    lab = labels.get(f"{prefix}lab", "")
    if f"{prefix}server" in labels:
        return Claim(lab, max(_count(labels.get(f"{prefix}servers", "")), 1), limit or math.inf)
    if f"{prefix}{RESERVED_SERVERS}" in labels:
        reserved = _count(labels.get(f"{prefix}{RESERVED_MEMORY}", ""))
        return Claim(lab, _count(labels[f"{prefix}{RESERVED_SERVERS}"]), reserved or math.inf)
    return None


def _count(text: str) -> int:
    return int(text) if _WHOLE.fullmatch(text) else 0


def uses(claims: Iterable[Claim]) -> dict[str, Use]:
    """Each lab's use: its size, even while servers of it are gone, times the memory of one server."""
    by_lab: dict[str, list[Claim]] = {}
    for claim in claims:
        by_lab.setdefault(claim.lab, []).append(claim)
    return {
        lab: use_of(max(c.servers for c in of_lab), max(c.memory for c in of_lab)) for lab, of_lab in by_lab.items()
    }


def use_of(servers: int, each: float) -> Use:
    """The use of a lab of that many servers; `each` is the memory limit of one server in bytes, infinite for none."""
    return Use(1, servers, servers * each)


def exceeded(limits: Iterable[Limit], others: Use, before: Use, after: Use) -> list[Limit]:
    """The limits that a lab would break by growing from `before` to `after` beside the `others` of its owner.

    A lab that does not grow breaks no limit, even where the limit was made smaller since.
    """
    return [
        limit
        for limit in limits
        if after.of(limit.key) > before.of(limit.key) and others.of(limit.key) + after.of(limit.key) > limit.most
    ]


def bare(key: str, amount: float) -> str:
    """An amount without its unit: `2`, `768m`, `unlimited`."""
    if math.isinf(amount):
        return UNLIMITED
    if key == "memory":
        for unit, power in (("g", 30), ("m", 20), ("k", 10)):
            if amount and not amount % (1 << power):
                return f"{amount / (1 << power):.0f}{unit}"
    return f"{amount:.0f}"


def words(key: str, amount: float) -> str:
    """An amount of a key: `2 labs`, `1 server`, `768m of memory`."""
    if key == "memory":
        return f"{bare(key, amount)} of memory"
    return f"{bare(key, amount)} {key[:-1] if amount == 1 else key}"


def excess_words(owner: str, broken: Iterable[Limit], now: Use, then: Use) -> str:
    """The limits that would be broken, with what an owner has now and would have then, as a part of a sentence."""
    return " and ".join(
        f"at most {words(limit.key, limit.most)} ({owner} has {bare(limit.key, now.of(limit.key))}, this would make "
        f"{bare(limit.key, then.of(limit.key))}; section [{_inside(limit.section)}])"
        for limit in broken
    )
