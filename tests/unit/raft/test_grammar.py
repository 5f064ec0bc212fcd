"""Every wording of every event, as the generations of Consul have it."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from labctl.raft.grammar import EVENTS, RULES, Rule, rule_of
from labctl.raft.reader import read_line

DATA = Path(__file__).parents[2] / "data" / "raft"


def wordings() -> list[tuple[str, str, int | None, str | None]]:
    text = (DATA / "wordings.txt").read_text(encoding="utf-8")
    rows = [line.split(" | ", 3) for line in text.splitlines() if line and not line.startswith("#")]
    return [
        (says, event, None if term == "-" else int(term), None if peer == "-" else peer)
        for event, term, peer, says in rows
    ]


WORDINGS = wordings()


@pytest.mark.parametrize(("says", "event", "term", "peer"), WORDINGS, ids=[row[0][:60] for row in WORDINGS])
def test_a_wording_is_its_event_with_the_term_and_the_peer_that_the_line_names(
    says: str, event: str, term: int | None, peer: str | None
) -> None:
    read = read_line(f"2021-01-24T00:02:16.691Z [INFO]  {says}", server="consul1", line_no=7)
    assert read is not None
    assert (read.event, read.term, read.peer) == (event, term, peer)
    assert read.term_source == (None if term is None else "line")


def test_every_event_of_the_table_has_a_wording_here() -> None:
    assert {event for _, event, _, _ in WORDINGS} == EVENTS


def test_every_rule_begins_with_a_whole_literal_word_or_with_a_value() -> None:
    for rule in RULES:
        assert re.match(r"\(\?P<|(?:[\w-]|\\[()])+(?:[ :$]|$|\(\?: )", rule.says), rule


@pytest.mark.parametrize(
    "says",
    [
        "agent.http: election won: tally=2",
        "raft: New leader elected: consul1",
        "agent.server: entering leader state",
        "agent: cluster leadership acquired",
        "consul: EventMemberJoin: consul2 10.0.0.3",
        "raft: it said: Election won. Tally: 2",
        "Election won. Tally: 2",
    ],
)
def test_the_words_of_an_event_from_another_part_of_the_server_are_not_the_event(says: str) -> None:
    event = read_line(f"2021-01-24T00:02:16.691Z [INFO]  {says}", server="consul1", line_no=1)
    assert event is not None
    assert event.event == "other"


# Where a rule says that its wording is written: `raft v1.0.0 raft.go:144`, `raft (Consul 0.5.2) raft.go:584`.
PLACE = re.compile(
    r"(?P<project>raft|raft-autopilot|raft-wal|consul|nomad|vault|serf|memberlist)"
    r" (?:(?P<version>v[\d.]+(?:-dev)?)|\(Consul (?P<consul>[\d.]+)\))"
    r" (?P<place>[\w/]+\.go:[1-9]\d*)"
)
# What may stand for the values of a log call that are not just a number or an address.
VALUES = {
    "r": ["Node at 10.0.0.2:8300 [Follower]"],
    "r.getCurrentTerm()+1": ["3"],
    "vote.Term": ["3"],
    "l.Type": ["2"],
    "eventStr": ["EventMemberFailed", "EventMemberLeave"],
    "message": ["snapshot restore progress", "snapshot network transfer progress"],
}


def calls(name: str) -> dict[str, str]:
    """Return the log calls of a list: what is logged, by file and line."""
    lines = (DATA / "formats" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return {place: call for place, _, call in (line.split("\t", 2) for line in lines)}


def sayings(call: str) -> list[str]:
    """Return the messages that a log call may write, without level, module and the values behind a message."""
    sentence = re.fullmatch(r"fmt\.Sprintf\((.*)\)", call)
    written = re.match(r"""(["`])(.*?)\1(?:, )?""", sentence[1] if sentence else call)
    if written is None:
        return VALUES.get(call.split(",", maxsplit=1)[0], [])
    # A comma between brackets does not end a value.
    values = re.split(r", (?![^(]*\))", written.string[written.end() :])
    text = re.sub(r"^\[[A-Z]+\] (?:[\w-]+: )?", "", written[2])
    parts = re.split(r"%[+#]?([vsdq])", text)
    filled = []
    for verb, value in zip(parts[1::2], values, strict=False):
        options = VALUES.get(value, ["7" if verb == "d" else "10.0.0.3:8300"])
        filled.append([f'"{option}"' if verb == "q" else option for option in options])
    return [
        "".join(piece for pair in zip(parts[::2], [*chosen, ""], strict=True) for piece in pair)
        for chosen in product(*filled)
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.event}: {rule.source}")
def test_the_source_of_a_rule_has_its_wording(rule: Rule) -> None:
    if rule.voice == "labctl":
        return  # test_faults holds these against the function that writes them
    for source in rule.source.split("; "):
        match_ = PLACE.fullmatch(source)
        assert match_ is not None, source
        call = calls(f"{match_['project']}-{match_['version'] or 'consul' + match_['consul']}")[match_["place"]]
        if call.endswith(".Error()"):
            continue  # the text is an error's, which no list has
        # No rule before this one may take the wording.
        known = [rule_of(rule.voice, message) for message in sayings(call)]
        assert any(match is not None and match[0] is rule for match in known), (source, call)


def test_whatever_raft_logs_is_known() -> None:
    messages = {
        message.lower()
        for path in (DATA / "formats").glob("raft-[cv]*.txt")
        for call in calls(path.stem).values()
        # These texts are those of errors.
        if not call.endswith(".Error()")
        for message in sayings(call) or [call]
    }
    assert len(messages) > 200
    assert {message for message in messages if rule_of("raft", message) is None} == set()
