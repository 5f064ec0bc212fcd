"""The servers' logs: split, merged by time, followed."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.engine import logs
from labctl.engine.docker_host import DockerHost
from labctl.engine.labs import Server
from labctl.errors import LabctlError
from labctl.shared.docker_api import DockerError
from tests.unit.engine_stand_in import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from labctl.engine.client import Client

SERVERS = [
    Server(f"consul{number}", f"labctl-ada-consul{number}", f"id{number}", "running", "", 1) for number in (1, 2)
]


def client(engine: FakeEngine) -> Client:
    return cast("Client", engine)


def line(second: float, text: str) -> bytes:
    return f"2026-01-02T03:04:{second:012.9f}Z {text}\n".encode()


def test_dockers_time_is_split_from_the_line() -> None:
    log_line = logs.split("consul1", b"2026-01-02T03:04:05.123456789Z [INFO] raft: x  y \r\n")
    assert log_line == logs.LogLine("consul1", "2026-01-02T03:04:05.123456789Z", "[INFO] raft: x  y ")
    assert log_line.when is not None
    assert log_line.when.isoformat() == "2026-01-02T03:04:05.123456+00:00"


def test_times_sort_as_text_also_where_docker_drops_zeros() -> None:
    stamps = [b"2026-01-02T03:04:05Z a", b"2026-01-02T03:04:05.1Z b", b"2026-01-02T03:04:05.12Z c"]
    taken = [logs.split("", stamp).taken for stamp in stamps]
    assert sorted(taken) == taken
    assert {len(stamp) for stamp in taken} == {30}


def test_a_line_without_a_time_has_none() -> None:
    assert logs.split("consul1", b"garbage").when is None
    assert logs.split("consul1", b"").text == ""


def test_bytes_that_are_no_text_are_kept_readable() -> None:
    assert logs.split("consul1", b"2026-01-02T03:04:05Z \xff\xfe").text == "\ufffd\ufffd"


@given(st.lists(st.binary(max_size=12).filter(lambda piece: b"\n" not in piece), max_size=6), st.data())
def test_lines_are_the_same_however_the_stream_is_cut(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    chunks = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    expected = whole.split(b"\n")
    assert list(logs.split_lines(iter(chunks))) == (expected if expected[-1] else expected[:-1])


def test_logs_are_merged_by_time() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(1, "a") + line(3, "c"))], "id2": [(0, line(2, "b"))]})
    assert [log_line.text for log_line in logs.read(client(engine), SERVERS)] == ["a", "b", "c"]
    assert engine.tails == ["all", "all"]


def test_a_log_is_read_when_its_turn_comes() -> None:
    given: list[bytes] = []

    class Long(FakeEngine):
        def _stream(self, container: str) -> Iterator[bytes]:
            for second in range(5000):
                given.append(b"")
                yield line(second / 100, container)

    merged = logs.read(client(Long()), SERVERS)
    assert [next(merged).text for _ in range(4)] == ["id1", "id2", "id1", "id2"]
    assert len(given) < 200
    rest = [log_line.taken for log_line in merged]
    assert len(rest) == 9996
    assert rest == sorted(rest)


def test_lines_of_one_server_that_are_a_little_late_are_put_in_order() -> None:
    seconds = [1, 3, 2, 4, 6, 5, *range(7, 80), 81, 80]
    engine = FakeEngine(streams={"id1": [(0, b"".join(line(second / 10, str(second)) for second in seconds))]})
    assert [int(log_line.text) for log_line in logs.read(client(engine), SERVERS[:1])] == sorted(seconds)


def test_a_line_without_an_end_fills_no_memory() -> None:
    (line,) = logs.split_lines(b"x" * 65_536 for _ in range(64))
    assert len(line) == logs.MOST_LINE


def test_an_engine_that_stumbles_in_the_middle_is_an_error_and_not_the_end() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(1, "a"))]}, error=DockerError("gone"))
    lines = logs.read(client(engine), SERVERS[:1])
    with pytest.raises(LabctlError):
        list(lines)


def test_kept_lines_are_read_as_often_as_one_likes_and_leave_nothing() -> None:
    said = [logs.LogLine(f"consul{1 + number % 2}", f"{number:030}", f"x  {number} \u00e9 ") for number in range(50)]
    before = len(list(Path("/proc/self/fd").iterdir()))
    kept = logs.LineFile(iter(said))
    assert (list(kept), list(kept), kept.count, kept.last) == (said, said, 50, said[-1])
    file, size = kept.file("consul2")
    content = file.read()
    assert size == len(content)
    assert content.decode().splitlines() == [f"{log_line.taken} {log_line.text}" for log_line in said[1::2]]
    assert kept.file("consul9")[1] == 0
    del kept, file
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_where_there_is_no_room_for_logs_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(LabctlError, match="Cannot keep the servers' logs in /nowhere: No such file") as raised:
        logs.LineFile([logs.LogLine("consul1", "", "a")])
    assert "TMPDIR" in raised.value.sentence


def test_what_there_is_comes_in_order_of_time_before_what_is_followed() -> None:
    engine = FakeEngine(
        streams={"id1": [(0, line(2, "b")), (0.2, line(5, "e"))], "id2": [(0, line(1, "a") + line(3, "c"))]}
    )
    engine.so_far = {"id1": line(2, "b"), "id2": line(1, "a") + line(3, "c")}
    assert [log_line.text for log_line in logs.follow(client(engine), SERVERS) if log_line is not None] == [
        "a",
        "b",
        "c",
        "e",
    ]
    # From where on to follow is found by a time; it is followed without one, which a clock that is set back passes by.
    asked = set(zip(engine.tails[2:], engine.sinces[2:], strict=True))
    assert {(tail, since is None) for tail, since in asked} == {
        ("all", False), (logs.MORE_LINES + 1, True), (logs.MORE_LINES + 2, True)
    }  # fmt: skip


class SetBack(FakeEngine):
    """An engine that leaves out what is older than what it is asked for, line by line, as Docker 20.10 does."""

    def __init__(self, old: bytes, new: bytes, *, again: bool = False) -> None:
        super().__init__()
        self.old, self.new = old, new
        self.runs = 1 + again

    def _of(self, log: bytes, tail: int | str, since: float | None) -> bytes:
        lines = log.splitlines(keepends=True)
        lines = lines if tail == "all" else lines[len(lines) - int(tail) :] if int(tail) < len(lines) else lines
        taken = (logs.split("", line).when for line in lines)
        return b"".join(
            line for line, at in zip(lines, taken, strict=True) if since is None or (at and at.timestamp() >= since)
        )

    def log_so_far(self, container: str, *, tail: int | str = "all", since: float | None = None) -> Iterator[bytes]:
        assert container
        return iter([self._of(self.old, tail, since)])

    def log_to_come(self, container: str, *, tail: int | str = "all", since: float | None = None) -> Iterator[bytes]:
        assert container
        yield self._of(self.old, tail, since)
        if self.runs == 1:
            yield self._of(self.new, "all", since)

    def inspected(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        self.runs -= 1
        return [{"Id": container_, "State": {"Running": True}} for container_ in ids] if self.runs else []


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(
    ("old", "told"),
    [
        (line(50, "a"), ["a"]),
        (line(50, "a") + line(51, "b"), ["a", "b"]),
        # It was set back before, too.
        (line(50, "a") + line(51, "b") + line(7, "c"), ["c", "a", "b"]),
    ],
    ids=["one", "two", "twice"],
)
def test_what_comes_after_the_hosts_clock_was_set_back_is_told_at_once(
    old: bytes, told: list[str], again: bool
) -> None:
    engine = SetBack(old, line(9, "x") + line(10, "y"), again=again)
    assert [log_line.text for log_line in logs.follow(client(engine), SERVERS[:1]) if log_line is not None] == [
        *told,
        "x",
        "y",
    ]


@pytest.mark.parametrize("before", [0, 3 * logs.MORE_LINES])
def test_a_log_whose_last_line_is_gone_is_followed_all_the_same(before: int) -> None:
    engine = SetBack(b"".join(line(number / 1000, f"{number}") for number in range(before)), line(9, "x"))
    marks = {"consul1": logs.Mark(logs.split("consul1", line(4, "lost")), logs.split("consul1", line(4, "")).taken)}
    told = [log_line.text for log_line in logs.Follower(client(engine), SERVERS[:1], marks=marks)]
    assert told == ["x"]


def test_without_a_history_following_begins_now() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(5, "e"))]})
    engine.so_far = {"id1": b""}
    assert [log_line.text for log_line in logs.follow(client(engine), SERVERS[:1], 0) if log_line is not None] == ["e"]
    assert engine.tails == [0, 0]


def test_a_follower_that_does_not_read_does_not_fill_the_memory() -> None:
    class Endless(FakeEngine):
        def _stream(self, _: str) -> Iterator[bytes]:
            for second in itertools.count():
                yield line(second / 1e6, "x")

    follower = logs.Follower(client(Endless()), SERVERS, waiting=50)
    time.sleep(0.1)
    assert follower._lines.qsize() <= 50
    assert len(follower.take(0)) == 50
    follower.stop()
    for thread in follower._threads:
        thread.join(2)
        assert not thread.is_alive()


@pytest.mark.parametrize("tail", [0, 5])
def test_only_the_last_lines_are_asked_for(tail: int) -> None:
    engine = FakeEngine(streams={"id1": [], "id2": []})
    assert list(logs.read(client(engine), SERVERS, tail)) == []
    assert engine.tails == [tail, tail]


def test_followed_lines_that_arrive_close_to_each_other_are_in_order_of_time() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(2, "second"))], "id2": [(0.02, line(1, "first"))]})
    assert [log_line.text for log_line in logs.Follower(client(engine), SERVERS)] == ["first", "second"]


def test_following_ends_when_the_lab_is_gone() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(1, "a")), (0.4, line(2, "b"))], "id2": []})
    assert [log_line.text for log_line in logs.Follower(client(engine), SERVERS)] == ["a", "b"]


@pytest.mark.parametrize(
    ("states", "ends"),
    [({}, True), ({"id1": {"Status": "removing"}}, True), ({"id1": {"Status": "running"}}, False)],
)
def test_an_engine_that_goes_away_is_told_and_a_server_that_does_is_the_end_of_its_log(
    states: dict[str, dict[str, Any]], *, ends: bool
) -> None:
    engine = FakeEngine(streams={"id1": [(0, line(1, "a"))]}, error=DockerError("Docker is gone."), states=states)
    told = iter(logs.Follower(client(engine), SERVERS[:1]))
    assert next(told).text == "a"
    with pytest.raises(StopIteration if ends else LabctlError, match=None if ends else r"Docker is gone\."):
        next(told)


def test_one_server_that_cannot_be_followed_is_told_while_others_go_on() -> None:
    class Half(FakeEngine):
        def _stream(self, container: str) -> Iterator[bytes]:
            if container == "id2":
                raise DockerError("Too many open files.")
            for second in itertools.count():
                yield line(second, "a")
                time.sleep(0.05)

    engine = Half(states={container_: {"Status": "running"} for container_ in ("id1", "id2")})
    with pytest.raises(LabctlError, match="Too many open files"):
        for _ in zip(logs.Follower(client(engine), SERVERS), range(1000), strict=False):
            pass


def test_where_the_way_to_the_docker_host_broke_following_ends_with_the_reason() -> None:
    class Broken(DockerHost):
        def refuse_lost(self) -> None:
            raise LabctlError("The connection was lost.")

    engine = FakeEngine(streams={"id1": [(0, line(1, "a"))]}, error=DockerError("gone"), place=Broken())
    lines = iter(logs.Follower(client(engine), SERVERS[:1]))
    assert next(lines).text == "a"
    with pytest.raises(LabctlError, match=r"The connection was lost\."):
        next(lines)


def test_an_engine_that_cannot_be_followed_at_all_is_told_and_not_taken_for_the_end_of_the_log() -> None:
    class Mute(FakeEngine):
        def log_to_come(self, *_: object, **_how: object) -> Iterator[bytes]:
            raise LabctlError("Which engine is it?")

    states = {container_: {"Status": "running"} for container_ in ("id1", "id2")}
    with pytest.raises(LabctlError, match="Which engine"):
        list(logs.Follower(client(Mute(states=states)), SERVERS))


def test_a_server_that_comes_back_goes_on_without_repeating_itself() -> None:
    before, after = line(1, "a") + line(2, "b"), line(3, "c")
    engine = FakeEngine(streams={"id1": [(0, before)]}, again={"id1": [(0, before + after)]})
    assert [log_line.text for log_line in logs.Follower(client(engine), SERVERS[:1])] == ["a", "b", "c"]


def test_a_server_that_comes_back_does_not_tell_the_history_that_was_not_asked_for() -> None:
    engine = FakeEngine(streams={"id1": []}, again={"id1": [(0, line(3, "c"))]})
    begun = time.time()
    assert [log_line.text for log_line in logs.Follower(client(engine), SERVERS[:1], tail=0)] == ["c"]
    assert engine.tails == [0, "all"]
    assert engine.sinces[1] is not None
    assert engine.sinces[1] >= begun - 1


def test_lines_of_the_same_moment_and_a_little_earlier_are_all_told() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(2, "a") + line(2, "b") + line(1.9, "c"))]})
    assert sorted(log_line.text for log_line in logs.Follower(client(engine), SERVERS[:1])) == ["a", "b", "c"]


def test_following_can_be_stopped() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(1, "a")), (3, line(2, "b"))], "id2": []})
    follower = logs.Follower(client(engine), SERVERS)
    begun = time.monotonic()
    for _ in follower:
        follower.stop()
    assert time.monotonic() - begun < 2


def test_taking_waits_no_longer_than_it_may() -> None:
    engine = FakeEngine(streams={"id1": [(3, line(1, "a"))], "id2": []})
    follower = logs.Follower(client(engine), SERVERS)
    begun = time.monotonic()
    assert follower.take(0.05) == []
    assert time.monotonic() - begun < 1
