"""A server's HTTP API through a client: plain, with TLS and a token, over TCP and over a forwarded Unix socket."""

from __future__ import annotations

import http.client
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.shared.consul_client import ConsulClient
from labctl.shared.credentials import Access
from tests.unit.shared.authorities import Authority, GuardedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.stand_ins import FakeCluster

TOKEN, RECOVERY = "11111111-1111-8111-8111-111111111111", "22222222-2222-8222-8222-222222222222"


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[GuardedServer]:
    made = GuardedServer(authority.context_of("server.ada.consul", tmp_path))
    yield made
    made.close()


def client(
    server: GuardedServer, authority: Authority, *, name: str = "server.ada.consul", path: str = ""
) -> ConsulClient:
    access = Access(TOKEN, RECOVERY, authority.pem, name)
    return ConsulClient(server.port, path, lambda: access)


def test_a_request_carries_the_token_and_one_about_the_agent_the_agents_own(
    server: GuardedServer, authority: Authority
) -> None:
    assert client(server, authority).request("GET", "/v1/kv/x") == TOKEN
    assert client(server, authority).request("GET", "/v1/agent/self") == RECOVERY


def test_a_connection_that_is_kept_open_carries_the_token_each_time(
    server: GuardedServer, authority: Authority
) -> None:
    connection = client(server, authority).connection(2.0)
    for _ in range(2):
        connection.request("GET", "/v1/kv/x")
        assert connection.getresponse().read().decode() == f'"{TOKEN}"'
    connection.close()


def test_a_server_that_another_authority_knows_is_refused(server: GuardedServer) -> None:
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        client(server, Authority()).request("GET", "/v1/kv/x")


@pytest.mark.parametrize("name", ["server.bob.consul", "127.0.0.1"])
def test_a_server_of_another_lab_is_refused(server: GuardedServer, authority: Authority, name: str) -> None:
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        client(server, authority, name=name).request("GET", "/v1/kv/x")


def test_a_clock_that_is_behind_the_docker_hosts_is_no_hindrance(tmp_path: Path) -> None:
    authority = Authority(begins=1)
    made = GuardedServer(authority.context_of("server.ada.consul", tmp_path))
    try:
        assert client(made, authority).request("GET", "/v1/kv/x") == TOKEN
    finally:
        made.close()


def test_a_token_is_shown_to_nobody_who_does_not_speak_tls(
    clusters: Callable[..., FakeCluster], authority: Authority
) -> None:
    access = Access(TOKEN, RECOVERY, authority.pem, "server.ada.consul")
    cluster = clusters(1)
    with pytest.raises(OSError, match="SSL"):
        ConsulClient(cluster.servers[0].http_port, keys=lambda: access).request("GET", "/v1/kv/x")
    assert cluster.requests == []


def test_plain_http_gets_no_answer_from_a_server_with_tls(server: GuardedServer) -> None:
    with pytest.raises((OSError, ValueError)):
        ConsulClient(server.port).request("GET", "/v1/kv/x")


@pytest.fixture
def forwarded(server: GuardedServer) -> Iterator[str]:
    """A Unix socket that leads to the server's port, as SSH forwards one."""
    # A socket's path may have 107 bytes; a test's own folder is too deep.
    folder = Path(tempfile.mkdtemp(prefix="labctl-"))
    path = str(folder / "sock")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(path)
    listening.listen()

    def copy(source: socket.socket, target: socket.socket) -> None:
        with source, target:
            while block := source.recv(65536):
                target.sendall(block)

    def forward() -> None:
        try:
            near, _ = listening.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", server.port))
        threading.Thread(target=copy, args=(near.dup(), far.dup()), daemon=True).start()
        copy(far, near)

    thread = threading.Thread(target=forward, daemon=True)
    thread.start()
    yield path
    listening.close()
    shutil.rmtree(folder)


def test_a_forwarded_socket_leads_to_the_same_server_with_tls(
    server: GuardedServer, authority: Authority, forwarded: str
) -> None:
    assert client(server, authority, path=forwarded).request("GET", "/v1/kv/x") == TOKEN


def test_a_client_without_keys_is_plain_http(clusters: Callable[..., FakeCluster]) -> None:
    cluster = clusters(3)
    assert ConsulClient(cluster.servers[0].http_port).request("GET", "/v1/status/peers")


def test_keys_that_cannot_be_read_are_a_server_that_does_not_answer(server: GuardedServer) -> None:
    def lost() -> Access:
        raise OSError("the token is gone")

    guarded = ConsulClient(server.port, keys=lost)
    with pytest.raises(OSError, match="the token is gone"):
        guarded.request("GET", "/v1/kv/x")
    with pytest.raises(OSError, match="the token is gone"):
        guarded.connection(1.0).connect()


def test_no_secret_is_in_what_a_client_or_an_access_prints(server: GuardedServer, authority: Authority) -> None:
    access = Access(TOKEN, RECOVERY, authority.pem, "server.ada.consul")
    shown = repr(access) + repr(client(server, authority))
    assert not [secret for secret in (TOKEN, RECOVERY, "CERTIFICATE") if secret in shown]
    assert "server.ada.consul" in shown


def test_two_doors_to_the_same_place_are_equal(server: GuardedServer, authority: Authority) -> None:
    assert client(server, authority) == ConsulClient(server.port)
    assert isinstance(ConsulClient(server.port).connection(1.0), http.client.HTTPConnection)
