"""The servers' logs: split, merged by time, followed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import pytest
from docker.errors import DockerException
from hypothesis import given
from hypothesis import strategies as st

from labctl.engine import logs
from labctl.engine.labs import Server
from labctl.engine.place import Place
from labctl.errors import LabctlError
from tests.unit.engine_stand_in import FakeEngine

if TYPE_CHECKING:
    from labctl.engine.client import Client

SERVERS = [Server(f"consul{one}", f"labctl-ada-consul{one}", f"id{one}", "running", "", 1) for one in (1, 2)]


def client(engine: FakeEngine) -> Client:
    return cast("Client", engine)


def line(second: float, text: str) -> bytes:
    return f"2026-01-02T03:04:{second:012.9f}Z {text}\n".encode()


def test_dockers_time_is_split_from_the_line() -> None:
    found = logs.split("consul1", b"2026-01-02T03:04:05.123456789Z [INFO] raft: x  y \r\n")
    assert found == logs.LogLine("consul1", "2026-01-02T03:04:05.123456789Z", "[INFO] raft: x  y ")
    assert found.when is not None
    assert found.when.isoformat() == "2026-01-02T03:04:05.123456+00:00"


def test_times_sort_as_text_also_where_docker_drops_zeros() -> None:
    stamps = [b"2026-01-02T03:04:05Z a", b"2026-01-02T03:04:05.1Z b", b"2026-01-02T03:04:05.12Z c"]
    taken = [logs.split("", one).taken for one in stamps]
    assert sorted(taken) == taken
    assert {len(one) for one in taken} == {30}


def test_a_line_without_a_time_has_none() -> None:
    assert logs.split("consul1", b"garbage").when is None
    assert logs.split("consul1", b"").text == ""


def test_bytes_that_are_no_text_are_kept_readable() -> None:
    assert logs.split("consul1", b"2026-01-02T03:04:05Z \xff\xfe").text == "\ufffd\ufffd"


@given(st.lists(st.binary(max_size=12).filter(lambda one: b"\n" not in one), max_size=6), st.data())
def test_lines_are_the_same_however_the_stream_is_cut(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    chunks = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    expected = whole.split(b"\n")
    assert list(logs._lines(iter(chunks))) == (expected if expected[-1] else expected[:-1])


def test_logs_are_merged_by_time() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(1, "a") + line(3, "c"))], "id2": [(0, line(2, "b"))]})
    assert [one.text for one in logs.read(client(engine), SERVERS)] == ["a", "b", "c"]
    assert engine.tails == ["all", "all"]


@pytest.mark.parametrize("tail", [0, 5])
def test_only_the_last_lines_are_asked_for(tail: int) -> None:
    engine = FakeEngine(streams={"id1": [], "id2": []})
    assert logs.read(client(engine), SERVERS, tail) == []
    assert engine.tails == [tail, tail]


def test_followed_lines_that_arrive_close_to_each_other_are_in_order_of_time() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(2, "second"))], "id2": [(0.02, line(1, "first"))]})
    assert [one.text for one in logs.Follower(client(engine), SERVERS)] == ["first", "second"]


def test_following_ends_when_the_lab_is_gone() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(1, "a")), (0.4, line(2, "b"))], "id2": []})
    assert [one.text for one in logs.Follower(client(engine), SERVERS)] == ["a", "b"]


def test_an_engine_that_goes_away_is_the_end_of_the_log() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(1, "a"))], "id2": []}, error=DockerException("gone"))
    assert [one.text for one in logs.Follower(client(engine), SERVERS)] == ["a"]


def test_where_the_way_to_the_docker_host_broke_following_ends_with_the_reason() -> None:
    class Broken(Place):
        def refuse_lost(self) -> None:
            raise LabctlError("The connection was lost.")

    engine = FakeEngine(streams={"id1": [(0, line(1, "a"))]}, error=DockerException("gone"), place=Broken())
    lines = iter(logs.Follower(client(engine), SERVERS[:1]))
    assert next(lines).text == "a"
    with pytest.raises(LabctlError, match=r"The connection was lost\."):
        next(lines)


def test_a_server_that_comes_back_goes_on_without_repeating_itself() -> None:
    before, after = line(1, "a") + line(2, "b"), line(3, "c")
    engine = FakeEngine(streams={"id1": [(0, before)]}, again={"id1": [(0, before + after)]})
    assert [one.text for one in logs.Follower(client(engine), SERVERS[:1])] == ["a", "b", "c"]


def test_a_server_that_comes_back_does_not_tell_the_history_that_was_not_asked_for() -> None:
    engine = FakeEngine(streams={"id1": []}, again={"id1": [(0, line(3, "c"))]})
    begun = time.time()
    assert [one.text for one in logs.Follower(client(engine), SERVERS[:1], tail=0)] == ["c"]
    assert engine.tails == [0, "all"]
    assert engine.sinces[1] is not None
    assert engine.sinces[1] >= begun - 1


def test_lines_of_the_same_moment_and_a_little_earlier_are_all_told() -> None:
    engine = FakeEngine(streams={"id1": [(0, line(2, "a") + line(2, "b") + line(1.9, "c"))]})
    assert sorted(one.text for one in logs.Follower(client(engine), SERVERS[:1])) == ["a", "b", "c"]


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
