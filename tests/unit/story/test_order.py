"""The lines of one input come in order of time, however they were put together and however many they are."""

from __future__ import annotations

import errno
import gzip
import io
import os
import random
import tarfile
import tempfile
import threading
from datetime import UTC, timedelta, timezone
from functools import partial
from typing import IO, TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from labctl.errors import ExitCode, LabctlError
from labctl.raft import summary_sentences
from labctl.raft.collection import collect
from labctl.raft.record_stream import records
from labctl.raft.server_names import Names
from labctl.story import log_files
from labctl.story import source as flow
from labctl.story.line_sorter import Limits, LineSorter
from tests.unit.story.election_logs import LOGS, ONE, TWO, essence, story, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from labctl.raft.collection import Collection
    from tests.unit.stand_ins import StreamChange

PREFIXES = {
    "compose": "{}  | {}",
    "kubectl": "[pod/{}/consul] {}",
    "syslog": "Jan 08 11:42:24 {} consul[812]: {}",
}


def shuffled(seed: int) -> Callable[[list[str]], list[str]]:
    return lambda lines: random.Random(seed).sample(lines, len(lines))  # noqa: S311 - a seed makes it the same again


ORDERS: dict[str, Callable[[list[str]], list[str]]] = {
    "server after server": lambda lines: lines,
    "server after server, the other way round": lambda lines: sorted(lines, key=lambda line: line[:12], reverse=True),
    "newest first": lambda lines: sorted(lines, key=lambda line: line[line.index("2024-") :], reverse=True),
    **{f"shuffled {seed}": shuffled(seed) for seed in range(8)},
}


def together(prefix: str) -> list[str]:
    """The lines of all servers, server after server."""
    return [PREFIXES[prefix].format(name, line) for name, lines in LOGS.items() for line in lines]


@pytest.fixture(scope="module", params=PREFIXES)
def prefix(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("packed", [False, True])
def test_the_story_of_a_file_in_any_order_is_that_of_the_sorted_files(
    tmp_path: Path, prefix: str, order: str, packed: bool
) -> None:
    for name, lines in LOGS.items():
        (tmp_path / f"{name}.log").write_text(text(lines), encoding="utf-8")
    right, _ = story(tmp_path)
    content = text(ORDERS[order](together(prefix))).encode()
    (tmp_path / "all.txt").write_bytes(gzip.compress(content) if packed else content)
    told, notes = story(tmp_path / "all.txt")
    assert essence(told) == essence(right)
    assert len(notes) == 1
    assert ("newest line first" if order == "newest first" else "are not in order of time") in notes[0]


def with_sorter(path: Path, sorter: Callable[[str], LineSorter]) -> tuple[Collection, list[str]]:
    """The story of a file whose lines wait in that sorter, with its notes."""
    names, notes = Names(), list[str]()
    events = log_files.events(log_files.find([str(path)]), names=names, note=notes.append, sorter=sorter)
    return collect(records(events, names=names)), notes


@pytest.mark.parametrize("order", ["server after server", "newest first", "shuffled 1"])
def test_what_does_not_fit_into_memory_is_told_the_same(tmp_path: Path, order: str) -> None:
    path = tmp_path / "all.txt"
    path.write_text(text(ORDERS[order](together("compose"))), encoding="utf-8")
    right, _ = story(path)
    files: list[os.stat_result] = []

    def kept() -> IO[bytes]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the sorter closes it
        files.append(os.fstat(file.fileno()))
        return file

    told, _ = with_sorter(path, partial(LineSorter, limits=Limits(lines=3, piece=50), make_file=kept))
    assert essence(told) == essence(right)
    # It has no name by which another process or user could open it, or that would stay behind.
    assert len(files) == 1
    assert files[0].st_nlink == 0
    assert files[0].st_mode & 0o077 == 0


def test_lines_in_order_are_never_kept(tmp_path: Path) -> None:
    def refuse(_: str) -> LineSorter:
        raise AssertionError("kept")

    lines = sorted(together("compose"), key=lambda line: line[line.index("2024-") :])
    (tmp_path / "all.txt").write_text(text(lines), encoding="utf-8")
    told, notes = with_sorter(tmp_path / "all.txt", refuse)
    assert len(told.events) == len(lines)
    assert notes == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_the_lines_is_one_sentence(tmp_path: Path, error: int) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(error, os.strerror(error))

    sorter = partial(LineSorter, limits=Limits(lines=3), make_file=Full)
    (tmp_path / "all.txt").write_text(text(together("compose")), encoding="utf-8")
    with pytest.raises(LabctlError, match="there is no room for its lines"):
        with_sorter(tmp_path / "all.txt", sorter)


def test_more_lines_than_may_wait_are_refused(tmp_path: Path) -> None:
    sorter = partial(LineSorter, limits=Limits(lines=3, spilled=800))
    (tmp_path / "all.txt").write_text(text(together("compose")), encoding="utf-8")
    with pytest.raises(LabctlError, match="Split it, or put it in order"):
        with_sorter(tmp_path / "all.txt", sorter)


@pytest.mark.parametrize("order", ORDERS)
def test_a_pipe_is_told_in_order_of_time_too(tmp_path: Path, order: str) -> None:
    lines = ORDERS[order](together("compose"))
    (tmp_path / "all.txt").write_text(text(lines), encoding="utf-8")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(text(lines).encode(),))
    writer.start()
    told, notes = story(pipe)
    writer.join()
    assert essence(told) == essence(story(tmp_path / "all.txt")[0])
    assert len(notes) == 1


