"""Versions of Consul: what one is, how two compare, and what each supports: one table for everything.

A version is only ever compared with the rows of `KNOWN`: a new version of Consul that renames a flag is one new row. A
version newer than every row has the newest of each, because Consul rarely takes something away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, int, int]
"""Major, minor and patch. A pre-release or an enterprise build supports what its release supports."""

OLDEST: Version = (0, 5, 2)
# A full version as HashiCorp writes it: 1.21.4, 1.22.0-rc1, 1.21.4+ent. Numbers have no leading zero.
_NUMBER = r"(?:0|[1-9][0-9]{0,5})"
_WORDS = r"[0-9A-Za-z]+(?:[.-][0-9A-Za-z]+)*"
_VERSION = re.compile(rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})(-{_WORDS})?(\+{_WORDS})?")
_PARTS = re.compile(r"0*([0-9]+)|([A-Za-z]+)")


@dataclass(frozen=True)
class Row:
    """A feature that some versions of Consul have.

    Attributes:
        what: our name for it.
        since: the first version that has it.
        until: the first version that no longer has or needs it; None if there is none yet.
    """

    what: str
    since: Version = OLDEST
    until: Version | None = None


# Where each row comes from: Consul's changelog and its agent's flags at that version. What the profile `full` needs and
# is older than `consul tls` has no row: -hcl, the access control of 1.4.0, verify_incoming_rpc (0.8.2), TLS for the
# command line (0.8.1).
KNOWN: tuple[Row, ...] = (
    Row("-dc", until=(1, 0, 0)),
    Row("-datacenter", since=(1, 0, 0)),
    Row("-ui", since=(0, 6, 0)),
    # These took the node's ID from the host, so all containers of a host had one ID and could not join.
    Row("-node-id", since=(0, 7, 5), until=(0, 8, 1)),
    Row("-disable-host-node-id", since=(0, 8, 1), until=(0, 8, 5)),
    Row("-hcl", since=(1, 0, 0)),
    Row("leave_on_terminate"),
    Row("skip_leave_on_interrupt"),
    Row("disable_update_check"),
    Row("performance", since=(0, 7, 0)),
    Row("autopilot", since=(0, 8, 0)),
    # Changelog of 1.4.1: "Added a new cli command: `consul tls`".
    Row("consul tls", since=(1, 4, 1)),
    # Changelog of 1.11.0: `acl.tokens.master` is `initial_management`, `agent_master` is `agent_recovery` from here on.
    Row("acl.tokens.master", until=(1, 11, 0)),
    Row("acl.tokens.initial_management", since=(1, 11, 0)),
    Row("acl.tokens.agent_master", until=(1, 11, 0)),
    Row("acl.tokens.agent_recovery", since=(1, 11, 0)),
    Row("acl.tokens.agent"),
    # `consul operator raft transfer-leader`.
    Row("transfer-leader", since=(1, 15, 0)),
    # Servers ask beforehand who would vote for them.
    Row("pre-vote", since=(1, 20, 2)),
    # Raft's log is a file of 64 MiB from its first entry on.
    Row("log of 64 MiB", since=(1, 20, 0)),
    # Documentation of the agent's `tls`: "Added in Consul 1.12, for previous versions see Deprecated Options".
    Row("tls", since=(1, 12, 0)),
)


def full(text: object) -> str | None:
    """A full version without its leading v; None if it is not one."""
    match = _VERSION.fullmatch(text) if isinstance(text, str) else None
    return None if match is None else match.string[match.start(1) :]


def numbers(text: object) -> Version | None:
    """Major, minor and patch of a full version; None if it is not one."""
    match = _VERSION.fullmatch(text) if isinstance(text, str) else None
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def order(text: str) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
    """A key that sorts versions from old to new: a release comes after its candidates, and invalid versions come first.

    Candidates are compared as semantic versions are, except that a number behind letters counts as one: rc2 comes
    before rc10.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        return (), False, ((True, 0, text),)
    # The longer of two numbers is the larger one. They are never converted: a label may be as long as it likes.
    parts = tuple((bool(word), len(digits), digits or word) for digits, word in _PARTS.findall(match[4] or ""))
    return (int(match[1]), int(match[2]), int(match[3])), match[4] is None, parts


def knows(version: Version, what: str) -> bool:
    """Whether this version of Consul has (and needs) the feature that the table calls `what`."""
    return any(
        row.what == what and row.since <= version and (row.until is None or version < row.until) for row in KNOWN
    )


def has(text: str | None, what: str, *, unknown: bool = False) -> bool:
    """The same for a version as text; `unknown` is the answer if it is not one."""
    version = numbers(text)
    return unknown if version is None else knows(version, what)
