"""A context of the docker command: what Docker Desktop, Colima and rootless Docker make."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from labctl.shared.docker_api import DEFAULT_SOCKET
from tests.integration.harness import Person, new_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def cleo(people: Callable[[str], Person], tmp_path: Path) -> Person:
    """A person with a context, and with a docker command that records its calls."""
    person = people(f"cleo-{new_name()}")
    (tmp_path / "bin").mkdir()
    program = f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\nexec {shutil.which("docker")} "$@"\n'
    (tmp_path / "bin" / "docker").write_text(program, encoding="utf-8")
    (tmp_path / "bin" / "docker").chmod(0o755)
    person.env.pop("DOCKER_HOST", None)
    person.env |= {
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "PATH": os.pathsep.join([str(tmp_path / "bin"), person.env["PATH"]]),
    }
    return person


def use(person: Person, context: str, host: str) -> None:
    for words in (("create", context, "--docker", f"host={host}"), ("use", context)):
        subprocess.run(["docker", "context", *words], env=person.env, check=True, capture_output=True)


def test_a_context_with_a_plain_socket_costs_no_docker_command(cleo: Person, tmp_path: Path) -> None:
    (tmp_path / "engine.sock").symlink_to(DEFAULT_SOCKET)
    use(cleo, "colima", f"unix://{tmp_path}/engine.sock")
    (tmp_path / "asked").unlink()
    assert [row for row in cleo.done("ls", "--json").json if row["owner"] == cleo.owner] == []
    assert not (tmp_path / "asked").exists()
    use(cleo, "gone", f"unix://{tmp_path}/nobody.sock")
    assert f"unix://{tmp_path}/nobody.sock" in cleo.run("ls").sentence()