REVERSED = ONE[::-1]


@pytest.mark.parametrize("lines", [REVERSED, [*REVERSED, ""], [f"- {line}" for line in REVERSED]])
def test_newest_line_first_is_turned_round_and_said(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "n1.log").write_text(text(ONE), encoding="utf-8")
    right, _ = story(tmp_path / "n1.log")
    (tmp_path / "n1.log").write_text(text(lines), encoding="utf-8")
    told, notes = story(tmp_path / "n1.log")
    assert essence(told) == essence(right)
    assert notes == [f"{tmp_path / 'n1.log'} has its newest line first: it is told from its end to its beginning."]


def test_of_lines_of_one_second_the_last_comes_first_where_the_newest_do(tmp_path: Path) -> None:
    lines = [line.replace(line[:24], line[:19].replace("T", " ").replace("-", "/")) for line in ONE]
    (tmp_path / "n1.log").write_text(text(lines[::-1]), encoding="utf-8")
    told, _ = story(tmp_path / "n1.log")
    assert [(election.candidate, election.outcome) for election in told.elections] == [("n1", "won")]


@pytest.mark.parametrize("seed", range(6))
def test_the_lines_of_one_server_in_no_order_are_put_in_it(tmp_path: Path, seed: int) -> None:
    (tmp_path / "n1.log").write_text(text(ONE), encoding="utf-8")
    right, _ = story(tmp_path / "n1.log")
    (tmp_path / "n1.log").write_text(text(shuffled(seed + 3)(ONE)), encoding="utf-8")
    told, _ = story(tmp_path / "n1.log")
    assert essence(told)[1:] == essence(right)[1:]


