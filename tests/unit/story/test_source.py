"""Where a story comes from, and one election of it."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from labctl.engine import docker_host
from labctl.errors import ExitCode, LabctlError
from labctl.raft import log_notes
from labctl.raft.collection import collect
from labctl.shared.docker_api import DockerError
from labctl.story import log_files
from labctl.story import source as flow
from tests.unit import engine_stand_in as stand_in
from tests.unit.raft.logs import SAMPLES
from tests.unit.story.test_log_printer import CAMPAIGN, at

RUN = str(SAMPLES / "consul-1.15")


def test_one_election_has_the_events_of_its_term_and_the_timeout_before() -> None:
    story = collect(flow.of_one_election(flow.source([RUN]), 2))
    told = story.events
    assert told[0].event == "heartbeat_timeout"
    assert {event.term for event in told[1:]} == {3}
    assert [(election.candidate, election.term) for election in story.elections] == [("consul1", 3)]
    assert story.leaders == []
    story = collect(flow.of_one_election(flow.source([RUN]), 1))
    assert [(leadership.server, leadership.term) for leadership in story.leaders] == [("consul2", 2)]


def test_one_election_has_no_sentence_about_all_of_them(tmp_path: Path) -> None:
    begin = "2021-01-24T00:00:{:02}.000Z [{}]  agent.server.raft: {}\n"
    stands, leads = (
        'entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term={}',
        "entering leader state",
    )
    lines = [
        begin.format(10 * at + after, level, said.format(at + 2))
        for at in range(5)
        for after, level, said in (
            (1, "INFO", stands), (2, "INFO", leads), (9, "WARN", "failed to contact quorum of nodes, stepping down"),
        )
    ]  # fmt: skip
    (tmp_path / "n1.log").write_text("".join(lines), encoding="utf-8")
    source = flow.source([str(tmp_path / "n1.log")])
    assert "flapping" in {incident.kind for incident in collect(source.records()).incidents}
    (incident, *_) = collect(flow.of_one_election(flow.source([str(tmp_path / "n1.log")]), 3)).incidents
    assert incident.kind == "no_leader"


@pytest.mark.parametrize(("log", "words"), [(RUN, "the story has 17, 1 to 17"), ("", "the story has 0")])
def test_an_election_that_there_is_not_is_wrong_usage(tmp_path: Path, log: str, words: str) -> None:
    quiet = tmp_path / "quiet.log"
    quiet.write_text("2021-01-24T00:00:01Z [INFO]  serf: EventMemberJoin: a 10.0.0.1\n", encoding="utf-8")
    with pytest.raises(LabctlError, match=words) as caught:
        flow.of_one_election(flow.source([log or str(quiet)]), 99)
    assert caught.value.code is ExitCode.USAGE


def test_only_what_goes_on_can_be_followed() -> None:
    with pytest.raises(LabctlError, match="Only a lab") as caught:
        flow.source([RUN], follow=True)
    assert caught.value.code is ExitCode.USAGE


class DockerHost(docker_host.DockerHost):
    """Where an engine is met that says what time it is."""

    def __init__(self, now: str) -> None:
        self.now = now

    def engine(self, seconds: float) -> Any:
        assert seconds > 0
        return self

    def get(self, path: str, **_: object) -> dict[str, str]:
        assert path == "/info"
        if not self.now:
            raise DockerError("The Docker Engine did not answer.")
        return {"SystemTime": f"{self.now}Z"}


def engine(*said: tuple[str, str], now: str = "") -> Any:
    """An engine with the lab ada, whose consul2 said that at these times."""
    lines = "".join(f"{time} {text}\n" for time, text in said)
    streams = {f"ada-consul{number}": [(0.0, lines.encode() if number == 2 else b"")] for number in (1, 2, 3)}
    return stand_in.FakeEngine(stand_in.lab("ada"), streams=streams, place=DockerHost(now))


def test_a_word_that_is_no_file_is_a_lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabctlError, match="no lab eve"):
        flow.source(["eve"], connect=engine)
    for what in (["x/y"], ["eve.log", "bob.log"], ["EVE.log"]):
        with pytest.raises(LabctlError, match="There is no file"):
            flow.source(what)


@pytest.mark.parametrize(
    ("leads_to", "why"), [("loop", "Too many levels of symbolic links"), ("gone", "what it leads to is not there")]
)
def test_a_link_that_leads_nowhere_is_no_lab(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, leads_to: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to(leads_to)
    with pytest.raises(LabctlError, match=f"Cannot read loop: .*{why}") as caught:
        flow.source(["loop"])
    assert caught.value.code is ExitCode.USAGE


def test_a_labs_lines_have_dockers_time_and_their_number() -> None:
    said = [("250", "[INFO] raft: Election won. Tally: 2"), ("300", "[INFO] agent: Synced"), ("5", "[INFO] raft: new")]
    lines = [(f"2021-01-24T00:00:01.{part:0<9}Z", f"    2021/01/24 00:00:01 {text}") for part, text in said]
    source = flow.source([], connect=lambda: engine(*lines))
    assert source.servers == ["consul1", "consul2", "consul3"]
    events = [(event.event, event.line_no, event.time and event.time.microsecond) for event in source.events]
    assert events == [("election_won", 1, 250_000), ("other", 3, 500_000)]


@pytest.mark.parametrize(("now", "lasts"), [("2021-01-24T00:00:30", True), ("2021-01-24T00:02:00", False), ("", True)])
def test_a_labs_log_goes_as_far_as_its_docker_hosts_clock(now: str, lasts: bool) -> None:
    began = datetime(2021, 1, 24, tzinfo=UTC)
    line = log_notes.began(began, "ab12cd", "isolate consul2", ["consul2"], 60)
    engine_ = engine(("2021-01-24T00:00:01.000000000Z", line), now=now)
    story = collect(flow.source([], connect=lambda: engine_).records())
    assert [fault.lasts for fault in story.faults] == [lasts]


# -- since ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("90s", "2026-11-23T11:58:30+00:00"),
        ("10m", "2026-11-23T11:50:00+00:00"),
        ("2h", "2026-11-23T10:00:00+00:00"),
        ("1d", "2026-11-22T12:00:00+00:00"),
        ("2021-01-24T00:02:16", "2021-01-24T00:02:16+00:00"),
        ("2021-01-24T00:02:16+05:30", "2021-01-24T00:02:16+05:30"),
    ],
)
def test_a_time_is_how_long_ago_or_when(text: str, time: str) -> None:
    assert flow.moment(text, datetime(2026, 11, 23, 12, tzinfo=UTC)).isoformat() == time


@pytest.mark.parametrize("text", ["", "soon", "-5m", "10", "10w", "9" * 9 + "d"])
def test_what_is_no_time_is_wrong_usage(text: str) -> None:
    with pytest.raises(LabctlError, match="is no time") as caught:
        flow.moment(text, datetime.now(UTC))
    assert caught.value.code is ExitCode.USAGE


def test_from_a_time_on_the_rest_is_left_out_and_terms_are_still_known() -> None:
    since = flow.moment("2026-11-23T04:39:47.290", datetime.now(UTC))
    story = collect(flow.source([RUN]).records(since))
    told = story.events
    assert all(event.time is None or event.time >= since for event in told)
    assert told[0].term == 8
    assert [leadership.term for leadership in story.leaders] == [8, 9, 11]
    assert min(election.term for election in story.elections if election.term is not None) == 9


def test_a_story_that_goes_on_tells_an_election_while_the_servers_say_nothing() -> None:
    lines = [at(0, "consul1", text) for text in CAMPAIGN]
    events = list(flow.events_of([*lines, None], live=True, late=timedelta(0)))
    events[-1] = flow.pause((events[-2].time or datetime.now(UTC)) + timedelta(seconds=6))
    records = flow.Source(iter([*events, *flow.events_of(lines[:1])]), goes_on=True).records()
    kinds = [type(conclusion).__name__ for conclusion in records]
    assert kinds.index("Election") == len(CAMPAIGN)


class Locked(type(Path())):  # type: ignore[misc]  # the class of this system's paths
    """A file in a folder that may not be searched."""

    def lstat(self) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_in_a_folder_that_may_not_be_searched_a_word_is_a_lab_and_a_path_is_a_file() -> None:
    assert not log_files.is_there(Locked("ada"), unknown=False)
    assert log_files.is_there(Locked("logs/consul1.log"))
