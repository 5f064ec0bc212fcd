"""What a story must not claim where a server's log, or the level info, is not there."""

from __future__ import annotations

import re

import pytest

from labctl.raft.event_sentences import phrase
from labctl.raft.incident_sentences import of_incident
from labctl.raft.summary_sentences import of_election, of_leadership
from tests.unit.raft.logs import told

VOTERS = " ".join(f"{{Suffrage:Voter ID:s{number} Address:10.0.0.{number}:8300}}" for number in (1, 2, 3))
FIVE = " ".join(f"{{Suffrage:Voter ID:s{number} Address:10.0.0.{number}:8300}}" for number in range(1, 6))


def line(second: float, message: str, level: str = "INFO", module: str = "agent.server.raft") -> str:
    return f"2024-03-05T14:{int(second) // 60:02}:{second % 60:06.3f}Z [{level}] {module}: {message}"


def starts(second: float, server: int, voters: str = VOTERS) -> list[str]:
    return [line(second, f'initial configuration: index=1 servers="[{voters}]"'), follows(second, server)]


def follows(second: float, server: int, leader: int | None = None) -> str:
    address = f"10.0.0.{leader}:8300" if leader else ""
    return line(
        second, f'entering follower state: follower="Node at 10.0.0.{server}:8300 [Follower]" leader-address={address}'
    )


def misses(second: float, leader: int | None = None) -> str:
    last = f"last-leader-addr=10.0.0.{leader}:8300 last-leader-id=s{leader}" if leader else "last-leader-addr="
    return line(second, f"heartbeat timeout reached, starting election: {last}", "WARN")


def stands(second: float, server: int, term: int) -> str:
    return line(second, f'entering candidate state: node="Node at 10.0.0.{server}:8300 [Candidate]" term={term}')


def wins(second: float, server: int, term: int) -> list[str]:
    return [
        stands(second, server, term),
        line(second + 0.003, f"election won: term={term} tally=2"),
        line(second + 0.003, f'entering leader state: leader="Node at 10.0.0.{server}:8300 [Leader]"'),
    ]


def gives_up(second: float, server: int, silent: str = "500ms") -> list[str]:
    return [
        *(
            line(second, f"failed to contact: server-id=s{number} time={silent}", "WARN")
            for number in (1, 2, 3)
            if number != server
        ),
        line(second, "failed to contact quorum of nodes, stepping down", "WARN"),
        follows(second, server),
    ]


def hears(second: float, server: int) -> str:
    return line(second, f"New leader elected: payload=s{server}", module="agent.server")


def log(*lines: str | list[str]) -> str:
    return "\n".join(line_ for some in lines for line_ in ([some] if isinstance(some, str) else some))


def paragraphs(logs: dict[str, str]) -> str:
    return "\n".join(map(of_incident, told(logs)[0].incidents))


def test_who_led_between_two_leaders_though_its_log_is_not_read_is_no_time_without_a_leader() -> None:
    logs = {
        "s1": log(starts(0, 1), wins(2, 1, 2), gives_up(10, 1), hears(12, 2)),
        "s3": log(starts(0, 3), hears(12, 2), misses(40, 2), wins(40, 3, 4)),
    }
    story, _ = told(logs)
    said = "\n".join(map(of_incident, story.incidents))
    assert said.count("nobody led") == 1
    assert "nobody led for at most about 2 s; s2 led then, and no line shows since when. s1, the previous " in said
    assert (
        "s3 became leader, after a time without one; no line shows how long that was. "
        "No line says why s2, which led before" in said
    )
    assert all(leadership.without_leader is None for leadership in story.leaders)


def test_a_server_whose_log_is_not_read_may_have_led_in_a_term_of_which_no_line_tells() -> None:
    logs = {
        "s1": log(starts(0, 1), wins(2, 1, 2), gives_up(10, 1)),
        "s3": log(starts(0, 3), misses(40), wins(40, 3, 5)),
    }
    said = paragraphs(logs)
    assert "nobody led" not in said
    assert "14:00:10 UTC: no leader is seen for 30.0 s; one of whom no line here tells may have led meanwhile." in said
    assert told(logs)[0].incidents[0].may_be_led


def test_a_leader_that_a_server_follows_again_after_it_stood_leads() -> None:
    logs = {"s1": log(follows(0, 1, 3), misses(1, 3), stands(1, 1, 19), follows(1.1, 1, 3))}
    assert told(logs)[0].incidents[:-1] == []
    logs = {"s1": log(follows(0, 1, 3), misses(1, 3), stands(1, 1, 19))}
    assert "Nobody is known to lead where the logs end" in paragraphs(logs)


def test_at_level_warn_a_leader_that_was_missed_may_have_led_on() -> None:
    contact = line(1, "failed to contact: server-id=s1 time=3.2s", "WARN")
    said = paragraphs({"s3": contact, "s2": misses(5, 3)})
    assert "There was a time without a leader" not in said
    assert said.startswith(
        "No line shows whether there was a time without a leader. "
        "No line says whether s3, which led before, stopped leading."
    )


