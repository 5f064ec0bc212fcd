"""What a lab looks like to programs is what the golden files say: documents, facts, labels, names, fetched files."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.golden.files import as_json, must_be_golden, must_have_golden_shape
from tests.integration.harness import ROOT, SCRIPTS, VERSION, docker, ended, inspect
from tests.integration.workshops import room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.harness import Person
    from tests.integration.workshops import Room

LABELS = re.compile(r"raft-labctl\.|com\.docker\.compose\.(project|service)$")
"""Of all labels, those that labctl promises; the others of Compose are Compose's."""
FACTS = """\
- name: Write what the playbooks before left as facts
  hosts: labs
  gather_facts: false
  tasks:
    - name: Write the facts of ours
      ansible.builtin.copy:
        content: >-
          {{ vars | dict2items | selectattr('key', 'match', '(consul|raft)_(?!\\w*__)') | items2dict | to_json }}
        dest: "{{ facts_file }}"
        mode: "0600"
      delegate_to: localhost
"""


@pytest.fixture(scope="module")
def facts(ada: Person, lab: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `ansible-playbook playbooks/demo.yml` leaves as facts; the lab is made by it."""
    folder = tmp_path_factory.mktemp("facts")
    play = folder / "facts.yml"
    play.write_text(FACTS, encoding="utf-8")
    settings = {
        "consul_image_version": VERSION,
        "consul_lab_pace": "real",
        "raft_logs_directory": str(folder / "logs"),
        "facts_file": str(folder / "facts.json"),
    }
    words = [word for name, value in settings.items() for word in ("--extra-vars", f"{name}={value}")]
    env = ada.env | {"LABCTL_LAB": lab, "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"}
    result = ended([str(SCRIPTS / "ansible-playbook"), "playbooks/demo.yml", str(play), *words], env, ROOT)
    assert result.code == 0, result.out + result.err
    return {"facts": json.loads((folder / "facts.json").read_text(encoding="utf-8")), "logs": folder / "logs"}


@pytest.fixture(scope="module")
def lab(module_names: Callable[[], str]) -> str:
    """The lab of these tests."""
    return module_names()


def without(text: str, **replaced: str) -> str:
    """TEXT without what is another time by time: each VALUE becomes its NAME in brackets."""
    for name, value in replaced.items():
        text = text.replace(value, f"<{name}>")
    return text


def test_the_facts_that_the_lesson_leaves(facts: dict[str, Any]) -> None:
    must_have_golden_shape("lab/facts.json", facts["facts"])


def test_the_files_that_the_lesson_fetches(facts: dict[str, Any]) -> None:
    folder: Path = facts["logs"]
    seen = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    must_be_golden("lab/raft-logs.txt", "".join(f"{line}\n" for line in seen))


@pytest.mark.usefixtures("facts")
def test_the_names_and_labels_of_what_docker_has(ada: Person, lab: str) -> None:
    seen: dict[str, Any] = {}
    for kind in ("container", "network", "volume"):
        every = ["--all"] if kind == "container" else []
        ids = docker(kind, "ls", "--quiet", *every, "--filter", f"label=raft-labctl.lab={lab}").split()
        for thing in inspect(kind, *ids):
            labels = thing["Config"]["Labels"] if kind == "container" else thing["Labels"]
            ours = {name: value for name, value in labels.items() if LABELS.match(name)}
            seen[f"{kind} {thing['Name'].lstrip('/')}"] = ours
    text = without(as_json(seen), lab=lab, owner=ada.env["LABCTL_OWNER"], version=VERSION)
    text = re.sub(r"sha256:[0-9a-f]{64}|\b[0-9a-f]{64}\b", "<sha256>", text)
    # As the binary of these tests comes from.
    text = re.sub(r'("raft-labctl\.image-(origin|source)": )"[^"]*"', r'\1"<\2>"', text)
    text = re.sub(r"\b10\.\d+\.\d+\.\d+(/\d+)?", "<address>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)
    text = re.sub(r'("raft-labctl\.seed": )"[0-9a-f]{16}"', r'\1"<fingerprint>"', text)
    must_be_golden("lab/labels.json", text)


# -- documents -----------------------------------------------------------------------------------------------

DOCUMENTS = {
    "up-nothing-to-do": ("up", "LAB", "--pace", "real", "--consul-version", VERSION),
    "up-dry-run": ("up", "LAB", "--servers", "5", "--dry-run"),
    "ls": ("ls",),
    "status": ("status", "LAB"),
    "members": ("members", "LAB"),
    "story": ("story", "LAB"),
    "verify": ("verify", "LAB"),
    "chaos": ("chaos", "LAB", "--for", "10s", "--seed", "7"),
    "measure-failover": ("measure", "failover", "LAB", "--times", "2"),
    "fault": ("fault", "isolate", "leader", "--lab", "LAB", "--for", "60s"),
    "fault-ls": ("fault", "ls", "LAB"),
    "status-with-a-fault": ("status", "LAB"),
    "fault-heal": ("fault", "heal", "--lab", "LAB"),
    "bundle-save": ("bundle", "save", "LAB"),
    "stop": ("stop", "LAB"),
    "start": ("start", "LAB"),
    "image-ls": ("image", "ls"),
    "doctor": ("doctor",),
    "error": ("status", "no-such-lab"),
    "down": ("down", "LAB"),
}
CODES = {"error": 1, "status-with-a-fault": 3}


@pytest.mark.usefixtures("facts")
@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_of_a_lab(ada: Person, lab: str, name: str) -> None:
    # One after another: each finds the lab as the one before left it.
    words = [lab if word == "LAB" else word for word in DOCUMENTS[name]]
    result = ada.run(*words, "--json")
    assert result.code in {0, CODES.get(name, 0)}, result.err + result.out
    document = json.loads(result.err if name == "error" else result.out)
    if name == "chaos":
        for read in document["reads"]:
            # What does not belong to a request is left out of it, such as a value where there was none yet.
            read["furthest"] = None
    must_have_golden_shape(f"json/{name}.json", document)


@pytest.mark.usefixtures("facts")
def test_the_documents_of_logs(ada: Person, lab: str) -> None:
    ada.done("up", lab, "--pace", "real", "--consul-version", VERSION)
    for name, words in {"logs": [], "logs-raft": ["--raft"]}.items():
        lines = ada.done("logs", lab, *words, "--json").out.splitlines()
        must_have_golden_shape(f"json/{name}.json", [json.loads(line) for line in lines])


@pytest.fixture(scope="module")
def workshop(ada: Person) -> Iterator[Room]:
    with room(ada, seats=1) as made:
        yield made


WORKSHOP_DOCUMENTS = {
    "plan": ("plan",),
    "up": ("up",),
    "status": ("status",),
    "cards": ("cards", "--format", "json"),
    "fault": ("fault pause", "follower", "--all"),
    "reset": ("reset", "01"),
    "down": ("down",),
}


@pytest.mark.parametrize("name", WORKSHOP_DOCUMENTS)
def test_the_documents_of_a_workshop(workshop: Room, name: str) -> None:
    verb, *words = WORKSHOP_DOCUMENTS[name]
    result = workshop.done(verb, *words, *(["--json"] if name != "cards" else []))
    document = json.loads(without(result.out, workshop=workshop.name))
    must_have_golden_shape(f"json/workshop-{name}.json", document)
