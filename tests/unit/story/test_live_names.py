"""Servers of a stream that goes on are called as well as that can be, at once and for good."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from labctl.raft.reader import read_line
from labctl.story import source as flow
from labctl.story.live_names import LiveNames
from tests.unit.story.election_logs import LOGS
from tests.unit.story.test_paths_in_lines import PATHS, WRITTEN

if TYPE_CHECKING:
    from tests.unit.stand_ins import StreamChange


CORE = "2024-01-08T11:42:24.020Z [INFO]  agent.server.raft: entering leader state"


def names(*of: str, line: str = CORE) -> list[str]:
    live = LiveNames("server")
    called = []
    for server in of:
        event = read_line(line.replace("TAG", server), server=server, line_no=1)
        assert event is not None
        called.append(live.of(event))
    return called


@pytest.mark.parametrize(
    ("of", "called"),
    [
        (["/var/log/consul/n1", "/var/log/consul/n2"], ["n1", "n2"]),
        (["/srv/n1/consul", "/srv/n2/consul", "/srv/n1/consul"], ["n1", "n2", "n1"]),
        (["/var/log/n1/consul.log", "/var/log/n2/consul.log"], ["n1", "n2"]),
        (["a/n1", "b/n1", "a/n1"], ["n1", "b", "n1"]),
        (["/var/log/consul/consul"], ["consul"]),
        (["/var/log/consul/consul", "/var/log/consul"], ["consul", "/var/log/consul"]),
        (["n1", "logs/n1"], ["n1", "logs/n1"]),
        (["../n1", "n2"], ["n1", "n2"]),
        (["/", "//"], ["/", "//"]),
        (["", "server"], ["", "server"]),
    ],
)
def test_a_path_is_called_by_what_tells_it_from_those_before_it(of: list[str], called: list[str]) -> None:
    assert names(*of) == called


def test_a_tag_names_a_server_only_from_the_second_one_on() -> None:
    line = f'2024-01-08 11:42:24.020000000 +0000 TAG: {{"log":"{CORE}"}}'
    assert names("kube.consul", "kube.consul", line=line) == ["server", "server"]
    assert names("kube.one", "kube.two", "kube.one", line=line) == ["server", "kube.two", "server"]


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("path", PATHS)
def test_what_is_followed_calls_servers_as_their_files_would_be(
    standard_input: StreamChange, written: str, path: str
) -> None:
    content = "".join(WRITTEN[written](path.format(name), lines) for name, lines in LOGS.items())
    reading, writing = os.pipe()
    os.write(writing, content.encode())
    os.close(writing)
    with os.fdopen(reading) as pipe:
        standard_input(pipe)
        told = {event.server for event in flow.source(["-"], follow=True).events}
    assert told == set(LOGS)
