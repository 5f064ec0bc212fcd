"""Whatever carried the lines of a log, they are the same events."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.raft.event import OTHER, Event
from labctl.raft.log_line import open_envelope
from labctl.raft.prefilter import likely_lines
from labctl.raft.reader import read_line
from tests.unit.raft.envelopes import CARRIERS, Carrier
from tests.unit.raft.logs import SAMPLES

MODERN = (SAMPLES / "consul-1.21" / "consul1.log").read_text(encoding="utf-8").splitlines()
JSON = (SAMPLES / "consul-1.14-json" / "consul1.log").read_text(encoding="utf-8").splitlines()
# Its stamps have no zone.
OLD = (SAMPLES / "consul-1.6" / "consul1.log").read_text(encoding="utf-8").splitlines()
NEAR = datetime(2021, 1, 24, tzinfo=UTC)


def said(event: Event | None) -> tuple[object, ...] | None:
    """What an event says, whatever carried it."""
    if event is None:
        return None
    return (event.time, event.event, event.term, event.peer, event.level, event.module, dict(event.values))


def read(line: str) -> Event | None:
    return read_line(line, server="s", line_no=1, near=NEAR)


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("log", [MODERN, JSON], ids=["text", "JSON"])
def test_what_carries_a_line_changes_nothing(name: str, log: list[str]) -> None:
    wrong = [line for line in log if said(read(CARRIERS[name].wrap(line))) != said(read(line))]
    assert wrong == []


@pytest.mark.parametrize("name", CARRIERS)
def test_a_stamp_without_a_zone_is_kept_beside_the_carriers(name: str) -> None:
    for line in OLD:
        bare, carried = open_envelope(line, near=NEAR), open_envelope(CARRIERS[name].wrap(line), near=NEAR)
        assert bare is not None
        assert carried is not None, line
        assert carried[1:5] == bare[1:5]
        assert carried.naive == bare.naive
        assert carried.time in {bare.time, carried.carried}


@pytest.mark.parametrize("name", CARRIERS)
def test_a_front_says_whose_line_it_is_or_nothing(name: str) -> None:
    carrier = CARRIERS[name]
    for line in MODERN[:20]:
        envelope = open_envelope(carrier.wrap(line), near=NEAR)
        assert envelope is not None
        assert (envelope.source, envelope.host) == (carrier.source, carrier.host)


@pytest.mark.parametrize("name", CARRIERS)
def test_the_quick_look_keeps_a_line_whatever_carries_it(name: str) -> None:
    data = "".join(f"{CARRIERS[name].wrap(line)}\n" for line in MODERN).encode()
    kept = list(likely_lines([data]))
    events = [event for number, raw in kept if (event := read(raw.decode())) is not None and event.event != OTHER]
    assert len(events) == sum(event is not None and event.event != OTHER for event in map(read, MODERN))


LEVELLESS = [
    carrier for name, carrier in CARRIERS.items()
    if carrier.host and re.match(r"journald|RFC|rsyslog", name) and "{" not in carrier.wrap("")
]  # fmt: skip


@pytest.mark.parametrize("carrier", LEVELLESS, ids=lambda carrier_: carrier_.wrap(""))
def test_syslog_takes_stamp_and_level_away(carrier: Carrier) -> None:
    for core in ("raft: Election won. Tally: 2", "agent.server.raft: election won: tally=2"):
        event = read(carrier.wrap(core))
        assert event is not None
        assert event.event != OTHER, carrier.wrap(core)


# A part of a document is not looked into as deep as a document.
PARTS = {"journald json-pretty", "pretty JSON", "pretty JSON in JSON", "logrus logfmt", "Datadog CSV", "code in a list"}
PARTS |= {"an R string"}
WHOLE = [carrier for name, carrier in CARRIERS.items() if name not in PARTS]


@given(st.sampled_from(list(CARRIERS.values())), st.sampled_from(WHOLE), st.sampled_from([*MODERN, *JSON]))
def test_an_envelope_in_an_envelope_changes_nothing(inner: Carrier, outer: Carrier, line: str) -> None:
    wrapped = outer.wrap(inner.wrap(line))
    assert said(read(wrapped)) == said(read(line)), wrapped


@pytest.mark.parametrize(
    ("line", "module", "message"),
    [
        ("2021-01-24T00:02:16.691Z [WARN]  raft/raft.go:214: nomad.raft: x", "nomad.raft", "x"),
        ("2021-01-24 00:02:16.691 [WARN]  agent.server.raft: x", "agent.server.raft", "x"),
        ("2021-01-24T00:02:16,691 [WARN]  agent.server.raft: x", "agent.server.raft", "x"),
        ("2021-01-24 00:02:16.691 +0000 UTC [WARN] agent.server.raft: x", "agent.server.raft", "x"),
        ("[2021-01-24T00:02:16.691Z] [WARN] agent.server.raft: x", "agent.server.raft", "x"),
        ('time="x" level=warn msg="raft: x"', "raft", "x"),
        ('{"level":"warn","ts":"2021-01-24T00:02:16.691Z","logger":"raft","msg":"x"}', "raft", "x"),
        ('{"@level":"warn","@message":"x","@module":"agent.server.raft","@timest', None, None),
    ],
)  # fmt: skip
def test_other_cores(line: str, module: str | None, message: str | None) -> None:
    envelope = open_envelope(line)
    assert (envelope and envelope.module, envelope and envelope.message) == (module, message)
    if envelope is not None:
        assert envelope.level == "warn" or "msg=" in line
        assert envelope.time is None or envelope.time.isoformat() == "2021-01-24T00:02:16.691000+00:00"


QUOTING = ["journald json-pretty", "pretty JSON", "logrus logfmt", "Datadog CSV"]
QUOTED = ["RFC 5424 with data", "logcli", "code in a list", "an R string"]
PAIRS = [(inner, outer) for inner in QUOTED for outer in QUOTING]
PAIRS += [(inner, outer) for inner in QUOTED[2:] for outer in QUOTED[2:]]


@pytest.mark.parametrize(("inner", "outer"), PAIRS)
def test_what_is_quoted_in_a_quotation_keeps_its_quoted_values(inner: str, outer: str) -> None:
    for line in MODERN:
        wrapped = CARRIERS[outer].wrap(CARRIERS[inner].wrap(line))
        assert said(read(wrapped)) == said(read(line)), wrapped


@pytest.mark.parametrize(
    "form", ["<span class='line'>{}</span><br/>", "<li><code>{}</code></li>", "| `{}` |", "{}```", "| 12 | {}"]
)
def test_what_closes_a_line_is_none_of_its_words(form: str) -> None:
    for line in MODERN:
        assert said(read(form.format(line))) == said(read(line))


def test_the_number_of_a_row_names_no_server() -> None:
    envelope = open_envelope(f"| 12 | {MODERN[0]}")
    assert envelope is not None
    assert envelope.source is None


def test_a_member_of_a_document_names_no_server() -> None:
    envelope = open_envelope(f"textPayload: '{MODERN[0]}'")
    assert envelope is not None
    assert (envelope.source, envelope.host) == (None, None)


# Words of which nobody knows what they are: in front of others, none of them names a server.
WORDS = {"stern", "stern -A", "stern -t", "supervisord", "GitHub Actions", "zap", "logcli without labels", "logcli"}
WORDS |= {"an ID of each request", "a container's ID", "a host", "a host with a colon", "aws logs tail", "vagrant"}
WORDS |= {"vagrant's output", "Kibana's table", "a row of a table", "a numbered list", "grep -n", "logrus logfmt"}
# "consul1.log-123-consul1 |" is one word, and a tab in front of a part of a document is as good as a blank.
TOGETHER = {"grep -Hn of what stands beside", "journald json-pretty"}
# Here is a part of a part of a document, and a zone's name behind what is no stamp any more.
LOST = {("pretty JSON", "Datadog CSV"), ("an R string", "Cloud Logging's table")}
KNOWN = [name for name in CARRIERS if name not in WORDS | TOGETHER]
CORE = MODERN[next(at for at, text in enumerate(MODERN) if "entering candidate state" in text)]


@pytest.mark.parametrize("outer", KNOWN)
def test_what_names_a_server_does_so_in_whatever_carries_it(outer: str) -> None:
    wrong = []
    for inner in KNOWN:
        carrier, other = CARRIERS[outer], CARRIERS[inner]
        envelope = open_envelope(carrier.wrap(other.wrap(CORE)), near=NEAR)
        assert envelope is not None
        names: set[str | None] = {name for name in (carrier.source, carrier.host, other.source, other.host) if name}
        if (outer, inner) not in LOST and (envelope.source or envelope.host) not in (names or {None}):
            wrong.append((inner, envelope.source or envelope.host))
    assert wrong == []


@pytest.mark.parametrize("inner", [name for name in CARRIERS if not name.startswith("grep") and name not in TOGETHER])
@pytest.mark.parametrize("file", ["logs/server1/consul.log", "server1.log", "/var/log/server1/messages", "n1.txt"])
def test_grep_names_the_file_whatever_carries_its_lines(inner: str, file: str) -> None:
    carrier = CARRIERS[inner]
    path = re.sub(r"\.(log|txt)$", "", file)
    right = {name for name in (carrier.source, carrier.host, path) if name}
    envelope = open_envelope(f"{file}:{carrier.wrap(CORE)}", near=NEAR)
    assert envelope is not None
    assert (envelope.source or envelope.host) in right
