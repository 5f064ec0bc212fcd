"""What happened, in a paragraph: no more than the lines say."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from labctl.raft import summary_sentences
from labctl.raft.collection import collect
from labctl.raft.incident import Incident, Tries
from labctl.raft.incident_sentences import of_incident
from labctl.raft.merge import merge
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from labctl.raft.records import Election
from labctl.story import page_view
from labctl.story.source import source
from labctl.story.text_view import StoryText
from tests.unit.raft.lines import LEADS
from tests.unit.raft.lines import told as lined
from tests.unit.raft.logs import DATA, recorded, told
from tests.unit.raft.test_not_read import gives_up, log, starts, wins

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.raft.records import Outcome


def paragraphs(logs: dict[str, str]) -> str:
    story, _ = told(logs)
    return "\n".join(map(of_incident, story.incidents))


def until(text: str, words: str, and_lines: int = 0) -> str:
    """A log's beginning, up to the first line that contains some words, and some more."""
    lines = text.splitlines(keepends=True)
    end = next(number for number, line in enumerate(lines, 1) if words in line)
    return "".join(lines[: end + and_lines])


def test_an_election_that_the_log_does_not_decide_is_not_said_to_be_lost() -> None:
    cut = until(recorded("lost-quorum")["consul2"], "term=3", 2)
    assert "consul2 stood once in term 3; the log ends before that was decided." in paragraphs({"consul2": cut})


def test_of_several_elections_the_one_that_is_undecided_is_told_too() -> None:
    cut = until(recorded("lost-quorum")["consul2"], "term=5", 2)
    assert (
        "consul2 stood 3 times in terms 3 to 5: it did not win the first 2; the log ends before the last was decided."
        in paragraphs({"consul2": cut})
    )


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (
            ["abandoned", "undecided"],
            "in terms 6 and 7: it did not win the first; the log ends before the second was decided.",
        ),
        (
            ["undecided", "lost"],
            "in terms 6 and 7: it did not win 1 of them; the log does not show how 1 of them was decided.",
        ),
    ],
)
def test_what_is_undecided_is_not_said_to_be_lost_too(outcomes: list[Outcome], said: str) -> None:
    tries = Tries("n1")
    for term, outcome in enumerate(outcomes, 6):
        tries.add(Election("n1", term, "line", "unknown", None, outcome=outcome))
    assert f"n1 stood twice {said}" in of_incident(Incident("no_leader", None, None, [], tries=[tries]))


def test_who_was_alone_because_the_others_were_killed_is_not_said_to_be_cut_off() -> None:
    said = paragraphs(recorded("lost-quorum"))
    assert "did not win: nobody could answer it." in said
    assert "cut off" not in said


def flaps(*led: int) -> dict[str, str]:
    """Who is the leader, one after the other for 8 s each, and gives up for want of a majority."""
    lines: dict[int, list[str]] = {number: starts(0, number) for number in (1, 2, 3)}
    for turn, server in enumerate(led):
        lines[server] += [*wins(10 * turn + 2, server, turn + 2), *gives_up(10 * turn + 10, server)]
    return {f"s{number}": log(said) for number, said in lines.items()}


@pytest.mark.parametrize(
    ("led", "said"),
    [
        ((1, 1, 1, 1), "14:00:10 UTC: the leader was lost 4 times; s1 led each time."),
        ((1, 2, 3, 2), "14:00:10 UTC: the leader was lost 4 times; s1, s2 and s3 led in turn."),
    ],
)
def test_of_leaders_that_change_again_and_again_all_are_named_and_each_loss_is_counted(
    led: tuple[int, ...], said: str
) -> None:
    assert said in paragraphs(flaps(*led))


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (0, "the leader was lost 4 times; s1, s2 and s3 led in turn."),
        (15, "14:00:20 UTC: the leader was lost 3 times; s2 and s3 led in turn."),
        (25, ""),
    ],
)
def test_from_a_time_on_only_what_is_told_is_counted(since: int, said: str) -> None:
    streams = []
    for server, text in flaps(1, 2, 3, 2).items():
        read = (read_line(line, server=server, line_no=number) for number, line in enumerate(text.splitlines(), 1))
        streams.append([event for event in read if event is not None])
    begin = datetime(2024, 3, 5, 14, 0, since, tzinfo=UTC)
    told_of = [of_incident(incident) for incident in collect(records(merge(streams), since=begin)).incidents]
    assert said in "\n".join(told_of)
    assert not said or "was lost" in told_of[0]
    assert said or not any("was lost" in sentence for sentence in told_of)
    # Missing lines, too, show why a leader was lost.
    assert any(
        sentence.startswith("2024-03-05 14:00:30 UTC: nobody led for 2.0 s. s3, the previous") for sentence in told_of
    )


