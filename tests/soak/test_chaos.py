"""Chaos many times over: fifty runs on three servers and fifty on five, each with a seed of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.harness import Person
    from tests.soak.trials import Trials

pytestmark = pytest.mark.soak
RUNS = 50
SECONDS = 30
MIXES = ("kill,pause,partition,loss", "kill,stop,pause,isolate,partition,one-way,loss,rate")


@pytest.mark.parametrize("size", [3, 5])
def test_no_run_loses_what_was_acknowledged(
    ada: Person, names: Callable[[], str], trials: Callable[[str, int], Trials], tmp_path: Path, size: int
) -> None:
    lab = names()
    up(ada, lab, "--servers", str(size))
    totals: Counter[str] = Counter()
    runs = trials(f"chaos runs of {SECONDS} s on {size} servers", RUNS)
    for trial in runs:
        seed = str(trial.chance.randrange(1_000_000))
        words = ("chaos", lab, "--for", f"{SECONDS}s", "--seed", seed, "--mix", MIXES[trial.number % len(MIXES)])
        history = tmp_path / f"{seed}.jsonl"
        ran = ada.run(*words, "--json", "--history", str(history))
        assert ran.out, f"{' '.join(words)}: {ran.err}"
        report = ran.json
        assert report["verdict"] == "valid", f"{' '.join(words)}: {report['checks']} (history: {history})"
        history.unlink()
        came = Counter(
            faults=sum(not fault["skipped"] for fault in report["faults"]),
            requests=report["requests"]["asked"],
            answered=report["requests"]["answered"],
            leaders=len(report["leaders"]),
            stale_behind=report["reads"][2]["behind"],
            default_behind=report["reads"][1]["behind"],
        )
        totals += came
        runs.record(trial, "valid", f"seed {seed}: {dict(came)}")
    assert totals["faults"]
    assert ada.done("status", lab, "--json").json["ready"]
