"""Labels are read strictly: what labctl never writes is not ours, whatever it is."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.shared import lab_names, label_values

HOSTILE = (
    "",
    " ",
    "{{ lookup('pipe', 'touch CANARY') }}",
    "{% set x = 1 %}",
    "{# x #}",
    "$(touch CANARY)",
    "`touch CANARY`",
    "../../../tmp/owned",
    "/etc/passwd",
    "-rf",
    "a\nb",
    "\x1b]0;pwn\x07\x1b[2J",
    "\u202eevil",
    "²",
    "٣",
    "1" * 5000,
    "x" * 10_000,
    "all",
    "a:b",
    "consul1\n",
    "1.8.7\n",
)


@pytest.mark.parametrize("text", [*HOSTILE, None, 3, ["consul1"]])
@pytest.mark.parametrize(
    "reader",
    [
        label_values.server,
        label_values.version,
        label_values.size,
        label_values.port,
        label_values.moment,
        label_values.number,
        label_values.seat_number,
    ],
)
def test_what_labctl_never_writes_is_nothing(reader: Any, text: object) -> None:
    assert reader(text) is None


@given(st.text(max_size=70) | st.from_regex(r"[a-z0-9-]{1,70}", fullmatch=True))
def test_a_name_is_what_a_lab_may_be_called(text: str) -> None:
    assert (label_values.name(text) == text) == (lab_names.name_problem(text) is None)


def test_what_labctl_writes_is_read() -> None:
    assert [label_values.server(name) for name in lab_names.server_names(7)] == lab_names.server_names(7)
    assert [label_values.size(str(size)) for size in lab_names.SIZES] == list(lab_names.SIZES)
    for version in ("0.5.2", "1.8.7", "1.22.0-dev", "1.21.4+ent", "1.22.0-rc1+ent"):
        assert label_values.version(version) == version
    assert (label_values.port("0"), label_values.port("65535"), label_values.port("65536")) == (0, 65535, None)
    assert (label_values.seat_number("1"), label_values.seat_number("4096")) == (1, 4096)
    assert (label_values.seat_number("0"), label_values.seat_number("4097")) == (None, None)
    assert label_values.moment(lab_names.stamp(1_700_000_000)) == 1_700_000_000


def test_there_are_no_other_servers_and_no_other_sizes() -> None:
    assert [label_values.server(text) for text in ("consul0", "consul8", "consul11", "Consul1")] == [None] * 4
    assert [label_values.size(text) for text in ("0", "2", "9", "20000000")] == [None] * 4


def test_a_moment_that_is_in_no_calendar_is_none() -> None:
    assert label_values.moment("2026-13-45T99:99:99Z") is None
    assert label_values.moment("2026-02-30T00:00:00Z") is None
    assert label_values.moment("0000-01-01T00:00:00Z") is None


def test_an_owner_may_be_called_anything_of_bounded_length() -> None:
    assert label_values.owner("Ada Lovelace $x {{ y }}") == "Ada Lovelace $x {{ y }}"
    assert label_values.owner("x" * 257) is None
    assert label_values.owner("") is None
    assert label_values.owner("\udcff") is None


# -- what is ours ---------------------------------------------------------------------------------------------

OURS = {
    "raft-labctl.lab": "ws-07",
    "raft-labctl.owner": "ada",
    "raft-labctl.workshop": "ws",
    "raft-labctl.seat": "07",
    "raft-labctl.number": "7",
    "raft-labctl.server": "consul2",
    "raft-labctl.servers": "3",
    "raft-labctl.pace": "real",
    "raft-labctl.profile": "full",
    "raft-labctl.consul-version": "1.8.7",
    "raft-labctl.http-port": "21000",
    "com.docker.compose.project": "labctl-ws-07",
}


def test_what_labctl_writes_fits() -> None:
    assert label_values.misfit(OURS) is None
    assert label_values.misfit({}) is None
    assert label_values.misfit(None) is None


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("label", [our for our in OURS if our.startswith("raft-labctl.") and "owner" not in our])
def test_one_label_that_does_not_fit_makes_it_a_strangers(label: str, text: str) -> None:
    empty_is_absent = text == "" and label not in {"raft-labctl.lab", "raft-labctl.server"}
    could_be = label in {"raft-labctl.lab", "raft-labctl.workshop", "raft-labctl.seat"} and text == "all"
    if could_be and label == "raft-labctl.seat":
        assert label_values.misfit(OURS | {label: text}) is None
        return
    assert (label_values.misfit(OURS | {label: text}) is None) == empty_is_absent


def test_a_lab_that_is_none_of_the_workshops_seats_by_its_name_is_not_the_workshops() -> None:
    assert label_values.misfit({"raft-labctl.lab": "ada", "raft-labctl.workshop": "ws"}) == "raft-labctl.workshop"


def test_a_stranger_is_told_in_one_harmless_sentence() -> None:
    thing = {"Names": ["/mine"], "Labels": {"raft-labctl.lab": "\x1b]0;pwn\x07\u202e\n" + "x" * 10_000}}
    sentence = label_values.stranger("container", thing)
    assert sentence is not None
    assert sentence.startswith("The container mine has the label raft-labctl.lab with '\\x1b]0;pwn\\x07\\u202e\\nxxx")
    assert sentence.isascii()
    assert sentence.isprintable()
    assert len(sentence) < 300
    network = {"Name": "{{ x }}\x1b[2J", "Labels": {"raft-labctl.lab": "{{"}}
    assert (label_values.stranger("network", network) or "").isprintable()
    assert label_values.stranger("container", {"Labels": OURS}) is None
    inspected = {"Name": "/x", "Config": {"Labels": {"raft-labctl.server": "consul9"}}}
    assert "The container x has" in (label_values.stranger("container", inspected) or "")


def test_a_label_of_ten_thousand_digits_costs_nothing() -> None:
    begun = time.monotonic()
    for _ in range(100):
        assert label_values.misfit({"raft-labctl.servers": "9" * 100_000}) == "raft-labctl.servers"
    assert time.monotonic() - begun < 1
