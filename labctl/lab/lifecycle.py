"""`labctl down`, `stop`, `start` and `restart`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.engine import client as engine
from labctl.engine.labs import choose_lab, find_lab, leftovers, list_labs, near_names, owners_of, several_labs
from labctl.errors import ExitCode, LabctlError
from labctl.lab.command_lock import LOCK_SECONDS, MOST_SECONDS, locked_lab
from labctl.lab.desired_state import refuse_foreign
from labctl.results import ChangePreview, ChangeResult, DownResult
from labctl.runner import deadlines, inventory
from labctl.runner import run as runner
from labctl.runner.playbook_run import PlaybookRun
from labctl.shared import lab_names
from labctl.shared.words import counted

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.engine.client import Client
    from labctl.progress import Steps

# What else a command does while it has a lab, such as starting Ansible.
MORE_SECONDS = 60.0
_STOP_TITLES = {
    "stop": ("stop.yml", "Stopping"),
    "start": ("resume.yml", "Starting"),
    "restart": ("restart.yml", "Restarting"),
}
# Whether a verb changes a server in this state (Docker's word).
_CHANGES: dict[str, Callable[[str], bool]] = {
    "stop": lambda state: state in {"running", "paused", "restarting"},
    "start": lambda state: state != "running",
    "restart": lambda _: True,
}


@dataclass(frozen=True)
class Caller:
    """The caller of a command, and how the run is shown.

    Attributes:
        force: whether a lab of somebody else may be removed.
        agrees: asks the user a question before that; True where they say yes, or were told not to be asked.
    """

    owner: str
    verbose: bool = False
    dry_run: bool = False
    timeout: int = 120
    inventory: Path | None = None
    force: bool = False
    agrees: Callable[[str], bool] = lambda _: True


def play_for(  # noqa: PLR0913, PLR0917 - what is run, for whom, under which lock, and how long it may take
    playbook: str,
    lab: str,
    settings: dict[str, Any],
    who: Caller,
    steps: Steps,
    lock: str,
    deadline: deadlines.Deadline,
    late: ExitCode,
) -> list[dict[str, Any]]:
    """Run a playbook for a lab, and return the results of its tasks; `late` is the exit code of one that hangs."""
    if who.inventory:
        inventory.lab_in(who.inventory, lab)
        where = inventory.from_file(who.inventory, lab, settings)
    else:
        where = inventory.of_this_machine(lab, settings)
    seen = runner.play(
        PlaybookRun(playbook, where, seconds=deadline.seconds, since=deadline.since, late=late, lock=lock),
        steps,
        verbose=who.verbose,
    )
    return [item.result for item in seen if item.result is not None]


Play = Callable[[str, str, dict[str, Any], Caller, "Steps", str, deadlines.Deadline, ExitCode], list[dict[str, Any]]]
"""Runs a playbook for a lab, as `play_for` does."""


@dataclass(frozen=True)
class Plays:
    """How playbooks are run."""

    play: Play = play_for


PLAYS = Plays()


def down(name: str | None, who: Caller, steps: Steps, play: Play = play_for) -> DownResult:
    """Remove one lab and prove that nothing of it is left. A lab that is not there is not an error.

    Raises LabctlError (refused) where it is somebody else's and the user does not force it.
    """
    client = engine.connect_within(LOCK_SECONDS)
    if name is None:
        name = _only_one(_owners(client), who.owner, steps)
        if name is None:
            return DownResult(None)
    if problem := lab_names.name_problem(name):
        raise LabctlError(lab_names.name_sentence(name, problem), ExitCode.USAGE)
    owners = owners_of(client, name)
    if not owners:
        near = near_names(name, _owners(client))
        steps.note(f"There is no lab {name}: nothing to remove.{f' Did you mean {near}?' if near else ''}")
        return DownResult(name)
    if others := owners - {who.owner}:
        _refuse_unforced(name, owners, who)
    if who.dry_run:
        lab = find_lab(client, name)
        parts = [server.container for server in lab.servers] if lab else []
        steps.note(
            f"Would remove the lab {name}{f' of {min(others)}' if others else ''} with "
            f"{', '.join(parts) or 'what is left of it'}, its network and its data."
        )
        return DownResult(name, min(others or owners), changed=True)
    with locked_lab(
        client.place, name, who.owner, f"labctl down {name}", steps, must_write=False, allowance=client.allowance
    ) as lock:
        client.give(engine.TIMEOUT_SECONDS)
        now = owners_of(client, name, lock.mark)
        if not now:
            steps.note(f"There is no lab {name} any more: nothing is left of it.")
            return DownResult(name, min(others or owners))
        return _removed(name, owners, now, who, steps, lock.mark, play)


def _removed(  # noqa: PLR0913, PLR0917
    name: str, before: frozenset[str], owners: frozenset[str], who: Caller, steps: Steps, lock: str, play: Play
) -> DownResult:
    """Remove a locked lab whose owners were known `before`. Raises LabctlError."""
    others = owners - {who.owner}
    if new := others - before:
        raise LabctlError(
            f"Cannot remove the lab {name}: {'a part of ' if who.owner in owners else ''}it belongs to {min(new)} now. "
            "Run the same command again if that is meant.",
            ExitCode.REFUSED,
        )
    settings: dict[str, Any] = {"consul_lab_owner": who.owner}
    if others:
        steps.note(f"{_whose(name, owners, who.owner)}, not to {who.owner}: it is removed anyway.")
        settings["consul_lab_force"] = True
    steps.begin(f"Removing the lab {name}")
    results = play("down.yml", name, settings, who, steps, lock, deadlines.Deadline(deadlines.DOWN), ExitCode.FAILED)
    removed = [part for result in results for part in result.get("removed", [])]
    steps.done(f"The lab {name} is removed: {_count(removed) or 'a lock of it'}, nothing is left")
    return DownResult(name, min(others or owners), bool(removed), tuple(removed))


def _whose(name: str, owners: frozenset[str], owner: str, *, here: str = "") -> str:
    """The other owners of a lab that is not wholly the owner's, for a sentence."""
    what = "A part of the lab" if owner in owners else "The lab"
    return f"{what} {name}{here} belongs to {min(owners - {owner})}"


