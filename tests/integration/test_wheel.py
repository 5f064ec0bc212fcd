"""labctl from a wheel: built, installed into a fresh environment, run from a folder that has nothing to do with it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import ROOT, VERSION, Person, ended, left_of, new_name

if TYPE_CHECKING:
    from collections.abc import Callable


CONTENT = "labctl/_content/ansible_collections/raft/labctl"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository, built by this environment's hatchling."""
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    built = ended([*words, str(ROOT)], cwd=folder)
    assert built.code == 0, built.err
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it; its dependencies are those of the environment that runs the tests."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    target = ["--prefix", str(folder), "--no-deps", "--ignore-installed", "--no-warn-script-location"]
    done = ended([sys.executable, "-m", "pip", "install", *target, str(wheel)], cwd=folder)
    assert done.code == 0, done.err
    # Only the dependencies: what is installed here as editable comes later on the path and is not used.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    script = folder / "bin/labctl"
    # pip writes the Python that ran it into the script.
    text = script.read_text()
    script.write_text(f"#!{folder}/bin/python\n" + text.partition("\n")[2])
    # labctl looks for Ansible's programs beside its own Python.
    for program in ("ansible-playbook", "ansible-inventory", "ansible-galaxy", "ansible"):
        text = (Path(sysconfig.get_path("scripts")) / program).read_text()
        (folder / "bin" / program).write_text(f"#!{folder}/bin/python\n" + text.partition("\n")[2])
        (folder / "bin" / program).chmod(0o755)
    return script


def test_the_wheel_carries_what_ansible_runs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        have = set(archive.namelist())
    for folder in ("playbooks", "roles", "plugins", "inventory"):
        # What `make venv` brought is not of this repository.
        left = {"__pycache__", "collections"}
        for file in [path for path in (ROOT / folder).rglob("*") if path.is_file() and left.isdisjoint(path.parts)]:
            assert f"{CONTENT}/{file.relative_to(ROOT)}" in have
    for folder in ("samples", "terminal/pages"):
        for file in [path for path in (ROOT / "labctl" / folder).rglob("*") if path.is_file()]:
            assert str(file.relative_to(ROOT)) in have
    assert f"{CONTENT}/ansible.cfg" in have
    assert not [name for name in have if "__pycache__" in name or name.startswith("tests/")]


def test_labctl_from_the_wheel_brings_a_lab_up_and_down_from_an_empty_folder(
    installed: Path, names: Callable[[], str], tmp_path: Path
) -> None:
    lab = names()
    person = Person(f"wheel-{new_name()}", tmp_path / "home")
    env = {name: value for name, value in person.env.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = ended([str(installed.parent / "python"), "-c", "import labctl; print(labctl.__file__)"], env, elsewhere)
    assert where.out.startswith(str(installed.parent.parent)), where
    words = ["up", lab, "--servers", "1", "--pace", "real", "--consul-version", VERSION, "--json"]
    came = ended([str(installed), *words], env, elsewhere)
    assert came.code == 0, came.err
    assert json.loads(came.out)["leader"] == "consul1"
    went = ended([str(installed), "down", lab], env, elsewhere)
    assert went.code == 0, went.err
    assert left_of(lab) == []
    assert list(elsewhere.iterdir()) == []


def test_no_command_but_doctor_fix_downloads_what_ansible_needs(installed: Path, tmp_path: Path) -> None:
    person = Person(f"wheel-{new_name()}", tmp_path / "home")
    env = {name: value for name, value in person.env.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    built = ended([str(installed), "image", "build"], env, tmp_path)
    assert built.code == 1
    assert "community.docker" in built.err
    assert "`labctl doctor --fix`" in built.err
    looked = ended([str(installed), "doctor", "--json"], env, tmp_path)
    ansible = next(load for load in json.loads(looked.out) if load["check"] == "ansible")
    assert (ansible["ok"], ansible["fix"]) == (False, "labctl doctor --fix")
    fixed = ended([str(installed), "doctor", "--fix"], env, tmp_path)
    assert fixed.code == 0, fixed.out + fixed.err
    assert "community.docker" in fixed.out
    again = ended([str(installed), "image", "build"], env, tmp_path)
    assert (again.code, ": it was there already" in again.out) == (0, True), again
    (own,) = (tmp_path / "home").rglob("collections/ansible_collections/community/docker")
    assert (own / "plugins/modules/docker_image_pull.py").is_file()
    assert not list((tmp_path / "home").rglob("galaxy_token"))


def test_a_playbook_from_the_wheel_runs_from_an_empty_folder(
    installed: Path, names: Callable[[], str], tmp_path: Path
) -> None:
    lab = names()
    person = Person(f"wheel-{new_name()}", tmp_path / "home")
    env = {name: value for name, value in person.env.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    words = ["up", lab, "--pace", "real", "--consul-version", VERSION]
    assert ended([str(installed), *words], env, tmp_path).code == 0
    (content,) = installed.parent.parent.glob(f"lib/python3*/site-packages/{CONTENT}")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env |= {"LABCTL_LAB": lab, "PWD": str(elsewhere), "LC_ALL": "C.UTF-8"}
    env["ANSIBLE_CONFIG"] = str(content / "ansible.cfg")
    words = ["-i", str(content / "inventory" / "hosts.yml"), str(content / "playbooks" / "failover.yml")]
    played = ended([str(installed.parent / "ansible-playbook"), *words], env, elsewhere)
    assert played.code == 0, played.out + played.err
    assert "seconds later" in " ".join(played.out.split())
    assert {path.name for path in (elsewhere / "raft-logs" / lab).iterdir()} == {
        "consul1.log",
        "consul2.log",
        "consul3.log",
    }
