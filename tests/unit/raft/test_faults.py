"""What was broken on purpose, as labctl wrote it into the servers' logs and reads it there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labctl.raft import log_notes, summary_sentences
from labctl.raft.collection import Collection, collect
from labctl.raft.event_sentences import phrase
from labctl.raft.reader import is_raft, read_line
from labctl.raft.record_stream import records
from labctl.raft.story import Story

BEGIN = datetime(2026, 11, 23, 12, 0, 0, 250_000, UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def story_of(*lines: tuple[str, str]) -> Collection:
    read = (read_line(line, server=server, line_no=number) for number, (server, line) in enumerate(lines, 1))
    return collect(records(event for event in read if event))


STARTED = "initial configuration: index=0 servers=[]"


def raft(
    seconds: float, words: str = 'entering follower state: follower="Node at 10.0.0.2:8300 [Follower]" leader='
) -> str:
    stamp = at(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{stamp} [INFO]  agent.server.raft: {words}"


def began(seconds: float = 0, lease: float | None = 30, fault: str = "ab12cd") -> str:
    return log_notes.began(at(seconds), fault, "isolate consul2", ["consul2"], lease)


@pytest.mark.parametrize(("shuts", "bound"), [(True, "exact"), (False, "at_least")])
def test_a_leader_that_was_stopped_led_until_it_says_so(shuts: bool, bound: str) -> None:
    shuts_down = raft(5.3).partition(" agent")[0] + " agent.server: shutting down server"
    story = story_of(
        ("consul1", raft(0, "election won: term=2 tally=2")),
        ("consul1", raft(0, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"')),
        ("consul1", log_notes.began(at(5), "ab12cd", "stop consul1", ["consul1"], None)),
        *([("consul1", shuts_down)] if shuts else []),
        ("consul2", raft(7, "election won: term=3 tally=2")),
        ("consul2", raft(7, 'entering leader state: leader="Node at 10.0.0.2:8300 [Leader]"')),
    )
    first, second = story.leaders
    assert (first.ended_by, first.until, first.bound) == ("stopped", at(5.3 if shuts else 5), bound)
    assert second.without_leader_bound == ("exact" if shuts else "at_most")


@pytest.mark.parametrize(("term", "without"), [(3, 2.0), (4, None)])
def test_a_leader_that_was_killed_led_until_then(term: int, without: float | None) -> None:
    killed = log_notes.began(at(5), "ab12cd", "kill consul1", ["consul1"], None)
    story = story_of(
        ("consul1", raft(0, "election won: term=2 tally=2")),
        ("consul1", raft(0, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"')),
        ("consul1", killed),
        ("consul2", raft(7, f"election won: term={term} tally=2")),
        ("consul2", raft(7, 'entering leader state: leader="Node at 10.0.0.2:8300 [Leader]"')),
    )
    first, second = story.leaders
    assert (first.until, first.ended_by) == (at(5), "killed")
    assert summary_sentences.of_leadership(first).endswith("for at least 5.0 s, until it was killed.")
    assert (first.bound, second.without_leader_bound) == ("at_least", "at_most" if without else None)
    # A server whose log is not here may have led in term 3.
    assert second.without_leader == (pytest.approx(without) if without else None)


@pytest.mark.parametrize(("verb", "ended_by"), [("kill", "killed"), ("stop", "stopped"), ("isolate", "ended")])
def test_how_a_leader_ended_is_known_from_the_fault_where_docker_says_it_no_more(verb: str, ended_by: str) -> None:
    docker = f"{at(5.1).isoformat(timespec='milliseconds').replace('+00:00', 'Z')} [INFO]  labctl.docker:"
    story = story_of(
        ("consul1", raft(0, "election won: term=2 tally=2")),
        ("consul1", raft(0, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"')),
        ("consul1", log_notes.began(at(5), "ab12cd", f"{verb} consul1", ["consul1"], None)),
        ("consul1", f"{docker} container ended"),
        ("consul2", raft(7, "election won: term=3 tally=2")),
        ("consul2", raft(7, 'entering leader state: leader="Node at 10.0.0.2:8300 [Leader]"')),
    )
    # A process that is stopped takes its time to end.
    assert (story.leaders[0].until, story.leaders[0].ended_by) == (at(5 if verb == "stop" else 5.1), ended_by)


def test_the_line_of_a_fault_is_read_as_it_was_written() -> None:
    event = read_line(began(), server="consul2", line_no=1)
    assert event is not None
    assert (event.event, event.time, event.level) == ("fault_began", BEGIN, "warn")
    assert dict(event.values) == {"id": "ab12cd", "servers": "consul2", "what": "isolate consul2", "seconds": "30"}
    assert phrase(event) == "is cut off from the other servers on purpose, for 30 s"
    assert not is_raft(event)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            (began(), raft(29.9)),
            "consul2 is disturbed on purpose, and still is where the log ends: isolate consul2.",
        ),
        (
            (began(), raft(30)),
            "consul2 was disturbed on purpose for 30.0 s, until its time was up: isolate consul2.",
        ),
        (
            (began(), raft(1, STARTED), raft(60)),
            "consul2 was disturbed on purpose for 1.0 s, until it was started again: isolate consul2.",
        ),
        (
            (began(), raft(31, STARTED)),
            "consul2 was disturbed on purpose for 30.0 s, until its time was up: isolate consul2.",
        ),
        (
            (began(), log_notes.ended(at(12), "ab12cd", ["consul2"])),
            "consul2 was disturbed on purpose for 12.0 s, until it was healed: isolate consul2.",
        ),
        (
            (began(), log_notes.ended(at(40), "ab12cd", ["consul2"])),
            "consul2 was disturbed on purpose for 30.0 s, until its time was up: isolate consul2.",
        ),
        ((began(lease=None),), "consul2 was disturbed on purpose: isolate consul2."),
        ((began(lease=1e9),), "consul2 was disturbed on purpose: isolate consul2."),
    ],
)
def test_a_fault_is_told_with_what_ended_it(lines: tuple[str, ...], sentence: str) -> None:
    (fault,) = story_of(*(("consul2", line) for line in lines)).faults
    assert summary_sentences.of_fault(fault) == sentence


def test_a_fault_of_several_servers_is_one() -> None:
    (fault,) = story_of(("consul2", began()), ("consul1", began()), ("consul1", raft(31))).faults
    assert fault.servers == ["consul1", "consul2"]
    assert summary_sentences.of_fault(fault).startswith("consul1 and consul2 were disturbed on purpose for")


def test_a_fault_of_several_servers_is_over_when_it_is_in_each_of_them() -> None:
    lines = [("consul2", began()), ("consul1", began()), ("consul1", raft(3, STARTED))]
    (fault,) = story_of(*lines, ("consul1", raft(9))).faults
    assert (fault.until, fault.ended_by, fault.lasts) == (None, None, True)
    (fault,) = story_of(*lines, ("consul2", log_notes.ended(at(12), "ab12cd", ["consul2"]))).faults
    assert (fault.until, fault.ended_by, fault.lasts) == (at(12), "heal", False)


def of_process(verb: str, lease: float | None) -> str:
    return log_notes.began(BEGIN, "ab12cd", f"{verb} consul2", ["consul2"], lease)


ENDED = log_notes.ended(at(12), "ab12cd", ["consul2"])


@pytest.mark.parametrize(
    ("lines", "until", "by"),
    [
        # Nothing in the lab ends it: the machine that was to do so may be gone.
        ([of_process("kill", 10), raft(60)], None, None),
        ([of_process("pause", 10), raft(60)], None, None),
        ([of_process("kill", None), raft(9, STARTED), raft(60)], at(9), "restart"),
        ([of_process("kill", 30), raft(11.9, STARTED), ENDED], at(12), "heal"),
        ([of_process("kill", 10), raft(11.9, STARTED), ENDED], at(12), "lease"),
        ([of_process("pause", 10), ENDED], at(12), "lease"),
        ([of_process("transfer-leader", None), raft(9, STARTED)], None, None),
    ],
)
def test_what_was_done_to_a_process_ends_when_somebody_ends_it(
    lines: list[str], until: datetime | None, by: str | None
) -> None:
    (fault,) = story_of(*(("consul2", line) for line in lines)).faults
    assert (fault.until, fault.ended_by, fault.lasts) == (until, by, False)


def test_a_log_goes_further_than_what_is_told_of_it() -> None:
    asked: list[int] = []

    def reached() -> datetime:
        asked.append(1)
        return at(31)

    event = read_line(began(), server="consul2", line_no=1)
    assert event is not None
    story = collect(records([event], reached=reached))
    assert [fault.until for fault in story.faults] == [at(30)]
    assert asked == [1]
    collect(records([], reached=reached))
    assert asked == [1], "nothing was open, so nobody need know"


def test_a_fault_that_lasts_is_part_of_every_later_time() -> None:
    read = (read_line(line, server="consul2", line_no=1) for line in (began(), raft(25)))
    (fault,) = collect(records((event for event in read if event), since=at(20))).faults
    assert fault.lasts
    assert fault.overlaps(at(20), at(24))
    assert not fault.overlaps(at(-9), at(-1))


def test_a_server_that_was_not_killed_after_all_led_on_and_was_not_disturbed() -> None:
    killed = log_notes.began(at(5), "ab12cd", "kill consul1", ["consul1"], None)
    lines = [
        ("consul1", raft(0, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"')),
        ("consul1", killed),
        ("consul1", log_notes.failed(at(6), "ab12cd", ["consul1"])),
    ]
    story = story_of(*lines, ("consul1", raft(600, STARTED)))
    assert story.faults == []
    assert [(leadership.until, leadership.ended_by) for leadership in story.leaders] == [(at(6), "restarted")]
    assert [(leadership.until, leadership.ended_by) for leadership in story_of(*lines[:2]).leaders] == [
        (at(5), "killed")
    ]
    assert [(leadership.until, leadership.ended_by) for leadership in story_of(*lines).leaders] == [(None, None)]


def test_a_fault_that_failed_in_one_server_is_one_of_the_others() -> None:
    failed = log_notes.failed(at(6), "ab12cd", ["consul1"])
    (fault,) = story_of(("consul1", killed("ab12cd")), ("consul2", killed("ab12cd")), ("consul1", failed)).faults
    assert fault.servers == ["consul2"]


def test_what_was_healed_and_never_began_is_none() -> None:
    assert story_of(("consul2", log_notes.ended(BEGIN, "ab12cd", []))).faults == []


def test_few_faults_are_kept_open() -> None:
    story = Story()
    for number in range(200):
        event = read_line(began(number, fault=f"{number:06x}"), server="consul2", line_no=number)
        assert event is not None
        story.feed(event)
    assert len(story.drain()) >= 100
    story.finish()
    assert len(story.drain()) <= 64


def killed(fault: str) -> str:
    return log_notes.began(BEGIN, fault, "kill consul1,consul2", ["consul1", "consul2"], None)


@pytest.mark.parametrize(
    ("lines", "noted"),
    [
        ([], None),
        (["consul: shutting down"], None),
        (
            [killed("ab12cd"), "2024-01-01T00:00:00Z [INFO]  agent: fault began: id=ffffff"],
            ("ab12cd", "kill consul1,consul2", None),
        ),
        ([killed("ab12cd"), killed("ab12ce")], ("ab12ce", "kill consul1,consul2", None)),
        ([killed("ab12cd"), began(lease=None)], ("ab12cd", "isolate consul2", None)),
        ([began(lease=30)], ("ab12cd", "isolate consul2", at(30))),
        ([began(lease=1e300)], ("ab12cd", "isolate consul2", None)),
        ([killed("ab12cd"), log_notes.ended(BEGIN, "ab12cd", ["consul1"])], None),
        ([killed("ab12cd"), log_notes.failed(BEGIN, "ab12cd", ["consul1"])], None),
        ([log_notes.ended(BEGIN, "ab12cd", ["consul1"]), killed("ab12ce")], ("ab12ce", "kill consul1,consul2", None)),
    ],
)
def test_the_end_of_a_log_tells_which_fault_a_server_is_in(
    lines: list[str], noted: tuple[str, str, datetime | None] | None
) -> None:
    assert log_notes.last("\n".join(lines)) == noted


@pytest.mark.parametrize(
    "line",
    [
        '2026-01-01T00:00:00Z [INFO]  agent: (LAN) joining: lan_addresses=["{}"]',
        "2026-01-01T00:00:00Z [INFO]  agent: Synced service: service={}",
        "{} ",
        " {}",
        "    {}",
        "{}: and more",
        "  | {}",
        "x | {}",
        "2026-01-01T00:00:00Z {}",
        '{{"@level":"warn","@message":"fault began","@module":"labctl.fault","id":"ab12cd","what":"kill consul1"}} {}',
        "\x1b[0m{}",
        "x\u2028{}",
        "x\r{}",
    ],
)
def test_words_of_ours_within_a_line_of_others_are_no_fault_and_end_none(line: str) -> None:
    assert log_notes.last(line.format(killed("ab12cd"))) is None
    assert log_notes.last(f"{killed('ab12cd')}\n{line.format(log_notes.ended(BEGIN, 'ab12cd', []))}\n") is not None


@pytest.mark.parametrize(
    "words", ["isolate consul1,consul2", "partition consul1,consul2 / consul3", "delay 200 ±20 any"]
)
@pytest.mark.parametrize("lease", [None, 60.0, 0.5, 1e6])
def test_what_is_written_is_read_by_both_readers_alike(words: str, lease: float | None) -> None:
    line = log_notes.began(BEGIN, "0a1b2c", words, ["consul1", "consul2"], lease)
    noted, event = log_notes.last(line), read_line(line, server="consul1", line_no=1)
    assert noted is not None
    assert event is not None
    assert (noted.fault, noted.words) == (event.values["id"], event.values["what"]) == ("0a1b2c", words)
    assert noted.until == (None if lease is None else at(lease))
