"""Logs that hold the same lines of one server are told as one server's, and each line once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.story.election_logs import ONE, TWO, essence, line, story, text

if TYPE_CHECKING:
    from pathlib import Path

MORE = [line("45.000", "ERROR", "failed to heartbeat to: peer=10.0.0.3:8300 error=EOF")] * 2
WHOLE = [*ONE[:5], *MORE, *ONE[5:]]
WHOLE.sort()


def journal(lines: list[str]) -> list[str]:
    return [f"Jan 08 {line[11:19]} ip-10-0-0-1 consul[812]: {line}" for line in lines]


@pytest.mark.parametrize(
    ("first", "second"), [(slice(0, 6), slice(3, 9)), (slice(0, 9), slice(4, 9)), (slice(0, 4), slice(3, 9))]
)
def test_rotated_files_that_overlap_are_one_servers_and_each_line_is_told_once(
    tmp_path: Path, first: slice, second: slice
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "app.log").write_text(text(WHOLE), encoding="utf-8")
    right, _ = story(tmp_path / "whole")
    (tmp_path / "app.log.1").write_text(text(WHOLE[first]), encoding="utf-8")
    (tmp_path / "app.log").write_text(text(WHOLE[second]), encoding="utf-8")
    told, notes = story(tmp_path / "app.log", tmp_path / "app.log.1")
    assert essence(told) == essence(right)
    (note,) = notes
    assert "told once" in note


ANY = [line(f"2{at}.000", "ERROR", f"failed to heartbeat to: peer=10.0.0.3:8300 error={at}") for at in range(9)]


@pytest.mark.parametrize(("common", "servers"), [(ANY, 1), (ANY[:3], 2)])
def test_logs_of_other_names_in_which_no_server_names_itself_need_many_lines_in_common(
    tmp_path: Path, common: list[str], servers: int
) -> None:
    (tmp_path / "a.log").write_text(text(common), encoding="utf-8")
    (tmp_path / "journal.log").write_text(text(journal(common)), encoding="utf-8")
    told, _ = story(tmp_path)
    assert len({event.server for event in told.events}) == servers
    assert len(told.events) == servers * len(common)


def test_a_file_and_the_journal_of_the_same_server_are_one_log(tmp_path: Path) -> None:
    unknown = line("44.501", "INFO", "says what nobody knows")
    lines = [*WHOLE[1:7], unknown, *WHOLE[7:]]
    (tmp_path / "n1.log").write_text(text(lines), encoding="utf-8")
    right, _ = story(tmp_path / "n1.log")
    (tmp_path / "journal.txt").write_text(text(journal(lines)), encoding="utf-8")
    told, notes = story(tmp_path)
    assert len(told.servers) == 1
    assert len(told.events) == len(right.events)
    assert [election.outcome for election in told.elections] == ["won"]
    assert any("is told once" in note for note in notes)


def test_logs_that_say_something_else_of_the_same_time_are_not_joined(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(text(ONE), encoding="utf-8")
    (tmp_path / "b.log").write_text(text([ONE[0], TWO[1].replace("50.100", "30.000"), *ONE[5:]]), encoding="utf-8")
    told, notes = story(tmp_path)
    assert {event.server for event in told.events} == {"a", "b"}
    assert any("both of 10.0.0.1:8300" in note for note in notes)


def test_rotated_files_with_stamps_of_whole_seconds_need_many_lines_in_common(tmp_path: Path) -> None:
    lines = [f"2015/08/09 01:31:{at:02} [ERR] raft: Failed to heartbeat to 10.0.0.3:8300: EOF {at}" for at in range(30)]
    for end, told_lines in ((18, 30), (15, 35)):
        (tmp_path / "app.log.1").write_text(text(lines[:end]), encoding="utf-8")
        (tmp_path / "app.log").write_text(text(lines[10:]), encoding="utf-8")
        told, _ = story(tmp_path)
        assert len(told.events) == told_lines


def test_machines_that_say_a_little_in_the_same_seconds_with_one_address_are_two(tmp_path: Path) -> None:
    at = "2015/08/09 01:31:{} [INFO] raft: Node at 172.17.0.2:8300 [{role}] entering {role} state"
    lines = [
        at.format(second, role=role) for second, role in (("00", "Follower"), ("05", "Candidate"), ("09", "Leader"))
    ]
    (tmp_path / "a.log").write_text(text([lines[0], lines[2]]), encoding="utf-8")
    (tmp_path / "b.log").write_text(text(lines), encoding="utf-8")
    told, notes = story(tmp_path)
    assert {event.server for event in told.events} == {"a", "b"}
    assert any("both of 172.17.0.2:8300" in note for note in notes)
