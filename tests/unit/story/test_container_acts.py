"""What was done to servers' containers: of Docker's events, of what containers say, beside the logs, told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labctl.engine.container_events import DISTURBED, DockerEvent, Life
from labctl.engine.labs import labs_from
from labctl.engine.logs import LogLine
from labctl.raft import incident_sentences, log_notes, summary_sentences
from labctl.raft.collection import collect
from labctl.raft.event_sentences import phrase
from labctl.raft.reader import read_line
from labctl.raft.records import EndedBy
from labctl.raft.summary_sentences import of_leadership
from labctl.story import container_acts, source
from labctl.story.container_acts import acts_of
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from labctl.engine.client import Client

BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)
ID, NAME = "ada-consul1", "consul1"


def at(second: float) -> datetime:
    return BEGIN + timedelta(seconds=second)


def told(second: float, action: str, number: int | None = None) -> DockerEvent:
    return DockerEvent(NAME, at(second), action, number)


def life(started: float | None, finished: float | None, code: int | None = None, *, starved: bool = False) -> Life:
    return Life(
        NAME, None if started is None else at(started), None if finished is None else at(finished), code, starved
    )


def said(acts: list[container_acts.Act]) -> list[tuple[float, str]]:
    return [((act.time - BEGIN).total_seconds(), act.message) for act in acts]


@pytest.mark.parametrize(
    ("events", "acts"),
    [
        pytest.param([("kill", 9), ("die", 137)], [(1, "container killed: signal=9")], id="docker kill"),
        pytest.param([("die", 137), ("kill", 9)], [(1, "container killed: exit_code=137")], id="it died at once"),
        pytest.param(
            [("kill", 15), ("die", 1)], [(1, "container stopped: signal=15 exit_code=1")], id="docker stop"
        ),
        pytest.param(
            [("kill", 15), ("kill", 9), ("die", 137)], [(2, "container killed: signal=9")], id="it does not stop"
        ),
        pytest.param([("kill", 15)], [], id="it may go on"),
        pytest.param([("kill", 1)], [], id="HUP"),
        pytest.param([("kill", 10), ("die", 2)], [(2, "container ended: exit_code=2")], id="another signal"),
        pytest.param([("kill", 19)], [(1, "container paused: signal=19")], id="SIGSTOP"),
        pytest.param([("kill", 18)], [(1, "container unpaused: signal=18")], id="SIGCONT"),
        pytest.param([("pause", None), ("unpause", None)], [(1, "container paused"), (2, "container unpaused")]),
        pytest.param(
            [("oom", None), ("die", 137)], [(2, "container killed: cause=memory exit_code=137")], id="memory"
        ),
        pytest.param([("start", None)], [], id="the first start"),
        pytest.param([("start", None), ("die", 1), ("start", None)],
                     [(2, "container ended: exit_code=1"), (3, "container started")], id="the second start"),
        pytest.param([("die", None)], [(1, "container ended")], id="no code"),
    ],
)  # fmt: skip
def test_dockers_events_become_what_was_done(
    events: list[tuple[str, int | None]], acts: list[tuple[float, str]]
) -> None:
    read_acts = acts_of([told(second, *event) for second, event in enumerate(events, 1)], [])
    assert said(read_acts) == acts


@pytest.mark.parametrize(
    ("container_life", "acts"),
    [
        (life(0, None), []),
        (life(0, 9, 137), [(9, "container killed: exit_code=137")]),
        (life(0, 9, 137, starved=True), [(9, "container killed: cause=memory exit_code=137")]),
        (life(0, 9, 1), [(9, "container ended: exit_code=1")]),
        (life(12, 9), [(9, "container ended"), (12, "container started")]),
    ],
)
def test_what_no_event_tells_any_more_a_container_does(container_life: Life, acts: list[tuple[float, str]]) -> None:
    assert said(acts_of([], [container_life])) == acts


def test_two_sources_of_one_act_are_told_once() -> None:
    events = [told(8.9, "kill", 9), told(9.1, "die", 137), told(12.1, "start")]
    expected = [(8.9, "container killed: signal=9"), (12.1, "container started")]
    assert said(acts_of(events, [life(12, 9)])) == expected
    assert said(acts_of(events[-1:], [life(12, 9)])) == [(9, "container ended"), (12.1, "container started")]
    assert said(acts_of(events[:-1], [life(12, 9)])) == [(8.9, "container killed: signal=9"), (12, "container started")]


@example([("kill", 15), ("pause", None), ("die", None)])
@given(st.lists(st.tuples(st.sampled_from(sorted(DISTURBED)), st.sampled_from([None, 0, 1, 9, 15, 18, 19, 137]))))
def test_whatever_events_there_are_acts_alternate_and_every_one_is_understood(
    events: list[tuple[str, int | None]],
) -> None:
    acts = acts_of([told(second, *event) for second, event in enumerate(events)], [])
    ends = {"container killed", "container stopped", "container ended"}
    heads = [act.message.partition(":")[0] for act in acts]
    assert all(heads[two - 1] not in ends or heads[two] == "container started" for two in range(1, len(heads)))
    for act in acts:
        event = source.act_of(act.line)
        assert event.event.replace("_", " ") == act.message.partition(":")[0]
        assert (event.time, event.level, event.module, event.line_no) == (act.time, None, log_notes.DOCKER, 0)
        assert phrase(event)


# -- out of an engine, beside logs ---------------------------------------------------------------------------------


def event(second: float, action: str, **attributes: str) -> dict[str, Any]:
    nanoseconds = int(at(second).timestamp() * 1_000_000_000)
    return {"Action": action, "Actor": {"ID": ID, "Attributes": attributes}, "timeNano": nanoseconds}


def engine(**changed: Any) -> Client:
    return cast("Client", stand_in.FakeEngine(stand_in.lab("ada"), **changed))


def lab_of(client: Client) -> Any:
    return labs_from(client.containers(filters={}), "local")[0]


def log(second: float, text: str) -> bytes:
    return f"{at(second).isoformat().removesuffix('+00:00')}Z {text}\n".encode()


LOGS = {
    "ada-consul1": [
        (0, log(0, "[INFO]  agent.server.raft: entering leader state: leader=x")),
        (0, log(9, "[INFO]  agent.server.raft: initial configuration: index=1 servers=[]")),
    ],
    "ada-consul2": [(0, log(6, '[INFO]  agent.server.raft: entering leader state: leader="Node at 10.0.0.3:8300"'))],
    "ada-consul3": [],
}


def test_hostile_and_foreign_events_are_left_out() -> None:
    odd: list[dict[str, Any]] = [
        {}, {"Actor": None}, {"Actor": {"ID": "somebody"}, "timeNano": 5, "Action": "kill"},
        {"Actor": {"ID": ID}, "timeNano": "5", "Action": "kill"}, event(1, "exec_create: sh"),
        event(2, "kill", signal="\u0669"), event(3, "kill", signal="9" * 5000), event(4, "kill"),
    ]  # fmt: skip
    client = engine(events=odd, states={ID: {"StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": 7, "ExitCode": "x"}})
    assert container_acts.so_far(client, lab_of(client)) == []


def test_what_was_done_stands_between_the_lines_for_the_servers_that_are_asked_for() -> None:
    client = engine(streams=LOGS, events=[event(4, "kill", signal="9"), event(4.1, "die", exitCode="137")])
    lab = lab_of(client)
    lines = list(container_acts.read(client, lab, lab.servers))
    assert [line.of_docker for line in lines] == [False, True, False, False]
    assert [line.taken for line in lines] == sorted(line.taken for line in lines)
    assert not any(line.of_docker for line in container_acts.read(client, lab, lab.servers[1:]))
    # Of the last lines only, what was done before them is left out.
    assert not [line for line in container_acts.beside([], [lines[1]], lab.servers, whole=False) if line]
    assert cast("Any", client).filters[0]["label"] == ["raft-labctl.lab=ada"]


def test_a_leader_that_docker_killed_led_until_then() -> None:
    client = engine(streams=LOGS, events=[event(4, "kill", signal="9"), event(4.1, "die", exitCode="137")])
    story = collect(source.source([], connect=lambda: client).records())
    assert [of_leadership(leadership) for leadership in story.leaders] == [
        "consul1 led for about 4 s, until it was killed.",
        "consul2 leads after about 2 s without a leader.",
    ]
    killed = next(event for event in story.events if event.event == "container_killed")
    assert (phrase(killed), killed.line_no) == ("is killed", 0)
    assert [event.line_no for event in story.events if event.server == NAME and event.line_no] == [1, 2]


def test_every_end_of_a_leadership_has_words_wherever_it_is_told() -> None:
    assert set(get_args(EndedBy)) == set(summary_sentences.ENDS) == set(incident_sentences.WHY)


def test_what_is_done_while_a_lab_is_followed_is_told_at_once() -> None:
    client = engine(
        streams={key: [*lines, (0.6, b"")] for key, lines in LOGS.items()},
        events=[event(4, "pause")],
        events_later=[(0, event(4, "pause")), (0.1, event(8, "unpause"))],
    )
    lab = lab_of(client)
    lines = container_acts.follow(client, lab, lab.servers)
    acts = [line for line in lines if line is not None and line.of_docker]
    assert [line.text.partition(": ")[2] for line in acts] == ["container paused", "container unpaused"]


def test_what_is_done_after_the_hosts_clock_was_set_back_is_told_too() -> None:
    client = engine(
        streams={key: [*lines, (0.6, b"")] for key, lines in LOGS.items()},
        events=[event(4, "pause")],
        events_later=[(0, event(4, "pause")), (0.1, event(1, "unpause"))],
    )
    lab = lab_of(client)
    lines = container_acts.follow(client, lab, lab.servers)
    acts = [line for line in lines if line is not None and line.of_docker]
    assert [line.text.partition(": ")[2] for line in acts] == ["container paused", "container unpaused"]


# -- what labctl did itself ----------------------------------------------------------------------------------------


def lines_of(*lines: tuple[float, str] | LogLine) -> list[LogLine]:
    return [
        line
        if not isinstance(line, tuple)
        else LogLine(NAME, f"{at(line[0]).isoformat().removesuffix('+00:00')}.000000000Z", line[1])
        for line in lines
    ]


def act(second: float, message: str) -> LogLine:
    return container_acts.Act(NAME, at(second), message).line


@pytest.mark.parametrize(
    ("verb", "done", "back", "how"),
    [
        ("kill", "container killed: signal=9", "container started", "killed"),
        ("stop", "container stopped: signal=15 exit_code=1", "container started", "stopped"),
        ("pause", "container paused", "container unpaused", "frozen"),
    ],
)
def test_what_labctl_did_is_told_as_of_when_docker_did_it(verb: str, done: str, back: str, how: str) -> None:
    client = engine()
    began = log_notes.began(at(4), "ab12", f"{verb} {NAME}", [NAME], None)
    ended = log_notes.ended(at(8), "ab12", [NAME])
    lines = lines_of(
        (0, "2026-11-24T12:00:00.000Z [INFO]  agent.server.raft: entering leader state"), (4, began),
        act(4.25, done), act(7.5, back), (8, ended),
    )  # fmt: skip
    at_six = {name: getattr(lines[0], name).replace("12:00:00", "12:00:06") for name in ("taken", "text")}
    other = replace(lines[0], server="consul2", **at_six)
    lines.insert(3, other)
    story = collect(source.of_lines(lab_of(client), lines).records())
    words = [phrase(event) for event in story.events]
    assert [word for word in words if word] == [
        "is the leader",
        f"is about to be {how} on purpose", f"is {how}",
        "is the leader", "goes on" if verb == "pause" else "is started",
    ]  # fmt: skip
    first, second = story.leaders
    assert of_leadership(first).startswith("consul1 led for 4.25 s") or "4.2 s" in of_leadership(first)
    assert how in of_leadership(first)
    (fault,) = story.faults
    assert fault.since == first.until
    assert second.without_leader == 1.75


def test_what_docker_does_long_after_a_fault_of_labctl_is_its_own() -> None:
    began = log_notes.began(at(0), "ab12", f"kill {NAME}", [NAME], None)
    lines = lines_of((0, began), act(0.1, "container killed: signal=9"), act(5, "container started"))
    lines += lines_of(act(6, "container killed: signal=9"))
    story = collect(source.of_lines(lab_of(engine()), lines).records())
    assert [phrase(event) for event in story.events] == [
        "is about to be killed on purpose", "is killed", "is started", "is killed",
    ]  # fmt: skip


def test_a_line_of_a_bundle_is_the_same_event() -> None:
    line = act(4, "container killed: signal=9")
    event = read_line(line.text, server=NAME, line_no=3)
    assert event is not None
    assert (event.event, event.module) == ("container_killed", log_notes.DOCKER)


@pytest.mark.parametrize(
    ("halt", "back"), [("container paused", "container unpaused"), ("container killed: signal=9", "container started")]
)
def test_what_a_server_answers_when_it_runs_again_met_nobody_who_stood_meanwhile(halt: str, back: str) -> None:
    """The network keeps a request, so the answer comes when that election is long decided."""

    def line(second: float, server: str, text: str) -> LogLine:
        stamp = at(second).isoformat(timespec="microseconds").removesuffix("+00:00")
        return LogLine(server, f"{stamp}000Z", f"{stamp[:-3]}Z [INFO]  agent.server.raft: {text}")

    lines = [
        line(0, "consul3", "entering leader state"),
        replace(act(1, halt), server="consul3"),
        line(2, "consul1", 'entering candidate state: node="Node at 10.213.0.2:8300 [Candidate]" term=3'),
        line(2.1, "consul1", "votes: needed=2"),
        line(2.2, "consul1", 'entering follower state: follower="Node at 10.213.0.2:8300 [Follower]" leader='),
        replace(act(3, back), server="consul3"),
        line(
            3.1, "consul3", "rejecting vote request since we have a leader: from=10.213.0.2:8300 leader=10.213.0.3:8300"
        ),
    ]
    story = collect(source.of_lines(lab_of(engine()), lines).records())
    assert [(election.candidate, election.refusals) for election in story.elections] == [("consul1", [])]
    lines.pop(1)
    story = collect(source.of_lines(lab_of(engine()), lines).records())
    assert [election.refusals[0].server for election in story.elections] == ["consul3"]
