"""The repository as a collection: whose code runs, and what works where nothing but the collection is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import ROOT, SCRIPTS, VERSION, ended, servers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person

GALAXY = str(SCRIPTS / "ansible-galaxy")
SETTINGS = ["--extra-vars", f"consul_image_version={VERSION}", "--extra-vars", "consul_lab_pace=real"]
MOST_BYTES = 1_000_000


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as `ansible-galaxy collection build` makes it of the repository."""
    folder = tmp_path_factory.mktemp("build")
    subprocess.run([GALAXY, "collection", "build", "--output-path", str(folder), str(ROOT)], check=True)
    (built,) = folder.iterdir()
    return built


def broken(folder: Path) -> Path:
    """A folder of collections with an older raft.labctl, whose role does nothing but fail."""
    role = folder / "ansible_collections/raft/labctl/roles/consul_lab/tasks"
    role.mkdir(parents=True)
    (role.parents[2] / "MANIFEST.json").write_text(
        '{"collection_info": {"namespace": "raft", "name": "labctl", "version": "0.0.1", "dependencies": {}}}',
        encoding="utf-8",
    )
    (role / "main.yml").write_text("- ansible.builtin.fail: {msg: older code}\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("by", ["home", "variable"])
def test_a_clone_and_labctl_run_their_own_code_beside_an_older_collection(
    ada: Person, names: Callable[[], str], tmp_path: Path, by: str
) -> None:
    lab = names()
    more = {"LABCTL_LAB": lab, "LC_ALL": "C.UTF-8"}
    if by == "home":
        broken(Path(ada.env["HOME"]) / ".ansible/collections")
    else:
        more["ANSIBLE_COLLECTIONS_PATH"] = str(broken(tmp_path / "others"))
    try:
        words = [str(SCRIPTS / "ansible-playbook"), "playbooks/start.yml", *SETTINGS]
        played = ended(words, ada.env | more, ROOT)
        assert played.code == 0, played.out + played.err
        assert len(servers(lab)) == 3
        up = ended(ada.words("up", lab, "--pace", "real", "--consul-version", VERSION), ada.env | more)
        assert up.code == 0, up.err
    finally:
        shutil.rmtree(Path(ada.env["HOME"]) / ".ansible", ignore_errors=True)


def test_the_collection_alone_makes_a_lab_on_this_machine(
    ada: Person, names: Callable[[], str], tarball: Path, tmp_path: Path
) -> None:
    lab, home = names(), tmp_path / "home"
    collections = home / ".ansible/collections/ansible_collections"
    shutil.copytree(ROOT / "playbooks/collections/ansible_collections/community", collections / "community")
    env = ada.env | {"HOME": str(home), "LABCTL_LAB": lab, "LC_ALL": "C.UTF-8", "PWD": str(tmp_path)}
    installed = ended([GALAXY, "collection", "install", "--no-deps", str(tarball)], env, tmp_path)
    assert installed.code == 0, installed.err
    played = ended([str(SCRIPTS / "ansible-playbook"), "raft.labctl.demo", *SETTINGS], env, tmp_path)
    assert played.code == 0, played.out + played.err
    logs = {path.name for path in (tmp_path / "raft-logs" / lab).iterdir()}
    assert logs == {"consul1.log", "consul2.log", "consul3.log"}


def test_the_collection_holds_what_ansible_runs_and_nothing_else(tarball: Path) -> None:
    assert tarball.stat().st_size < MOST_BYTES
    listed = subprocess.run(["tar", "tzf", str(tarball)], capture_output=True, text=True, check=True).stdout.split()
    tops = {name.split("/")[0] for name in listed}
    wanted = {"roles", "plugins", "playbooks", "inventory", "meta", "docs"}
    files = {"LICENSE", "CHANGELOG.md", "requirements.yml", "MANIFEST.json", "FILES.json"}
    assert tops == wanted | files
    assert not [name for name in listed if "__pycache__" in name or "/collections/" in name]


def test_an_inventory_without_labs_is_no_success(ada: Person, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: {web: {ansible_connection: local}}}\n", encoding="utf-8")
    env = ada.env | {"LC_ALL": "C.UTF-8"}
    played = ended([str(SCRIPTS / "ansible-playbook"), "-i", str(inventory), "playbooks/demo.yml"], env, ROOT)
    assert played.code != 0
    assert "The inventory has no host in the group labs" in played.out + played.err


def test_an_ad_hoc_task_runs_on_every_server_of_a_lab(ada: Person, names: Callable[[], str]) -> None:
    lab = names()
    ada.done("up", lab, "--pace", "real", "--consul-version", VERSION)
    words = [str(SCRIPTS / "ansible"), "-i", "inventory/examples/servers.docker.yml", f"lab_{lab.replace('-', '_')}"]
    task = ["-m", "ansible.builtin.raw", "-a", "consul operator raft list-peers"]
    for _ in range(5):
        # A container of another test that goes while the plugin looks at all of them makes it fail.
        played = ended([*words, *task], ada.env | {"LC_ALL": "C.UTF-8"}, ROOT)
        if played.code == 0:
            break
    assert played.code == 0, played.out + played.err
    assert played.out.count("rc=0") == 3
    for server in ("consul1", "consul2", "consul3"):
        assert f"labctl-{lab}-{server} | CHANGED" in played.out
    assert played.out.count(" leader ") == 3
