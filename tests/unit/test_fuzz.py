"""The fuzzers' targets for a moment each, with inputs out of a seeded generator; `make fuzz` looks for better ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fuzz import (
    harness,
    read_bundles,
    read_engines,
    read_logs,
    read_options,
    read_servers,
    read_words,
    read_workshops,
)

if TYPE_CHECKING:
    from types import ModuleType

TRIES = {
    read_bundles: 400,
    read_engines: 800,
    read_logs: 1500,
    read_options: 1000,
    read_servers: 5000,
    read_words: 1000,
    read_workshops: 300,
}


def test_every_reader_is_here() -> None:
    there = {path.stem for path in Path(harness.__file__).parent.glob("read_*.py")}
    assert there == {module.__name__.rpartition(".")[2] for module in TRIES}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("target", TRIES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_no_input_is_too_much(target: ModuleType, seed: int) -> None:
    harness.run(target.one_try, target.SEEDS, TRIES[target], seed)


def test_an_input_that_takes_long_is_found() -> None:
    def slow(_: bytes) -> None:
        while True:
            pass

    begun = time.process_time()
    with pytest.raises(AssertionError, match="input 0 of seed 1: TooSlowError"):
        harness.run(slow, [b"x"], 1, 1, seconds=0.1)
    assert time.process_time() - begun < 1


def test_an_input_that_raises_is_found_and_shown() -> None:
    def raises(data: bytes) -> None:
        if b"\xff" in data:
            raise ValueError(data)

    with pytest.raises(AssertionError, match=r"input [0-9]+ of seed 1: ValueError: .*"):
        harness.run(raises, [b"1"], 500, 1)


def test_an_input_that_eats_memory_is_found() -> None:
    with pytest.raises(AssertionError):
        harness.run(lambda _: len(bytearray(harness.MOST_KILOBYTES * 1024 * 2)) and None, [b"x"], 1, 1)


def test_the_same_seed_gives_the_same_inputs() -> None:
    def inputs(seed: int) -> list[bytes]:
        corpus: list[bytes] = []
        harness.run(corpus.append, [b"hello", b"world"], 50, seed)
        return corpus

    assert inputs(1) == inputs(1) != inputs(2)
