"""The story of each fault agrees with Consul's API and Docker; `make soak` has more of it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up
from tests.integration.story_trials import try_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person

pytestmark = pytest.mark.alone


def test_a_leader_that_is_stopped_frozen_or_cut_off_is_told_as_it_was(ada: Person, names: Callable[[], str]) -> None:
    lab = names()
    up(ada, lab)
    wrong: list[str] = []
    for kind in (("stop", "leader"), ("pause", "leader"), ("isolate", "leader")):
        said, problems = try_fault(ada, lab, kind, random.Random(f"2015 {kind}"), "real")  # noqa: S311 - repeatable on purpose
        wrong += [f"{said}: {problem}" for problem in problems]
    assert not wrong, "\n".join(wrong)
    said = ada.done("logs", lab, "--raft").out
    assert said.count(" is stopped") == 1
    assert said.count(" is about to be frozen on purpose") == said.count(" is frozen") == 1
    assert "labctl.docker" not in ada.done("logs", lab, "--no-prefix").out
