"""An answer has a deadline and a most of bytes as a whole, however its pieces come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from labctl.engine.kv import Indeterminate, Store
from labctl.shared.consul_client import ConsulClient
from labctl.shared.docker_api import DockerError, Engine
from labctl.shared.server_status import Member, read_view
from tests.unit.slow_servers import DRIP_SECONDS, SlowServer, full_queue, short_folder

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMEOUT = 0.4
# What one look may take beyond its timeout, on a machine that is busy with other tests.
MORE = 1.5
OK = b"HTTP/1.1 200 OK\r\n"
BYTE_BY_BYTE = {
    "in its first line": (b"", b"H"),
    "in its headers": (OK + b"X: ", b"x"),
    "in its body": (OK + b"Content-Length: 300\r\n\r\n", b" "),
    "in a body without a length": (OK + b"\r\n", b" "),
    "in pieces": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "in nothing at all": (b"", b""),
    "in promises": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


@pytest.fixture
def make(folder: Path) -> Iterator[Callable[..., SlowServer]]:
    made: list[SlowServer] = []

    def begin(*words: bytes, pause: float = DRIP_SECONDS) -> SlowServer:
        made.append(SlowServer(folder, *words, pause=pause))
        return made[-1]

    yield begin
    for slow_server in made:
        slow_server.close()


@pytest.mark.parametrize("where", BYTE_BY_BYTE)
def test_a_server_that_answers_byte_by_byte_is_given_up_in_time(make: Callable[..., SlowServer], where: str) -> None:
    server = make(*BYTE_BY_BYTE[where])
    begun = time.monotonic()
    view = read_view(Member("a", "b", ConsulClient(server.port)), TIMEOUT)
    assert time.monotonic() - begun < TIMEOUT + MORE
    assert view.problem is not None
    assert "timed out" in view.problem


@pytest.mark.parametrize("where", BYTE_BY_BYTE)
def test_a_request_to_the_store_ends_in_time(make: Callable[..., SlowServer], where: str) -> None:
    store = Store(ConsulClient(make(*BYTE_BY_BYTE[where]).port), "ada", TIMEOUT)
    begun = time.monotonic()
    for _ in range(2):
        with pytest.raises(Indeterminate, match="timed out"):
            store.get("x")
    assert time.monotonic() - begun < 2 * TIMEOUT + MORE


def test_each_request_of_a_connection_that_is_kept_has_the_whole_time(make: Callable[..., SlowServer]) -> None:
    server = make(b"", OK + b"Content-Length: 4\r\n\r\nnull", pause=TIMEOUT / 2)
    connection = ConsulClient(server.port).connection(TIMEOUT)
    for _ in range(4):
        connection.request("GET", "/v1/kv/x")
        assert connection.getresponse().read() == b"null"
    connection.close()


@pytest.mark.parametrize("where", BYTE_BY_BYTE)
def test_an_engine_that_answers_byte_by_byte_is_given_up_in_time(make: Callable[..., SlowServer], where: str) -> None:
    server = make(*BYTE_BY_BYTE[where])
    begun = time.monotonic()
    with pytest.raises(DockerError, match=r"did not answer within 0\.4\d? seconds while looking"):
        Engine(TIMEOUT, server.path).get("/info", doing="looking")
    assert time.monotonic() - begun < TIMEOUT + MORE


def test_an_engine_that_takes_no_call_is_given_up_in_time(folder: Path) -> None:
    with full_queue(folder) as path:
        begun = time.monotonic()
        with pytest.raises(DockerError, match=r"did not answer within 0\.4\d? seconds while looking"):
            Engine(TIMEOUT, path).get("/info", doing="looking")
    assert TIMEOUT <= time.monotonic() - begun < TIMEOUT + MORE


@pytest.mark.parametrize(
    "head",
    [
        OK + b"Content-Length: 99999999999999\r\n\r\n",
        OK + b"Content-Length: " + b"9" * 300 + b"\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffff\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    ],
)
def test_an_answer_that_says_it_is_endless_is_not_read(make: Callable[..., SlowServer], head: bytes) -> None:
    server = make(head)
    view = read_view(Member("a", "b", ConsulClient(server.port)), 5.0)
    assert view.problem == "does not answer (it answers with more than 16 MiB)"


def test_an_answer_that_goes_on_is_read_only_so_far(make: Callable[..., SlowServer]) -> None:
    server = make(OK + b"\r\n", b" " * 65536, pause=0.0)
    with pytest.raises(OSError, match="more than 1 MiB"):
        ConsulClient(server.port).request("GET", "/v1/kv/x", timeout=20.0, most=1 << 20)


def test_json_that_is_nested_too_deeply_is_no_answer(make: Callable[..., SlowServer]) -> None:
    text = b"[" * 200_000
    server = make(OK + b"Content-Length: %d\r\n\r\n" % len(text) + text)
    view = read_view(Member("a", "b", ConsulClient(server.port)), 5.0)
    assert view.problem == "does not answer (its JSON is nested too deeply)"


@pytest.mark.parametrize("text", [b'{"Stats": [1]}', b'{"Stats": {"raft": 7}}', b"7", b"null"])
def test_json_that_is_no_agents_is_an_answer_that_is_told(make: Callable[..., SlowServer], text: bytes) -> None:
    server = make(OK + b"Content-Length: %d\r\n\r\n" % len(text) + text)
    view = read_view(Member("a", "b", ConsulClient(server.port)), 5.0)
    assert view.problem == "answered with something that is not an agent"


BROKEN_HEADS = {
    "after its first line": b"",
    "between two fields": b"Api-Version: 1.41\r\n",
    "in a field": b"Transfer-Encoding: chu",
    "before its last line": b"Transfer-Encoding: chunked\r\n",
    "in its last line": b"Transfer-Encoding: chunked\r\n\r",
}


class HangsUp(SlowServer):
    """A server that sends what it has and hangs up."""

    def _serve(self, near: socket.socket) -> None:
        with near:
            near.recv(65536)
            near.sendall(self._head)


@pytest.mark.parametrize("where", BROKEN_HEADS)
def test_an_answer_whose_head_broke_off_is_none(folder: Path, where: str) -> None:
    server = HangsUp(folder, OK + BROKEN_HEADS[where])
    engine = Engine(20, server.path)
    broke_off = r"Cannot finish reading a log: the Docker Engine's answer broke off \(it hung up\)"
    with pytest.raises(DockerError, match=broke_off):
        engine.ask("GET", "/containers/a/logs", doing="reading a log")
    with pytest.raises(DockerError, match=broke_off), engine.open("/containers/a/logs", doing="reading a log") as log:
        log.read()
    server.close()


def test_a_key_is_not_missing_where_the_head_of_the_answer_broke_off(folder: Path) -> None:
    server = HangsUp(folder, b"HTTP/1.1 404 Not Found\r\nX-Consul-Index: 7\r\n")
    with pytest.raises(Indeterminate):
        Store(ConsulClient(server.port), "ada", 20).get("x")
    server.close()
