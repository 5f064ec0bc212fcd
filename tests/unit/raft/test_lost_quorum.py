"""Why a quorum was lost: who was gone, by what, and how many were left; and nothing where that is not known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from labctl.raft import log_notes
from labctl.raft.incident_sentences import of_incident
from tests.unit.raft.lines import BEGIN, LEADS, told
from tests.unit.raft.logs import recorded
from tests.unit.raft.logs import told as told_of

MEMBERS = " ".join(f"{{Suffrage:Voter ID:10.0.0.{number}:8300 Address:10.0.0.{number}:8300}}" for number in (1, 2, 3))
VOTERS = (0.1, "consul1", f'[INFO]  agent.server.raft: initial configuration: index=1 servers="[{MEMBERS}]"')
LEADS_LATER = (0.2, *LEADS[1:])
UNHEARD = "[WARN]  agent.server.raft: failed to contact: server-id=10.0.0.{}:8300 time=501ms"
GIVES_UP = (6.0, "consul1", "[WARN]  agent.server.raft: failed to contact quorum of nodes, stepping down")
GAVE_UP = "consul1, the previous leader, could not reach a majority"


def docker(second: float, server: str, did: str) -> tuple[float, str, str]:
    return (second, server, f"[INFO]  labctl.docker: container {did}")


def fault(second: float, servers: str, what: str) -> list[tuple[float, str, str]]:
    line = log_notes.began(BEGIN + timedelta(seconds=second), "ab", what, servers.split(","), 60).partition(" ")[2]
    return [(second, server, line) for server in servers.split(",")]


def why(*lines: tuple[float, str, str]) -> str:
    """What is said behind that the leader gave up."""
    story = told(VOTERS, LEADS_LATER, *sorted(lines), GIVES_UP)
    (said,) = (of_incident(incident) for incident in story.incidents if incident.kind == "no_leader")
    return said.partition(GAVE_UP)[2].partition("gave up. ")[2]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(
            [docker(5.0, "consul2", "killed: signal=9"), docker(5.0, "consul3", "killed: signal=9")],
            "consul2 and consul3 were killed at 12:00:05, as Docker says, so 1 of 3 voters was left and 2 are needed.",
            id="killed",
        ),
        pytest.param(
            fault(5.0, "consul2,consul3", "kill consul2,consul3"),
            "consul2 and consul3 were killed by labctl at 12:00:05, so 1 of 3 voters was left and 2 are needed.",
            id="killed by labctl",
        ),
        pytest.param(
            [docker(3.0, "consul2", "stopped: signal=15"), docker(5.0, "consul3", "paused")],
            "consul2 was stopped at 12:00:03, as Docker says; consul3 was frozen at 12:00:05, as Docker says, "
            "so 1 of 3 voters was left and 2 are needed.",
            id="one after the other",
        ),
        pytest.param(
            [(4.0, server, "[INFO]  agent.server: shutting down server") for server in ("consul2", "consul3")],
            "consul2 and consul3 shut down at 12:00:04, so 1 of 3 voters was left and 2 are needed.",
            id="by their own words",
        ),
        pytest.param(
            fault(5.0, "consul1", "isolate consul1"),
            "labctl cut it off from consul2 and consul3 at 12:00:05 (isolate consul1), "
            "so it reached 1 of 3 voters, itself included, and 2 are needed.",
            id="cut off",
        ),
        pytest.param(
            [docker(5.0, "consul2", "killed: signal=9"), *fault(5.5, "consul3", "isolate consul3")],
            "consul2 was killed at 12:00:05, as Docker says; labctl cut it off from consul3 at 12:00:05 "
            "(isolate consul3), so it reached 1 of 3 voters, itself included, and 2 are needed.",
            id="both",
        ),
    ],
)
def test_what_took_the_majority_is_told(lines: list[tuple[float, str, str]], said: str) -> None:
    assert why(*lines) == said


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([docker(5.0, "consul2", "killed: signal=9")], id="one of three"),
        pytest.param([docker(1.0, "consul2", "killed: signal=9"), docker(2.0, "consul2", "started"),
                      docker(5.0, "consul3", "killed: signal=9")], id="one of them runs again"),
        pytest.param([docker(7.0, "consul2", "killed: signal=9"), docker(7.0, "consul3", "killed: signal=9")][:0],
                     id="nothing was done"),
    ],
)  # fmt: skip
def test_what_does_not_explain_it_is_no_reason(lines: list[tuple[float, str, str]]) -> None:
    unheard = [(5.9, "consul1", UNHEARD.format(number)) for number in (2, 3)]
    assert why(*lines, *unheard) == "It had no answer from consul2 and consul3."
    assert why(*lines) == ""


def test_of_voters_that_no_line_names_nobody_says_how_many_were_left() -> None:
    story = told(LEADS, docker(5.0, "consul2", "killed"), docker(5.0, "consul3", "killed"), GIVES_UP)
    assert "were needed" not in "".join(map(of_incident, story.incidents))
    assert all(incident.quorum is None for incident in story.incidents)


def test_of_real_servers_each_reason_has_its_line() -> None:
    story, _ = told_of(recorded("lost-quorum"))
    (incident,) = (incident for incident in story.incidents if incident.kind == "no_leader")
    assert incident.quorum is not None
    assert (incident.quorum.left, incident.quorum.voters, incident.quorum.needed) == (1, 3, 2)
    assert [(gone.server, gone.how, gone.by) for gone in incident.quorum.gone] == [
        ("consul1", "killed", "labctl"), ("consul3", "killed", "labctl"),
    ]  # fmt: skip
    assert {str(gone.evidence) for gone in incident.quorum.gone} == {"consul1:67", "consul3:61"}
    assert all(gone.evidence in incident.evidence for gone in incident.quorum.gone)


def test_a_leader_that_was_lost_with_another_one_leaves_too_few() -> None:
    lines = [docker(5.0, "consul1", "killed: signal=9"), docker(5.0, "consul2", "killed: signal=9")]
    story = told(VOTERS, LEADS_LATER, *lines)
    (incident,) = (incident for incident in story.incidents if incident.kind == "no_leader")
    assert "consul1 and consul2 were killed at 12:00:05, as Docker says, so 1 of 3 voters was left" in of_incident(
        incident
    )


def test_who_is_lost_while_nobody_leads_is_told_too() -> None:
    stood = '[INFO]  agent.server.raft: entering candidate state: node="Node at 10.0.0.3:8300 [Candidate]" term=3'
    lines = [docker(5.0, "consul1", "killed: signal=9"), docker(6.0, "consul2", "killed: signal=9")]
    story = told(VOTERS, LEADS_LATER, *lines, (7.0, "consul3", stood))
    (incident,) = (incident for incident in story.incidents if incident.kind == "no_leader")
    done = "consul1 was killed at 12:00:05, as Docker says; consul2 was killed at 12:00:06, as Docker says,"
    assert f"{done} so 1 of 3 voters was left and 2 are needed." in of_incident(incident)
