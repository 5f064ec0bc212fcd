"""The story of each fault of a lab is what its API and Docker say, time after time."""

from __future__ import annotations

import json
import os
import tarfile
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import CONSUL, VERSION
from tests.integration.story_trials import KINDS, VERBS, apply_fault, must_be_ready, try_fault
from tests.integration.witness import Witness, wrong_runs

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.harness import Person
    from tests.soak.trials import Trials

pytestmark = pytest.mark.soak
TIMES = {"real": 3 if CONSUL else 10, "teach": 3}
RANDOM_LABS = 30
SECONDS = float(os.environ.get("LABCTL_SOAK_SECONDS", "inf"))
"""When these trials end, and go on with the next run."""
# A process that is frozen or killed is brought back by its own word.
_OF_PROCESSES = ("stop", "kill", "pause")


@pytest.mark.parametrize("pace", ["real", "teach"])
def test_what_is_done_to_a_lab_is_told_as_it_was(
    ada: Person,
    names: Callable[[], str],
    trials: Callable[[str, int], Trials],
    say: Callable[[str], None],
    pace: str,
) -> None:
    lab = names()
    ada.done("up", lab, "--pace", pace, "--consul-version", VERSION)
    tried = trials(f"things done to a lab at pace {pace}", TIMES[pace] * len(KINDS))
    until = time.monotonic() + SECONDS
    wrong: list[str] = []
    for trial in tried:
        kind = KINDS[(trial.number - 1) % len(KINDS)]
        said, problems = try_fault(ada, lab, kind, trial.chance, pace)
        if problems:
            wrong.append("\n  ".join([f"{trial.number}: {said}", *problems]))
            say(f"  {wrong[-1]}")
        else:
            tried.record(trial, " ".join(kind), said)
        if time.monotonic() > until:
            break
    assert not wrong, "\n".join(wrong)


def told_of(person: Person, bundle: Path, folder: Path, *, debug: bool) -> list[dict[str, object]]:
    """The leaderships of a bundle's logs, also without the lines that Consul writes at debug alone."""
    folder.mkdir()
    with tarfile.open(bundle) as whole:
        for entry in whole:
            if entry.name.startswith("logs/"):
                file = whole.extractfile(entry)
                assert file is not None
                lines = file.read().splitlines(keepends=True)
                kept = [line for line in lines if debug or (b"[DEBUG]" not in line and b"[TRACE]" not in line)]
                (folder / entry.name.removeprefix("logs/")).write_bytes(b"".join(kept))
    document = json.loads(person.done("story", str(folder), "--json").out)
    leaders: list[dict[str, object]] = document["leaders"]
    return leaders


def test_who_led_random_labs_with_random_faults_is_what_the_api_said(
    ada: Person,
    names: Callable[[], str],
    trials: Callable[[str, int], Trials],
    say: Callable[[str], None],
    tmp_path: Path,
) -> None:
    until = time.monotonic() + SECONDS
    tried = trials("random labs with random faults", RANDOM_LABS)
    wrong: list[str] = []
    for trial in tried:
        lab, chance = names(), trial.chance
        size = chance.choice([3, 3, 5])
        up(ada, lab, "--servers", str(size))
        with Witness(lab) as witness:
            begin = datetime.now(UTC)
            done = [_break_something(ada, lab, chance) for _ in range(chance.randint(2, 4))]
            must_be_ready(ada, lab)
            time.sleep(1)
            bundle = tmp_path / f"{lab}.tgz"
            ada.done("bundle", "save", lab, "-o", str(bundle))
        live = ada.done("story", lab, "--json").json["leaders"]
        errors = [f"live: {run}" for run in wrong_runs(live, witness, begin)]
        for level in ("debug", "info"):
            leaders = told_of(ada, bundle, tmp_path / f"{lab}-{level}", debug=level == "debug")
            errors += [f"{level}: {run}" for run in wrong_runs(leaders, witness, begin)]
        if errors:
            wrong.append("\n  ".join([f"{trial.number}: {size} servers, {done}", *errors]))
            say(f"  {wrong[-1]}")
        else:
            tried.record(trial, f"{size} servers", ", ".join(done))
        ada.done("down", lab)
        if time.monotonic() > until:
            break
    assert not wrong, "\n".join(wrong)


def _break_something(person: Person, lab: str, chance: random.Random) -> str:
    status = must_be_ready(person, lab)
    servers = [server["name"] for server in status["servers"]]
    verb, seconds = chance.choice(VERBS), chance.uniform(2, 6)
    target = str(status["leader"]) if chance.random() < 2 / 3 else chance.choice(servers)
    apply_fault(person, lab, verb, target, servers, seconds, behind=chance.random() < 1 / 2)
    time.sleep(seconds)
    if verb in _OF_PROCESSES:
        person.done("fault", "heal", "--lab", lab)
    return f"{verb} {target}"
