"""Times on the command line: as people write them, and whatever else somebody writes is wrong usage."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import click
import pytest

from labctl.cli.main import run
from labctl.cli.times import Time
from labctl.errors import ExitCode

SPLIT_VOTE = Path(__file__).resolve().parents[3] / "labctl/samples/split-vote/consul1.log"
CONTEXT = click.Context(click.Command("x"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("2m", 120.0), ("1.5h", 5400.0), ("250ms", 0.25), ("7", 7.0), (".5", 0.5), ("-5s", -5.0)],
)
def test_a_time_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert Time().convert(text, None, CONTEXT) == seconds


WRONG = [
    "",
    "s",
    "soon",
    "nan",
    "inf",
    "-inf",
    "1e9",
    "1_0s",
    "0x1p3",
    "9" * 400,
    "9" * 10,
    "٣s",
    "5 s",
    "1d",
    "\x1b[2J",
]


@pytest.mark.parametrize("text", WRONG)
@pytest.mark.parametrize("words", [["fault", "isolate", "consul1", "--for"], ["chaos", "--for"], ["story", "--since"]])
def test_what_is_no_time_is_wrong_usage(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = "99999w" if words[0] == "story" and text == "1d" else text
    assert run([*words, text]) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert "is no time" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("verb", "kind", "example"),
    [
        ("loss", "number", "labctl fault loss 30 leader"),
        ("rate", "whole number", "labctl fault rate 50 leader"),
        ("delay", "whole number", "labctl fault delay 200 leader"),
    ],
)
def test_an_amount_behind_its_server_is_told_where_it_belongs(
    verb: str, kind: str, example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fault", verb, "consul1", "30"]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert f"'consul1' is no {kind}. It comes first, then the servers: `{example}`." in said


@pytest.mark.parametrize("digits", [17, 400, 5000])
def test_a_seed_is_a_number_that_every_reader_of_json_knows(digits: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chaos", "zz-no-such-lab", "--seed", "9" * digits, "--dry-run"]) == ExitCode.USAGE
    assert "--seed" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["999999d", "0001-01-01T00:00:00", "9999-12-31T23:59:59-23:59"])
def test_a_story_since_a_time_of_no_calendar_is_told_or_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["story", str(SPLIT_VOTE), "--since", text]) in {ExitCode.DONE, ExitCode.USAGE}
    assert "Unexpected error" not in capsys.readouterr().err


def test_so_long_ago_that_no_calendar_has_it_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["story", str(SPLIT_VOTE), "--since", "999999d"]) == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "error: Cannot look back 999999d: no log is older than 100 years. Give a shorter time, or leave out --since.\n"
    )


def test_json_of_a_log_that_breaks_off_is_no_half_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(gzip.compress(SPLIT_VOTE.read_bytes() * 50)[:-100])
    assert run(["story", str(log), "--json"]) == ExitCode.FAILED
    shown = capsys.readouterr()
    assert shown.out == ""
    assert json.loads(shown.err)["code"] == 1


def test_json_of_a_log_with_numbers_that_no_cluster_has_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "a.log"
    stands = "2024/01/01 00:00:00 [INFO] raft: Node at 10.0.0.1:8300 [Candidate] entering Candidate state in term "
    log.write_text(f"{stands}{'9' * 20}\n{stands}{'9' * 5000}\n", encoding="utf-8")
    assert run(["story", str(log), "--json"]) == ExitCode.DONE
    assert [event["term"] for event in json.loads(capsys.readouterr().out)["events"]] == [None, None]


def test_json_of_a_file_whose_name_is_no_text_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Path(f"{tmp_path}/a\udcff.log")
    log.write_bytes(SPLIT_VOTE.read_bytes())
    assert run(["story", str(log), "--json"]) == ExitCode.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["events"][0]["file"] == str(log)
