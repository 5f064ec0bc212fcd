"""What is no log of Raft is told as such: a sentence and exit code 1, in every format; so is what was left out."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from labctl.cli.main import run
from labctl.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.stand_ins import StreamChange

WON = "2021-01-24T00:00:01Z [INFO]  agent.server.raft: election won: tally=2\n"
STRANGE = "INFO raft: entering candidate state on node 7\n"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(["story", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.mark.parametrize("form", ["text", "json", "svg", "html", "mermaid"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"hello\nworld\n", "is about Raft (2 lines read); its first line is 'hello'. labctl reads"),
        (b"\n\n  hello", "is about Raft (3 lines read); its first line is 'hello'. labctl reads"),
        (b"one\n", "is about Raft (1 line read)"),
        (b"", "is about Raft: it is empty."),
        (b"\x7fELF\0\0\1", "it is no text"),
        (b"2021-01-24T00:00:01Z [INFO]  agent: Synced node info\n", "is about Raft (1 line read)"),
        ("hello\n".encode("utf-16"), "its first line is 'hello'"),
        (STRANGE.encode(), "one of them looks like Raft's, such as line 1, 'INFO raft: entering"),
        (STRANGE.encode() * 2, "could be read (2 lines): 2 of them look like Raft's, such as line 1"),
    ],
)
def test_a_story_of_nothing_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, content: bytes, says: str
) -> None:
    (tmp_path / "a.log").write_bytes(content)
    code, out, err = told(capsys, str(tmp_path / "a.log"), "--format", form)
    assert (code, out) == (ExitCode.FAILED, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("form", ["text", "json", "svg", "html", "mermaid"])
def test_no_file_is_written_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    (tmp_path / "a.log").write_bytes(b"hello\n")
    code, *_ = told(capsys, str(tmp_path / "a.log"), "--format", form, "-o", str(tmp_path / "out"))
    assert code == ExitCode.FAILED
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]


def test_of_several_logs_those_with_nothing_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.log").write_text(WON, encoding="utf-8")
    (tmp_path / "b.log").write_text("hello\n", encoding="utf-8")
    code, out, err = told(capsys, str(tmp_path))
    assert code == ExitCode.DONE
    assert "won the election" in out
    assert "b.log is about Raft (1 line read); its first line is 'hello'." in err
    assert "a.log" not in err
    (tmp_path / "a.log").write_text("none\n", encoding="utf-8")
    code, out, err = told(capsys, str(tmp_path))
    assert (code, out) == (ExitCode.FAILED, "")
    assert "The same holds for 1 more." in err


@pytest.mark.parametrize("times", [1, 3])
def test_lines_that_look_like_rafts_and_were_not_read_are_counted_and_one_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], times: int
) -> None:
    path = tmp_path / "a.log"
    path.write_text("noise\n" + STRANGE * times + WON, encoding="utf-8")
    code, _, err = told(capsys, str(path))
    assert code == ExitCode.DONE
    count = "1 line looks like Raft's and was" if times == 1 else "3 lines look like Raft's and were"
    assert f"{count} not read; {path}:2 is 'INFO raft: entering candidate state on node 7'." in err
    _, out, _ = told(capsys, str(path), "--json")
    assert json.loads(out)["unread"] == {
        "lines": times, "file": str(path), "line_no": 2, "line": STRANGE.strip(),
    }  # fmt: skip


@pytest.mark.parametrize("times", [1, 2])
def test_of_unknown_words_one_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], times: int) -> None:
    path = tmp_path / "a.log"
    unknown = "2021-01-24T00:00:01Z [INFO]  agent.server.raft: never heard of\n"
    path.write_text(WON + unknown * times, encoding="utf-8")
    code, out, _ = told(capsys, str(path))
    assert code == ExitCode.DONE
    have = "1 line of Raft has a" if times == 1 else "2 lines of Raft have a"
    assert f"{have} wording that labctl does not know, such as {path}:2:\n  {unknown.strip()}\n" in out
    assert ("all of them are events named other" in out) == (times == 2)


def test_a_hostile_first_line_is_shown_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.log").write_text("\x1b[2J\u202ehello " + "x" * 5000, encoding="utf-8")
    _, _, err = told(capsys, str(tmp_path / "a.log"))
    assert "'hello xxx" in err
    assert len(err) < 800


def test_what_is_piped_into_a_story_of_a_lab_is_not_ignored_in_silence(
    standard_input: StreamChange,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "a.log").write_text(WON, encoding="utf-8")
    with (tmp_path / "a.log").open(encoding="utf-8") as stdin:
        standard_input(stdin)
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
        _, _, err = told(capsys)
        assert "standard input is not read. Write `labctl story -`" in err
        _, _, err = told(capsys, "--sample", "2015")
        assert err == ""
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123 - a device
        standard_input(nothing)
        _, _, err = told(capsys)
        assert "standard input" not in err