def test_a_leader_of_whom_a_server_heard_is_a_leader_though_no_log_of_its_own_is_there() -> None:
    said = paragraphs({"consul3": recorded("split-vote")["consul3"]})
    assert said == (
        "2026-11-23 18:49:17 UTC: consul1 leads by now, after a time without a leader; no line shows how long that "
        "was. consul3, which led before, was started again; no line shows when it had stopped."
        "\nNot seen: the logs of consul1 and consul2, who vote too."
    )


def test_how_long_nobody_led_is_known_at_most_where_a_server_heard_of_the_next_leader() -> None:
    logs = recorded("minority-leader")
    said = paragraphs({"consul1": logs["consul1"]})
    assert "2026-11-23 23:47:12 UTC: nobody led for at most " in said
    assert "nobody leads" not in said.lower()


def test_where_the_logs_end_nobody_is_known_to_lead_when_only_a_follower_missed_its_leader() -> None:
    cut = until(recorded("split-vote")["consul1"], "entering candidate state", 1)
    said = paragraphs({"consul1": cut})
    assert said.startswith("Nobody is known to lead where the logs end; no line shows since when.")


def test_a_leader_of_whom_a_server_heard_and_who_was_lost_again_is_not_said_to_lead() -> None:
    text = recorded("minority-leader")["consul1"]
    candidacy = next(line for line in text.splitlines() if "entering candidate state" in line)
    later = candidacy.replace("2026-11-23T23:47", "2026-11-23T23:59").replace("term=3", "term=20")
    said = paragraphs({"consul1": text + later})
    assert "nobody led for at most 11.3 s; consul3 led then, and no line shows since when." in said
    assert "\nNobody is known to lead where the logs end;" in said


def test_a_leader_is_known_too_where_the_one_before_it_is_known_by_name_only() -> None:
    said = paragraphs({"consul2": recorded("split-vote")["consul2"]})
    assert said.startswith("2026-11-23 18:49:17 UTC: consul1 leads by now, after a time without a leader;")


def test_a_leader_that_somebody_has_is_not_said_to_be_gone_because_its_own_log_is_not_there() -> None:
    lines = recorded("consul-1.8")["consul1"].splitlines(keepends=True)
    refusal = next(number for number, line in enumerate(lines, 1) if "since we have a leader" in line)
    assert paragraphs({"consul1": "".join(lines[:refusal])}) == ""


def test_candidacies_that_are_too_many_to_look_at_are_counted_all_the_same() -> None:
    first = (
        "2021-01-24T00:00:00.000Z [INFO]  agent.server.raft: election won: term=1 tally=2",
        '2021-01-24T00:00:00.000Z [INFO]  agent.server.raft: entering leader state: leader="Node at a:1 [Leader]"',
        "2021-01-24T00:00:01.000Z [WARN]  agent.server.raft: failed to contact quorum of nodes, stepping down",
    )
    stood = (
        f"2021-01-24T00:{second // 60:02}:{second % 60:02}.000Z [INFO]  agent.server.raft: entering candidate state: "
        f'node="Node at a:1 [Candidate]" term={second}'
        for second in range(2, 602)
    )
    said = paragraphs({"consul1": "\n".join((*first, *stood))})
    assert "consul1 stood 512 times in terms 90 to 601" in said
    assert " 88 more candidacies came to nothing" in said