def test_a_later_file_in_front_of_an_earlier_one_is_put_behind_it(tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text(text([*ONE[4:], *ONE[:4]]), encoding="utf-8")
    told, _ = story(tmp_path / "n1.log")
    assert [event.event for event in told.events][:2] == ["follower_entered", "heartbeat_timeout"]
    assert [election.outcome for election in told.elections] == ["won"]


def test_a_clock_that_was_set_back_reorders_nothing_and_is_said(tmp_path: Path) -> None:
    said = "{}.000Z [ERROR] agent.server.raft: failed to heartbeat to: peer=10.0.0.3:8300 error=EOF"
    lines = [said.format(f"2024-01-08T12:{at // 60:02}:{at % 60:02}") for at in (*range(900), *range(400, 900))]
    (tmp_path / "n1.log").write_text(text(lines), encoding="utf-8")
    told, notes = story(tmp_path / "n1.log")
    assert [event.line_no for event in told.events] == list(range(1, len(lines) + 1))
    assert "go back by about 8 min 19 s: a clock was set back" in notes[0]


STANDS = '{} [INFO]  agent.server.raft: entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term={}'


@pytest.mark.parametrize(
    "stamps",
    [
        ["T12:00:00.000Z", "T12:10:00.000Z", "T11:10:00.000Z"],  # back to before the log begins
        ["T12:00:00.000Z", "T12:10:00.000Z", "T12:05:00.000Z"],
        ["T12:00:00.000Z", "T11:00:00.000Z"],
        ["T12:00:00.000Z", "T11:00:00.000Z", "T10:00:00.000Z"],
    ],
)
@pytest.mark.parametrize("front", ["", "n1  | "])
def test_terms_show_that_a_clock_was_set_back(tmp_path: Path, stamps: list[str], front: str) -> None:
    lines = [front + STANDS.format(f"2024-01-08{stamp}", term) for term, stamp in enumerate(stamps, 5)]
    (tmp_path / "n1.log").write_text(text(lines), encoding="utf-8")
    told, notes = story(tmp_path / "n1.log")
    assert [event.line_no for event in told.events] == list(range(1, len(lines) + 1))
    assert "a clock was set back" in notes[0]


@pytest.mark.parametrize("lines_in_memory", [1, 100])
def test_one_of_several_servers_has_a_clock_that_was_set_back(tmp_path: Path, lines_in_memory: int) -> None:
    stands = [STANDS.format(f"2024-01-08T{stamp}.000Z", term) for term, stamp in ((5, "12:00:00"), (6, "11:40:00"))]
    lines = [*(f"n1  | {line}" for line in stands), *(f"n2  | {line}" for line in TWO)]
    (tmp_path / "all.log").write_text(text(lines), encoding="utf-8")
    told, notes = with_sorter(tmp_path / "all.log", partial(LineSorter, limits=Limits(lines=lines_in_memory)))
    assert [event.line_no for event in told.events if event.server == "n1"] == [1, 2]
    assert [event.line_no for event in told.events if event.server == "n2"] == [3, 4, 5, 6, 7]
    assert told.events[0].server == "n2"
    assert "a clock was set back" in notes[0]


def test_what_lasted_while_a_clock_was_set_back_has_no_length(tmp_path: Path) -> None:
    again = [line.replace("T11:42", "T11:02").replace("term=7", "term=8") for line in ONE[1:]]
    (tmp_path / "n1.log").write_text(text([*ONE[:5], *again]), encoding="utf-8")
    told, notes = story(tmp_path / "n1.log")
    assert "a clock was set back" in notes[0]
    first, second = told.leaders
    assert (first.seconds, first.bound) == (None, None)
    assert summary_sentences.of_leadership(first) == "n1 led in term 7, until a time that no line shows."
    assert second.seconds == pytest.approx(20.359)


def test_one_step_back_in_a_short_log_is_a_clock_that_was_set_back(tmp_path: Path) -> None:
    said = "2024-01-08T12:{:02}:00.000Z [ERROR] agent.server.raft: failed to heartbeat to: peer=10.0.0.3:8300 error=EOF"
    (tmp_path / "n1.log").write_text(text([said.format(at) for at in (*range(9), *range(4, 12))]), encoding="utf-8")
    told, notes = story(tmp_path / "n1.log")
    assert [event.line_no for event in told.events] == list(range(1, 18))
    assert "go back by about 4 min 0 s: a clock was set back" in notes[0]


def test_less_than_a_moment_back_reorders_nothing(tmp_path: Path) -> None:
    lines = [STANDS.format(f"2024-01-08T12:00:0{second}00Z", 5) for second in ("2.0", "1.5", "1.6")]
    (tmp_path / "n1.log").write_text(text(lines), encoding="utf-8")
    told, _ = story(tmp_path / "n1.log")
    assert [event.line_no for event in told.events] == [1, 2, 3]


def test_where_a_later_file_may_stand_in_front_the_other_reading_is_said(tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text(text([*ONE[4:], *ONE[:4]]), encoding="utf-8")
    (note,) = story(tmp_path / "n1.log")[1]
    assert note.endswith("If instead its clock was set back by about 25 s, what is told of that time is out of order.")


def test_a_disorder_far_behind_the_beginning_is_found(tmp_path: Path) -> None:
    noise = "2024-01-08T11:{:02}:{:02}.{:03}Z [DEBUG] agent.http: Request finished: method=GET url=/v1/status/peers\n"
    many = "".join(noise.format(20 + at // 1200, at // 20 % 60, at * 50 % 1000) for at in range(12_000))
    assert len(many) > log_files.BYTES_OF_BEGINNING
    content = text([f"n1 | {line}" for line in ONE[:2]]) + "".join(f"n1 | {line}\n" for line in many.splitlines())
    content += text([f"n2 | {line}".replace("T11:42", "T11:21") for line in ONE])
    (tmp_path / "all.txt").write_text(content * 2, encoding="utf-8")
    told, notes = story(tmp_path / "all.txt")
    assert "are not in order of time" in notes[0]
    times = [event.time for event in told.events if event.server == "n2"]
    assert times == sorted(times)  # type: ignore[type-var]


@pytest.fixture
def stdin(standard_input: StreamChange) -> Iterator[IO[bytes]]:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as reads, os.fdopen(theirs, "wb", buffering=0) as writes:
        standard_input(reads)
        yield writes


def test_live_lines_are_sorted_in_a_window_and_that_is_said(stdin: IO[bytes]) -> None:
    source = flow.source(["-"], follow=True)
    events = source.events
    n1, n2 = (LOGS["n1"][2], LOGS["n3"][1])
    stdin.write(f"n3 | {n2}\nn1 | {n1}\n".encode())
    # No more comes: what waits is told after a moment.
    assert [next(events).server, next(events).server] == ["n1", "n3"]
    stdin.write(f"n1 | {LOGS['n1'][3]}".encode())
    stdin.close()
    assert [event.event for event in events] == ["election_won"]
    assert source.notes == ["Lines of standard input that come up to 2 s late are put where they belong."]


def test_standard_input_is_called_so(stdin: IO[bytes]) -> None:
    stdin.write(text(together("compose")).encode())
    stdin.close()
    told, notes = story("-")
    assert told.servers == ["n1", "n2", "n3"]
    assert notes == ["The lines of standard input are not in order of time: they were put in it."]


NAIVE = "2021/11/13 16:09:49 [INFO] serf: EventMemberLeave: n1 10.0.0.1"
AWARE = (
    "2021-11-13T16:09:50.415+0800 [INFO]  raft: Node at 10.0.0.2:8300 [Candidate] entering Candidate state in term 3"
)


@pytest.mark.parametrize("lines", [[NAIVE, AWARE], [AWARE.replace("50.415", "48.415"), NAIVE]])
def test_a_stamp_without_a_zone_is_of_that_of_its_neighbours(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "n1.log").write_text(text(lines), encoding="utf-8")
    told, notes = story(tmp_path / "n1.log")
    assert [event.time.utcoffset() for event in told.events if event.time] == [timedelta(hours=8)] * 2
    assert notes == []


@pytest.mark.parametrize(
    ("stamp", "zone", "hour"),
    [
        ("2021/07/13 16:09:49", "+08:00", 8),
        ("2021/07/13 16:09:49", "-0330", 19),
        ("2021/07/13 16:09:49", "Europe/Berlin", 14),
        ("2021/12/13 16:09:49", "Europe/Berlin", 15),
        ("2021/10/31 02:30:00", "Europe/Berlin", 0),
        ("2021/12/13 16:09:49", "UTC", 16),
    ],
)
def test_the_user_says_of_which_zone_stamps_are(tmp_path: Path, stamp: str, zone: str, hour: int) -> None:
    (tmp_path / "n1.log").write_text(f"{NAIVE.replace(NAIVE[:19], stamp)}\n", encoding="utf-8")
    told, _ = story(tmp_path / "n1.log", zone=flow.zone(zone))
    (event,) = told.events
    assert event.time is not None
    assert event.time.astimezone(UTC).hour == hour


def test_a_zone_is_a_name_or_an_offset() -> None:
    assert flow.zone("+05:45") == timezone(timedelta(hours=5, minutes=45))
    assert flow.zone("-08") == timezone(timedelta(hours=-8))
    assert flow.zone("Asia/Tokyo") == ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    "text", ["", "Europe", "Europe/Nowhere", "/etc/passwd", "../UTC", "+25:00", "+08:60", "CEST!", "\0"]
)
def test_what_is_no_zone_is_wrong_usage(text: str) -> None:
    with pytest.raises(LabctlError, match="is no time zone") as caught:
        flow.zone(text)
    assert caught.value.code is ExitCode.USAGE


def test_a_log_without_zones_among_others_with_one_is_told_as_utc_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text(f"{NAIVE}\n", encoding="utf-8")
    (tmp_path / "n2.log").write_text(f"{AWARE}\n", encoding="utf-8")
    _, notes = story(tmp_path)
    assert "name no zone, and are taken for UTC; others are of UTC+08:00. Say which with --timezone." in notes[0]


FAR = ["0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00+1400", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-1200"]


@pytest.mark.parametrize("stamps", [FAR, FAR[::-1], [FAR[2], FAR[0], FAR[3], FAR[1]]])
@pytest.mark.parametrize("front", ["", "n1 | ", "n{} | "])
def test_the_ends_of_the_calendar_stop_no_story(tmp_path: Path, stamps: list[str], front: str) -> None:
    said = (
        'entering follower state: follower="Node at 10.0.0.1:8300 [Follower]" leader=10.0.0.2:8300',
        'entering leader state: leader="Node at 10.0.0.2:8300 [Leader]"',
        'entering follower state: follower="Node at 10.0.0.3:8300 [Follower]" leader=10.0.0.2:8300',
        "election won: tally=2",
    )
    lines = [
        f"{front.format(at % 2)}{stamp} [INFO]  raft: {what}"
        for at, (stamp, what) in enumerate(zip(stamps, said, strict=True))
    ]
    lines.insert(2, "Jan 08 11:42:24 host consul[812]: raft: Election won. Tally: 2")
    (tmp_path / "a.log").write_text(text(lines), encoding="utf-8")
    (tmp_path / "b.log").write_text(text(lines[::-1]), encoding="utf-8")
    for name in ("a.log", "b.log", ""):
        told, _ = story(tmp_path / name)
        assert told.events


LATER = [line.replace("T11:42", "T21:02") for line in ONE]
QUIET = "2024-01-08T{:02}:{:02}:{:02}.{:03}Z [DEBUG] agent.http: Request finished: method=GET url=/v1/status/peers\n"


def busy(begin: int, count: int) -> str:
    """What a server says that leads, twenty lines a second, from a second of the day on."""
    seconds = ((begin + at // 20, at * 50 % 1000) for at in range(count))
    return "".join(QUIET.format(second // 3600, second // 60 % 60, second % 60, part) for second, part in seconds)


@pytest.mark.parametrize("packed", ["", "gz", "tar"])
@pytest.mark.parametrize("at", [9_000, 10_037, 11_111])
def test_a_short_disorder_is_found_wherever_it_stands(tmp_path: Path, at: int, packed: str) -> None:
    before, behind = busy(40_000, at), busy(50_000, 12_000)
    content = before + text([line.replace("T11:42", "T11:02") for line in ONE]) + behind
    assert len(before) > log_files.BYTES_OF_BEGINNING
    told, notes = story(_kept(tmp_path, content.encode(), packed))
    assert len(told.events) == len(ONE)
    assert len(notes) == 1
    assert "are not in order of time" in notes[0] or "go back" in notes[0]


@pytest.mark.parametrize("packed", ["", "gz", "tar", "utf-16"])
def test_a_long_log_in_order_is_told_without_a_word(tmp_path: Path, packed: str) -> None:
    early = busy(40_000, 800) + text([ONE[0].replace("T11:42", "T11:07")])
    content = (early + busy(40_041, 29_000) + text(LATER)).encode()
    if packed == "utf-16":
        content, packed = content.decode().encode("utf-16"), ""
    told, notes = story(_kept(tmp_path, content, packed))
    assert len(told.events) == 1 + len(LATER)
    assert notes == []


def _kept(folder: Path, content: bytes, packed: str) -> Path:
    path = folder / f"n1.log{packed and f'.{packed}'}"
    if packed == "tar":
        with tarfile.open(path, "w") as archive:
            entry = tarfile.TarInfo("logs/n1.log")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    else:
        path.write_bytes(gzip.compress(content) if packed else content)
    return path


def test_lines_that_are_a_moment_late_are_no_disorder_in_a_short_log(tmp_path: Path) -> None:
    # labctl notes a fault in the log when it has begun, with the time when it began.
    note = '2024-01-08T11:42:24.020Z [WARN]  labctl.fault: fault began: id=a servers=n1 what="isolate n1" seconds=30'
    (tmp_path / "n1.log").write_text(text([*ONE[:3], note, *ONE[3:]]), encoding="utf-8")
    told, notes = story(tmp_path / "n1.log")
    assert [event.line_no for event in told.events if event.event != "other"] == sorted(
        event.line_no for event in told.events
    )
    assert notes == []


def test_what_goes_back_unseen_is_said_with_its_place(tmp_path: Path) -> None:
    # Syslog's stamps have no year: they are not looked at before the lines are told.
    front = "Jan  8 {} n1 consul[7]: {}"
    stands = "raft: Node at 10.0.0.1:8300 [Candidate] entering Candidate state"
    noise = [
        front.format(f"{12 + at // 36_000}:{at // 600 % 60:02}:{at // 10 % 60:02}", "agent: Synced node info")
        for at in range(40_000)
    ]
    late = [
        front.format("12:19:59", "raft: Heartbeat timeout reached, starting election"),
        front.format("11:00:00", stands),
    ]
    content = text([*noise[:12_000], *late, *noise[12_000:]])
    (tmp_path / "n1.log").write_text(content, encoding="utf-8")
    told, notes = story(tmp_path / "n1.log")
    assert len(told.events) == 2
    assert any("go back by" in note for note in notes), notes
