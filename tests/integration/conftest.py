"""The fixtures of the tests with real Docker and real Consul."""

from __future__ import annotations

from tests.integration.disturbed import lab, lab_of_module
from tests.integration.fixtures import ada, bob, image, module_names, name, names, people

__all__ = ["ada", "bob", "image", "lab", "lab_of_module", "module_names", "name", "names", "people"]
