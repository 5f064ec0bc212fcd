"""A line taken apart, whatever stands in front of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from labctl.raft.log_line import REPEATED, Envelope, clean, open_envelope
from tests.unit.raft.logs import WORDINGS

TEXT = 'entering candidate state: node="Node at 10.0.0.2:8300 [Candidate]" term=2'
MOMENT = datetime(2021, 1, 24, 0, 2, 16, 691000, UTC)


def opened(line: str) -> Envelope:
    envelope = open_envelope(line)
    assert envelope is not None
    return envelope


def test_the_envelope_since_consul_1_7() -> None:
    assert opened(f"    2021-01-24T00:02:16.691Z [WARN]  agent.server.raft: {TEXT}") == Envelope(
        time=MOMENT,
        level="warn",
        module="agent.server.raft",
        message="entering candidate state",
        values={"node": "Node at 10.0.0.2:8300 [Candidate]", "term": "2"},
    )


def test_the_envelope_of_2015_with_the_prefix_of_docker_compose() -> None:
    message = "Node at 172.17.0.45:8300 [Follower] entering Follower state"
    assert opened(f"consul1_1 |     2015/08/09 01:29:04 [INFO] raft: {message}") == Envelope(
        time=datetime(2015, 8, 9, 1, 29, 4, tzinfo=UTC),
        level="info",
        module="raft",
        message=message,
        source="consul1_1",
        naive=datetime(2015, 8, 9, 1, 29, 4),  # noqa: DTZ001 - that it has no zone is the point
    )


def test_a_stamp_without_an_offset_is_in_the_zone_that_the_caller_names() -> None:
    zone = timezone(timedelta(hours=9))
    envelope = open_envelope("2015/08/09 01:29:04 [ERR] consul: failed to reconcile: x", zone=zone)
    assert envelope is not None
    assert envelope.time == datetime(2015, 8, 9, 1, 29, 4, tzinfo=zone)
    assert envelope.level == "error"


def test_the_json_envelope_reads_like_the_text() -> None:
    line = (
        '{"@level":"error","@message":"failed to make requestVote RPC","@module":"agent.server.raft",'
        '"@timestamp":"2021-01-24T00:02:16.691000Z","target":{"Suffrage":0,"ID":"u3","Address":"10.0.0.4:8300"},'
        '"node":{},"term":3,"time":500032702}'
    )
    assert opened(line) == Envelope(
        time=MOMENT,
        level="error",
        module="agent.server.raft",
        message="failed to make requestVote RPC",
        values={"target": "{Voter u3 10.0.0.4:8300}", "node": "", "term": "3", "time": "500032702"},
    )


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "consul1_1 |     ",
        "lab-consul1-1  | ",
        "consul_consul.1.x1@host    | ",
        "\x1b[36mconsul1-1  | \x1b[0m",
        "2021-01-24T00:02:17.123456789Z ",
        "[pod/consul-0/consul] ",
        "[pod/consul-0/consul] 2021-01-24T00:02:17.123456789Z     ",
        "Jan 24 00:02:17 ip-10-4-73-198.example docker[3182]:     ",
        "2021-01-24T00:02:17+0000 ip-10-4-73-198 consul[1]: ",
        "00:23:06 node-3 consul[4204]:     ",
    ],
)
def test_what_others_put_in_front_changes_nothing(prefix: str) -> None:
    envelope = opened(f"{prefix}2021-01-24T00:02:16.691Z [WARN]  agent.server.raft: {TEXT}")
    assert (envelope.time, envelope.level, envelope.module) == (MOMENT, "warn", "agent.server.raft")
    assert (envelope.message, envelope.values["term"]) == ("entering candidate state", "2")


def test_dockers_own_stamp_is_better_than_one_without_an_offset() -> None:
    envelope = opened("2017-06-29T08:57:26.878138426Z     2017/06/29 10:57:26 [INFO] serf: EventMemberJoin: a 10.0.0.2")
    assert envelope.time == datetime(2017, 6, 29, 8, 57, 26, 878138, UTC)


@pytest.mark.parametrize("offset", ["Z", "+0000", "-05:00", "+0530"])
def test_every_offset_is_understood(offset: str) -> None:
    time = opened(f"2021-01-24T00:02:16.691{offset} [INFO]  raft: x").time
    minutes = {"Z": 0, "+0000": 0, "-05:00": -300, "+0530": 330}[offset]
    assert time == datetime(2021, 1, 24, 0, 2, 16, 691000, timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize("stamp", ["2021-13-24T00:02:16.691Z", "2021/02/30 00:00:00", "14:45:41.988", ""])
def test_a_stamp_that_is_no_moment_leaves_the_time_open_and_the_rest_readable(stamp: str) -> None:
    envelope = opened(f"{stamp} [WARN] agent.server.raft: x")
    assert (envelope.time, envelope.level, envelope.module, envelope.message) == (
        None,
        "warn",
        "agent.server.raft",
        "x",
    )


def test_syslog_leaves_neither_time_nor_level() -> None:
    envelope = opened("Apr 24 23:22:24 host27 consul[17203]: raft: Election timeout reached, restarting election")
    assert (envelope.time, envelope.level, envelope.module) == (None, None, "raft")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            'peer=10.0.0.2:8300 backoff time=10ms error="dial tcp <nil>->10.0.0.2:8300: refused"',
            {"backoff time": "10ms"},
        ),
        ("last-leader-addr= last-leader-id=", {"last-leader-addr": "", "last-leader-id": ""}),
        ('error="said "no" to us" term=4', {"error": 'said "no" to us', "term": "4"}),
        (r'error="said \"no\" to us" term=4', {"error": 'said "no" to us', "term": "4"}),
        ('id=u1 error="cut off in the mid', {"id": "u1", "error": "cut off in the mid"}),
        ('error="no route",', {"error": "no route"}),
        ("lan_addresses=[10.0.0.3, 10.0.0.4] n=2", {"lan_addresses": "[10.0.0.3, 10.0.0.4]", "n": "2"}),
    ],
)
def test_the_values_behind_a_message(text: str, values: dict[str, str]) -> None:
    envelope = opened(f"2021-01-24T00:02:16.691Z [ERROR] agent.server.raft: it went wrong: {text}")
    assert envelope.message == "it went wrong"
    assert values.items() <= envelope.values.items()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "# source: somewhere",
        "==> Consul agent running!",
        "           Version: '1.8.7'",
        "consul_1 |          Node name: 'a7854adf73a2'",
        "\x00\x01\x02\xff",
        "{}",
        "[]",
        '{"@message": 3}',
        '{"@message": "x"',
        "[" * 100_000,
        '{"@message":' * 50_000,
        "a word: and more",
    ],
)
def test_what_is_no_line_of_a_server_is_none(line: str) -> None:
    assert open_envelope(line) is None


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain\r\n", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a new title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\x1b[2J\x1b[Hb\x9b2Jc", "abc"),
        ("a\tb\x08\x07\x00c", "a bc"),
        ("back\rover", "backover"),
        ("a\u202eb\u2066c\u2028d", "abcd"),
        ("half\udcff", "half"),
        ("Zürich ✓", "Zürich ✓"),
    ],
)
def test_a_cleaned_line_is_safe_on_a_terminal(line: str, shown: str) -> None:
    assert clean(line) == shown


@pytest.mark.parametrize("level", ["INFO", "WARN", "WHAT"])
def test_the_usual_line_is_taken_apart_like_one_with_a_prefix(level: str) -> None:
    for said in [*WORDINGS, "a: b: c=1", "raft:  two blanks", f"agent: long={'x' * 2 * REPEATED}"]:
        line = f"2021-01-24T00:02:16.691Z [{level}]  {said}"
        prefixed = open_envelope(f"consul1 | {line}")
        assert open_envelope(line) == (prefixed._replace(source=None) if prefixed else None), line


NEAR = datetime(2015, 8, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "near", "time"),
    [
        ("Aug  9 01:29:04 h consul[12]: raft: x", NEAR, "2015-08-09T01:29:04+00:00"),
        ("Dec 31 23:59:59 h consul[12]: raft: x", datetime(2016, 1, 1, tzinfo=UTC), "2015-12-31T23:59:59+00:00"),
        ("Feb 29 10:00:00 h consul[12]: raft: x", datetime(2016, 3, 1, tzinfo=UTC), "2016-02-29T10:00:00+00:00"),
        ("Feb 29 10:00:00 h consul[12]: raft: x", datetime(2022, 3, 1, tzinfo=UTC), None),
        ("Xyz 12 10:00:00 h consul[12]: raft: x", NEAR, None),
        ("Aug  0 10:00:00 h consul[12]: raft: x", NEAR, None),
        ("Aug  9 25:00:00 h consul[12]: raft: x", NEAR, None),
        ("Aug  9 01:29:04 h consul[12]: raft: x", None, None),
        ("Aug  9 01:29:04 h consul[12]:     2014/01/02 03:04:05 [INFO] raft: x", NEAR, "2014-01-02T03:04:05+00:00"),
        ("23:59:58 h consul[12]: raft: x", datetime(2015, 8, 10, 0, 0, 3, tzinfo=UTC), "2015-08-09T23:59:58+00:00"),
        ("00:00:01 [INFO] raft: x", datetime(2015, 8, 9, 23, 59, tzinfo=UTC), "2015-08-10T00:00:01+00:00"),
        ("00:00:01.250 [INFO] raft: x", NEAR, "2015-08-10T00:00:01.250000+00:00"),
        ("Jan  1 00:00:01 h consul[1]: raft: x", datetime.max.replace(tzinfo=UTC), "9999-01-01T00:00:01+00:00"),
        ("00:00:01 [INFO] raft: x", datetime.min.replace(tzinfo=UTC), None),
    ],
)
def test_a_stamp_without_a_year_or_a_date_is_the_one_that_is_nearest(
    line: str, near: datetime | None, time: str | None
) -> None:
    envelope = open_envelope(line, near=near)
    assert envelope is not None
    assert (envelope.time.isoformat() if envelope.time else None) == time


@pytest.mark.parametrize(
    ("line", "source", "host"),
    [
        ("Aug  9 01:29:04 node-7 consul[12]: raft: x", None, "node-7"),
        ("node-7 consul[12]: raft: x", None, "node-7"),
        ("2021-01-24T00:02:16+0000 node-7 consul[12]: [INFO] raft: x", None, "node-7"),
        ("consul1_1 | Aug  9 01:29:04 node-7 consul[12]: raft: x", "consul1_1", "node-7"),
        ("[pod/consul-server-2/consul] 2021-01-24T00:02:16Z [INFO] raft: x", "consul-server-2", None),
        ('[pod/consul-0/consul] {"@level":"info","@message":"x","@module":"raft"}', "consul-0", None),
        ("2021-01-24T00:02:16Z [INFO] raft: x", None, None),
    ],
)
def test_what_stands_in_front_says_whose_line_it_is(line: str, source: str | None, host: str | None) -> None:
    envelope = opened(line)
    assert (envelope.source, envelope.host) == (source, host)
