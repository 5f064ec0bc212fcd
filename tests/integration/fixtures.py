"""Fixtures of the tests: the image, people, labs that are removed whatever happens."""

from __future__ import annotations

import fcntl
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import CONSUL, IMAGE, LABCTL, VERSION, Person, docker, new_name, remove_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of the servers: there, or made as a user makes it."""
    assert shutil.which("docker"), "the docker command is not installed: `make engine` brings it"
    assert docker("version", "--format", "{{.Server.Version}}", check=False), (
        "no Docker Engine answers: run `make engine`"
    )
    assert LABCTL.exists(), f"{LABCTL} is not there: `make venv` installs it"
    # Workers of pytest-xdist share the folder above their own: one of them makes the image, the others wait for it.
    with (tmp_path_factory.getbasetemp().parent / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        builder = Person("builder", tmp_path_factory.mktemp("builder"))
        if CONSUL:
            builder.done("image", "build", "--source", "binary", "--binary", CONSUL)
        elif not docker("image", "ls", "-q", IMAGE):
            builder.done("image", "build", "--consul-version", VERSION)
    return IMAGE


@pytest.fixture(scope="module")
def people(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Person]]:
    """Make people; processes that their commands left are ended with the module."""
    assert image
    made: list[Person] = []

    def make(owner: str) -> Person:
        made.append(Person(owner, tmp_path_factory.mktemp(re.sub(r"\W", "", owner))))
        return made[-1]

    yield make
    for person in made:
        person.end_processes()


@pytest.fixture(scope="module")
def ada(people: Callable[[str], Person]) -> Person:
    """The person who has the labs of a module."""
    return people(f"ada-{new_name()}")


@pytest.fixture(scope="module")
def bob(people: Callable[[str], Person]) -> Person:
    """Somebody else on the same Docker host."""
    return people(f"bob-{new_name()}")


def _names() -> Iterator[Callable[[], str]]:
    used: list[str] = []

    def name() -> str:
        used.append(new_name())
        return used[-1]

    yield name
    for lab in used:
        remove_lab(lab)


@pytest.fixture(scope="module")
def module_names(image: str) -> Iterator[Callable[[], str]]:
    """Names for labs that live as long as the module."""
    assert image
    yield from _names()


@pytest.fixture
def names(image: str) -> Iterator[Callable[[], str]]:
    """Names for labs of one test."""
    assert image
    yield from _names()


@pytest.fixture
def name(names: Callable[[], str]) -> str:
    """A name for a test's only lab."""
    return names()


def up(person: Person, lab: str, *words: str) -> None:
    """Bring a lab up at pace `real`, with the Consul that every machine can have."""
    person.done("up", lab, "--pace", "real", "--consul-version", VERSION, *words)