def _owners(client: Client) -> dict[str, str]:
    """Every lab's owner, "" for none; even a network or volume that a killed `down` left is a lab to remove."""
    return leftovers(client) | {lab.name: lab.owner for lab in list_labs(client)}


def _only_one(owners: dict[str, str], owner: str, steps: Steps) -> str | None:
    """The only lab of an owner, or None; those of others are named and are not candidates. Raises LabctlError."""
    mine = sorted(name for name, whose in owners.items() if whose in {"", owner})
    if len(mine) > 1:
        raise LabctlError(several_labs(", ".join(mine)), ExitCode.USAGE)
    others = [f"{name} of {whose}" for name, whose in sorted(owners.items()) if name not in mine]
    if others:
        steps.note(f"Labs of others stay: {', '.join(others)}.")
    if not mine:
        steps.note("No lab of yours is there: nothing to remove." if others else "No lab is there: nothing to remove.")
    return mine[0] if mine else None


def _refuse_unforced(name: str, owners: frozenset[str], who: Caller) -> None:
    """Raise LabctlError (refused) where the user does not force the removal of another's lab, or declines it."""
    if not who.force:
        other = min(owners - {who.owner})
        # A lab with parts of several owners belongs to none of them.
        instead = (
            f"and `docker ps -a --filter label={lab_names.LABEL_LAB}={name}` lists its containers"
            if len(owners) > 1
            else f"or set LABCTL_OWNER={other} if that is you"
        )
        raise LabctlError(
            f"{_whose(name, owners, who.owner, here=' on this Docker host')}, not to {who.owner}, so nothing was "
            f"changed: `labctl down {name} --force` removes it anyway, {instead}.",
            ExitCode.REFUSED,
        )
    question = f"{_whose(name, owners, who.owner)}, and its data would be gone for good. Remove it?"
    if not who.dry_run and not who.agrees(question):
        raise LabctlError(
            f"The lab {name} of {min(owners - {who.owner})} stays: you did not say yes.", ExitCode.REFUSED
        )


def _count(parts: list[str]) -> str:
    networks = sum(part.startswith("network ") for part in parts)
    volumes = sum(part.startswith("volume ") for part in parts)
    containers = len(parts) - networks - volumes
    counts = ((containers, "container"), (networks, "network"), (volumes, "volume"))
    return ", ".join(counted(count, word) for count, word in counts)


