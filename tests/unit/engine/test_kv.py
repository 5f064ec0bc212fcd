"""The client of Consul's key/value store: what was asked, and what an answer, or none, means."""

from __future__ import annotations

import base64
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from labctl.engine.kv import Entry, Indeterminate, NotApplied, Store
from labctl.shared.consul_client import ConsulClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Answer = tuple[int, bytes] | None


class StandIn:
    """A server with given answers; None hangs up without an answer."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, bytes]] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stand_in.asked.append((self.command, self.path, body))
                answer = stand_in.answers.pop(0)
                if answer is None:
                    self.close_connection = True
                    return
                status, text = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_DELETE = _answer  # noqa: N815 - the names that the library calls

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.close()


@pytest.fixture
def store(server: StandIn) -> Iterator[Store]:
    made = Store(ConsulClient(server.port), "lab-a", 2.0)
    yield made
    made.close()


def entry(key: str, value: str, index: int) -> dict[str, object]:
    return {"Key": key, "Value": base64.b64encode(value.encode()).decode(), "ModifyIndex": index}


def test_a_write_names_the_labs_own_datacenter(server: StandIn, store: Store) -> None:
    server.answers = [(200, b"true")]
    assert store.put("a b/ü", "7")
    assert server.asked == [("PUT", "/v1/kv/a%20b/%C3%BC?dc=lab-a", b"7")]


@pytest.mark.parametrize(("said", "written"), [(b"true", True), (b"false\n", False)])
def test_a_compare_and_set_says_whether_it_was_written(
    server: StandIn, store: Store, said: bytes, written: bool
) -> None:
    server.answers = [(200, said)]
    assert store.put("k", "7", cas=12) is written
    assert server.asked[0][1].endswith("cas=12")


def test_a_read_has_the_value_and_its_index(server: StandIn, store: Store) -> None:
    server.answers = [(200, json.dumps([entry("k", "sieben", 7)]).encode()), (404, b"")]
    assert store.get("k", "stale") == Entry("sieben", 7)
    assert store.get("k") is None
    assert [path.partition("&")[2] for _, path, _ in server.asked] == ["stale=", "consistent="]


def test_all_keys_below_a_prefix(server: StandIn, store: Store) -> None:
    server.answers = [
        (200, json.dumps([entry("p/1", "a", 3), entry("p/2", "", 4)]).encode()),
        (404, b""),
        (200, b"true"),
    ]
    assert store.all("p/") == {"p/1": Entry("a", 3), "p/2": Entry("", 4)}
    assert store.all("p/") == {}
    store.delete("p/")
    assert server.asked[2] == ("DELETE", "/v1/kv/p/?dc=lab-a&recurse=", b"")


def test_a_connection_is_used_again_and_made_again(server: StandIn, store: Store) -> None:
    server.answers = [(200, b"true"), None, (200, b"true")]
    assert store.put("k", "1")
    with pytest.raises(Indeterminate):
        store.put("k", "2")
    assert store.put("k", "3")


@pytest.mark.parametrize(
    ("answer", "means"),
    [
        ((500, b"No cluster leader"), NotApplied),
        ((500, b"rpc error making call: No cluster leader"), NotApplied),
        ((500, b"node is not the leader"), NotApplied),
        ((500, b"leadership lost while committing log"), Indeterminate),
        ((500, b"rpc error making call: EOF"), Indeterminate),
        ((429, b"Your IP is issuing too many concurrent connections"), Indeterminate),
        ((200, b"perhaps"), Indeterminate),
        ((200, b'"true"'), Indeterminate),
        (None, Indeterminate),
    ],
)
def test_only_what_certainly_did_nothing_is_refused(
    server: StandIn, store: Store, answer: Answer, means: type[Exception]
) -> None:
    server.answers = [answer]
    with pytest.raises(means):
        store.put("k", "1")


@pytest.mark.parametrize("said", [b"[]", b"{}", b'[{"Value": 7}]', b'[{"Key": "k", "Value": "eA=="}]', b"7"])
def test_an_answer_without_the_key_is_none(server: StandIn, store: Store, said: bytes) -> None:
    server.answers = [(200, said)]
    with pytest.raises(Indeterminate):
        store.get("k")


def test_nobody_there_is_refused_and_silence_is_unanswered() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = int(listening.getsockname()[1])
        act: Callable[[], object] = lambda: Store(ConsulClient(port), "lab-a", 0.2).put("k", "1")  # noqa: E731 - twice the same
        with pytest.raises(NotApplied):
            act()
        listening.listen()
        with pytest.raises(Indeterminate):
            act()


@pytest.mark.parametrize(("said", "leader"), [(b'"10.213.0.2:8300"', "10.213.0.2"), (b'""', ""), (b"null", "")])
def test_a_server_says_whom_it_knows_as_its_leader(server: StandIn, store: Store, said: bytes, leader: str) -> None:
    server.answers = [(200, said)]
    assert store.leader() == leader
    assert server.asked == [("GET", "/v1/status/leader?dc=lab-a", b"")]