NOTHING = "No time without a leader is seen in these logs."
UNDECIDED = "the log ends before that was decided."
NOT_KNOWN = "No line shows for how long, if at all, nobody led."
NO_LINE = "No line says whether"
NOBODY = "Nobody is known to lead where the logs end; no line shows since when. No line shows who led before. "
STARTS = (
    '01.000Z [INFO]  agent.server.raft: entering follower state: follower="Node at 10.0.0.1:8300 [Follower]" leader='
)
WAITS = "02.000Z [WARN]  agent.server.raft: no known peers, aborting election"
AT = "2021-01-24T00:00:"


def happened(*paths: str, page: bool = False) -> str:
    """What stands below *What happened*, as text in one line, or on a page."""
    iterator = source(list(paths)).records()
    if page:
        return page_view.html(iterator).partition('<p class="incident">')[2].partition("<")[0]
    out = io.StringIO()
    StoryText(out, columns=1000, summary=True).write(iterator)
    return out.getvalue().splitlines()[1].strip()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cases/log-ends", f"{NOBODY}log-ends stood once in term 253; {UNDECIDED}"),
        ("cases/pre-vote-log-ends", f"{NOBODY}pre-vote-log-ends asked once whether it could win term 253; {UNDECIDED}"),
        ("cases/granted-twice-voter", "These logs do not show whether anybody led."),
        ("samples/18-0.8-expect3-attempting-bootstrap", "These logs do not show whether anybody led."),
        ("cases/five-servers", NOTHING),
        ("cases/no-victory-line", f"no-victory-line stood in term 7, which it won. {NOT_KNOWN}"),
        ("cases/leader-log-ends", NOTHING),
    ],
)
@pytest.mark.parametrize("page", [False, True])
def test_no_time_without_a_leader_is_said_only_where_a_leader_is_seen(name: str, said: str, page: bool) -> None:
    assert happened(str(DATA / f"{name}.log"), page=page) == said


FOLLOWS = 'agent.server.raft: entering follower state: follower="Node at 10.0.0.1:8300 [Follower]" leader-address='
FOLLOWED = FOLLOWS.replace("leader-address=", "leader=")
CANDIDATE = 'agent.server.raft: entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term={}'
VICTORY = ["agent.server.raft: election won: tally=2", "agent.server.raft: entering leader state: leader="]
MISSES = "agent.server.raft: heartbeat timeout reached, starting election: last-leader=10.0.0.3:8300"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([FOLLOWS, CANDIDATE.format(7), *VICTORY], f"n1 stood in term 7, which it won. {NOT_KNOWN}"),
        (
            [CANDIDATE.format(3), CANDIDATE.format(4), *VICTORY],
            f"n1 stood in term 3 and again in term 4, which it won. {NOT_KNOWN}",
        ),
        (
            [CANDIDATE.format(3), f"{FOLLOWED}10.0.0.2:8300", "agent.server: New leader elected: payload=n2"],
            f"n1 stood in term 3, and did not win. {NOT_KNOWN}",
        ),
        (
            [CANDIDATE.format(3), f"{FOLLOWS}10.0.0.2:8300", "agent.server: New leader elected: payload=n2"],
            f"n1 became a candidate in term 3; no line says whether it asked for votes. {NOT_KNOWN}",
        ),
        ([FOLLOWS, CANDIDATE.format(2), *VICTORY], NOTHING),
        (
            ["agent.server.serf.lan: serf: EventMemberFailed: n3 10.0.0.3", MISSES],
            f"{NOBODY.partition(' No line shows who')[0]} {NO_LINE} n3, which led before, stopped leading.",
        ),
        ([MISSES, f"{FOLLOWS}10.0.0.3:8300"], NOTHING),
    ],
)
def test_where_a_leader_was_sought_or_missed_that_is_said(lines: list[str], said: str, tmp_path: Path) -> None:
    log_of = (f"{AT}{number:02}.000Z [INFO]  {words}\n" for number, words in enumerate(lines))
    (tmp_path / "n1.log").write_text("".join(log_of), encoding="utf-8")
    assert happened(str(tmp_path / "n1.log")) == said


