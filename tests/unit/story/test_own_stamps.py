"""A lab's lines have the time at which they were written, and stand in its order."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from labctl.cli.logs import logs_command
from labctl.cli.story import noted
from labctl.engine.logs import LogLine
from labctl.raft.log_notes import DOCKER
from labctl.story.log_clock import LogClock
from labctl.story.own_stamps import in_own_order, own_stamp
from labctl.story.source import events_of
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.stand_ins import FakeDocker

BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)


def stamp(second: float, digits: int) -> str:
    return f"{(BEGIN + timedelta(seconds=second)).replace(tzinfo=None).isoformat(timespec='microseconds')}000"[
        : 20 + digits
    ]


def line(written: float, late: float, server: str = "consul1", text: str = "[INFO]  agent.server.raft: x") -> LogLine:
    return LogLine(server, f"{stamp(written + late, 9)}Z", f"{stamp(written, 3)}Z {text}")


def seconds(lines: Iterator[LogLine | None] | list[LogLine | None]) -> list[tuple[str, float] | None]:
    return [
        None if log_line is None else (log_line.server, ((log_line.when or BEGIN) - BEGIN).total_seconds())
        for log_line in lines
    ]


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2026-11-24T12:00:01.250Z [INFO]  agent.server.raft: x", 1.25),
        ("    2026-11-24T12:00:01.250Z [INFO]  agent.server.raft: x", 1.25),
        ("2026-11-24T13:00:01.250+0100 [INFO]  agent.server.raft: x", 1.25),
        ("2026-11-24T14:30:01.250000000+02:30 [INFO]  agent.server.raft: x", 1.25),
        ("2026-11-24T12:00:01.000Z [INFO]  agent.server.raft: x", 1),
        ('{"@level":"info","@message":"x","@module":"agent","@timestamp":"2026-11-24T12:00:01.250000Z"}', 1.25),
        ("2026/11/24 12:00:01 [INFO] raft: x", None),
        ("2026-11-24T12:00:01Z [INFO]  agent: x", None),
        ("2026-11-24T12:00:71.250Z [INFO]  agent: x", None),
        ("==> Log data will now stream in as it occurs:", None),
        ('{"@timestamp": 7}', None),
        ("{", None),
        ("", None),
    ],
)
def test_a_stamp_is_a_servers_where_it_is_as_fine_as_dockers(text: str, second: float | None) -> None:
    moment = own_stamp(text)
    assert (moment and (moment - BEGIN).total_seconds()) == second


def test_lines_of_several_servers_come_in_the_order_in_which_they_were_written() -> None:
    lines = [line(2, 0, "b"), line(1.9, 0.15, "a"), line(3, 0.1, "b"), line(2.95, 0.2, "a")]
    assert seconds(in_own_order(lines)) == [("a", 1.9), ("b", 2), ("a", 2.95), ("b", 3)]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_late_in_the_window_is_put_in_order_and_nothing_is_lost(seed: int, live: bool) -> None:
    chance, most = random.Random(seed), 0.39 if live else 9  # noqa: S311 - repeatable on purpose
    lines = [line(chance.randrange(8000) / 1000, chance.random() * most, chance.choice("abc")) for _ in range(200)]
    lines.sort(key=lambda log_line: log_line.taken)
    told = [log_line for log_line in in_own_order(lines, live=live) if log_line is not None]
    assert sorted(log_line.text for log_line in told) == sorted(log_line.text for log_line in lines)
    # A server wrote its lines in the order in which Docker has them, whatever it stamped them with.
    for server in "abc":
        assert [log_line.text for log_line in told if log_line.server == server] == [
            log_line.text for log_line in lines if log_line.server == server
        ]
    times = [
        max((log_line.when or BEGIN) for log_line in told[: at + 1] if log_line.server == told[at].server)
        for at in range(200)
    ]
    assert times == sorted(times)


def test_what_docker_took_in_later_than_the_window_has_dockers_time_and_that_is_said() -> None:
    notes: list[str] = []
    lines = [line(2, 0.1, "b"), line(1.5, 0.7, "a"), line(1.6, 0.7, "a"), line(9, -1, "b")]
    assert seconds(in_own_order(lines, live=True, note=notes.append)) == [("b", 2), ("a", 2.2), ("a", 2.3), ("b", 8)]
    assert notes[0] == "Lines that Docker takes in up to 0.4 s late are put where they belong."
    assert set(notes[1:]) == {
        "Docker took in lines of a more than 0.4 s after they were written: they are told at Docker's time of them."
    }


def test_a_line_waits_no_longer_than_the_window_is_wide_where_nothing_comes() -> None:
    passed = [0.0]
    clock = LogClock(lambda: passed[0])

    def come() -> Iterator[LogLine | None]:
        yield line(1, 0.1)
        for _ in range(4):
            passed[0] += 0.125
            yield None

    told = seconds(in_own_order(come(), live=True, clock=clock))
    assert told == [None, None, ("consul1", 1), None, None]


def test_a_clock_that_is_set_back_stops_no_line_and_is_told() -> None:
    notes: list[str] = []
    given: list[LogLine] = []

    def come() -> Iterator[LogLine]:
        # `b` says the last of the old time after `a` has said the first of the new one.
        for log_line in (line(9, 0, "a"), line(9, 0, "b"), line(2, 0, "a"), line(9.1, 0, "b"), line(2.5, 0, "b")):
            given.append(log_line)
            yield log_line
        yield line(3, 0, "a")

    told = in_own_order(come(), live=True, note=notes.append)
    assert seconds([next(told) for _ in range(5)]) == [("a", 9), ("b", 9), ("a", 2), ("b", 9.1), ("b", 2.5)]
    assert len(given) == 5
    assert seconds(told) == [("a", 3)]
    assert sum("The clock of the Docker host was set back" in note for note in notes) == 2


@pytest.mark.parametrize("taken", ["0001-01-01T00:00:00.000000000Z", "9999-12-31T23:59:59.999999999Z", "x"])
@pytest.mark.parametrize("live", [False, True])
def test_a_line_whose_time_docker_does_not_know_has_none_and_is_told_where_it_stands(taken: str, *, live: bool) -> None:
    unknown = LogLine("consul2", taken, "[INFO]  agent.server.raft: x")
    assert unknown.when is None
    lines = list(in_own_order(iter([line(0, 0), unknown, line(1, 0)]), live=live))
    assert sorted(log_line.server for log_line in lines if log_line) == ["consul1", "consul1", "consul2"]


def test_lines_that_wait_are_so_many_at_most() -> None:
    taken: list[LogLine] = []

    def come() -> Iterator[LogLine]:
        for number in range(8):
            taken.append(line(1 + number / 1000, 0.1))
            yield taken[-1]

    told = in_own_order(come(), most=3)
    assert next(told) == next(iter(in_own_order(taken[:1])))
    assert len(taken) == 4


def test_lines_that_wait_are_so_long_at_most_together() -> None:
    taken: list[LogLine] = []

    def come() -> Iterator[LogLine]:
        for number in range(40):
            taken.append(line(1 + number / 1000, 0.1, text="x" * (1 << 20)))
            yield taken[-1]

    told = list(zip(in_own_order(come()), [0] * 3, strict=False))
    assert [log_line.text for log_line, _ in told if log_line] == [log_line.text for log_line in taken[:3]]
    assert len(taken) <= 12


def test_who_ends_it_with_ctrl_c_sees_what_came() -> None:
    def come() -> Iterator[LogLine]:
        yield line(1, 0.1)
        raise KeyboardInterrupt

    told: list[LogLine | None] = []
    with pytest.raises(KeyboardInterrupt):
        told.extend(in_own_order(come(), live=True))
    assert seconds(told) == [("consul1", 1)]


def test_what_docker_did_keeps_dockers_time_and_stands_behind_what_the_server_wrote_before_it() -> None:
    act = LogLine(
        "a", f"{stamp(2, 9)}Z", f"{stamp(2, 3)}Z [INFO]  {DOCKER}: container killed: signal=9", of_docker=True
    )
    leads = line(1.99, 0.2, "a", "[INFO]  agent.server.raft: entering leader state")
    events = list(events_of([act, leads]))
    assert [(event.event, event.time) for event in events] == [
        ("leader_entered", BEGIN + timedelta(seconds=1.99)), ("container_killed", BEGIN + timedelta(seconds=2)),
    ]  # fmt: skip


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_story_that_is_followed_has_its_notes_also_where_ctrl_c_ends_it(
    capsys: pytest.CaptureFixture[str], interrupted: bool
) -> None:
    with pytest.raises(KeyboardInterrupt), noted(["its lines are sorted."], interrupted=interrupted):
        raise KeyboardInterrupt
    assert ("its lines are sorted." in capsys.readouterr().err) == interrupted


@pytest.mark.parametrize("follow", [False, True])
def test_logs_about_raft_are_printed_in_the_order_in_which_they_were_written(docker: FakeDocker, follow: bool) -> None:
    stands = line(2, 0.3, "consul1", '[INFO]  agent.server.raft: entering candidate state: node="Node at x" term=3')
    refuses = line(2.01, 0, "consul2", "[INFO]  agent.server.raft: lost leadership because received a requestVote with")
    engine = docker.beside()
    engine.container_list = stand_in.lab("ada")
    said = {log_line.server: f"{log_line.taken} {log_line.text}\n".encode() for log_line in (stands, refuses)}
    engine.so_far = {f"ada-{name}": said.get(name, b"") for name in ("consul1", "consul2", "consul3")}
    # click keeps the names of the first help that a command is asked for, also for those who come later.
    words = ["--raft", "--json", *(["-f"] if follow else [])]
    ran = CliRunner().invoke(logs_command, words, help_option_names=["-h", "--help"])
    assert [json.loads(text)["server"] for text in ran.stdout.splitlines()] == ["consul1", "consul2"]
    assert ("up to 0.4 s late are put where they belong" in ran.stderr) == follow
