"""The history of a chaos run: what clients asked, and what they were answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["add", "cas", "read"]
Mode = Literal["consistent", "default", "stale"]
Outcome = Literal["done", "mismatch", "refused", "unanswered"]

MODES: tuple[Mode, ...] = ("consistent", "default", "stale")


class Operation(NamedTuple):
    """One request of a client.

    Attributes:
        begin: when it was sent, in seconds since the run began, by one clock for all clients.
        end: when its answer came, or when the client waited no longer.
        client: who asked; one after the other.
        server: the server that was asked.
        kind: `add` writes a key of its own, `cas` replaces a register's value by another, `read` reads a register.
        key: which.
        outcome: `done`; `mismatch`, where a `cas` found another value; `refused`, where
            certainly nothing happened; `unanswered`, where it is not known.
        value: what was written, or what was read: None where it was not there. No two writes write the same.
        before: of a `cas`, the value that it was to replace.
        log_index: of a read, the log entry that wrote the value.
        mode: of a read, how fresh it was asked to be.
    """

    begin: float
    end: float
    client: str
    server: str
    kind: Kind
    key: str
    outcome: Outcome
    value: str | None = None
    before: str | None = None
    log_index: int = 0
    mode: Mode | None = None

    @property
    def milliseconds(self) -> float:
        """How long the client waited."""
        return (self.end - self.begin) * 1000


class Final(NamedTuple):
    """The lab's keys at the end, read in consistent mode when it was healed and ready.

    Attributes:
        added: the keys that `add` wrote, with their values.
        registers: each register's value, or None where it is gone.
    """

    added: Mapping[str, str]
    registers: Mapping[str, str | None]


def operation_row(operation: Operation) -> dict[str, Any]:
    """An operation as JSON, in seconds; what does not belong to its kind is left out."""
    return {
        name: value
        for name, value in {
            "begin": round(operation.begin, 6),
            "end": round(operation.end, 6),
            "client": operation.client,
            "server": operation.server,
            "kind": operation.kind,
            "key": operation.key,
            "outcome": operation.outcome,
            "value": operation.value,
            "before": operation.before,
            "log_index": operation.log_index or None,
            "mode": operation.mode,
        }.items()
        if value is not None
    }


def operation_sentence(operation: Operation) -> str:
    """An operation as a sentence of a history, without its times."""
    via = f"through {operation.server}"
    if operation.kind == "add":
        what = f"writes {operation.key} {via}"
    elif operation.kind == "cas":
        what = f"replaces {operation.before} by {operation.value} in {operation.key} {via}"
    else:
        what = f"reads {operation.key} {via}, {operation.mode}"
    answers = {
        "done": f": {operation.value or 'nothing'}" if operation.kind == "read" else ": done",
        "mismatch": ": it was another value by then",
        "refused": ": refused",
        "unanswered": ": no answer",
    }
    return f"{operation.client} {what}{answers[operation.outcome]}"
