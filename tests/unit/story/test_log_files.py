"""Logs that were kept: plain, gzip, folders, standard input, and what is wrong with them."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from labctl.errors import ExitCode, LabctlError
from labctl.raft.collection import collect
from labctl.raft.event import Event
from labctl.raft.server_names import Names
from labctl.story import log_files
from labctl.story import source as flow

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.stand_ins import StreamChange

WON = "2021-01-24T00:00:0{}Z [INFO]  agent.server.raft: election won: tally=2\n"
NOISE = "2021-01-24T00:00:00Z [INFO]  agent: Synced node info\n"


def told(*names: str, everything: bool = False) -> list[tuple[str, int, str]]:
    iterator = log_files.events(log_files.find(names), everything=everything)
    return [(event.server, event.line_no, event.event) for event in iterator]


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


def test_standard_input_is_read_as_it_comes(standard_input: StreamChange) -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as stdin, os.fdopen(theirs, "wb", buffering=0) as pipe:
        standard_input(stdin)
        events = log_files.events(log_files.find(["-"], live=True), live=True)
        pipe.write(WON.format(1).encode())
        # More would be waited for: a line is told when it is there, not when the pipe has ended.
        assert next(events).event == "election_won"


@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_is_read_once_and_whole(tmp_path: Path, packed: bool) -> None:
    pipe = tmp_path / "consul1"
    os.mkfifo(pipe)
    log = (NOISE + WON.format(1) + WON.format(2)).encode()
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(log) if packed else log,))
    writer.start()
    assert told(str(pipe)) == [("consul1", 2, "election_won"), ("consul1", 3, "election_won")]
    writer.join()


@pytest.mark.parametrize(("name", "words"), [("gone.log", "There is no file"), ("empty", "holds no log")])
def test_what_is_not_there_is_wrong_usage(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabctlError, match=words) as caught:
        log_files.find([str(tmp_path / name)])
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


SYSLOG = "Aug  9 01:29:0{second} {host} consul[17203]: raft: Election won. Tally: 2\n"


def test_the_machines_in_one_log_are_its_servers(tmp_path: Path) -> None:
    path = tmp_path / "syslog"
    path.write_text("".join(SYSLOG.format(second=n, host=f"node-{n % 2}") for n in range(4)), encoding="utf-8")
    assert [server for server, *_ in told(str(path))] == ["node-0", "node-1", "node-0", "node-1"]


def test_the_log_of_one_machine_is_called_after_its_file(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"consul{number}.log").write_text(SYSLOG.format(second=number, host="host"), encoding="utf-8")
    assert [server for server, *_ in told(str(tmp_path))] == ["consul1", "consul2"]


def test_a_stamp_without_a_year_is_of_the_year_in_which_the_file_was_written(tmp_path: Path) -> None:
    path = tmp_path / "consul1.log"
    path.write_text(SYSLOG.format(second=1, host="h"), encoding="utf-8")
    os.utime(path, (1_440_000_000, 1_440_000_000))
    (event,) = log_files.events(log_files.find([str(path)]))
    assert event.time is not None
    assert event.time.isoformat() == "2015-08-09T01:29:01+00:00"


@pytest.mark.parametrize(
    ("written", "years"),
    [
        ("2015-12-24T00:00:00", [2015]),
        ("2015-08-09T00:00:00", [2015]),  # its clock may be in another zone
        ("2015-08-07T00:00:00", [2014]),
        ("2016-02-24T00:00:00", [2015]),
        ("2015-03-01T00:00:00", [2014]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_guessed_year_is_none_after_the_file_was_written_and_is_said_to_be_guessed(
    tmp_path: Path, written: str, years: list[int], packed: bool
) -> None:
    path = tmp_path / "consul1.log"
    content = SYSLOG.format(second=1, host="h").encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    seconds = datetime.fromisoformat(f"{written}+00:00").timestamp()
    os.utime(path, (seconds, seconds))
    notes: list[str] = []
    reached = log_files.LogEnd()
    events = list(log_files.events(log_files.find([str(path)]), reached=reached, note=notes.append))
    assert [event.time.year for event in events if event.time is not None] == years
    assert reached.time == events[0].time
    assert notes == [
        f"The stamps of {path} name no year: it is guessed, the latest one before the file was last written."
    ]


def test_over_the_turn_of_a_year_guessed_years_go_on(tmp_path: Path) -> None:
    path = tmp_path / "consul1.log"
    stamps = ("Jul  4 01:29:01", "Dec 31 23:59:59", "Jan  1 00:00:01", "Mar  1 01:00:00")
    path.write_text("".join(SYSLOG.format(second=1, host="h").replace("Aug  9 01:29:01", stamp) for stamp in stamps))
    os.utime(path, (1_456_990_000, 1_456_990_000))
    events = log_files.events(log_files.find([str(path)]))
    assert [event.time.year for event in events if event.time is not None] == [2015, 2015, 2016, 2016]


def test_a_guessed_date_is_said_to_be_guessed(tmp_path: Path) -> None:
    path = tmp_path / "consul1.log"
    path.write_text("14:45:45.268 [INFO] agent.server.raft: election won: term=2 tally=2\n", encoding="utf-8")
    notes: list[str] = []
    assert len(list(log_files.events(log_files.find([str(path)]), note=notes.append))) == 1
    assert notes == [
        f"The stamps of {path} name no date: it is guessed, the one nearest to when the file was last written."
    ]


def test_who_is_who_is_known_before_the_line_that_says_so(tmp_path: Path) -> None:
    at = "2021-01-24T00:00:0{}Z [INFO]  agent.server.raft: "
    leads = 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"\n'
    said = (
        at.format(1) + "vote granted: from=u2 term=2 tally=2\n",
        at.format(2) + leads,
        at.format(3) + 'pipelining replication: peer="{Voter u2 10.0.0.2:8300}"\n',
    )
    (tmp_path / "one.log").write_text("".join(said), encoding="utf-8")
    (tmp_path / "two.log").write_text(at.format(4) + leads.replace("0.1:", "0.2:"), encoding="utf-8")
    names = Names()
    list(log_files.events(log_files.find([str(tmp_path)]), names=names))
    assert names("u2") == "two"
    source = flow.source([str(tmp_path)])
    first = next(source.records())
    assert isinstance(first, Event)
    assert first.peer == "two"
    assert source.timers is None


def manifest_of(tmp_path: Path, content: bytes) -> int | None:
    path = tmp_path / "a.tgz"
    with tarfile.open(path, "w:gz") as bundle:
        for name, data in (("manifest.json", content), ("logs/consul1.log", WON.format(1).encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            bundle.addfile(entry, io.BytesIO(data))
    return log_files.multiplier_of(log_files.find([str(path)]))


@pytest.mark.parametrize(
    ("content", "multiplier"),
    [
        (b'{"raft_multiplier": 5}', 5),
        (b'{"raft_multiplier": 11}', None),
        (b'{"raft_multiplier": true}', None),
        (b'{"raft_multiplier": "5"}', None),
        (b"[5]", None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_bundle_says_what_the_timers_were_set_to(tmp_path: Path, content: bytes, multiplier: int | None) -> None:
    assert manifest_of(tmp_path, content) == multiplier


def test_logs_and_two_bundles_have_no_one_setting(tmp_path: Path) -> None:
    manifest_of(tmp_path, b'{"raft_multiplier": 5}')
    (tmp_path / "b.tgz").write_bytes((tmp_path / "a.tgz").read_bytes())
    (tmp_path / "consul1.log").write_text(WON.format(1), encoding="utf-8")
    for names in (["a.tgz", "b.tgz"], ["a.tgz", "consul1.log"]):
        assert log_files.multiplier_of(log_files.find([str(tmp_path / name) for name in names])) is None


@pytest.mark.parametrize(("last", "lasts"), [("2021-01-24T00:00:59Z", True), ("2021-01-24T00:01:01Z", False)])
@pytest.mark.parametrize("end", ["\n", "", "\n\n==> no stamp\n", "\n" + "x" * 9000 + "\n"])
def test_a_fault_is_over_where_the_log_goes_on_for_so_long_whatever_it_is_about(
    tmp_path: Path, last: str, lasts: bool, end: str
) -> None:
    fault = (
        '2021-01-24T00:00:01.000Z [WARN]  labctl.fault: fault began: id=ab12cd servers=a what="isolate a" seconds=60\n'
    )
    path = tmp_path / "a.log"
    path.write_text(fault + "x" * 70_000 + f"\n{last} [INFO]  agent: Synced node info{end}", encoding="utf-8")
    story = collect(flow.source([str(path)]).records())
    assert [event.event for event in story.events] == ["fault_began"]
    (found,) = story.faults
    assert (found.lasts, found.until is None) == (lasts, lasts)


@pytest.mark.parametrize(
    ("name", "says"), [("/dev/zero", "it is a device"), ("/dev/null", "it is a device"), ("", "no file")]
)
def test_what_is_no_file_is_refused_before_it_is_read(name: str, says: str) -> None:
    with pytest.raises(LabctlError, match=says) as raised:
        log_files.find([name])
    assert raised.value.code is ExitCode.USAGE


@pytest.mark.parametrize("given", ["pipe", "-"])
def test_a_pipe_into_which_nobody_writes_is_waited_for_and_that_is_said(tmp_path: Path, given: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = "import sys; from labctl.cli.main import run; sys.exit(run(['story', sys.argv[1]]))"
    words = [sys.executable, "-c", code, str(pipe) if given == "pipe" else "-"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"Waiting for ")
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[1]
    finally:
        process.kill()
    assert (process.returncode, said) == (130, b"Interrupted.\n")


def test_a_pipe_into_which_somebody_writes_at_last_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "n1.log"
    os.mkfifo(pipe)
    line = b"2021-01-24T00:00:01Z [INFO]  agent.server.raft: election won: tally=2\n"

    def write() -> None:
        time.sleep(1.5)
        pipe.write_bytes(line)

    writer = threading.Thread(target=write)
    writer.start()
    events = list(log_files.events(log_files.find([str(pipe)])))
    writer.join()
    assert [event.event for event in events] == ["election_won"]
    assert "nobody has written into this pipe yet" in capfd.readouterr().err
