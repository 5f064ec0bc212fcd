"""Workshops of a test's own: the file, what Docker has of them, and their end whatever happens."""

from __future__ import annotations

import ipaddress
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from labctl.shared.lab_names import LABEL_LAB
from tests.integration.harness import VERSION, docker, left_of, new_name, remove_lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.harness import Person, Result

WORKSHOP = "raft-labctl.workshop"
REAPER = "raft-labctl.reaper"


_given: set[ipaddress.IPv4Network] = set()


def free_network() -> str:
    """A network for a workshop, which no other one of the tests has, nor anything on this machine.

    The one that a workshop's name gives may be taken by another workshop, one time in a hundred.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    # A network may go while it is asked for.
    subnets = "{{range .IPAM.Config}}{{.Subnet}} {{end}}"
    listed = docker("network", "inspect", "--format", subnets, *docker("network", "ls", "-q").split(), check=False)
    taken = [ipaddress.IPv4Network(subnet) for subnet in listed.split() if "." in subnet]
    # 10.220 and 10.221 are for tests that name one.
    second = (216, 217, 218, 219, 222, 223)[int(worker) % 6]
    for network in ipaddress.IPv4Network(f"10.{second}.0.0/16").subnets(new_prefix=22):
        # Docker hosts of a test's own have networks, too, which were all given here.
        if network not in _given and not any(network.overlaps(other) for other in taken):
            _given.add(network)
            return str(network)
    raise AssertionError("no network is free")


class Room:
    """One person's workshop, with its file in that person's home.

    Args:
        person: the instructor.
        keys: of the file, on top of what every test has: two seats, pace `real`, ports that Docker chooses.
    """

    def __init__(self, person: Person, **keys: Any) -> None:
        self.person = person
        self.name = new_name()
        self.file = person.home / f"{self.name}.yml"
        self.keys: dict[str, Any] = {
            "workshop": self.name,
            "seats": 2,
            "pace": "real",
            "consul_version": VERSION,
            "http_port": 0,
            "network": free_network(),
        }
        self.write(**keys)

    def write(self, **keys: Any) -> Path:
        """Change keys of the file; None takes one out."""
        self.keys = {key: value for key, value in (self.keys | keys).items() if value is not None}
        self.file.write_text(yaml.safe_dump(self.keys, sort_keys=False), encoding="utf-8")
        return self.file

    def words(self, verb: str, *words: str) -> tuple[str, ...]:
        """The words behind `labctl`."""
        return ("workshop", *verb.split(), *words, "--file", str(self.file))

    def run(self, verb: str, *words: str) -> Result:
        """Run `labctl workshop VERB` to its end."""
        return self.person.run(*self.words(verb, *words))

    def done(self, verb: str, *words: str) -> Result:
        """Run `labctl workshop VERB`, which must end well."""
        return self.person.done(*self.words(verb, *words))

    def lab(self, seat: str) -> str:
        """The lab of a seat."""
        return f"{self.name}-{seat}"

    def labs(self) -> set[str]:
        """The labs that Docker has anything of, whether or not it has the workshop's label."""
        left = set()
        for kind in ("container", "network", "volume"):
            words = [kind, "ls", "--filter", f"label={LABEL_LAB}", *(["--all"] if kind == "container" else [])]
            left |= set(docker(*words, "--format", f'{{{{.Label "{LABEL_LAB}"}}}}').split())
        return {lab for lab in left if lab.startswith(f"{self.name}-")}

    def reapers(self) -> list[str]:
        """The containers that wait for the workshop's end."""
        return docker("container", "ls", "-q", "--all", "--filter", f"label={REAPER}={self.name}").split()

    def states(self) -> dict[str, bool]:
        """Each seat, and whether `status` calls it ready."""
        return {seat["seat"]: seat["ready"] for seat in self.run("status", "--json").json["seats"]}

    def remove(self) -> None:
        """Remove everything, whatever state it is in."""
        for reaper in self.reapers():
            docker("rm", "--force", reaper, check=False)
        for lab in self.labs():
            remove_lab(lab)

    def left(self) -> list[str]:
        """Everything that is still there."""
        return [*self.reapers(), *(part for lab in self.labs() for part in left_of(lab))]


@contextmanager
def room(person: Person, **keys: Any) -> Iterator[Room]:
    """A workshop that is removed at the end."""
    made = Room(person, **keys)
    try:
        yield made
    finally:
        made.remove()
