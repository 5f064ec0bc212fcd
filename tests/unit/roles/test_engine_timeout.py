"""How long the role docker_engine waits: for no longer than a day, and that is said before anything is brought."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from labctl.runner.content import offer_collection

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seconds", [0, -5, 86_401, 10**30])
def test_a_time_that_nobody_waits_is_refused_in_a_sentence(tmp_path: Path, seconds: int) -> None:
    (tmp_path / "hosts.yml").write_text("labs: {hosts: {here: {ansible_connection: local}}}", encoding="utf-8")
    play = {
        "hosts": "labs",
        "gather_facts": False,
        "vars": {"docker_engine_timeout": seconds},
        "tasks": [
            {"ansible.builtin.include_role": {"name": "raft.labctl.docker_engine", "tasks_from": "preflight.yml"}}
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    words = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.yml", "play.yml"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    env |= offer_collection(tmp_path / "collections", tmp_path / "needed")
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert f"Cannot wait for {seconds} seconds: set docker_engine_timeout to 1 to 86400." in done.stdout
