"""A bundle: whole or not at all, readable without Docker, and hostile ones do nothing."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import logs
from labctl.engine.logs import LogLine
from labctl.errors import ExitCode, LabctlError
from labctl.flows import bundle, recordings
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from pathlib import Path

SAID = [
    LogLine("consul1", "2021-01-24T00:00:01.000000000Z", "    2021/01/24 00:00:01 [INFO] raft: Election won. Tally: 2"),
    LogLine("consul2", "2021-01-24T00:00:01.500000000Z", "    2021/01/24 00:00:01 [INFO] agent: Synced"),
]


class Engine(stand_in.FakeEngine):
    """An engine that says what it is."""

    def version(self) -> dict[str, Any]:
        return {"Version": "28.2", "ApiVersion": "1.50", "Os": "linux"}

    def inspect_container(self, container: str) -> dict[str, Any]:
        return {"Config": {"Cmd": ["agent", "-node", container]}, "State": {"Running": True}}


@pytest.fixture(autouse=True)
def _lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("labctl.engine.client.connect", lambda: Engine(stand_in.lab("ada")))
    monkeypatch.setattr(logs, "read", lambda *_: SAID)


def packed(path: Path, members: dict[str, bytes]) -> str:
    with tarfile.open(path, "w:gz") as made:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return str(path)


def test_a_bundle_has_every_log_what_the_lab_is_and_the_story(tmp_path: Path) -> None:
    result = bundle.save(None, None, force=False)
    assert (result["lab"], result["file"], result["lines"]) == ("ada", "ada.tgz", 2)
    assert result["size"] == (tmp_path / "ada.tgz").stat().st_size
    with tarfile.open("ada.tgz") as made:
        files = {entry.name: made.extractfile(entry).read() for entry in made}  # type: ignore[union-attr]
    assert sorted(files) == ["logs/consul1.log", "logs/consul2.log", "logs/consul3.log", "manifest.json", "story.json"]
    assert files["logs/consul1.log"].decode() == f"{SAID[0].taken} {SAID[0].text}\n"
    assert json.loads(files["story.json"])["events"][0]["event"] == "election_won"
    manifest = json.loads(files["manifest.json"])
    assert (manifest["lab"], manifest["consul"], manifest["docker"]["version"]) == ("ada", "1.8.7", "28.2")
    assert manifest["servers"][0]["command"] == ["agent", "-node", "ada-consul1"]


def test_a_bundle_is_read_like_the_logs_in_it() -> None:
    bundle.save("ada", None, force=False)
    (event,) = recordings.events(recordings.find(["ada.tgz"]))
    assert (event.server, event.event, event.file, event.line_no) == (
        "consul1",
        "election_won",
        "ada.tgz:logs/consul1.log",
        1,
    )
    assert event.time is not None
    assert event.time.isoformat() == "2021-01-24T00:00:01+00:00"


def test_a_file_that_is_there_is_kept_unless_it_is_forced(tmp_path: Path) -> None:
    (tmp_path / "x.tgz").write_text("mine", encoding="utf-8")
    with pytest.raises(LabctlError, match="exists already") as caught:
        bundle.save("ada", tmp_path / "x.tgz", force=False)
    assert caught.value.code is ExitCode.USAGE
    assert (tmp_path / "x.tgz").read_text(encoding="utf-8") == "mine"
    assert bundle.save("ada", tmp_path / "x.tgz", force=True)["lines"] == 2
    assert [one.name for one in tmp_path.iterdir()] == ["x.tgz"]


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabctlError, match=r"gone/x.tgz could not be written: No such file"):
        bundle.save("ada", tmp_path / "gone" / "x.tgz", force=False)


def test_a_bundle_that_failed_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "ada.tgz").write_bytes(b"the older one")
    monkeypatch.setattr("os.fchmod", full)
    with pytest.raises(LabctlError, match="No space left on device"):
        bundle.save("ada", None, force=True)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("ada.tgz", b"the older one")]


def test_a_bundle_is_for_who_saved_it_and_keeps_a_mode_that_somebody_gave_it(tmp_path: Path) -> None:
    bundle.save("ada", None, force=False)
    path = tmp_path / "ada.tgz"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    bundle.save("ada", None, force=True)
    assert path.stat().st_mode & 0o777 == 0o640


def test_names_in_a_bundle_cannot_leave_it(tmp_path: Path) -> None:
    line = b"2021-01-24T00:00:01Z [INFO]  agent.server.raft: election won: tally=2\n"
    name = packed(tmp_path / "evil.tgz", {"logs/../../evil.log": line, "/etc/passwd.log": line, "logs/a.log": line})
    events = list(recordings.events(recordings.find([name])))
    assert [event.server for event in events] == ["a", "evil"]
    assert [one.name for one in tmp_path.iterdir()] == ["evil.tgz"]


def test_an_archive_without_logs_is_read_as_the_gzip_file_that_it_is(tmp_path: Path) -> None:
    name = packed(tmp_path / "other.tgz", {"readme.txt": b"hello"})
    assert list(recordings.events(recordings.find([name]))) == []


def test_a_bundle_that_was_cut_off_is_told_or_read_as_far_as_it_goes(tmp_path: Path) -> None:
    name = packed(tmp_path / "cut.tgz", {"logs/a.log": b"x" * 100_000})
    (tmp_path / "cut.tgz").write_bytes((tmp_path / "cut.tgz").read_bytes()[:-20])
    with pytest.raises(LabctlError, match="could not be read to its end"):
        list(recordings.events(recordings.find([name])))
