"""Chaos many times over: fifty runs on three servers and fifty on five, each with a seed of its own."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.harness import Person

pytestmark = pytest.mark.soak
RUNS = 50
SECONDS = 30
MIXES = ("kill,pause,partition,loss", "kill,stop,pause,isolate,partition,one-way,loss,rate")


@pytest.mark.parametrize("size", [3, 5])
def test_no_run_loses_what_was_acknowledged(  # noqa: PLR0913, PLR0917 - what a trial needs
    ada: Person, names: Callable[[], str], seed: int, say: Callable[[str], None], tmp_path: Path, size: int
) -> None:
    chance = random.Random(seed + size)  # noqa: S311 - repeatable on purpose
    lab = names()
    up(ada, lab, "--servers", str(size))
    say(f"\n{RUNS} chaos runs of {SECONDS} s on {size} servers, seed {seed}")
    verdicts: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    bad: list[str] = []
    for number in range(RUNS):
        one = str(chance.randrange(1_000_000))
        words = ("chaos", lab, "--for", f"{SECONDS}s", "--seed", one, "--mix", MIXES[number % len(MIXES)])
        history = tmp_path / f"{one}.jsonl"
        ran = ada.run(*words, "--json", "--history", str(history))
        assert ran.out, f"{' '.join(words)}: {ran.err}"
        report = ran.json
        verdicts[report["verdict"]] += 1
        totals += Counter(
            faults=sum(not fault["skipped"] for fault in report["faults"]),
            requests=report["requests"]["asked"],
            answered=report["requests"]["answered"],
            leaders=len(report["leaders"]),
            stale_behind=report["reads"][2]["behind"],
            default_behind=report["reads"][1]["behind"],
        )
        if report["verdict"] == "valid":
            history.unlink()
        else:
            bad.append(f"{' '.join(words)}: {report['checks']} (history: {history})")
            say(f"  {bad[-1]}")
    say(f"  {dict(verdicts)}; {dict(totals)}")
    assert not bad
    assert totals["faults"] > RUNS
    assert ada.done("status", lab, "--json").json["ready"]