TWICE = "duplicate requestVote for same term: term=7"


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("DEBUG", "is asked for its vote in term 7, and has already voted for itself"),
        ("", "is asked for its vote in term 7, and has already given it"),
    ],
)
def test_whom_a_server_voted_for_is_said_where_its_log_shows_it(shown: str, said: str) -> None:
    own = line(3.001, "vote granted: from=s1 term=7 tally=1", "DEBUG") if shown else follows(0, 1)
    logs = {
        "s1": log(starts(0, 1), misses(3), stands(3, 1, 7), own if shown else [], line(3.1, TWICE), line(3.2, TWICE)),
        "s2": log(starts(0, 2), misses(3), stands(3.05, 2, 7)),
        "s3": log(starts(0, 3), misses(3), stands(3.06, 3, 7)),
    }
    _, events = told(logs)
    assert {phrase(event) for event in events if event.event == "vote_duplicate_term"} == {said}


@pytest.mark.parametrize("reads_all", [True, False])
def test_a_leader_says_from_whom_it_learned_of_a_newer_term(reads_all: bool) -> None:
    newer = 'peer has newer term, stopping replication: peer="{Voter s2 10.0.0.2:8300}"'
    logs = {"s1": log(starts(0, 1), wins(2, 1, 4), line(9, newer, "ERROR"), follows(9, 1), misses(11), wins(11, 1, 7))}
    if reads_all:
        logs |= {
            "s2": log(starts(0, 2), misses(6), stands(6, 2, 5)),
            "s3": log(starts(0, 3), misses(7), stands(7, 3, 6)),
        }
    story, _ = told(logs)
    learned = "learned from s2" if reads_all else "learned from 10.0.0.2:8300"
    # Without the other logs, nobody knows who led in the terms between.
    role = "the previous leader" if reads_all else "which led before"
    assert f"s1, {role}, gave way to a newer term, of which it {learned}." in paragraphs(logs)
    assert of_leadership(story.leaders[0]).endswith(
        f"until it learned of a newer term from {learned.removeprefix('learned from ')}."
    )


def test_what_is_not_seen_is_said_in_one_breath() -> None:
    assert paragraphs({"s1": log(starts(0, 1), wins(2, 1, 2))}).endswith(
        "Not seen: the logs of s2 and s3, who vote too. "
        "Nor who voted for whom; no line of these logs is of level debug."
    )


def test_a_leader_that_one_server_missed_is_not_said_to_have_stopped_leading() -> None:
    said = paragraphs({"s1": log(follows(0, 1, 3), misses(1, 3), stands(1, 1, 19))})
    assert "No line says whether 10.0.0.3:8300, which led before, stopped leading." in said
    said = paragraphs({"s1": log(follows(0, 1, 3), misses(1, 3), wins(1, 1, 19))})
    assert "No line says why 10.0.0.3:8300, which led before, stopped leading." in said


