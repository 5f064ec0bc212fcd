"""What nc and consul say, read as an outcome."""

from __future__ import annotations

import pytest

from labctl.isolation.attempts import Attempt, Join
from labctl.isolation.outcomes import Evidence, Outcome, identified, joined, joined_by_api, outcome_of, read, to_ask

ONE = Attempt("server", "local", "b", "consul1", "10.0.0.2", 8300)
TWO = Attempt("engine", "local", "", "", "169.254.169.254", 80)
YES = "Connection to {} {} port [tcp/*] succeeded!"


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("Connection to 10.0.0.2 8300 port [tcp/*] succeeded!", Outcome.CONNECTED),
        ("nc: connect to 10.0.0.2 port 85 (tcp) failed: Connection refused", Outcome.REFUSED),
        ("nc: connect to 10.0.0.2 port 8300 (tcp) timed out: Operation now in progress", Outcome.NO_ANSWER),
        ("nc: connect to 10.0.0.2 port 8300 (tcp) failed: No route to host", Outcome.UNREACHABLE),
        ("nc: connect to 10.0.0.2 port 8300 (tcp) failed: Network is unreachable", Outcome.UNREACHABLE),
        ('nc: getaddrinfo for host "x" port 2375: Name or service not known', Outcome.UNREACHABLE),
        ("sh: 1: nc: not found", Outcome.UNKNOWN),
        ("nc: invalid option -- 'n'", Outcome.UNKNOWN),
        ("", Outcome.UNKNOWN),
    ],
)
def test_what_nc_says_is_told_apart(said: str, outcome: Outcome) -> None:
    assert outcome_of(said) is outcome


def test_a_try_without_a_line_is_unknown_and_never_refused() -> None:
    outcomes = read([ONE, TWO], "10.0.0.2:8300 nc: connect to 10.0.0.2 port 8300 (tcp) failed: Connection refused\n")
    assert [attempt.outcome for attempt in outcomes] == [Outcome.REFUSED, Outcome.UNKNOWN]


def test_what_connected_is_asked_and_an_address_that_nobody_has_beside_it() -> None:
    tried = read([ONE, TWO], f"10.0.0.2:8300 {YES}\n169.254.169.254:80 timed out\n")
    assert to_ask(tried) == ["10.0.0.2:8300", "198.51.100.1:8300"]
    assert to_ask(read([ONE], "10.0.0.2:8300 timed out\n")) == []


PROXY = "HTTP/1.0 426 Upgrade Required"
DECOYS = f"198.51.100.1:8300 {YES}\n198.51.100.1:80 {YES}\n"
AGAIN = f"10.0.0.2:8300 {YES}\n169.254.169.254:80 {YES}\n"


def identified_as(said: str, seen: bool | None, *, decoys: str = DECOYS, again: str = AGAIN) -> list[Outcome]:
    """The outcomes of a connection to a server and of one to the engine."""
    tried = read([ONE, TWO], f"10.0.0.2:8300 {YES}\n169.254.169.254:80 {YES}\n")
    return [attempt.outcome for attempt in identified(tried, Evidence(decoys, said, again, {ONE: seen}))]


def answered(server: str, engine: str) -> str:
    return f"10.0.0.2:8300 {server}\n198.51.100.1:8300 {PROXY}\n169.254.169.254:80 {engine}\n198.51.100.1:80 {PROXY}\n"


@pytest.mark.parametrize("answer", ["", PROXY, "HTTP/1.0 200 OK"])
def test_what_the_server_itself_saw_is_a_crossing_whatever_else_takes_connections(answer: str) -> None:
    assert identified_as(answered(answer, PROXY), True) == [Outcome.CONNECTED, Outcome.DECOY]


def test_who_answers_with_the_labs_own_name_is_the_one_that_was_meant() -> None:
    named = answered('HTTP/1.0 200 OK   ["b"]', '["b"]')
    assert identified_as(named, None) == [Outcome.CONNECTED] * 2
    assert identified_as(named.replace('["b"]', '["c"]'), False)[0] is Outcome.DECOY


