"""A bundle: whole or not at all, readable without Docker, and hostile ones do nothing."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from labctl.cli.main import run
from labctl.engine.logs import LogLine
from labctl.errors import ExitCode, LabctlError
from labctl.story import bundle, log_files
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SAID = [
    LogLine("consul1", "2021-01-24T00:00:01.000000000Z", "    2021/01/24 00:00:01 [INFO] raft: Election won. Tally: 2"),
    LogLine("consul2", "2021-01-24T00:00:01.500000000Z", "    2021/01/24 00:00:01 [INFO] agent: Synced"),
]


class Engine(stand_in.FakeEngine):
    """An engine that says what it is."""

    def version(self) -> dict[str, Any]:
        return {"Version": "28.2", "ApiVersion": "1.50", "Os": "linux"}

    def inspected(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        return [
            {"Id": container, "Config": {"Cmd": ["agent", "-node", container]}, "State": {"Running": True}}
            for container in ids
        ]


def lab(*without: str) -> Any:
    """The engine of the lab ada, whose servers said that; some of them may be gone."""
    said = {log_line.server: f"{log_line.taken} {log_line.text}\n".encode() for log_line in SAID}
    streams = {f"ada-{name}": [(0.0, said.get(name, b""))] for name in ("consul1", "consul2", "consul3")}
    containers = [made for made in stand_in.lab("ada") if made["Labels"]["raft-labctl.server"] not in without]
    return Engine(containers, streams=streams)


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def packed(path: Path, members: dict[str, bytes]) -> str:
    with tarfile.open(path, "w:gz") as made:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return str(path)


def test_a_bundle_has_every_log_what_the_lab_is_and_the_story(tmp_path: Path) -> None:
    result = bundle.save(None, None, force=False, connect=lab)
    assert (result.lab, result.file, result.lines) == ("ada", "ada.tgz", 2)
    assert result.size == (tmp_path / "ada.tgz").stat().st_size
    with tarfile.open("ada.tgz") as made:
        files = {entry.name: made.extractfile(entry).read() for entry in made}  # type: ignore[union-attr]
    assert sorted(files) == ["logs/consul1.log", "logs/consul2.log", "logs/consul3.log", "manifest.json", "story.json"]
    assert files["logs/consul1.log"].decode() == f"{SAID[0].taken} {SAID[0].text}\n"
    assert json.loads(files["story.json"])["events"][0]["event"] == "election_won"
    manifest = json.loads(files["manifest.json"])
    assert (manifest["lab"], manifest["consul"], manifest["docker"]["version"]) == ("ada", "1.8.7", "28.2")
    assert manifest["servers"][0]["command"] == ["agent", "-node", "ada-consul1"]


def test_a_server_whose_container_is_gone_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundle.save(None, None, force=False, connect=lambda: lab("consul2")).missing == ["consul2"]
    saved = bundle.save
    monkeypatch.setattr(bundle, "save", partial(saved, connect=lambda: lab("consul2", "consul3")))
    assert run(["bundle", "save", "ada", "--force"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "It has no log of consul2 and consul3: a container that is gone took its log along.\n" in shown


def test_a_bundle_is_read_like_the_logs_in_it() -> None:
    bundle.save("ada", None, force=False, connect=lab)
    (event,) = log_files.events(log_files.find(["ada.tgz"]))
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
        bundle.save("ada", tmp_path / "x.tgz", force=False, connect=lab)
    assert caught.value.code is ExitCode.USAGE
    assert (tmp_path / "x.tgz").read_text(encoding="utf-8") == "mine"
    assert bundle.save("ada", tmp_path / "x.tgz", force=True, connect=lab).lines == 2
    assert [path.name for path in tmp_path.iterdir()] == ["x.tgz"]


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabctlError, match=r"gone/x.tgz could not be written: No such file"):
        bundle.save("ada", tmp_path / "gone" / "x.tgz", force=False, connect=lab)


def test_a_bundle_that_failed_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "ada.tgz").write_bytes(b"the older one")
    monkeypatch.setattr("os.fchmod", full)
    with pytest.raises(LabctlError, match="No space left on device"):
        bundle.save("ada", None, force=True, connect=lab)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("ada.tgz", b"the older one")]


def test_a_bundle_is_for_who_saved_it_and_keeps_a_mode_that_somebody_gave_it(tmp_path: Path) -> None:
    bundle.save("ada", None, force=False, connect=lab)
    path = tmp_path / "ada.tgz"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    bundle.save("ada", None, force=True, connect=lab)
    assert path.stat().st_mode & 0o777 == 0o640


def test_names_in_a_bundle_cannot_leave_it(tmp_path: Path) -> None:
    line = b"2021-01-24T00:00:01Z [INFO]  agent.server.raft: election won: tally=2\n"
    name = packed(tmp_path / "evil.tgz", {"logs/../../evil.log": line, "/etc/passwd.log": line, "logs/a.log": line})
    events = list(log_files.events(log_files.find([name])))
    assert [event.server for event in events] == ["a", "evil", "passwd"]
    assert [path.name for path in tmp_path.iterdir()] == ["evil.tgz"]


def test_an_archive_without_logs_is_read_as_the_gzip_file_that_it_is(tmp_path: Path) -> None:
    name = packed(tmp_path / "other.tgz", {"readme.txt": b"hello"})
    assert list(log_files.events(log_files.find([name]))) == []


def test_a_bundle_that_was_cut_off_is_told_or_read_as_far_as_it_goes(tmp_path: Path) -> None:
    name = packed(tmp_path / "cut.tgz", {"logs/a.log": b"x" * 100_000})
    (tmp_path / "cut.tgz").write_bytes((tmp_path / "cut.tgz").read_bytes()[:-20])
    with pytest.raises(LabctlError, match="could not be read to its end"):
        list(log_files.events(log_files.find([name])))


# -- made to break what reads it ---------------------------------------------------------------------------------

LINE = b"2021-01-24T00:00:01Z [INFO]  agent.server.raft: election won: tally=2\n"


def entry(name: str, size: int = 0, **fields: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size = size
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def block(made: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """A header as it stands in a tar, and what stands behind it."""
    return made.tobuf(tarfile.GNU_FORMAT) + content + b"\0" * (-len(content) % 512)


def gzipped(path: Path, *pieces: bytes) -> str:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for piece in [*pieces, b"\0" * 1024]:
            file.write(piece)
    return str(path)


LOG = block(entry("logs/a.log", len(LINE)), LINE)


@pytest.mark.parametrize("target", ["nothere", "logs/a.log", "/etc/passwd"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("first", [True, False])
def test_a_link_of_the_same_name_changes_nothing(tmp_path: Path, target: str, kind: bytes, first: bool) -> None:
    link = block(entry("logs/a.log", type=kind, linkname=target))
    name = gzipped(tmp_path / "a.tgz", *([link, LOG] if first else [LOG, link]))
    assert [event.event for event in log_files.events(log_files.find([name]))] == ["election_won"]


def test_a_name_with_line_ends_writes_no_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = packed(tmp_path / "evil.tgz", {"logs/a\nforged \x1b[2J.log": LINE})
    assert run(["story", name]) == 0
    shown = capsys.readouterr().out
    assert r"a\nforged \x1b[2J" in shown
    assert not [line for line in shown.splitlines() if line.startswith("forged")]


def test_of_two_files_with_one_name_the_first_is_read(tmp_path: Path) -> None:
    other = LINE.replace(b"tally=2", b"tally=3")
    name = gzipped(tmp_path / "a.tgz", LOG, block(entry("logs/a.log", len(other)), other))
    (event,) = log_files.events(log_files.find([name]))
    assert event.values["tally"] == "2"


def test_a_file_with_holes_is_no_log(tmp_path: Path) -> None:
    holes = entry("logs/b.log", type=tarfile.GNUTYPE_SPARSE)
    name = gzipped(tmp_path / "a.tgz", block(holes), LOG)
    assert [recording.server for recording in log_files.find([name])] == ["a"]


def refused(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    begun = time.process_time()
    assert run(["story", name]) == ExitCode.FAILED
    shown = capsys.readouterr()
    assert time.process_time() - begun < 5
    assert shown.err.count("\n") == 1
    assert "Unexpected error" not in shown.err
    assert shown.out == ""
    return shown.err


PAX = entry("pax", 200 << 20, type=tarfile.XHDTYPE)
HUGE = b"".join([b"209715190 comment=", b"A" * (1 << 20)])


@pytest.mark.parametrize("before", [b"", LOG])
def test_a_header_that_is_a_bomb_is_not_read(tmp_path: Path, before: bytes) -> None:
    pieces = [before, PAX.tobuf(tarfile.GNU_FORMAT), HUGE, *[b"A" * (1 << 20)] * 199, b"\n" * 512, LOG]
    name = gzipped(tmp_path / "bomb.tgz", *pieces)
    code = (
        "import sys; from labctl.cli.main import run\n"
        "code = run(['story', sys.argv[1]])\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, name], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == ExitCode.FAILED
    assert "headers are longer than those of any lab's logs" in done.stderr
    assert int(done.stdout) < 120_000


def test_headers_without_end_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = b"20 comment=123456789\n"
    header = block(entry("pax", len(record), type=tarfile.XHDTYPE), record)
    # One Python's tarfile follows them, another one's takes the second for the archive's end.
    sentence = refused(gzipped(tmp_path / "a.tgz", LOG, *[header] * 5000, LOG), capsys)
    assert "more headers than" in sentence or "a header in it is damaged" in sentence
    shared = block(entry("pax", 900_000, type=tarfile.XGLTYPE), b"900000 a=" + b"A" * 899_990 + b"\n")
    name = gzipped(tmp_path / "b.tgz", *[LOG, shared] * 10)
    assert "headers are longer" in refused(name, capsys)


def test_files_without_end_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = gzipped(tmp_path / "a.tgz", *(block(entry(f"logs/{number}.log")) for number in range(2000)))
    assert "more than 1000 files" in refused(name, capsys)
    name = gzipped(tmp_path / "b.tgz", *(block(entry(f"logs/{number}.log")) for number in range(70)))
    assert "64 are the most" in refused(name, capsys)


@pytest.mark.parametrize("size", [1 << 40, (1 << 62) + 5, -512, -5])
def test_sizes_that_cannot_be_are_one_sentence(size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "could not be read to its end" in refused(
        gzipped(tmp_path / "a.tgz", LOG, block(entry("logs/b.log", size)), LOG), capsys
    )


def test_a_bundle_that_ends_in_a_log_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(gzip.compress(LOG + block(entry("logs/b.log", 100_000)) + LINE))
    with pytest.raises(LabctlError, match="could not be read to its end"):
        list(log_files.events(log_files.find([str(path)])))


@pytest.mark.parametrize(
    "content",
    [b"\x1f\x8b", b"\x1f\x8b\x08" + b"\xff" * 100, gzip.compress(LINE)[:-4], gzip.compress(LOG)[:60]],
    ids=["two bytes", "garbage", "a log cut off", "a tar cut off"],
)
def test_what_pretends_to_be_gzip_is_one_sentence(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.log").write_bytes(content)
    assert run(["story", str(tmp_path / "a.log"), "--json"]) == ExitCode.FAILED
    shown = capsys.readouterr()
    assert "could not be read to its end" in json.loads(shown.err)["error"]
    assert shown.out == ""


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "a/" * 3000])
def test_a_name_that_no_file_can_have_is_wrong_usage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["story", name, "-"]) == ExitCode.USAGE
    assert "There is no file" in capsys.readouterr().err
