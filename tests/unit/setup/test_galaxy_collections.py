"""Ansible's collections that labctl needs: as they were pinned, wherever they come from, or not at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from labctl.errors import ExitCode, LabctlError
from labctl.runner import galaxy_collections
from labctl.runner.galaxy_collections import UnfitError, lacking, require, verified
from labctl.runner.inventory import of_this_machine
from labctl.runner.playbook_run import PlaybookRun
from labctl.setup.collection_download import bring
from labctl.shared import file_lock, lock_holder
from labctl.shared.lock_holder import Patience
from tests.unit.setup.galaxy_stand_in import FILES, NAME, Galaxy, bundle, collection, pinned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[3]
MODULE = "plugins/modules/docker_image_info.py"
ITS = collection()
WANTED = pinned(ITS)
(PIN,) = WANTED.collections


@pytest.fixture
def galaxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Mapping[str, bytes] | None], Galaxy | None]]:
    """Lets Galaxy have a collection; None for a Galaxy that does not answer. pip looks into no index."""
    made: list[Galaxy] = []
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)

    def have(contents: Mapping[str, bytes] | None) -> Galaxy | None:
        if contents is None:
            monkeypatch.setenv("ANSIBLE_GALAXY_SERVER", "http://127.0.0.1:9")
            return None
        made.append(Galaxy(contents))
        monkeypatch.setenv("ANSIBLE_GALAXY_SERVER", made[0].url)
        return made[0]

    yield have
    for server in made:
        server.close()


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, bytes]], None]:
    """Lets pip find a bundle with a collection."""

    def have(contents: Mapping[str, bytes]) -> None:
        bundle(tmp_path / "wheels", contents)
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))

    return have


def files_in(folder: Path) -> set[str]:
    place = PIN.folder(folder)
    return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}


KEPT = {"MANIFEST.json", "FILES.json", "README.md", "meta/runtime.yml", MODULE}


def test_galaxy_is_asked_first_and_nothing_is_asked_twice(
    galaxy: Callable[[Mapping[str, bytes] | None], Galaxy], tmp_path: Path
) -> None:
    server = galaxy(ITS)
    told: list[str] = []
    assert bring(told.append, tmp_path / "own", WANTED) == [PIN]
    assert told == ["Downloading community.docker 4.8.5 from Galaxy."]
    assert files_in(tmp_path / "own") == KEPT
    asked = len(server.asked)
    assert bring(told.append, tmp_path / "own", WANTED) == []
    assert len(server.asked) == asked
    require(tmp_path / "own", WANTED)


def test_pips_bundle_is_taken_where_galaxy_does_not_answer(
    galaxy: Callable[[None], None], pip: Callable[[Mapping[str, bytes]], None], tmp_path: Path
) -> None:
    galaxy(None)
    pip(ITS)
    told: list[str] = []
    assert bring(told.append, tmp_path / "own", WANTED) == [PIN]
    assert told[-1] == "Downloading community.docker 4.8.5 from the package ansible==12.3.0."
    assert told[1] == "Galaxy did not provide them (it cannot be reached: Connection refused)."
    assert files_in(tmp_path / "own") == KEPT
    # Of all that is in the bundle, only what was asked for; and nothing is left of the download.
    assert {path.name for path in (tmp_path / "own").iterdir()} == {".lock", "ansible_collections"}
    assert {path.name for path in (tmp_path / "own/ansible_collections/community").iterdir()} == {"docker"}


def test_a_collection_that_is_not_the_pinned_one_is_taken_from_nowhere(
    galaxy: Callable[[Mapping[str, bytes]], Galaxy], pip: Callable[[Mapping[str, bytes]], None], tmp_path: Path
) -> None:
    galaxy(collection({**FILES, MODULE: b"print('another')\n"}))
    pip({**ITS, MODULE: b"print('changed')\n"})
    with pytest.raises(LabctlError) as failed:
        bring(lambda _: None, tmp_path / "own", WANTED)
    said = failed.value.sentence
    assert "Galaxy: the manifest of community.docker is not that of community.docker 4.8.5" in said
    assert f"ansible==12.3.0: the file {MODULE} of community.docker 4.8.5 is changed" in said
    assert files_in(tmp_path / "own") == set()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"FILES.json": b"{}"}, "list of files"),
        ({"MANIFEST.json": None}, "the manifest"),
        ({MODULE: None}, "is missing"),
        ({"meta/runtime.yml": b""}, "is changed"),
        ({"README.md": b"# Other\n"}, "is changed"),
    ],
)
def test_what_is_taken_is_what_was_pinned(change: dict[str, bytes | None], why: str) -> None:
    contents = {name: content for name, content in {**ITS, **change}.items() if content is not None}
    with pytest.raises(UnfitError, match=why):
        verified(PIN, contents)


def test_a_file_that_is_not_listed_and_one_that_leads_outside_are_not_taken() -> None:
    contents = collection({**FILES, "plugins/../../evil.py": b"evil"})
    (pin,) = pinned(contents).collections
    assert set(verified(pin, {**contents, "plugins/modules/evil.py": b"evil"})) == KEPT


def test_what_was_damaged_or_is_of_another_version_is_brought_anew(
    galaxy: Callable[[Mapping[str, bytes]], Galaxy], tmp_path: Path
) -> None:
    galaxy(ITS)
    bring(lambda _: None, tmp_path, WANTED)
    place = PIN.folder(tmp_path)
    (place / MODULE).write_bytes(b"print('damaged')\n")
    (place / "plugins/modules/left.py").write_bytes(b"")
    assert lacking(tmp_path, WANTED) == [PIN]
    bring(lambda _: None, tmp_path, WANTED)
    assert files_in(tmp_path) == KEPT
    (place / MODULE).unlink()
    assert lacking(tmp_path, WANTED) == [PIN]
    assert lacking(tmp_path, pinned(collection({**FILES, MODULE: b"newer"}))) != []


def test_who_waits_for_another_that_brings_them_says_so_and_gives_up(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        file_lock.locked(tmp_path / ".lock", lock_holder.holder("labctl doctor --fix", 60).note, lambda _: None),
        pytest.raises(
            LabctlError, match=r"Cannot bring Ansible's collections: .*`labctl doctor --fix` .* has it"
        ) as end,
    ):
        bring(told.append, tmp_path, WANTED, Patience(0.4, told.append, 0.1))
    assert end.value.code is ExitCode.REFUSED
    (sentence,) = told
    assert sentence.startswith("Waiting for ")


def test_what_a_killed_one_left_goes_with_the_next(
    galaxy: Callable[[Mapping[str, bytes] | None], Galaxy], tmp_path: Path
) -> None:
    galaxy(ITS)
    left = tmp_path / "own" / "labctl-abcdefgh"
    (left / "docker-new").mkdir(parents=True)
    (tmp_path / "own" / "labctl-mine").write_text("no folder", encoding="ascii")
    bring(lambda _: None, tmp_path / "own", WANTED)
    assert not left.exists()
    assert {path.name for path in (tmp_path / "own").iterdir()} == {".lock", "ansible_collections", "labctl-mine"}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("a file", encoding="utf-8")
    with pytest.raises(LabctlError, match="Cannot write Ansible's collections into"):
        bring(lambda _: None, tmp_path / "own", WANTED)


def test_who_needs_a_collection_that_is_missing_is_told_what_brings_it(tmp_path: Path) -> None:
    with pytest.raises(LabctlError) as failed:
        require(tmp_path, WANTED)
    assert failed.value.sentence == (
        f"Cannot run Ansible: community.docker 4.8.5 is not in {tmp_path}. Run `make venv`, which brings Ansible's "
        "collections."
    )


def test_an_image_is_not_made_without_them_and_nothing_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(galaxy_collections, "own_folder", lambda: tmp_path)
    for playbook, tags in (("image.yml", ()), ("up.yml", ("image", "start"))):
        with pytest.raises(LabctlError, match="Cannot run Ansible"):
            PlaybookRun(playbook, of_this_machine("ada", {}), tags=tags)
    assert list(tmp_path.iterdir()) == []


# -- those of this repository ----------------------------------------------------------------------------------


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def test_this_clone_has_what_ansible_needs() -> None:
    assert [str(pin) for pin in lacking(galaxy_collections.own_folder(), galaxy_collections.pins())] == []


def test_what_is_pinned_is_what_the_collection_says_that_it_needs() -> None:
    pins = {pin.name: pin.version for pin in galaxy_collections.pins().collections}
    said = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["dependencies"]
    asked = yaml.safe_load((ROOT / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    assert said == {asked_["name"]: asked_["version"] for asked_ in asked}
    assert set(said) == {NAME}
    assert version(pins[NAME]) >= version(said[NAME])


def test_every_collection_that_a_role_or_playbook_uses_is_ansibles_ours_or_pinned() -> None:
    known = {"ansible.builtin", "raft.labctl", *(pin.name for pin in galaxy_collections.pins().collections)}
    pages = [path for folder in ("roles", "playbooks", "molecule") for path in (ROOT / folder).rglob("*.yml")]
    texts = [path.read_text(encoding="utf-8") for path in pages if "collections" not in path.parts]
    used = {module for text in texts for module in re.findall(r"^\s*(?:- )?(\w+\.\w+)\.\w+:", text, re.MULTILINE)}
    assert NAME in used
    assert used <= known


def test_the_image_of_every_source_is_looked_at_with_community_docker() -> None:
    tasks = yaml.safe_load((ROOT / "roles/consul_image/tasks/make.yml").read_text(encoding="utf-8"))
    # After all sources, so that whichever made it, the engine is asked for it.
    assert "community.docker.docker_image_info" in tasks[-1]
