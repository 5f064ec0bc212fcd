"""A lab beside Compose projects of the user's own, and in a shell that speaks to Compose."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import IMAGE, Person, docker, inspect, left_of, new_name, servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def compose(folder: Path, project: str, *words: str) -> None:
    """Run `docker compose` for a project with the service `web`, as its owner would."""
    service = {"image": IMAGE, "entrypoint": ["sleep", "600"], "init": True, "network_mode": "none"}
    (folder / "compose.json").write_text(json.dumps({"services": {"web": service}}), encoding="utf-8")
    command = ["docker", "compose", "--project-name", project, "--file", str(folder / "compose.json"), *words]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def web(image: str, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts the service `web` in a Compose project; gives its container's ID."""
    assert image
    projects: list[str] = []

    def start(project: str) -> str:
        projects.append(project)
        compose(tmp_path, project, "up", "--detach")
        return docker("ps", "-q", "--no-trunc", "--filter", f"label=com.docker.compose.project={project}")

    yield start
    for project in projects:
        compose(tmp_path, project, "rm", "--stop", "--force")


def test_a_shell_that_speaks_to_compose_changes_neither_the_lab_nor_the_projects_of_its_user(
    ada: Person, name: str, web: Callable[[str], str]
) -> None:
    theirs = f"web-{new_name()}"
    # One in the project that the shell names, one that somebody put into the lab's own project.
    kept = {web(theirs), web(f"labctl-{name}")}
    ada.env |= {
        "COMPOSE_PROJECT_NAME": theirs,
        "COMPOSE_PROFILES": "none",
        "CONSUL1_ADDRESS": "10.255.255.2",
        "CONSUL1_HTTP_PORT": "1",
        "LAB_SUBNET": "10.255.255.0/28",
    }
    up(ada, name)
    assert {server["Config"]["Labels"]["com.docker.compose.project"] for server in servers(name)} == {f"labctl-{name}"}
    assert not any("10.255.255" in json.dumps(server["NetworkSettings"]["Networks"]) for server in servers(name))
    ada.done("up", name, "--servers", "1")
    assert len(servers(name)) == 1
    assert all(container["State"]["Running"] for container in inspect("container", *kept))
    ada.done("down", name)
    assert all(container["State"]["Running"] for container in inspect("container", *kept))
    assert left_of(name) == [f"container labctl-{name}-web-1"]