def test_whom_others_follow_since_a_leaders_log_ends_leads_by_then() -> None:
    logs = {
        "s1": log(line(0, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"')),
        "s2": log(follows(1500, 2, 3), misses(1501, 3), stands(1501, 2, 19), follows(1501.1, 2, 3)),
    }
    said = paragraphs(logs)
    assert "10.0.0.3:8300 leads by now, after a time without a leader; no line shows how long that was." in said
    assert "Nobody is known to lead" not in said


def test_nobody_led_between_two_terms_that_follow_each_other_whoever_is_not_read() -> None:
    logs = {
        "s1": log(starts(0, 1), wins(2, 1, 2), gives_up(10, 1)),
        "s3": log(starts(0, 3), misses(12), wins(12, 3, 3)),
    }
    assert "nobody led for 2.0 s." in paragraphs(logs)


def test_the_log_of_a_non_voter_is_not_in_place_of_that_of_a_voter() -> None:
    with_s4 = VOTERS + " {Suffrage:Nonvoter ID:s4 Address:10.0.0.4:8300}"
    adds = f'updating configuration: command=AddNonvoter server-id=s4 server-addr=10.0.0.4:8300 servers="[{with_s4}]"'
    needs = "calculated votes needed: needed=2 term=2"
    logs = {
        "s1": log(starts(0, 1), wins(2, 1, 2), line(2.001, needs, "DEBUG"), line(3, adds), gives_up(10, 1)),
        "s3": log(starts(0, 3), misses(40), wins(40, 3, 5)),
        "s4": log(follows(1, 4)),
    }
    story, _ = told(logs)
    assert story.leaders[-1].without_leader is None
    assert "nobody led" not in "\n".join(map(of_incident, story.incidents))


def test_a_log_of_which_no_line_says_whose_it_is_may_be_that_of_the_voter_who_is_missed() -> None:
    identified = VOTERS.replace("ID:s", "ID:00000000-0000-0000-0000-00000000000")
    logs = {
        "first": log(starts(0, 1, identified), wins(2, 1, 2)),
        "second": log(follows(0, 2), misses(1)),
        "third": log(line(3, "rejecting vote request since our last term is greater", "WARN")),
    }
    assert "Not seen: the log" not in paragraphs(logs)


@pytest.mark.parametrize("silent", ["12.5s", "8.2s"])
def test_an_old_leader_that_wakes_at_the_beginning_of_its_log_is_not_the_newest(silent: str) -> None:
    logs = {
        "s1": log(gives_up(20, 1, silent)),
        "s2": log(misses(12, 1), wins(12, 2, 4), hears(12.1, 2)),
        "s3": log(hears(12.1, 2)),
    }
    story, _ = told(logs)
    said = "\n".join(map(of_incident, story.incidents))
    assert [leadership.server for leadership in story.leaders if leadership.ended_by is None] == ["s2"]
    assert "nobody leads" not in said
    assert "two servers each believed that they led for 8.0 s. s2 was elected" in said


def test_what_is_not_known_to_be_over_stands_behind_what_was() -> None:
    logs = {
        "s1": log(starts(0, 1), wins(2, 1, 2), gives_up(10, 1), misses(12), wins(12, 1, 3), gives_up(20, 1)),
        "s2": log(
            starts(0, 2),
            hears(25, 3),
            misses(40, 3),
            stands(40, 2, 9),
            line(50, "Election timeout reached, restarting election", "WARN"),
        ),
    }
    said = [of_incident(incident) for incident in told(logs)[0].incidents]
    assert [sentence.startswith("Nobody is known to lead") for sentence in said][:3] == [False, False, True]


def test_sentences_of_leaders_that_woke_late() -> None:
    logs = {"s1": log(gives_up(20, 1, "12.5s")), "s2": log(misses(12, 1), wins(12, 2, 4))}
    said = [of_leadership(leadership) for leadership in told(logs)[0].leaders]
    assert "s2 leads in term 4." in said


def at_level_warn(text: str) -> str:
    return "\n".join(line_ for line_ in text.splitlines() if "[WARN]" in line_ or "[ERROR]" in line_)


def timed_out(second: float) -> str:
    return line(second, "Election timeout reached, restarting election", "WARN")


def refuses(second: float, candidate: int, leader: int) -> str:
    who = f"from=10.0.0.{candidate}:8300 leader=10.0.0.{leader}:8300 leader-id=s{leader}"
    return line(second, f"rejecting vote request since we have a leader: {who}", "WARN")


PIPELINE = [
    line(1, f'failed to pipeline appendEntries: peer="{{Voter s{number} 10.0.0.{number}:8300}}"', "ERROR")
    for number in (1, 2, 3)
]


@pytest.mark.parametrize(
    "says", [misses(30, 2), timed_out(30), refuses(30, 3, 2)], ids=["misses", "stood", "has another"]
)
def test_a_leader_that_says_what_no_leader_says_leads_no_longer_at_level_warn(says: str) -> None:
    contact = line(5, "failed to contact: server-id=s3 time=500ms", "WARN")
    story, _ = told({"s1": log(PIPELINE, contact, says), "s2": log(PIPELINE)})
    led = [of_leadership(leadership) for leadership in story.leaders if leadership.server == "s1"]
    assert led == ["s1 led; no line shows since when, or until when."]


def test_at_level_warn_a_leader_is_not_said_to_lead_still_nor_until_its_last_line() -> None:
    contact = line(5, "failed to contact: server-id=s3 time=500ms", "WARN")
    story, _ = told({"s1": log(contact, line(90, "failed to get previous log: previous-index=9 last-index=8", "WARN"))})
    assert [of_leadership(leadership) for leadership in story.leaders] == [
        "s1 led; no line shows since when, or until when."
    ]


def test_at_level_warn_nobody_is_said_to_lack_a_leader_for_good() -> None:
    logs = {"s1": at_level_warn(log(gives_up(20, 1))), "s2": at_level_warn(log(misses(22, 1), timed_out(24)))}
    said = paragraphs(logs)
    assert "nobody leads" not in said
    assert "14:00:20 UTC: nobody led; no line shows until when. s1, the previous leader, could not reach" in said
    assert "Not seen: who stood for election, who won and who leads; no line of these logs is of level info." in said


def test_who_is_known_to_lead_by_others_only_does_not_lead_until_its_own_last_line() -> None:
    logs = {"s1": log(starts(0, 1), misses(1)), "s2": log(starts(0, 2), misses(60, 1), wins(60, 2, 3))}
    led = [of_leadership(leadership) for leadership in told(logs)[0].leaders if leadership.server == "s1"]
    assert led == ["s1 led; no line shows since when, or until when."]


def test_a_leader_that_a_refusal_names_leads_whoever_stood_before_it_was_named() -> None:
    tries = [(second, 4 + at) for at, second in enumerate((10, 12, 14))]
    logs = {
        "s3": log(*([stands(second, 3, term), timed_out(second + 1.5)] for second, term in tries)),
        "s1": log(follows(1, 1), *(refuses(second + 0.002, 3, 2) for second, _ in tries)),
    }
    story, _ = told(logs)
    said = "\n".join(map(of_incident, story.incidents))
    assert "Nobody is known to lead" not in said
    assert "s3 stood 3 times in 5.5 s in terms 4 to 6 while another server led: s1 refused" in said
    assert [(leadership.server, leadership.since_known) for leadership in story.leaders] == [("10.0.0.2:8300", False)]


@pytest.mark.parametrize("late", [0.0004, 0.003])
def test_who_asked_for_pre_votes_once_and_heard_of_the_leader_stood_in_no_election(late: float) -> None:
    """At level info no line of its own says that it asked for pre-votes; a refusal that comes late, or others, do."""
    refusal = "rejecting pre-vote request since we have a leader: from=10.0.0.3:8300 leader=10.0.0.1:8300"
    asks = line(2.002, "pre-vote successful, starting election: term=2 tally=2 refused=0 votesNeeded=2")
    won = wins(2, 1, 2)
    logs = {
        "s1": log(starts(0, 1), won[0], asks, won[1:], line(2.004 + late, refusal, "WARN")),
        "s3": log(starts(0, 3), stands(2.003, 3, 2), follows(2.004, 3)),
    }
    story, _ = told(logs)
    assert [(election.candidate, election.term, election.outcome) for election in story.elections] == [("s1", 2, "won")]
    assert [
        (pre_vote.candidate, pre_vote.outcome, pre_vote.inferred)
        for pre_vote in story.pre_votes
        if pre_vote.candidate == "s3"
    ] == [("s3", "lost", True)]


def test_a_server_that_never_asks_for_pre_votes_stands_in_earnest_beside_those_that_do() -> None:
    asks = line(2.002, "pre-vote successful, starting election: term=2 tally=2 refused=0 votesNeeded=2")
    won = wins(2, 1, 2)
    logs = {
        "s1": log(starts(0, 1), won[0], asks, won[1:]),
        "s3": log(
            starts(0, 3), misses(20), wins(20, 3, 3), follows(30, 3), stands(33, 3, 5), timed_out(35), follows(36, 3)
        ),
    }
    assert [(election.candidate, election.term) for election in told(logs)[0].elections][-1] == ("s3", 5)


def test_who_voted_for_a_candidate_has_not_refused_it_in_that_term() -> None:
    """Stamps of whole seconds: what met the candidacy before stands behind the next one."""
    form = "2018/03/05 14:00:{:02} [{}] raft: {}".format
    candidate = "Node at 10.0.0.1:8300 [Candidate] entering Candidate state in term {}".format
    logs = {
        "s1": log(
            form(9, "INFO", candidate(3)),
            form(10, "WARN", "Election timeout reached, restarting election"),
            form(10, "INFO", candidate(4)),
            form(10, "DEBUG", "Votes needed: 2"),
            form(10, "DEBUG", "Vote granted from 10.0.0.1:8300 in term 4. Tally: 1"),
            form(10, "DEBUG", "Vote granted from 10.0.0.3:8300 in term 4. Tally: 2"),
            form(10, "INFO", "Election won. Tally: 2"),
            form(10, "INFO", "Node at 10.0.0.1:8300 [Leader] entering Leader state"),
        ),
        "s3": log(
            form(1, "INFO", 'Node at 10.0.0.3:8300 [Follower] entering Follower state (Leader: "")'),
            form(10, "WARN", "Rejecting vote request from 10.0.0.1:8300 since we have a leader: 10.0.0.3:8300"),
        ),
    }
    story, _ = told(logs)
    (won,) = (each for each in story.elections if each.outcome == "won")
    assert (won.votes, won.refusals) == (["s1", "s3"], [])


def test_how_long_a_server_without_a_vote_waited_is_not_told() -> None:
    alone = "not part of stable configuration, aborting election"
    logs = {"s1": log(starts(0, 1), line(3, alone, "WARN"), misses(30), stands(30, 1, 2))}
    assert [election.waited for election in told(logs)[0].elections] == [None]


@pytest.mark.parametrize(("what", "by"), [("commit", "log_failed"), ("append to", "unknown")])
def test_a_leader_whose_disk_is_full_gives_up_for_that(what: str, by: str) -> None:
    full = 'error="write raft.db: no space left on device"'
    lost = line(12, "cluster leadership lost", module="agent.server")
    logs = {"s1": log(wins(2, 1, 2), line(12, f"failed to {what} logs: {full}", "ERROR"), follows(12, 1), lost)}
    story, _ = told(logs)
    assert [leadership.ended_by for leadership in story.leaders] == [by]
    assert ("s1, the previous leader, could not write to its log and gave up." in paragraphs(logs)) == (
        by == "log_failed"
    )


def test_a_leader_of_whom_a_server_only_hears_stands_among_the_leaders() -> None:
    story, _ = told({"s1": log(follows(0, 1), hears(2, 3))})
    assert [of_leadership(leadership) for leadership in story.leaders] == [
        "s3 led; no line shows since when, or until when."
    ]
    story, _ = told({"s1": log(starts(0, 1), wins(2, 1, 2), hears(2.1, 1), gives_up(10, 1), hears(12, 2))})
    assert [leadership.server for leadership in story.leaders].count("s1") == 1


@pytest.mark.parametrize("named_by", [(1, 3), (1, 1)])
def test_a_leader_that_two_servers_name_stands_among_the_leaders(named_by: tuple[int, int]) -> None:
    refused = "rejecting vote request since we have a leader: from=10.0.0.2:8300 leader=10.0.0.3:8300"
    logs = {"s2": log(misses(3, 1), stands(3, 2, 6)), "s1": "", "s3": ""}
    for number, server in enumerate(named_by):
        logs[f"s{server}"] += line(3.1 + number / 10, refused, "WARN") + "\n"
    led = [of_leadership(leadership) for leadership in told(logs)[0].leaders]
    other = ["10.0.0.3:8300 led; no line shows since when, or until when."] if named_by == (1, 3) else []
    assert led == ["10.0.0.1:8300 led; no line shows since when, or until when.", *other]


@pytest.mark.parametrize(
    ("also", "again", "voters", "said"),
    [
        ([], [], VOTERS, "gave way to a newer term: that of s2, which stood in term 3."),
        ([], [stands(10.2, 2, 4)], VOTERS, "gave way to a newer term: that of s2."),
        ([stands(9, 3, 3)], [], VOTERS, "gave way to a newer term, of which it learned from s2."),
        ([], [], FIVE, "gave way to a newer term, of which it learned from s2."),
    ],
    ids=["one stood", "clocks may differ", "two stood", "two are not read"],
)
def test_to_whose_newer_term_a_leader_gave_way_is_said_where_it_can_be_no_others(
    also: list[str], again: list[str], voters: str, said: str
) -> None:
    newer = line(10, 'peer has newer term, stopping replication: peer="{Voter s2 10.0.0.2:8300}"', "ERROR")
    logs = {
        "s1": log(starts(0, 1, voters), wins(2, 1, 2), newer, follows(10, 1)),
        "s2": log(starts(0, 2, voters), misses(9.5), stands(9.5, 2, 3), again),
        "s3": log(starts(0, 3, voters), also, misses(14), wins(14, 3, 5 if again else 4)),
    }
    role = "which led before" if voters is FIVE else "the previous leader"
    assert f"s1, {role}, {said}" in paragraphs(logs)


def fails(second: float, server: int, why: str = "dial tcp: connection refused") -> str:
    target = f'target="{{Voter s{server} 10.0.0.{server}:8300}}" error="{why}"'
    return line(second, f"failed to make requestVote RPC: {target}", "ERROR")


@pytest.mark.parametrize("why", ["dial tcp: connection refused", "dial tcp: i/o timeout"])
@pytest.mark.parametrize("voters", [VOTERS, FIVE], ids=["all are read", "two are not read"])
def test_who_could_ask_nobody_had_no_part_in_a_split_vote(why: str, voters: str) -> None:
    refused = line(3.2, "duplicate requestVote for same term: term=2")
    again = line(5, "Election timeout reached, restarting election", "WARN")
    logs = {
        "s1": log(starts(0, 1, voters), misses(3), stands(3, 1, 2), fails(3, 2, why), fails(3, 3, why), again),
        "s2": log(
            starts(0, 2, voters),
            misses(3.1),
            stands(3.1, 2, 2),
            line(5, "Election timeout reached, restarting", "WARN"),
        ),
        "s3": log(starts(0, 3, voters), misses(3.15), stands(3.15, 3, 2), refused, again),
    }
    election = next(election for election in told(logs)[0].elections if election.candidate == "s1")
    assert election.cut_off == (voters is VOTERS and "timeout" not in why)
    assert election.outcome != "split" or "timeout" in why


@pytest.mark.parametrize(
    ("what", "voters", "alone"),
    [("partition s1 / s2", VOTERS, False), ("partition s1 / s2", FIVE[:-1], False), ("isolate s1", VOTERS, True)],
)
def test_a_voter_whose_log_is_not_read_may_have_been_able_to_answer(what: str, voters: str, alone: bool) -> None:
    cut = line(2, f'fault began: id=ab12cd servers=s1,s2 what="{what}" seconds=30', "WARN", "labctl.fault")
    logs = {
        "s1": log(starts(0, 1, voters), cut, misses(3), stands(3, 1, 2), timed_out(4.5)),
        "s2": log(starts(0, 2, voters), cut),
    }
    (election,) = told(logs)[0].elections
    assert election.cut_off == alone
    (election,) = told({**logs, "s3": log(starts(0, 3, voters))})[0].elections
    assert election.cut_off == alone


def test_who_has_no_network_could_ask_nobody_each_time_and_that_is_why() -> None:
    why = "dial tcp <nil>->10.0.0.2:8300: connect: network is unreachable"
    campaigns = [
        line_
        for at in (3, 4.5, 6)
        for line_ in (stands(at, 1, int(at) - 1), fails(at, 2, why), fails(at, 3, why), timed_out(at + 1.4))
    ]
    story, _ = told({"s1": log(starts(0, 1), misses(3), campaigns), "s2": log(starts(0, 2)), "s3": log(starts(0, 3))})
    assert [(election.cut_off, election.no_network) for election in story.elections] == [(True, True)] * 3
    assert "it had no majority" in of_election(story.elections[0])
    assert "nobody could answer it, as the network was unreachable;" in of_election(story.elections[0])
    said = "\n".join(map(of_incident, story.incidents))
    assert (
        "s1 stood 3 times in terms 2 to 5 and did not win: nobody could answer it, as the network was unreach" in said
    )


@pytest.mark.parametrize(("term", "outcome"), [("", "abandoned"), (" term=3", "undecided")])
def test_raft_that_asks_for_pre_votes_names_the_term_in_which_it_could_not_ask(term: str, outcome: str) -> None:
    story, _ = told({"s1": log(misses(16, 2), stands(16, 1, 3), fails(17, 2) + term, timed_out(18))})
    assert [election.outcome for election in story.elections] == [outcome]


def test_who_moved_its_term_by_standing_asks_for_no_pre_votes_the_next_time_either() -> None:
    lines = [stands(1, 1, 295), timed_out(8), stands(8, 1, 296), timed_out(15)]
    story, _ = told({"s1": log(lines)})
    assert [election.outcome for election in story.elections] == ["abandoned", "abandoned"]
    assert "s1 stood twice in terms 295 and 296 and did not win." in paragraphs({"s1": log(lines)})


def test_before_consul_1_7_nobody_asked_for_pre_votes() -> None:
    stands = "2014/09/15 16:46:21 [INFO] raft: Node at 172.17.0.13:8300 [Candidate] entering Candidate state"
    again = "2014/09/15 16:46:23 [WARN] raft: Election timeout reached, restarting election"
    assert [election.outcome for election in told({"q3": log(stands, again)})[0].elections] == ["abandoned"]


def test_a_leader_of_whom_others_speak_before_its_first_line_was_not_restarted() -> None:
    heard = {"s1": log(starts(0, 1), hears(2, 3))}
    story, _ = told(heard | {"s3": log(starts(3, 3), wins(5, 3, 2))})
    assert [(leadership.server, leadership.term, leadership.ended_by) for leadership in story.leaders] == [
        ("s3", None, "unknown"),
        ("s3", 2, None),
    ]
    story, _ = told(heard | {"s3": log(starts(1, 3), starts(3, 3))})
    assert [(leadership.server, leadership.ended_by) for leadership in story.leaders] == [("s3", "unknown")]
    story, _ = told(heard | {"s3": log(starts(1, 3), line(2.5, "snapshot complete up to: index=9"), starts(3, 3))})
    assert [(leadership.server, leadership.ended_by) for leadership in story.leaders] == [("s3", "restarted")]


@pytest.mark.parametrize("seconds", [7, 30])
def test_whom_voters_answered_when_its_isolation_was_over_is_not_said_to_have_had_no_answer(seconds: int) -> None:
    # What times out was asked in the term before; the voters' own logs have their answers, whichever request that met.
    cut = line(2, f'fault began: id=ab12cd servers=s1 what="isolate s1" seconds={seconds}', "WARN", "labctl.fault")
    again = line(6, "Election timeout reached, restarting election", "WARN")
    late = line(14, "Election timeout reached, restarting election", "WARN")
    why = "rejecting vote request since we have a leader: from=10.0.0.1:8300 leader=10.0.0.3:8300"
    refused = line(9.1, why, "WARN")
    logs = {
        "s1": log(
            [*starts(0, 1), cut, misses(3), stands(3, 1, 2), again, stands(6, 1, 3)],
            [fails(8, 2, "i/o timeout"), fails(8, 3, "i/o timeout"), late, stands(14, 1, 4)],
        ),
        "s2": log(starts(0, 2), *([refused] if seconds == 7 else [])),
        "s3": log(starts(0, 3)),
    }
    second = next(election for election in told(logs)[0].elections if election.term == 3)
    assert second.cut_off == (seconds == 30)


def test_what_fails_late_may_be_of_the_campaign_before() -> None:
    again = line(6, "Election timeout reached, restarting election", "WARN")
    late = line(14, "Election timeout reached, restarting election", "WARN")
    why = "dial tcp 10.0.0.2:8300: connect: no route to host"
    campaigns = [misses(3), stands(3, 1, 2), again, stands(6, 1, 3), fails(6.1, 2, why), fails(6.1, 3, why), late]
    logs = {"s1": log([*starts(0, 1), *campaigns]), "s2": log(starts(0, 2)), "s3": log(starts(0, 3))}
    assert not any(election.cut_off for election in told(logs)[0].elections)


# -- who stands in vain shows nothing of a leader -------------------------------------------------------------------


def test_who_has_no_vote_stands_in_vain_whoever_leads() -> None:
    asks = line(5, "asking for pre-vote: term=4 from=s1 address=10.0.0.1:8300", "DEBUG")
    no = line(5.002, "rejecting pre-vote request since node is not in configuration: from=10.0.0.1:8300", "WARN")
    again = line(6.5, "Election timeout reached, restarting election", "WARN")
    story, _ = told({"s1": log(misses(5), stands(5, 1, 4), asks, again), "s2": log(no)})
    assert [incident for incident in story.incidents if incident.kind == "no_leader"] == []


def test_where_only_one_of_several_misses_a_leader_the_others_may_have_one() -> None:
    tries = [misses(5), *(line_ for at in (4, 5, 6) for line_ in (stands(5 + at, 1, at), timed_out(6.5 + at)))]
    story, _ = told({"s1": log(tries), **{name: line(1, "snapshot complete up to: index=7") for name in ("s2", "s3")}})
    (gap,) = (incident for incident in story.incidents if incident.kind == "no_leader")
    assert gap.may_be_led
    assert "Only s1 is seen to miss a leader; the others may have one." in of_incident(gap)


def test_a_leader_that_does_not_run_leads_no_longer() -> None:
    unreached = '{Voter s2 10.0.0.2:8300}" error="dial tcp 10.0.0.2:8300: connection refused'
    fails = line(9, f'failed to make requestVote RPC: target="{unreached}"', "ERROR")
    asked = [misses(9, 2), stands(9, 3, 4), fails]
    story, _ = told({"s2": log(*wins(1, 2, 3), hears(1.05, 2)), "s3": log(hears(1.1, 2), *asked)})
    assert [(leadership.server, leadership.ended_by) for leadership in story.leaders] == [("s2", "silent")]


def test_at_level_info_it_is_not_known_whether_a_new_version_stood_or_only_asked() -> None:
    lost = log(misses(16.48, 2), stands(16.48, 1, 3), follows(17.3, 1), hears(17.4, 3))
    story, _ = told({"s1": lost})
    (election,) = story.elections
    assert election.outcome == "undecided"
    assert of_election(election) == (
        "s1 became a candidate in term 3 because it had not heard from a leader in time; "
        "no line says whether it asked for votes, or only whether it could win them."
    )
    old, _ = told({"s1": lost.replace("-addr=10", "=10")})
    assert [election.outcome for election in old.elections] != ["undecided"]


def test_who_has_only_heard_of_its_successor_led_in_another_term() -> None:
    # Its log begins where it goes on after a pause, and gossip is read first.
    frozen = log(hears(16.19, 1), *gives_up(16.19, 3, "8.2s"))
    story, _ = told({"s1": log(*wins(11.5, 1, 4), hears(11.6, 1)), "s3": frozen})
    assert {(leadership.server, leadership.term) for leadership in story.leaders} == {("s1", 4), ("s3", None)}
    assert not [incident for incident in story.incidents if incident.kind == "no_leader" and incident.lasts]


def test_a_leader_whose_log_ends_leads_no_longer_where_others_hear_of_a_new_one() -> None:
    story, _ = told({"s2": log(*wins(21, 2, 4), hears(21.1, 2)), "s3": log(*starts(31, 3), hears(31.1, 1))})
    assert [(leadership.server, leadership.ended_by) for leadership in story.leaders if leadership.server == "s2"] == [
        ("s2", "silent")
    ]


def test_a_leader_heard_of_in_the_moment_in_which_the_one_before_gave_up_leads() -> None:
    story, _ = told({"s1": log(*gives_up(23, 1), hears(23, 6))})
    assert not [incident for incident in story.incidents if incident.kind == "no_leader" and incident.lasts]


def refusals_of_two_who_stood(logs: dict[str, str]) -> list[list[str]]:
    needed = line(5, "votes: needed=2", "DEBUG")
    twice = line(5.203, "duplicate requestVote for same term: term=3")
    logs["a"] = log(logs["a"], stands(5, 1, 3), needed, twice)
    logs["b"] = log(logs["b"], stands(5.2, 2, 3))
    logs["c"] = log(logs["c"], hears(9, 1))
    return [[no.server for no in election.refusals] for election in told(logs)[0].elections]


def test_the_log_of_a_server_that_joined_later_is_not_that_of_a_voter_which_is_missing() -> None:
    first = {"a": log(starts(0, 1)), "b": log(starts(0, 2))}
    joins = log(line(0, "initial configuration: index=0 servers=[]"), follows(0, 4))
    assert refusals_of_two_who_stood({**first, "c": log(starts(0, 3))}) == [[], ["a"]]
    assert refusals_of_two_who_stood({**first, "c": joins}) == [[], []], "the third voter may have asked"


def test_the_log_of_a_server_that_says_it_has_no_vote_is_not_that_of_a_voter_which_is_missing() -> None:
    first = {name: log(line(0, f"serf: EventMemberJoin: {name} 10.0.0.9", module="agent")) for name in "abc"}
    none = line(1, "heartbeat timeout reached, not part of a stable configuration or a non-voter, not triggering a "
                   "leader election", "WARN")  # fmt: skip
    assert refusals_of_two_who_stood(dict(first)) == [[], ["a"]]
    assert refusals_of_two_who_stood({**first, "c": log(first["c"], none)}) == [[], []]
    stood = log(none, stands(2, 3, 2))
    assert refusals_of_two_who_stood({**first, "c": log(first["c"], stood)})[1:] == [[], ["a"]], "it has one by now"


@pytest.mark.parametrize(
    ("voters", "led", "why"),
    [
        (VOTERS, "s1 led in term 2, until its log ends.", "The log of s1, the previous leader, ends: it was stopped,"),
        (
            FIVE,
            "s1 led in term 2, until a time that no line shows.",
            "No line says whether s1, which led before, stopped leading.",
        ),
    ],
    ids=["all are read", "two are not read"],
)
def test_a_leader_that_all_followers_miss_since_its_last_line_is_not_said_to_lead(
    voters: str, led: str, why: str
) -> None:
    logs = {"s1": log(starts(0, 1, voters), wins(2, 1, 2))}
    for server, second in ((2, 60), (3, 61)):
        logs[f"s{server}"] = log(starts(0, server, voters), hears(2.1, 1), misses(second, 1), stands(second, server, 3))
    story, _ = told(logs)
    assert [of_leadership(leadership) for leadership in story.leaders] == [led]
    said = "\n".join(map(of_incident, story.incidents))
    assert f"Nobody is known to lead where the logs end; no line shows since when. {why}" in said


@pytest.mark.parametrize("again", [[], [follows(62, 3, 1)]], ids=["one misses it", "one has it again"])
def test_a_leader_that_a_follower_still_has_leads(again: list[str]) -> None:
    logs = {
        "s1": log(starts(0, 1), wins(2, 1, 2)),
        "s2": log(starts(0, 2), hears(2.1, 1), misses(60, 1), stands(60, 2, 3)),
        "s3": log(starts(0, 3), hears(2.1, 1), [misses(61, 1), stands(61, 3, 3)] if again else [], again),
    }
    assert [of_leadership(leadership) for leadership in told(logs)[0].leaders] == ["s1 leads in term 2."]


# -- terms between two leaders --------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [0, 0.3, 1.5, 3])
def test_a_term_counts_as_told_whose_candidates_clock_is_ahead(ahead: float) -> None:
    logs = {
        "s1": log(starts(0, 1), wins(2, 1, 2), gives_up(10, 1), follows(12, 1)),
        "s2": log(starts(ahead, 2), misses(10.2 + ahead, 1), stands(10.2 + ahead, 2, 3), follows(11 + ahead, 2)),
        "s3": log(starts(0, 3), misses(11, 1), wins(11, 3, 4)),
    }
    assert "14:00:10 UTC: nobody led for 1.0 s. s1, the previous leader, could not reach" in paragraphs(logs)


@pytest.mark.parametrize("begins", [wins(2, 1, 5), stands(2, 1, 5)], ids=["its line is there", "its line is missing"])
def test_of_terms_in_which_nobody_is_seen_to_stand_another_leader_may_be_one(begins: str) -> None:
    pipelines = line(2.1, 'pipelining replication: peer="{Voter s2 10.0.0.2:8300}"')
    logs = {
        "s1": log(starts(0, 1), begins, pipelines, gives_up(10, 1)),
        "s2": log(starts(0, 2), follows(2.1, 2, 1), misses(20, 1), wins(20, 2, 9)),
        "s3": log(starts(0, 3), follows(2.1, 3, 1)),
    }
    said = paragraphs(logs)
    assert "no leader is seen for 10.0 s; one of whom no line here tells may have led meanwhile." in said
    assert "s1, which led before, could not reach" in said


def test_terms_before_the_last_leader_do_not_count_where_that_one_is_only_seen_to_lead() -> None:
    pipelines = line(7.1, 'pipelining replication: peer="{Voter s1 10.0.0.1:8300}"')
    logs = {
        "s1": log(
            starts(0, 1), wins(1, 1, 2), gives_up(5, 1), follows(7.1, 1, 2), misses(21, 2), stands(21, 1, 6),
            follows(22, 1), follows(24.1, 1, 3),
        ),
        "s2": log(starts(0, 2), follows(1.1, 2, 1), misses(7, 1), stands(7, 2, 5), pipelines, gives_up(20, 2)),
        "s3": log(starts(0, 3), follows(1.1, 3, 1), follows(7.1, 3, 2), misses(24, 2), wins(24, 3, 7)),
    }  # fmt: skip
    assert "14:00:20 UTC: nobody led for 4.0 s. s2, the previous leader, could not reach" in paragraphs(logs)


def test_without_stamps_a_leader_that_gave_up_did_leave_a_time_without_one() -> None:
    stamped = log(starts(0, 1), wins(2, 1, 2), gives_up(10, 1), misses(11), wins(12, 1, 5))
    said = paragraphs({"s1": re.sub(r"^\S+Z ", "", stamped, flags=re.MULTILINE)})
    assert said.startswith("There was a time without a leader; no line shows when. s1, which led before, could not")