LOST = (
    "agent.server.raft: pre-vote campaign failed, waiting for election timeout: term=3 tally=1 refused=2 votesNeeded=2"
)
AGAIN = "agent.server.raft: Election timeout reached, restarting election"


@pytest.mark.parametrize(("times", "said"), [(1, "once"), (2, "twice in 3.0 s"), (9, "9 times in 24.0 s")])
def test_pre_votes_that_came_to_nothing_are_told_where_no_line_shows_who_led_before(
    times: int, said: str, tmp_path: Path
) -> None:
    asks = [(3 * number, words) for number in range(times) for words in (AGAIN, CANDIDATE.format(3), LOST)]
    lines = [*asks, (3 * times, "agent.server: New leader elected: payload=n2")]
    log_of = (f"{AT}{second:02}.001Z [INFO]  {words}\n" for second, words in lines)
    (tmp_path / "n1.log").write_text("".join(log_of), encoding="utf-8")
    assert happened(str(tmp_path / "n1.log")) == (
        f"n1 asked {said} whether it could win term 3, and no majority said yes. {NOT_KNOWN}"
    )


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ({"n1": [WAITS]}, "No leader is seen in these logs: n1 waits, and knows no other server yet."),
        (
            {"n1": [STARTS, WAITS], "n2": [WAITS]},
            "No leader is seen in these logs: n1 and n2 wait, and know no other server yet.",
        ),
        ({"n1": [WAITS], "n2": [f"{STARTS}10.0.0.2:8300"]}, NOTHING),
    ],
)
def test_servers_that_wait_for_each_other_have_no_leader(logs: dict[str, list[str]], said: str, tmp_path: Path) -> None:
    for server, lines in logs.items():
        (tmp_path / f"{server}.log").write_text("".join(f"{AT}{line}\n" for line in lines), encoding="utf-8")
    assert happened(str(tmp_path)) == said


def test_a_pre_vote_that_the_log_does_not_decide_is_not_said_to_be_lost() -> None:
    story = collect(source([str(DATA / "cases" / "silent-pre-votes.log")]).records())
    said = "\n".join(map(of_incident, story.incidents))
    asked = "asked twice in 7.0 s whether it could win term 3: no majority said yes to the first"
    assert f"n1 {asked}; the log ends before the second was decided." in said


STANDS = 'entering candidate state: node="Node at 10.0.0.{}:8300 [Candidate]" term={}'
SPLITS = """\
2021-01-24T00:0{term}:{begin} [INFO]  agent.server.raft: {stands}
2021-01-24T00:0{term}:{begin} [DEBUG] agent.server.raft: votes: needed=2
2021-01-24T00:0{term}:{begin} [DEBUG] agent.server.raft: vote granted: from=10.0.0.{number}:8300 term={term} tally=1
2021-01-24T00:0{term}:{begin} [INFO]  agent.server.raft: duplicate requestVote for same term: term={term}
2021-01-24T00:0{term}:{end} [WARN]  agent.server.raft: Election timeout reached, restarting election
"""
WINS = """\
2021-01-24T00:0{term}:00.500Z [INFO]  agent.server.raft: {stands}
2021-01-24T00:0{term}:00.600Z [INFO]  agent.server.raft: election won: tally=2
2021-01-24T00:0{term}:00.600Z [INFO]  agent.server.raft: entering leader state
"""


def split(*terms: int) -> dict[str, str]:
    """The logs of two servers that split the votes of terms, one a minute; then the first of them wins."""
    logs = {}
    for number in (1, 2):
        logs[f"n{number}"] = "".join(
            SPLITS.format(
                term=term, number=number, stands=STANDS.format(number, term), begin=f"00.{number}00Z",
                end=f"04.{number}00Z",
            )
            for term in terms
        )  # fmt: skip
    last = max(terms) + 1
    logs["n1"] += WINS.format(term=last, stands=STANDS.format(1, last))
    return logs


