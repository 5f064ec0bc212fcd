"""The last lines of `labctl up`: what now exists, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.terminal.style import harmless, paint, terminal_columns, wrapped

if TYPE_CHECKING:
    from labctl.results import UpResult

# The columns that a description needs.
_ROOM = 44


def next_steps(result: UpResult) -> str:
    """Print what a learner can do next with a lab that is up, or that waits to be joined."""
    lab = result.lab
    if result.leader is None:
        lines = [
            (f"labctl status {lab}", "who runs, and whether anybody leads"),
            (f"labctl logs {lab} -f --raft", "watch them (Ctrl-C ends it)"),
            (f"labctl join {lab}", "join those that wait, and watch the election"),
            (f"labctl down {lab}", "remove the lab"),
        ]
        head = f"The servers of the lab {paint(lab, 'bold')} run, not joined by this `up`."
        return f"\n{head} What now:\n{_commands(lines)}"
    leader = result.leader
    lines = [
        (f"labctl status {lab}", "who leads, who votes"),
        (f"labctl logs {lab} -f --raft", "follow what Raft does (Ctrl-C ends it)"),
        (f"labctl exec --lab {lab} {leader} -- consul operator raft list-peers", "ask Consul itself"),
    ]
    if len(result.servers) > 1:
        lines += [
            (f"labctl stop {lab} --server {leader}", "stop the leader; the others elect a new one"),
            (f"labctl start {lab}", "bring it back"),
        ]
    lines.append((f"labctl down {lab}", "remove the lab"))
    return f"\n{_ready(result)} What now:\n{_commands(lines)}"


def _ready(result: UpResult) -> str:
    lab = paint(result.lab, "bold")
    return f"The lab {lab} is ready in {result.seconds['total']:.1f}s."


def _commands(lines: list[tuple[str, str]]) -> str:
    """Commands and descriptions in two columns; a description too wide for the terminal continues in the next line."""
    shown = [(harmless(command), text) for command, text in lines]
    longest = max(len(command) for command, _ in shown)
    columns = terminal_columns()
    if columns is not None and 4 + longest + max(len(text) for _, text in shown) > columns:
        longest = max((len(command) for command, _ in shown if len(command) <= columns - _ROOM - 4), default=4)
    return "\n".join(_command(command, text, longest, columns) for command, text in shown)


def _command(command: str, text: str, longest: int, columns: int | None) -> str:
    first, *more = [text] if columns is None else wrapped(text, max(columns - longest - 4, 20)).split("\n")
    indent = " " * (longest + 4)
    begin = f"  {command:<{longest}}  " if len(command) <= longest else f"  {command}\n{indent}"
    return "\n".join([begin + paint(first, "dim"), *(indent + paint(line, "dim") for line in more)])
