"""Logs that were kept: plain, gzip, folders, standard input, and what is wrong with them."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest

from labctl.errors import ExitCode, LabctlError
from labctl.flows import recordings

if TYPE_CHECKING:
    from pathlib import Path

WON = "2021-01-24T00:00:0{}Z [INFO]  agent.server.raft: election won: tally=2\n"
NOISE = "2021-01-24T00:00:00Z [INFO]  agent: Synced node info\n"


def told(*names: str, everything: bool = False) -> list[tuple[str, int, str]]:
    found = recordings.events(recordings.find(names), everything=everything)
    return [(one.server, one.line_no, one.event) for one in found]


def test_a_file_is_the_log_of_the_server_that_it_is_called_after(tmp_path: Path) -> None:
    path = tmp_path / "consul7.log.1"
    path.write_text(NOISE + WON.format(1), encoding="utf-8")
    assert told(str(path)) == [("consul7", 2, "election_won")]
    assert told(str(path), everything=True) == [("consul7", 1, "other"), ("consul7", 2, "election_won")]


def test_a_line_that_says_whose_it_is_wins_over_the_files_name(tmp_path: Path) -> None:
    path = tmp_path / "all.log"
    path.write_text(f"consul1_1  | {WON.format(1)}consul2_1  | {WON.format(2)}{WON.format(3)}", encoding="utf-8")
    assert [server for server, *_ in told(str(path))] == ["consul1_1", "consul2_1", "all"]


def test_gzip_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "consul1.log"
    path.write_bytes(gzip.compress(WON.format(1).encode()))
    assert told(str(path)) == [("consul1", 1, "election_won")]


def test_a_folder_is_the_logs_in_it_in_the_order_of_time(tmp_path: Path) -> None:
    for number, second in ((1, 3), (2, 1), (3, 2)):
        (tmp_path / f"consul{number}.log").write_text(WON.format(second), encoding="utf-8")
    (tmp_path / ".hidden").write_text(WON.format(1), encoding="utf-8")
    (tmp_path / "folder").mkdir()
    assert [server for server, *_ in told(str(tmp_path))] == ["consul2", "consul3", "consul1"]


def test_the_order_on_the_command_line_does_not_matter(tmp_path: Path) -> None:
    names = []
    for number in (1, 2, 3):
        names.append(str(tmp_path / f"consul{number}.log"))
        (tmp_path / f"consul{number}.log").write_text(WON.format(1), encoding="utf-8")
    assert told(*names) == told(*reversed(names))


def test_standard_input_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as stdin, os.fdopen(theirs, "wb", buffering=0) as pipe:
        monkeypatch.setattr("sys.stdin", stdin)
        events = recordings.events(recordings.find(["-"]))
        pipe.write(WON.format(1).encode())
        # More would be waited for: a line is told when it is there, not when the pipe has ended.
        assert next(events).event == "election_won"


@pytest.mark.parametrize(("name", "words"), [("gone.log", "There is no file"), ("empty", "holds no log")])
def test_what_is_not_there_is_wrong_usage(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabctlError, match=words) as caught:
        recordings.find([str(tmp_path / name)])
    assert caught.value.code is ExitCode.USAGE


def test_a_gzip_file_that_was_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "consul1.log.gz"
    path.write_bytes(gzip.compress(WON.format(1).encode() * 100)[:-9])
    with pytest.raises(LabctlError, match="could not be read to its end: Compressed file ended"):
        told(str(path))


def test_bytes_that_are_no_log_are_no_events(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(bytes(range(256)) * 64 + b"\nraft\xff\xfe\n" + b"raft" * 100_000)
    assert told(str(path)) == []
