"""Profiles and seeds of a lab: what each requires of clients, and secrets that stay where they belong."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import secrets
import socket
import ssl
import tarfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from labctl.shared import credentials, derived_secrets
from labctl.shared.consul_client import ConsulClient
from labctl.shared.credentials import Access, Keys
from tests.integration.elections import ELECTION_SECONDS
from tests.integration.fixtures import up
from tests.integration.harness import (
    IMAGE,
    VERSION,
    Person,
    container,
    docker,
    docker_bytes,
    get,
    gossip_key,
    left_of,
    put,
    servers,
    started,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

JOIN_WITH = f"-token-file={credentials.FOLDER}/{credentials.RECOVERY_TOKEN}"


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a seed, as a user makes one."""
    path = tmp_path_factory.mktemp("seed") / "full.seed"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
    return path


def secrets_of(seed: Path) -> dict[str, str]:
    """Everything about a seed that must stay secret, including the seed itself."""
    key = derived_secrets.read_seed(str(seed))
    return {
        "seed": key.hex(),
        "token": derived_secrets.token(key),
        "recovery token": derived_secrets.recovery_token(key),
        "gossip key": derived_secrets.gossip_key(key),
    }


class Watch:
    """Reads the arguments and the environment of every process of this machine, again and again, until it ends."""

    def __init__(self, mark: str) -> None:
        self.arguments: set[str] = set()
        self.environments: set[str] = set()
        self._mark = mark.encode()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.is_set():
            for entry in Path("/proc").glob("[0-9]*"):
                if entry.name == str(os.getpid()):
                    continue
                with suppress(OSError):
                    self.arguments.add((entry / "cmdline").read_bytes().decode("utf-8", "replace"))
                    environment = (entry / "environ").read_bytes()
                    if self._mark in environment:
                        self.environments.add(environment.decode("utf-8", "replace"))
            time.sleep(0.01)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class Artifacts:
    """Copies what ansible-runner and Ansible write while they run; labctl removes it afterwards."""

    def __init__(self, folder: Path) -> None:
        self.seen: dict[str, str] = {}
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.is_set():
            # A folder may go while it is walked through.
            with suppress(OSError):
                for path in self._folder.rglob("*"):
                    self._keep(path)
            time.sleep(0.02)

    def _keep(self, path: Path) -> None:
        with suppress(OSError):
            if path.is_file():
                self.seen[str(path)] = path.read_bytes().decode("utf-8", "replace")

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture(scope="module")
def made(ada: Person, module_names: Callable[[], str], seed: Path) -> tuple[str, Watch, Artifacts]:
    """A full lab out of a seed, and what could be seen of it while it was made; the lab stays for the module."""
    lab = module_names()
    with Watch(ada.mark) as watch, Artifacts(ada.state) as artifacts:
        up(ada, lab, "--profile", "full", "--seed-file", str(seed), "-v")
    return lab, watch, artifacts


@pytest.fixture(scope="module")
def lab(made: tuple[str, Watch, Artifacts]) -> str:
    """The full lab."""
    return made[0]


@pytest.fixture(scope="module")
def keys(lab: str) -> Keys:
    """Its credentials."""
    return Keys(
        lab, [container(lab, "consul1")], lambda container_, path: docker_bytes("cp", f"{container_}:{path}", "-")
    )


def port_of(lab: str, server: str = "consul1") -> int:
    """Where a server of a full lab listens on loopback."""
    listed = next(listed for listed in servers(lab) if listed["Name"].endswith(server))
    published = {inside: bound for inside, bound in listed["NetworkSettings"]["Ports"].items() if bound}
    assert list(published) == ["8501/tcp"]
    ((binding),) = published["8501/tcp"]
    assert binding["HostIp"] == "127.0.0.1"
    return int(binding["HostPort"])


def in_volume(lab: str, server: str = "consul1") -> dict[str, tarfile.TarInfo]:
    """The files and folders of the config volume, by path."""
    archive = docker_bytes("cp", f"{container(lab, server)}:/consul/config", "-")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {entry.name.removeprefix("config/"): entry for entry in tar if entry.name.strip("/") != "config"}


# -- secrets ---------------------------------------------------------------------------------------------------


def test_the_secrets_of_a_full_lab_are_those_of_its_seed(lab: str, keys: Keys, seed: Path) -> None:
    wanted = secrets_of(seed)
    assert gossip_key(lab) == wanted["gossip key"]
    assert (keys().token, keys().recovery_token) == (wanted["token"], wanted["recovery token"])


