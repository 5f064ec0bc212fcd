"""An inventory host is a lab; a user's own inventory is read by Ansible itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import ExitCode, LabctlError
from labctl.runner import inventory, processes
from labctl.shared import process_limits
from labctl.shared.templates import Template

if TYPE_CHECKING:
    from collections.abc import Callable

NESTED = """
all:
  children:
    labs:
      hosts: {ada: {ansible_connection: local, consul_lab_servers: 5}}
      children:
        room:
          children:
            row: {hosts: {eve: , bob: }}
    other: {hosts: {printer: }}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "hosts.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_lab_on_this_machine_is_a_local_host_with_our_own_python() -> None:
    made = inventory.of_this_machine("ada", {"consul_lab_servers": 5})
    assert made.limit == "ada"
    assert made.sources == ()
    assert made.own["labs"]["hosts"]["ada"] == {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "consul_lab_name": "ada",
        "consul_lab_servers": 5,
    }


def test_labs_of_groups_below_the_group_are_labs_too(tmp_path: Path) -> None:
    labs = inventory.labs_in(written(tmp_path, NESTED))
    assert set(labs) == {"ada", "eve", "bob"}
    assert labs["ada"]["consul_lab_servers"] == 5


def test_a_users_inventory_stays_a_source_and_our_settings_lie_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = inventory.from_file(Path("hosts.yml"), "eve", {"consul_lab_servers": 5})
    assert made.limit == "eve"
    assert made.sources == (tmp_path / "hosts.yml",)
    assert made.own["labs"]["hosts"] == {"eve": {"consul_lab_name": "eve", "consul_lab_servers": 5}}


def test_a_lab_that_the_inventory_does_not_name_is_refused_with_those_it_does(tmp_path: Path) -> None:
    path = written(tmp_path, NESTED)
    assert inventory.lab_in(path, "ada")["consul_lab_servers"] == 5
    with pytest.raises(LabctlError, match="names no lab printer: it has ada, bob, eve") as caught:
        inventory.lab_in(path, "printer")
    assert caught.value.code is ExitCode.USAGE


def test_a_lab_of_another_docker_host_is_refused_with_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(LabctlError, match=r"another Docker host.*ansible-playbook -i .* --limit eve") as caught:
        inventory.lab_in(written(tmp_path, NESTED), "eve")
    assert caught.value.code is ExitCode.USAGE


def test_an_inventory_that_is_missing_is_never_taken_for_text(tmp_path: Path) -> None:
    with pytest.raises(LabctlError, match="does not exist") as caught:
        inventory.labs_in(tmp_path / "ada,")
    assert caught.value.code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("text", "says"),
    [("all: {hosts: {ada: }}", "names no lab"), ("{ broken", "cannot be read"), ("", "cannot be read|names no lab")],
)
def test_an_inventory_without_a_lab_is_wrong_usage(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(LabctlError, match=says) as caught:
        inventory.labs_in(written(tmp_path, text))
    assert caught.value.code is ExitCode.USAGE
    assert "\n" not in caught.value.sentence


def folder_with_a_pipe(path: Path) -> None:
    path.mkdir()
    os.mkfifo(path / "a")


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 32)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.symlink_to("/dev/zero"), "is no plain file"),
        (os.mkfifo, "is no plain file"),
        (folder_with_a_pipe, "is no plain file"),
        (huge, "larger than 16 MiB"),
        (lambda path: path.with_name("file").touch() or path.symlink_to("file/x"), "Not a directory|does not exist"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
    ],
    ids=["device", "pipe", "pipe in a folder", "huge", "through a file", "loop"],
)
def test_an_inventory_without_an_end_is_not_given_to_ansible(
    make: Callable[[Path], object], says: str, tmp_path: Path
) -> None:
    def run(*_: object, **__: object) -> process_limits.CommandEnd:
        pytest.fail("Ansible was started")

    path = tmp_path / "hosts"
    make(path)
    with pytest.raises(LabctlError, match=says) as caught:
        inventory.labs_in(path, run=run)
    assert caught.value.code is ExitCode.USAGE


@pytest.mark.parametrize("out", ["9" * 10_000, '{"labs": ' + "[" * 100_000, "", "x", "[]"])
def test_what_ansible_makes_of_an_inventory_and_python_cannot_read_is_one_sentence(out: str, tmp_path: Path) -> None:
    said = process_limits.CommandEnd(0, out, "")
    with pytest.raises(LabctlError, match="Ansible makes no JSON of it that can be read") as caught:
        inventory.labs_in(written(tmp_path, "x"), run=lambda *_, **__: said)
    assert caught.value.code is ExitCode.USAGE
    assert "limit" not in caught.value.sentence


