"""Where the role consul_lab keeps a lab's files: in the state folder of the user on the Docker host."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from labctl.runner.content import offer_collection

DEFAULTS = Path(__file__).resolve().parents[3] / "roles" / "consul_lab" / "defaults" / "main.yml"


@pytest.mark.parametrize(("state", "here"), [("/mine", "/mine"), ("", "~/.local/state")])
def test_a_state_folder_of_this_machine_is_none_of_another_one(tmp_path: Path, state: str, here: str) -> None:
    connections = {"here": {"ansible_connection": "local"}, "far": {"ansible_connection": "ssh"}, "usual": {}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"labs": {"hosts": connections}}), encoding="utf-8")
    play = {
        "hosts": "labs",
        "gather_facts": False,
        "vars_files": [str(DEFAULTS)],
        "tasks": [{"ansible.builtin.debug": {"msg": "({{ inventory_hostname }}={{ consul_lab_directory }})"}}],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts.yml", "play.yml"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    env |= {"XDG_STATE_HOME": state, **offer_collection(tmp_path / "collections", tmp_path / "needed")}
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    told = dict(re.findall(r"\((\w+)=(.+?)\)", done.stdout))
    usual = "~/.local/state/raft-labctl/labs"
    assert told == {"here": f"{here}/raft-labctl/labs/here", "far": f"{usual}/far", "usual": f"{usual}/usual"}
