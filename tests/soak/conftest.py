"""Long, seeded trials with the fixtures of the integration tests.

LABCTL_SOAK_SEED is the seed, LABCTL_SOAK_TRIALS the most trials of each kind.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import ada, bob, image, module_names, name, names, people
from tests.soak.trials import Trials

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ada", "bob", "image", "module_names", "name", "names", "people"]


@pytest.fixture(scope="session")
def seed() -> int:
    """The seed of all random moments."""
    return int(os.environ.get("LABCTL_SOAK_SEED", "2015"))


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line of the report at once, past pytest's capture."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)  # noqa: T201 - the report is what a soak run is for

    return line


@pytest.fixture
def trials(seed: int, say: Callable[[str], None]) -> Callable[[str, int], Trials]:
    """Make the trials of one kind: their name, and how many."""
    return lambda name, count: Trials(name, count, seed, say)
