"""Every lab, always: hardening, a secret that stays secret, and two labs that cannot touch each other."""

from __future__ import annotations

import io
import ipaddress
import json
import tarfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import (
    IMAGE,
    KEY_FILE,
    Person,
    container,
    docker,
    docker_bytes,
    gossip_key,
    inspect,
    left_of,
    servers,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def labs(ada: Person, bob: Person, module_names: Callable[[], str]) -> tuple[str, str]:
    """A lab of ada and a lab of bob, started at once."""
    pair = (module_names(), module_names())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(up, (ada, bob), pair))
    return pair


@pytest.fixture(scope="module")
def lab(labs: tuple[str, str]) -> str:
    """Ada's lab."""
    return labs[0]


@pytest.fixture(scope="module")
def other(labs: tuple[str, str]) -> str:
    """Bob's lab."""
    return labs[1]


def subnet_of(lab: str) -> ipaddress.IPv4Network:
    (network,) = inspect("network", f"labctl-{lab}")
    (config,) = network["IPAM"]["Config"]
    return ipaddress.IPv4Network(config["Subnet"])


def key_file(lab: str, server: str) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(docker_bytes("cp", f"{container(lab, server)}:{KEY_FILE}", "-"))) as tar:
        return tar.getmembers()[0]


def ask(server: dict[str, Any], path: str) -> Any:
    port = server["NetworkSettings"]["Ports"]["8500/tcp"][0]["HostPort"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.load(answer)


def test_every_server_runs_with_the_least_that_it_needs(lab: str) -> None:
    containers = servers(lab)
    assert len(containers) == 3
    for server in containers:
        host = server["HostConfig"]
        assert server["Config"]["User"] == "8500:8500"
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
        assert host["ReadonlyRootfs"] is True
        assert host["Privileged"] is False
        assert 0 < host["Memory"] <= 1 << 30
        assert 0 < host["PidsLimit"] <= 1024
        assert host["RestartPolicy"]["Name"] in ("", "no")
        assert host["PidMode"] in ("", "private")
        assert {mount["Type"] for mount in server["Mounts"]} == {"volume"}
        assert [mount["RW"] for mount in server["Mounts"] if mount["Destination"] == "/consul/config"] == [False]


def test_what_docker_says_of_the_hardening_is_true_inside_a_server(ada: Person, lab: str) -> None:
    status = ada.done("exec", "--lab", lab, "consul1", "--", "cat", "/proc/1/status").out
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["8500"] * 4
    assert int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    written = ada.run("exec", "--lab", lab, "consul1", "--", "sh", "-c", "echo x > /usr/x")
    assert written.code != 0
    assert "Read-only" in written.err


def test_only_the_http_port_is_published_and_only_on_loopback(labs: tuple[str, str]) -> None:
    ports = []
    for server in [server_ for lab in labs for server_ in servers(lab)]:
        published = {port: bound for port, bound in server["NetworkSettings"]["Ports"].items() if bound}
        assert list(published) == ["8500/tcp"]
        assert [binding["HostIp"] for binding in published["8500/tcp"]] == ["127.0.0.1"]
        ports.append(published["8500/tcp"][0]["HostPort"])
    assert len(set(ports)) == 6


def test_each_lab_has_a_network_of_its_own_with_fixed_addresses(lab: str, other: str) -> None:
    assert subnet_of(lab).prefixlen == 28
    assert not subnet_of(lab).overlaps(subnet_of(other))
    for server in servers(lab):
        ((network, settings),) = server["NetworkSettings"]["Networks"].items()
        assert network == f"labctl-{lab}"
        assert settings["IPAMConfig"]["IPv4Address"] == settings["IPAddress"]
        assert ipaddress.IPv4Address(settings["IPAddress"]) in subnet_of(lab)


def test_each_lab_is_a_datacenter_of_its_own_logs_at_debug_and_keeps_dead_servers(lab: str) -> None:
    for server in servers(lab):
        words = " ".join(server["Args"])
        assert "-log-level=debug" in words or "-log-level debug" in words
        assert ask(server, "/v1/agent/self")["Config"]["Datacenter"] == lab
        assert ask(server, "/v1/operator/autopilot/configuration")["CleanupDeadServers"] is False


def test_the_gossip_key_is_in_its_file_and_nowhere_else(ada: Person, lab: str, tmp_path: Path) -> None:
    key = gossip_key(lab)
    for server in ("consul1", "consul2", "consul3"):
        entry = key_file(lab, server)
        assert (entry.mode & 0o777, entry.uid, entry.gid) == (0o600, 8500, 8500)
    ids = [server["Id"] for server in servers(lab)]
    said = {
        "containers": docker("container", "inspect", *ids),
        "networks": docker("network", "inspect", f"labctl-{lab}"),
        "volumes": docker(
            "volume", "inspect", *[part.split()[1] for part in left_of(lab) if part.startswith("volume ")]
        ),
        "image": docker("image", "inspect", IMAGE) + docker("image", "history", "--no-trunc", IMAGE),
    }
    for container_ in ids:
        said[f"logs of {container_}"] = docker_bytes("logs", container_).decode() + docker("logs", container_)
        said[f"arguments in {container_}"] = docker("top", container_, "-eo", "pid,args")
    keyring = ada.run("exec", "--lab", lab, "consul1", "--", "consul", "keyring", "-list")
    assert key in keyring.out, "the key that is searched for must be the one that is used"
    (compose,) = (ada.state / "labs" / lab).glob("compose.yaml")
    assert "config:" in compose.read_text()
    searched = 0
    for file in [path for path in ada.home.rglob("*") if path.is_file()]:
        said[str(file)] = file.read_bytes().decode("utf-8", "replace")
        searched += 1
    assert searched >= 3
    assert any(name.endswith(".env") for name in said)
    assert any(name.endswith(".log") for name in said), "a run leaves a record, and it is searched"
    assert [place for place, text in said.items() if key in text] == []
    assert list(tmp_path.iterdir()) == []


def test_two_labs_have_two_keys(lab: str, other: str) -> None:
    assert gossip_key(lab) != gossip_key(other)


def test_the_servers_of_one_lab_cannot_join_another_and_both_stay_what_they_were(
    ada: Person, bob: Person, lab: str, other: str
) -> None:
    before = [(ada.done("status", lab, "--json").json, ada.done("members", lab, "--json").json)]
    before += [(bob.done("status", other, "--json").json, bob.done("members", other, "--json").json)]
    address = before[1][0]["servers"][0]["address"]
    joined = ada.run("exec", "--lab", lab, "consul1", "--", "timeout", "6", "consul", "join", address)
    # 1: refused; 124 (GNU) or 143 (BusyBox): nothing ever answered.
    assert joined.code in (1, 124, 143), joined
    after = [(ada.done("status", lab, "--json").json, ada.done("members", lab, "--json").json)]
    after += [(bob.done("status", other, "--json").json, bob.done("members", other, "--json").json)]
    for (status, members), (status_then, members_then) in zip(after, before, strict=True):
        assert status["ready"] is True
        assert (status["leader"], status["term"]) == (status_then["leader"], status_then["term"])
        assert members == members_then
        assert len(members) == 3


def test_ls_shows_both_labs_with_their_owners(ada: Person, bob: Person, lab: str, other: str) -> None:
    rows = {row["lab"]: row for row in ada.done("ls", "--json").json}
    assert (rows[lab]["owner"], rows[other]["owner"]) == (ada.owner, bob.owner)
    assert rows[lab]["ready"] is rows[other]["ready"] is True


@pytest.mark.parametrize(
    "words", [("up",), ("up", "--servers", "5"), ("down",), ("stop",), ("start",), ("restart",), ("join",)]
)
def test_a_lab_of_somebody_else_is_refused_and_left_as_it_is(
    ada: Person, bob: Person, other: str, words: tuple[str, ...]
) -> None:
    before = started(other)
    result = ada.run(words[0], other, *words[1:])
    assert result.code == 4
    assert bob.owner in result.sentence()
    assert started(other) == before
    assert not (ada.state / "labs" / other).exists()


def test_down_all_removes_ones_own_labs_and_leaves_those_of_others(
    bob: Person, other: str, people: Callable[[str], Person], names: Callable[[], str]
) -> None:
    carol = people(f"carol-{names()}")
    whole, half, half_of_bob = names(), names(), names()
    carol.done("up", whole, "--pace", "real", "--servers", "1", "--no-join")
    # What killed commands left: a volume of carol's, and one of bob's that is no reason to fail.
    for lab, owner in ((half, carol.owner), (half_of_bob, bob.owner)):
        labels = ("--label", f"raft-labctl.lab={lab}", "--label", f"raft-labctl.owner={owner}")
        docker("volume", "create", *labels, f"labctl-{lab}-config")
    before = started(other)
    removed = carol.done("down", "--all", "--json").json
    assert sorted(lab_["lab"] for lab_ in removed) == sorted([whole, half])
    assert left_of(whole) == left_of(half) == []
    assert left_of(half_of_bob) == [f"volume labctl-{half_of_bob}-config"]
    assert started(other) == before
    assert carol.done("down", "--all", "--json").json == []


def test_down_of_a_lab_that_is_not_there_is_fine(ada: Person, name: str) -> None:
    assert "nothing to remove" in ada.done("down", name).out
    assert ada.done("down", name, "--json").json == {
        "lab": name,
        "changed": False,
        "owner": None,
        "removed": [],
    }