def test_no_secret_was_in_an_argument_an_environment_or_an_artifact_while_the_lab_was_made(
    made: tuple[str, Watch, Artifacts], seed: Path
) -> None:
    _, watch, artifacts = made
    # What was looked at must be the run itself, or nothing is shown.
    assert any("ansible-playbook" in words for words in watch.arguments)
    assert any(str(seed) in text for text in artifacts.seen.values()), "the run knows the file by its path"
    assert any("job_events" in name or "stdout" in name for name in artifacts.seen), sorted(artifacts.seen)
    assert watch.environments
    said = {"arguments": "\n".join(watch.arguments), "environments": "\n".join(watch.environments), **artifacts.seen}
    leaks = [
        (what, where) for what, secret in secrets_of(seed).items() for where, text in said.items() if secret in text
    ]
    assert leaks == []


def test_no_secret_is_in_what_docker_or_the_state_folder_tell_afterwards(ada: Person, lab: str, seed: Path) -> None:
    ids = [server["Id"] for server in servers(lab)]
    said = {
        "containers": docker("container", "inspect", *ids),
        "networks": docker("network", "inspect", f"labctl-{lab}"),
        "volumes": docker(
            "volume", "inspect", *[part.split()[1] for part in left_of(lab) if part.startswith("volume ")]
        ),
        "image": docker("image", "inspect", IMAGE),
    }
    for container_ in ids:
        said[f"logs of {container_}"] = docker("logs", container_) + docker_bytes("logs", container_).decode()
        said[f"arguments in {container_}"] = docker("top", container_, "-eo", "pid,args")
    for file in [path for path in ada.home.rglob("*") if path.is_file()]:
        said[str(file)] = file.read_bytes().decode("utf-8", "replace")
    assert any(name.endswith(".log") for name in said), "a run leaves a record, and it is searched"
    assert "CONSUL_HTTP_TOKEN_FILE=/consul/config/access/token" in said["containers"]
    leaks = [
        (what, where)
        for what, container_ in secrets_of(seed).items()
        for where, text in said.items()
        if container_ in text
    ]
    assert leaks == []
    assert "PRIVATE KEY" not in "".join(said.values())


def test_secrets_lie_in_files_that_only_the_servers_user_reads_and_the_authoritys_key_in_none(lab: str) -> None:
    entries = in_volume(lab)
    files = {name: entry for name, entry in entries.items() if entry.isfile()}
    assert set(files) == {
        "gossip.json",
        "acl.json",
        *(f"access/{name}" for name in ("token", "recovery.token", "ca.pem", "server.pem", "server-key.pem")),
    }
    assert {(entry.mode & 0o777, entry.uid, entry.gid) for entry in files.values()} == {(0o600, 8500, 8500)}
    assert (entries["access"].mode & 0o777, entries["access"].uid) == (0o700, 8500)
    archive = docker_bytes("cp", f"{container(lab, 'consul1')}:/consul/config", "-")
    assert archive.count(b"PRIVATE KEY-----\n") == 2, "the beginning and the end of the servers' key, and no other"


def test_the_helper_that_made_the_certificates_is_gone(lab: str) -> None:
    # All containers with the lab's label, helpers too.
    assert [server["Name"] for server in servers(lab)] == [
        f"/{container(lab, f'consul{number}')}" for number in (1, 2, 3)
    ]


# -- who is let in ---------------------------------------------------------------------------------------------


def answer(port: int, context: ssl.SSLContext, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=5)
    try:
        connection.request("GET", path, headers=headers or {})
        got = connection.getresponse()
        return got.status, got.read().decode()
    finally:
        connection.close()