def test_a_number_that_ansible_itself_cannot_write_is_told_in_our_words(tmp_path: Path) -> None:
    text = f"all: {{children: {{labs: {{hosts: {{ada: {{consul_lab_servers: 0x{'f' * 4000}}}}}}}}}}}\n"
    with pytest.raises(LabctlError, match="Look for a number of very many digits") as caught:
        inventory.labs_in(written(tmp_path, text))
    assert caught.value.code is ExitCode.USAGE
    assert "limit" not in caught.value.sentence


# -- what is data and what is a template ----------------------------------------------------------------------

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Use each value as a template does
      ansible.builtin.copy:
        content: "{{ {'host': host, 'group': group, 'again': again, 'deep': deep, 'ours': ours} | to_json }}"
        dest: "{{ written }}-{{ inventory_hostname }}"
        mode: "0600"
"""


def hostile(canary: Path) -> list[str]:
    return [
        f"{{{{ lookup('pipe', 'touch {canary}') }}}}",
        f"{{% set x = lookup('pipe', 'touch {canary}') %}}",
        "{# nothing #}",
        f"#jinja2: variable_start_string:'[%', variable_end_string:'%]'\n[% lookup('pipe', 'touch {canary}') %]",
        f"$(touch {canary}) `touch {canary}` ' \" \\ \n \x1b[2J \u202e é",
        "x" * 10_000 + "{{",
    ]


def test_what_is_handed_to_the_real_ansible_is_data_but_for_our_own_templates(tmp_path: Path) -> None:
    texts = hostile(tmp_path / "CANARY")
    (tmp_path / "all.yml").write_text(PLAYBOOK, encoding="utf-8")
    sources = []
    for name in ("json", "yml"):
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": Template("{{ ansible_playbook_python }}"),
            "written": str(tmp_path / "written"),
            "host": texts[0],
            "again": Template("{{ host }}"),
            "deep": {"texts": texts},
            "ours": Template("{{ 6 * 7 }}"),
            "number": 3,
        }
        made = inventory.of_workshop("w", {f"g_{name}": {"hosts": {name: variables}, "vars": {"group": texts[1]}}}, "")
        path = tmp_path / f"hosts.{name}"
        path.write_text(json.dumps(made.document) if name == "json" else made.text(unicode=True), encoding="utf-8")
        sources += ["-i", str(path)]
    words = [str(Path(sys.executable).with_name("ansible-playbook")), *sources, str(tmp_path / "all.yml")]
    env = {**os.environ, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("json", "yml"):
        assert json.loads((tmp_path / f"written-{name}").read_text(encoding="utf-8")) == {
            "host": texts[0],
            "group": texts[1],
            "again": texts[0],
            "deep": {"texts": texts},
            "ours": 42,
        }
    assert not (tmp_path / "CANARY").exists()


@given(st.text(alphabet="{%}#[] aé\n:j2", max_size=12))
def test_what_could_begin_a_template_is_marked(text: str) -> None:
    made = inventory.of_this_machine("ada", {"x": text, "y": [text], "z": {"deep": text}})
    variables = made.document["labs"]["hosts"]["ada"]
    given = variables["x"]
    assert variables["y"] == [given]
    assert variables["z"] == {"deep": given}
    assert given in (text, {"__ansible_unsafe": text})
    if isinstance(given, str):
        assert not set(given) & set("{}#\n")


def test_a_value_of_an_unknown_kind_is_none_for_an_inventory() -> None:
    with pytest.raises(TypeError, match="Path"):
        _ = inventory.of_this_machine("ada", {"x": Path("y")}).document  # a path would be written as text unmarked


def test_an_inventory_reaches_ansible_in_no_other_form() -> None:
    folder = Path(inventory.__file__).parents[1]
    users = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if re.search(r"\.own\b", path.read_text(encoding="utf-8"))
    }
    # The isolation of labs and the story have an `own` of their own, and know nothing of an inventory.
    others = ("isolation", "verify", "raft/")
    assert {user for user in users if not any(other in user for other in others)} == {"runner/inventory.py"}


def test_an_inventory_that_is_a_script_and_does_not_end_is_ended_and_told(tmp_path: Path) -> None:
    path, note = tmp_path / "hosts.sh", tmp_path / "pid"
    path.write_text(f"#!/bin/sh\necho $$ >{note}\nexec sleep 1000\n", encoding="utf-8")
    path.chmod(0o755)
    with pytest.raises(LabctlError, match=r"Cannot read the inventory .*, because it did not end within 4 seconds"):
        inventory.labs_in(path, 4.0)
    assert note.exists()
    assert not processes.alive(int(note.read_text(encoding="utf-8")))