def down_all(who: Caller, steps: Steps, play: Play = play_for) -> tuple[list[DownResult], LabctlError | None]:
    """Remove every lab of this owner; those of others are named and left alone.

    Returns what was removed, and one error about all labs that could not be; a failure does not stop the others.
    """
    client = engine.connect_within(LOCK_SECONDS)
    labs = list_labs(client)
    foreign = [lab for lab in labs if lab.owner != who.owner]
    others = {lab.name for lab in foreign}
    for lab in foreign:
        steps.note(f"The lab {lab.name} belongs to {lab.owner}: it stays.")
    left = {name for name, owner in leftovers(client).items() if owner == who.owner}
    mine = sorted(({lab.name for lab in labs} | left) - others)
    if not mine:
        steps.note("No lab of yours is there: nothing to remove.")
    done: list[DownResult] = []
    failed: dict[str, list[str]] = {}
    for name in mine:
        try:
            done.append(down(name, who, steps, play))
        except LabctlError as error:
            failed.setdefault(error.sentence, []).append(name)
    for workshop in sorted({lab.workshop for lab in labs if lab.owner == who.owner and lab.workshop}):
        steps.note(f"The end of the workshop {workshop} stays: `labctl workshop down` removes that, too.")
    return done, _of_all(failed) if failed else None


def _of_all(failed: dict[str, list[str]]) -> LabctlError:
    """One error for labs that could not be removed, grouped by the sentence that says why."""
    told = "; ".join(f"{', '.join(names)}: {sentence.rstrip('.')}" for sentence, names in failed.items())
    return LabctlError(f"Cannot remove every lab of yours ({told}). Run `labctl down --all` again when that is fixed.")


def change(  # noqa: PLR0913, PLR0917 - what is done, to whom, for whom
    verb: str, name: str | None, server: str, who: Caller, steps: Steps, play: Play = play_for
) -> ChangePreview | ChangeResult:
    """Stop, start or restart a lab or one server of it; data and addresses stay."""
    begun = time.monotonic()
    seconds, late = (deadlines.STOP, ExitCode.FAILED) if verb == "stop" else (who.timeout, ExitCode.NOT_READY)
    client = engine.connect_within(seconds)
    lab = choose_lab(client, name, who.owner)
    refuse_foreign(lab, who.owner)
    chosen = (lab.server(server),) if server else lab.servers
    playbook, title = _STOP_TITLES[verb]
    what = f"{server} of the lab {lab.name}" if server else f"the lab {lab.name}"
    if who.dry_run:
        would = [server_.name for server_ in chosen if _CHANGES[verb](server_.state)]
        steps.note(
            f"Would {verb} {', '.join(would)} of the lab {lab.name}."
            if would
            else f"Nothing to {verb}: {what} "
            f"{'is' if server else 'has all its servers'} {'stopped' if verb == 'stop' else 'running'} already."
        )
        return ChangePreview(lab.name, bool(would), tuple(f"would {verb} {name}" for name in would))
    # It may stop servers to make room, and so must not need any.
    with locked_lab(
        client.place, lab.name, who.owner, f"labctl {verb} {lab.name}", steps,
        seconds=max(MOST_SECONDS, seconds + MORE_SECONDS), must_write=False,
        patience=min(LOCK_SECONDS, begun + seconds - time.monotonic()), allowance=client.allowance,
    ) as lock:  # fmt: skip
        steps.begin(f"{title} {what}")
        settings = {
            "consul_lab_owner": who.owner,
            "consul_lab_server": server,
            "consul_cluster_timeout": who.timeout,
            "consul_cluster_since": time.time() - (time.monotonic() - begun),
        }
        results = play(playbook, lab.name, settings, who, steps, lock.mark, deadlines.Deadline(seconds, begun), late)
    actions = [action for result in results for action in result.get("actions", [])]
    cluster: dict[str, Any] = next((result["cluster"] for result in results if result.get("cluster")), {})
    text = ", ".join(actions) if actions else "nothing to do"
    if cluster.get("leader"):
        text += f"; {cluster['leader']} leads in term {cluster['term']}"
    steps.done(f"{what}: {text}" if server else f"The lab {lab.name}: {text}")
    return ChangeResult(lab.name, bool(actions), tuple(actions), cluster.get("leader"))