@pytest.fixture
def context(keys: Keys) -> ssl.SSLContext:
    """TLS that believes the lab's authority; the certificate is for 127.0.0.1 too."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(cadata=keys().authority)
    return made


@pytest.mark.parametrize("headers", [{}, {"X-Consul-Token": "00000000-0000-8000-8000-000000000000"}])
def test_who_has_no_token_is_refused(lab: str, context: ssl.SSLContext, headers: dict[str, str]) -> None:
    for path in ("/v1/agent/self", "/v1/operator/raft/configuration", "/v1/acl/tokens"):
        code, text = answer(port_of(lab), context, path, headers)
        assert code == 403, (path, code, text)
    code, text = answer(port_of(lab), context, "/v1/kv/raft-labctl/secret?keys", headers)
    assert code in {403, 404}, text


def test_the_token_opens_every_server(lab: str, keys: Keys) -> None:
    put(lab, "profiles/open", "sesame")
    for server in ("consul1", "consul2", "consul3"):
        api = ConsulClient(port_of(lab, server), keys=keys)
        assert api.request("GET", "/v1/kv/profiles/open?raw=&keys=") == ["profiles/open"]
        assert len(api.request("GET", "/v1/acl/tokens")) >= 1


def test_plain_http_is_refused(lab: str) -> None:
    with pytest.raises((OSError, ValueError)):
        ConsulClient(port_of(lab)).request("GET", "/v1/status/leader")
    for server in ("consul1", "consul2", "consul3"):
        listening = docker("exec", container(lab, server), "cat", "/proc/net/tcp", "/proc/net/tcp6")
        assert ":2135 " in listening, "8501 is listened at, so the search below means something"
        assert ":2134 " not in listening, "8500 is not"


def test_a_server_that_another_authority_knows_is_refused(lab: str, keys: Keys, ada: Person, name: str) -> None:
    up(ada, name, "--servers", "1", "--profile", "full")
    theirs = Keys(
        name, [container(name, "consul1")], lambda container_, path: docker_bytes("cp", f"{container_}:{path}", "-")
    )()
    mine = keys()
    assert theirs.authority != mine.authority
    other_authority = Access(mine.token, mine.recovery_token, theirs.authority, mine.server_name)
    other_name = Access(mine.token, mine.recovery_token, mine.authority, theirs.server_name)
    for api in (
        ConsulClient(port_of(lab), keys=lambda: other_authority),
        ConsulClient(port_of(lab), keys=lambda: other_name),
    ):
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            api.request("GET", "/v1/status/leader")
    assert ConsulClient(port_of(name), keys=lambda: theirs).request("GET", "/v1/status/leader")


def test_raft_and_rpc_are_refused_to_who_has_no_certificate(lab: str, context: ssl.SSLContext) -> None:
    """The first byte says what a connection is for: 1 is Raft, 3 is TLS (agent/pool/conn.go)."""
    address = servers(lab)[0]["NetworkSettings"]["Networks"][f"labctl-{lab}"]["IPAddress"]
    with socket.create_connection((address, 8300), timeout=5) as plain:
        plain.sendall(b"\x01")
        assert plain.recv(1) == b""
    log = docker_bytes("logs", container(lab, "consul1")).decode()
    assert "Non-TLS connection attempted with VerifyIncoming set" in log
    context.check_hostname = False
    with socket.create_connection((address, 8300), timeout=5) as bare:
        bare.sendall(b"\x03")
        with pytest.raises(ssl.SSLError), context.wrap_socket(bare) as secured:  # noqa: PT012 - either may tell
            secured.sendall(b"\x01")
            secured.recv(1)


# -- what labctl does with a full lab --------------------------------------------------------------------------


def test_every_command_that_looks_works_in_a_full_lab(ada: Person, lab: str) -> None:
    status = ada.done("status", lab, "--json").json
    assert (status["ready"], status["profile"]) == (True, "full")
    assert all(server["http"].startswith("https://127.0.0.1:") for server in status["servers"])
    (row,) = [row for row in ada.done("ls", "--json").json if row["lab"] == lab]
    assert (row["profile"], row["ready"]) == ("full", True)
    assert len(ada.done("members", lab, "--json").json) == 3
    assert "profile full" in ada.done("status", lab).out
    for words in (["operator", "raft", "list-peers"], ["members"], ["kv", "put", "a", "b"], ["acl", "token", "list"]):
        assert ada.done("exec", "--lab", lab, "consul2", "--", "consul", *words).out
    assert "won" in ada.done("story", lab).out
    assert ada.done("logs", lab, "--raft").out


def test_a_second_up_changes_nothing_and_another_profile_is_refused(ada: Person, lab: str) -> None:
    before = started(lab)
    again = ada.done("up", lab, "--json").json
    assert again["changed"] is False
    for profile in ("open", "gossip"):
        refused = ada.run("up", lab, "--profile", profile)
        assert refused.code == 4
        assert f"`labctl down {lab}`" in refused.sentence()
    assert started(lab) == before


def test_a_restart_keeps_the_data_and_all_secrets(ada: Person, lab: str, keys: Keys) -> None:
    put(lab, "profiles/kept", "yes")
    before = (gossip_key(lab), keys())
    ada.done("restart", lab)
    ada.done("stop", lab)
    ada.done("start", lab)
    assert get(lab, "consul2", "profiles/kept") == "yes"
    again = Keys(
        lab, [container(lab, "consul2")], lambda container_, path: docker_bytes("cp", f"{container_}:{path}", "-")
    )
    assert (gossip_key(lab), again()) == before


def test_a_full_lab_grows_and_shrinks(ada: Person, lab: str) -> None:
    grown = ada.done("up", lab, "--servers", "5", "--json").json
    assert (grown["voters"], len(grown["servers"])) == (5, 5)
    shrunk = ada.done("up", lab, "--servers", "3", "--json").json
    assert (shrunk["voters"], len(shrunk["servers"])) == (3, 3)
    assert ada.done("status", lab, "--json").json["ready"] is True


def test_a_full_lab_can_be_broken_measured_and_checked(ada: Person, lab: str) -> None:
    killed = ada.done("fault", "kill", "leader", "--lab", lab, "--json").json
    assert killed["changed"] is True
    ada.done("fault", "heal", "--lab", lab)
    wait_until(lambda: ada.run("status", lab).code == 0, ELECTION_SECONDS, "a leader after the kill")
    measured = ada.done("measure", "failover", lab, "--times", "1", "--json").json
    assert measured
    chaos = ada.done("chaos", lab, "--for", "10s", "--seed", "1", "--json").json
    assert chaos["verdict"] == "valid"


def test_a_full_lab_that_waits_can_be_looked_at_and_joined_by_hand(ada: Person, name: str) -> None:
    up(ada, name, "--profile", "full", "--no-join")
    waiting = ada.run("status", name, "--json")
    assert waiting.code == 3
    assert [server["problem"] for server in waiting.json["servers"]] == [None] * 3, (
        "each answers, before there is any token"
    )
    addresses = [server["address"] for server in waiting.json["servers"]]
    consul = ("exec", "--lab", name, "consul1", "--", "consul")
    refused = ada.run(*consul, "join", *addresses[1:])
    assert refused.code == 1
    assert "ACL not found" in refused.err
    assert "contacting 2 nodes" in ada.done(*consul, "join", JOIN_WITH, *addresses[1:]).out
    wait_until(lambda: ada.run("status", name).code == 0, 30, "the lab that was joined by hand")
    assert "leader" in ada.done(*consul, "operator", "raft", "list-peers").out


# -- labs of different profiles --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(ada: Person, module_names: Callable[[], str]) -> str:
    """An open lab of one server."""
    name = module_names()
    up(ada, name, "--servers", "1", "--profile", "open")
    return name


def test_an_open_lab_has_no_gossip_key(ada: Person, opened: str) -> None:
    assert in_volume(opened) == {}
    log = docker("logs", container(opened, "consul1"))
    # Newer ones word it otherwise.
    assert re.search(r"Encrypt: Gossip: false|Gossip Encryption: false", log)
    assert ada.done("status", opened, "--json").json["profile"] == "open"
    keyring = ada.run("exec", "--lab", opened, "consul1", "--", "consul", "keyring", "-list")
    assert keyring.code != 0
    (row,) = servers(opened)
    assert row["Config"]["Labels"]["raft-labctl.profile"] == "open"


def test_servers_of_another_profile_cannot_be_joined_even_where_they_reach_each_other(
    ada: Person, lab: str, opened: str, name: str
) -> None:
    """Put into one network, so that only keys and certificates are between them."""
    up(ada, name, "--servers", "1")
    network = f"labctl-{name}"
    before = {lab_: ada.done("members", lab_, "--json").json for lab_ in (lab, opened, name)}
    address = servers(name)[0]["NetworkSettings"]["Networks"][network]["IPAddress"]
    for other, shown in ((lab, [JOIN_WITH]), (opened, [])):
        docker("network", "connect", network, container(other, "consul1"))
        try:
            joined = ada.run("exec", "--lab", other, "consul1", "--", "timeout", "8", "consul", "join", *shown, address)
            assert joined.code != 0, joined
            assert "Successfully joined" not in joined.out
        finally:
            docker("network", "disconnect", network, container(other, "consul1"))
    assert {lab_: ada.done("members", lab_, "--json").json for lab_ in (lab, opened, name)} == before


# -- seeds -----------------------------------------------------------------------------------------------------


def test_a_lab_that_is_made_again_has_the_same_key_and_one_that_is_there_keeps_its_own(
    ada: Person, name: str, seed: Path
) -> None:
    words = ("up", name, "--servers", "1", "--pace", "real", "--consul-version", VERSION, "--no-join")
    ada.done(*words, "--seed-file", str(seed))
    first = gossip_key(name)
    assert first == secrets_of(seed)["gossip key"]
    other = ada.home / "other.seed"
    other.touch(mode=0o600)
    other.write_text("ab" * 32, encoding="ascii")
    ada.done(*words, "--seed-file", str(other), "--http-port", "0", "--servers", "1")
    assert gossip_key(name) == first
    ada.done("down", name)
    ada.done(*words, "--seed-file", str(seed))
    assert gossip_key(name) == first


@pytest.mark.parametrize(
    ("file", "says"),
    [(None, "cannot be read"), ((0o640, 32), "has the mode 0640"), ((0o600, 31), "64 hex digits")],
)
def test_a_seed_file_that_is_no_good_is_refused_and_nothing_is_made(
    ada: Person, name: str, tmp_path: Path, file: tuple[int, int] | None, says: str
) -> None:
    path = tmp_path / "seed"
    if file is not None:
        path.write_text("ab" * file[1], encoding="ascii")
        path.chmod(file[0])
    result = ada.run("up", name, "--servers", "1", "--consul-version", VERSION, "--seed-file", str(path), "--json")
    document: Any = json.loads(result.err)
    assert result.code == document["code"] == 2
    assert says in document["error"]
    assert "abab" not in result.err
    assert left_of(name) == []