@pytest.mark.parametrize("seen", [None, False])
def test_a_connection_that_nobodys_address_gets_too_with_the_same_answer_is_no_crossing(seen: bool | None) -> None:
    assert identified_as(answered(PROXY, PROXY), seen) == [Outcome.DECOY] * 2


def test_silence_beside_something_that_takes_every_connection_tells_nothing() -> None:
    assert identified_as(answered("", ""), None) == [Outcome.UNKNOWN] * 2
    assert identified_as("", None) == [Outcome.DECOY] * 2, "nobody says anything: both are the same"


def test_what_connects_once_and_not_again_is_a_moment() -> None:
    late = "10.0.0.2:8300 nc: connect to 10.0.0.2 port 8300 (tcp) timed out: Operation now in progress\n"
    assert identified_as(answered("", "HTTP/1.0 404"), False, again=late) == [Outcome.MOMENTARY] * 2
    assert identified_as(answered("", ""), True, again=late)[0] is Outcome.CONNECTED


def test_where_nobodys_address_does_not_answer_every_connection_is_a_crossing_that_no_server_denies() -> None:
    decoys = "198.51.100.1:8300 timed out\n198.51.100.1:80 No route to host\n"
    assert identified_as("", None, decoys=decoys) == [Outcome.CONNECTED] * 2
    assert identified_as("", False, decoys=decoys)[0] is Outcome.DECOY


JOINS = [Join("consul1", "local", name, "consul1", f"10.0.{number}.2") for number, name in enumerate("bc")]
TIMED_OUT = (
    "Error joining address '10.0.0.2': Unexpected response code: 500 (1 error occurred:\n"
    "\t* Failed to join 10.0.0.2: dial tcp 10.0.0.2:8301: i/o timeout\n\n)\n"
)


def test_a_join_that_reached_one_of_two_exits_0_and_is_told_by_address() -> None:
    outcomes = joined(JOINS, 0, TIMED_OUT + "Successfully joined cluster by contacting 1 nodes.\n")
    assert [join.outcome for join in outcomes] == [Outcome.NO_ANSWER, Outcome.CONNECTED]


def test_joins_that_all_fail_say_why() -> None:
    said = TIMED_OUT + TIMED_OUT.replace("10.0.0.2", "10.0.1.2").replace("i/o timeout", "connect: connection refused")
    outcomes = joined(JOINS, 1, said + "Failed to join any nodes.\n")
    assert [join.outcome for join in outcomes] == [Outcome.NO_ANSWER, Outcome.REFUSED]
    assert "dial tcp 10.0.0.2:8301: i/o timeout" in outcomes[0].said


def test_an_old_consul_that_names_no_address_was_refused_all_of_them() -> None:
    said = "Error joining the cluster: dial tcp 10.0.0.2:8301: i/o timeout\n"
    assert [join.outcome for join in joined(JOINS, 1, said)] == [Outcome.NO_ANSWER] * 2


NO_AGENT = (
    "Error joining address '10.0.0.2': Put \"http://127.0.0.1:8500/v1/agent/join/10.0.0.2\": "
    "dial tcp 127.0.0.1:8500: connect: connection refused\nFailed to join any nodes.\n"
)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, NO_AGENT),
        (137, ""),
        (126, "OCI runtime exec failed: exec failed: unable to start container process\n"),
    ],
)
def test_a_command_that_could_not_ask_its_own_agent_proves_nothing(code: int, said: str) -> None:
    assert joined(JOINS[:1], code, said)[0].outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("", Outcome.CONNECTED),
        ("HTTP 500: 1 error occurred: * Failed to join 10.0.0.2: dial tcp: i/o timeout", Outcome.NO_ANSWER),
        ("HTTP 403: Permission denied", Outcome.REFUSED),
        ("[Errno 111] Connection refused", Outcome.UNKNOWN),
    ],
)
def test_what_the_http_api_says_of_a_join_is_told_apart(said: str, outcome: Outcome) -> None:
    assert joined_by_api(JOINS[0], said).outcome is outcome
