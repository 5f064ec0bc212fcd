"""Long, seeded trials with the fixtures of the integration tests; LABCTL_SOAK_SEED repeats a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import ada, bob, image, module_names, name, names, people

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
