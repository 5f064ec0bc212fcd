"""What files are called where lines are named: short, of one file only, and explained once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from labctl.cli.main import run
from labctl.raft.records import Evidence
from labctl.story.file_names import MOST_SAID, FileNames
from tests.unit.story.election_logs import ONE, TWO, text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("files", "short", "said"),
    [
        (["a.log"], ["a.log"], ""),
        (["/var/log/a.log"], ["a.log"], "a.log is /var/log/a.log."),
        (["/x/n1/a.log", "/x/n2/a.log"], ["n1/a.log", "n2/a.log"], "These files are in /x."),
        (["/x/a.log", "/x/b.log"], ["a.log", "b.log"], "These files are in /x."),
        (["a.log", "/x/a.log"], ["a.log", "x/a.log"], "x/a.log is /x/a.log."),
        (["x/a.log", "/x/a.log"], ["x/a.log", "/x/a.log"], ""),
        (["/y/t.tgz:logs/a.log", "/x/b.log"], ["a.log", "b.log"], "a.log is /y/t.tgz:logs/a.log; b.log is /x/b.log."),
    ],
)
def test_a_short_name_is_that_of_one_file(files: list[str], short: list[str], said: str) -> None:
    names = FileNames(files, long=3)
    assert [names(Evidence("s", file, 7)) for file in files] == [f"{name}:7" for name in short]
    assert names.said() == said


def test_names_that_are_not_long_are_said_as_they_are() -> None:
    names = FileNames(["lost-leader/consul1.log", "lost-leader/consul2.log"])
    assert names(Evidence("s", "lost-leader/consul1.log", 7)) == "lost-leader/consul1.log:7"
    assert names.said() == ""


def test_what_is_no_file_is_called_as_ever_and_many_names_are_not_all_said() -> None:
    folder = "/a/folder/with/a/long/name/of/its/own"
    names = FileNames([f"{folder}/{at}/{at}.log" for at in range(MOST_SAID + 2)])
    assert names(Evidence("consul1", None, 3)) == "consul1:3"
    assert names(Evidence("consul1", None, 0)) == "Docker of consul1"
    assert names(Evidence("consul1", "else.log", 3)) == "else.log:3"
    for at in range(MOST_SAID + 2):
        names(Evidence("s", f"{folder}/{at}/{at}.log", 1))
    assert names.said().endswith("; 2 more have longer names, too.")


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    path = tmp_path / "a-folder-with-a-very-long-name" / "n1.log"
    path.parent.mkdir()
    path.write_text(text([*ONE, *[line.replace("10.0.0.2", "10.0.0.1") for line in TWO]]), encoding="utf-8")
    return path


def test_the_path_of_a_single_file_is_said_once(deep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["story", str(deep), "--summary"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "n1.log:6" in told
    assert told.count(str(deep)) == 1
    assert f"n1.log is {deep}." in told


def test_a_page_says_the_path_of_a_single_file_once(deep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["story", str(deep), "--format", "html"]) == 0
    assert capsys.readouterr().out.count(str(deep)) == 1


def test_json_has_whole_names(deep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["story", str(deep), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    files = {evidence["file"] for incident in document["incidents"] for evidence in incident["evidence"]}
    assert files == {str(deep)}