def test_votes_that_are_split_again_and_again_are_told_as_one_thing() -> None:
    story, _ = told(split(2, 3, 4))
    (incident,) = (incident for incident in story.incidents if incident.kind == "split_votes")
    assert (incident.count, incident.split_terms, incident.servers) == (3, [2, 3, 4], ["n1", "n2"])
    assert of_incident(incident).startswith(
        "2021-01-24 00:02:00 UTC: the votes were split 3 times in 2 min 4 s, in terms 2, 3 and 4, among n1 and n2. Once"
    )
    assert {line.server for line in incident.evidence} == {"n1", "n2"}


def test_votes_that_are_split_once_are_no_incident_of_their_own() -> None:
    story, _ = told(split(2))
    assert all(incident.kind != "split_votes" for incident in story.incidents)
    assert all(incident.kind != "split_votes" for incident in told(recorded("split-vote"))[0].incidents)


def test_who_refuses_because_it_leads_is_not_said_to_have_a_leader() -> None:
    said = paragraphs(recorded("one-way"))
    assert "consul2 refused because it had a leader and consul3 refused because it was the leader." in said


def test_who_could_not_be_asked_has_not_said_no() -> None:
    # Raft says `pre-vote denied` of a server that it could not reach, too.
    told_of = [
        summary_sentences.of_pre_vote(pre_vote)
        for pre_vote in told({"consul3": recorded("consul-1.21")["consul3"]})[0].pre_votes
    ]
    alone = [
        sentence for sentence in told_of if "it had 1 of the 2 pre-votes it needed" in sentence and "term 3" in sentence
    ]
    assert alone
    assert not [sentence for sentence in alone if "said no" in sentence]


def test_a_leader_of_whom_a_client_heard_is_seen(tmp_path: Path) -> None:
    log = tmp_path / "client.log"
    log.write_text(
        "2024-11-28T15:43:43.225Z [INFO]  agent.client: New leader elected: payload=server-3\n", encoding="utf-8"
    )
    assert collect(source([str(log)]).records()).leaders_known == "seen"


def test_who_was_cut_off_only_once_is_told_why_it_failed_then_too() -> None:
    tries = Tries("consul1", terms=(8, 9), cut_off=1)
    tries.elections.update(["abandoned", "lost"])
    tries.refused["consul2", "we have a leader"] += 1
    said = of_incident(Incident("no_leader", None, None, ["consul3"], tries=[tries]))
    assert "did not win: at least once nobody could answer it and consul2 refused because it had a leader." in said


def test_whom_its_voters_answered_while_it_was_a_candidate_is_not_said_to_have_been_alone() -> None:
    # The isolation was over 1 s after it stood in term 8, and both refused then.
    said = [of_incident(incident) for incident in collect(source([], sample="minority-leader").records()).incidents]
    assert (
        "consul1 stood twice in terms 8 and 9 and did not win: consul2 refused because it had a leader and consul3 "
        "refused because its own log was newer."
    ) in said[-1]


def test_what_a_reader_can_learn_is_told_once() -> None:
    lines = [LEADS]
    for number, second in enumerate((2.0, 12.0), 2):
        server, node = f"consul{number}", f"Node at 10.0.0.{number}:8300"
        lines += [
            (second, f"consul{number - 1}", "[INFO]  labctl.docker: container killed: signal=9"),
            (second + 5, server, f'[INFO]  agent.server.raft: entering candidate state: node="{node}" term={number}'),
            (second + 5, server, f"[INFO]  agent.server.raft: election won: term={number} tally=2"),
            (second + 5, server, f'[INFO]  agent.server.raft: entering leader state: leader="{node}"'),
        ]
    said = [of_incident(incident) for incident in lined(*lines).incidents if incident.kind == "no_leader"]
    assert ["killed." in paragraph for paragraph in said] == [True, True]
    assert ["hands its leadership over before" in paragraph for paragraph in said] == [True, False]
