"""Trials: one fault of a lab's leader or follower, and the story of it compared with what a witness saw."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.integration.elections import ELECTION_SECONDS, status_of, story_of
from tests.integration.harness import container, docker, wait_until
from tests.integration.witness import Cut, Witness, faults_of, foreign_events

if TYPE_CHECKING:
    import random

    from tests.integration.harness import Person

VERBS = ("stop", "kill", "pause", "isolate", "partition", "one-way", "loss")
KINDS = tuple((verb, role) for verb in VERBS for role in ("leader", "follower"))
BACK = {"stop": "start", "kill": "start", "pause": "unpause"}
SOON = 0.3


def must_be_ready(person: Person, lab: str) -> dict[str, Any]:
    """The lab's status, as soon as all follow one leader."""
    wrong_: list[dict[str, Any]] = []

    def is_ready() -> bool:
        wrong_.append(status_of(person, lab))
        return bool(wrong_[-1]["ready"])

    wait_until(is_ready, 3 * ELECTION_SECONDS, f"{lab} to be ready")
    return wrong_[-1]


def apply_fault(  # noqa: PLR0913, PLR0917 - what is done to whom
    person: Person, lab: str, verb: str, target: str, names: list[str], seconds: float, *, behind: bool
) -> Cut | None:
    """Do something to a server, by labctl or `behind` its back. Returns the servers cut off, with the earliest end."""
    others = [name for name in names if name != target]
    of_labctl = {
        "isolate": ("isolate", target),
        "partition": ("partition", target, "/", ",".join(others)),
        "one-way": ("one-way", target, ",".join(others)),
        "loss": ("loss", "60", target),
    }.get(verb, (verb, target))
    # A lease begins before its command is over.
    until = datetime.now(UTC) + timedelta(seconds=seconds - SOON)
    if verb in BACK and behind:
        docker(verb, container(lab, target))
    else:
        lease = () if verb in BACK else ("--for", f"{seconds:g}s")
        person.done("fault", *of_labctl, "--lab", lab, *lease)
    both = {(target, other) for other in others} | {(other, target) for other in others}
    pairs = {"one-way": {(target, other) for other in others}, "loss": set()}.get(verb, both)
    return Cut(datetime.now(UTC), until, frozenset(pairs)) if pairs else None


def try_fault(
    person: Person, lab: str, kind: tuple[str, str], chance: random.Random, pace: str
) -> tuple[str, list[str]]:
    """Try one fault. Returns what was done, and the story's errors."""
    verb, role = kind
    status = must_be_ready(person, lab)
    names = [server["name"] for server in status["servers"]]
    leader = str(status["leader"])
    target = leader if role == "leader" else chance.choice([name for name in names if name != leader])
    behind, foreign = chance.random() < 1 / 2, chance.random() < 1 / 4
    seconds = chance.uniform(4.0, 7.0) * (1 if pace == "real" else 4)
    with Witness(lab) as witness, contextlib.ExitStack() as kept:
        if folder := os.environ.get("LABCTL_SOAK_KEEP"):
            kept.callback(lambda: person.run("bundle", "save", lab, "-o", f"{folder}/{lab}.tgz", "--force"))
        time.sleep(chance.uniform(0.3, 1.5))
        begin = datetime.now(UTC)
        cut = apply_fault(person, lab, verb, target, names, seconds, behind=behind)
        ends = time.monotonic() + seconds
        if foreign:
            foreign_events(300)
        time.sleep(max(ends - time.monotonic(), 0))
        if verb in BACK:
            if behind:
                docker(BACK[verb], container(lab, target))
            elif verb == "pause":
                person.done("fault", "heal", "--lab", lab)
            else:
                person.done("fault", "start", target, "--lab", lab)
        else:
            person.done("fault", "heal", "--lab", lab)
        must_be_ready(person, lab)
        time.sleep(0.5)
        story = story_of(person, lab)
    wrong = faults_of(story, witness, begin, cut)
    wrong += _wrong_acts(story, witness, begin, verb, target, forgotten=foreign or _is_forgotten(lab, target, begin))
    by = "docker" if behind and verb in BACK else "labctl"
    return f"{by} {verb} {role} {target} for {seconds:.1f} s{', 300 events' if foreign else ''}", wrong


def _is_forgotten(lab: str, server: str, begin: datetime) -> bool:
    """Whether the engine, which keeps 256 events of all that it does for anybody, no longer knows of a pause."""
    times = ["--since", begin.isoformat(), "--until", datetime.now(UTC).isoformat()]
    what = ["--filter", f"container={container(lab, server)}", "--filter", "event=pause", "--format", "{{.Action}}"]
    return "pause" not in docker("events", *times, *what).split()


def _wrong_acts(  # noqa: PLR0913 - what was done, and what may be forgotten of it
    story: dict[str, Any], witness: Witness, begin: datetime, verb: str, target: str, *, forgotten: bool
) -> list[str]:
    """Each act is reported once, at Docker's time."""
    if verb not in BACK:
        return []
    told = [event for event in story["events"] if event["module"] == "labctl.docker" and event["server"] == target
            and datetime.fromisoformat(event["time"]) >= begin]  # fmt: skip
    ends = [event for event in told if event["event"] not in {"container_started", "container_unpaused"}]
    backs = [event for event in told if event not in ends]
    if forgotten and verb == "pause":
        return []
    if (len(ends), len(backs)) != (1, 1):
        return [f"{verb} of {target} is told as {[(event['event'], event['time']) for event in told]}"]
    if min(abs(datetime.fromisoformat(ends[0]["time"]) - time) for time in witness.ends_of(target)) > timedelta(
        seconds=SOON
    ):
        return [f"{verb} of {target} is told at {ends[0]['time']}: Docker did it at {witness.ends_of(target)}"]
    return []
