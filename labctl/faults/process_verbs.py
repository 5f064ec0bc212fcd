"""The one table of what can be done to a server's process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProcessVerb:
    """What a verb does to a server. States are Docker's words.

    Attributes:
        docker: Docker's verb for it.
        states: in which a server must be.
        done: what a server is then.
        leaves: the state in which a verb that takes away leaves a server.
        undo: which verb brings it back from there.
    """

    docker: str
    states: tuple[str, ...]
    done: str
    leaves: str = ""
    undo: str = ""


PROCESS_VERBS = {
    "kill": ProcessVerb("kill", ("running", "paused"), "killed", leaves="exited", undo="start"),
    "stop": ProcessVerb("stop", ("running", "paused"), "stopped", leaves="exited", undo="start"),
    "start": ProcessVerb("start", ("exited", "created", "dead"), "started"),
    "pause": ProcessVerb("pause", ("running",), "paused", leaves="paused", undo="resume"),
    "resume": ProcessVerb("unpause", ("paused",), "resumed"),
}
TAKES_AWAY = tuple(verb for verb, process_verb in PROCESS_VERBS.items() if process_verb.undo)
# By which verb a server comes back from a state; in any other it is not away.
BACK_FROM = {state: verb for verb in ("resume", "start") for state in PROCESS_VERBS[verb].states}
