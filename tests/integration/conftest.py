"""The fixtures of the tests with real Docker and real Consul."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.integration.fixtures import ada, bob, image, module_names, name, names, people
from tests.integration.fleets import carried, dora, fleet, hosts
from tests.integration.server_networks import lab, lab_of_module

if TYPE_CHECKING:
    import pytest

__all__ = [
    "ada",
    "bob",
    "carried",
    "dora",
    "fleet",
    "hosts",
    "image",
    "lab",
    "lab_of_module",
    "module_names",
    "name",
    "names",
    "people",
]

# Where files run side by side, the last to begin ends last: these take minutes.
LONGEST = (
    "test_image",
    "test_workshop",
    "test_workshop_host_problems",
    "test_workshop_hosts",
    "test_hostile_text",
    "test_profiles",
    "test_ssh_hosts",
    "test_owners",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    place = {f"{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Report a failure at once: the end of the run, where pytest shows all of it, is minutes away."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        crash = getattr(report.longrepr, "reprcrash", None)
        why = str(crash.message if crash else report.longrepr).strip().splitlines()
        print(f"\nFAILED {report.nodeid} ({report.when}): {' / '.join(why[:4])[:600]}", flush=True)  # noqa: T201
