"""labctl verify against real labs: apart as they are made, and each way that is opened is named exactly."""

from __future__ import annotations

import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import IMAGE, Person, container, docker, left_of, servers, started, wait_until
from tests.integration.server_networks import inside

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def labs(ada: Person, module_names: Callable[[], str]) -> tuple[str, str]:
    """Two labs of ada."""
    pair = (module_names(), module_names())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda lab: up(ada, lab), pair))
    return pair


@pytest.fixture
def lone(ada: Person, names: Callable[[], str]) -> str:
    """A lab of one server, to be disturbed."""
    lab = names()
    up(ada, lab, "--servers", "1")
    return lab


def row(document: dict[str, Any], lab: str) -> dict[str, Any]:
    row_: dict[str, Any] = next(lab_ for lab_ in document["labs"] if lab_["lab"] == lab)
    return row_


def failing(document: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(check["number"], check["containers"]) for check in document["hardening"] if check["result"] == "fails"]


def address(lab: str, server: str) -> str:
    """A server's address in its own lab's network."""
    container_ = next(server_ for server_ in servers(lab) if server_["Name"] == f"/{container(lab, server)}")
    return str(container_["NetworkSettings"]["Networks"][f"labctl-{lab}"]["IPAddress"])


def helpers(lab: str) -> list[str]:
    return docker(
        "ps", "-aq", "--filter", f"label=raft-labctl.lab={lab}", "--filter", "label=raft-labctl.probe"
    ).split()


def test_two_labs_as_labctl_makes_them_are_apart_and_nothing_of_them_is_changed(
    ada: Person, labs: tuple[str, str]
) -> None:
    before = [started(lab) for lab in labs]
    document = ada.done("verify", "--each", "--json").json
    assert document["verdict"] == "apart"
    assert failing(document) == []
    for lab, other in (labs, reversed(labs)):
        proof = row(document, lab)
        assert (proof["controls"], proof["controls_connected"], proof["unproven"]) == (9, 9, [])
        tried = {(try_["address"], try_["port"]): try_ for try_ in document["tries"] if try_["from"] == lab}
        for server in ("consul1", "consul2", "consul3"):
            # Docker drops what goes from bridge to bridge.
            outcomes = {tried[address(other, server), port]["outcome"] for port in (8300, 8301, 8500)}
            assert outcomes == {"no answer"}
        assert {try_["outcome"] for try_ in tried.values() if try_["kind"] == "published"} == {"refused"}
        (join,) = [join for join in document["joins"] if join["from"] == lab]
        assert (join["to"], join["outcome"]) == (other, "no answer")
        assert "i/o timeout" in join["said"]
        assert helpers(lab) == []
    assert [started(lab) for lab in labs] == before


def test_it_is_said_in_a_table_with_the_numbers_of_the_benchmark(ada: Person, labs: tuple[str, str]) -> None:
    out = ada.done("verify", labs[0]).out
    assert "Nothing crossed" in out
    assert any(line.split()[:1] == ["5.32"] and " ok" in line for line in out.splitlines())
    assert "\x1b" not in out


def test_a_server_that_is_on_another_labs_network_is_named(ada: Person, labs: tuple[str, str], lone: str) -> None:
    other = labs[0]
    docker("network", "connect", f"labctl-{other}", container(lone, "consul1"))
    try:
        result = ada.run("verify", lone, other, "--json")
    finally:
        docker("network", "disconnect", "--force", f"labctl-{other}", container(lone, "consul1"))
    assert result.code == 1, result
    document = result.json
    crossed = {
        (attempt["to"], attempt["server"], attempt["port"]) for attempt in document["tries"] if attempt["from"] == lone
    }
    assert crossed == {(other, f"consul{number}", port) for number in (1, 2, 3) for port in (8300, 8301, 8500)}
    assert all(attempt["kind"] == "server" for attempt in document["tries"])
    assert (row(document, lone)["verdict"], failing(document)) == (
        "crossed",
        [("labctl", [container(lone, "consul1")])],
    )
    # Back through the strange network: only HTTP listens on all addresses, Raft and gossip on the lab's own.
    back = {(attempt["to"], attempt["port"]) for attempt in document["tries"] if attempt["from"] == other}
    assert back == {(lone, 8500)}
    assert row(document, lone)["members_changed"] == row(document, other)["members_changed"] == []
    assert ada.done("verify", lone, other, "--json").json["verdict"] == "apart"


def test_a_connection_that_something_else_takes_is_no_crossing_and_is_told(
    ada: Person, lone: str, labs: tuple[str, str]
) -> None:
    other = labs[0]
    target = address(other, "consul2")
    # Something on the way: what is meant for the other lab's Raft comes to a port of the lab's own server.
    inside(
        lone, "consul1",
        f"nft 'add table ip way; add chain ip way sent {{ type nat hook output priority -100; }}; "
        f"add rule ip way sent ip daddr {target} tcp dport 8300 dnat to {address(lone, 'consul1')}:8500'",
    )  # fmt: skip
    document = ada.done("verify", lone, other, "--each", "--json").json
    (taken,) = [attempt for attempt in document["tries"] if (attempt["address"], attempt["port"]) == (target, 8300)]
    assert (taken["from"], taken["outcome"]) == (lone, "decoy")
    assert document["verdict"] == "apart"


def test_a_port_that_is_published_on_all_addresses_is_named(ada: Person, labs: tuple[str, str], name: str) -> None:
    up(ada, name, "--servers", "1")
    server = container(name, "consul1")
    # A second server's container of the same lab, as somebody makes it who copies a line from the web.
    words = ["--label", f"raft-labctl.lab={name}", "--label", f"raft-labctl.owner={ada.owner}"]
    words += ["--label", "raft-labctl.server=consul2", "--network", f"labctl-{name}", "--publish", "0.0.0.0::8500"]
    docker("run", "--detach", "--name", f"{server}-copy", *words, IMAGE, "agent", "-dev", "-client=0.0.0.0")
    wait_until(lambda: "agent" in docker("logs", f"{server}-copy"), 20, "the agent")
    port = int(docker("port", f"{server}-copy", "8500/tcp").splitlines()[0].rpartition(":")[2])
    result = ada.run("verify", name, labs[0], "--json")
    assert result.code == 1, result
    crossed = [attempt for attempt in result.json["tries"] if attempt["from"] == labs[0]]
    assert crossed
    assert {(attempt["kind"], attempt["to"], attempt["server"], attempt["port"]) for attempt in crossed} == {
        ("published", name, "consul2", port)
    }
    numbers = {number for number, names in failing(result.json) if f"{server}-copy" in names}
    assert {"5.4", "5.11", "5.13", "5.14", "5.26", "5.29"} <= numbers
    assert "5.14" not in {number for number, names in failing(result.json) if server in names}


def test_a_privileged_container_with_a_labs_label_is_found_out(ada: Person, lone: str) -> None:
    stranger = f"{container(lone, 'stranger')}"
    labels = ["--label", f"raft-labctl.lab={lone}", "--label", f"raft-labctl.owner={ada.owner}"]
    mounts = ["--volume", "/var/run/docker.sock:/var/run/docker.sock", "--volume", "/etc:/host:ro"]
    words = ["--privileged", "--user", "0", "--entrypoint", "sleep", "--pid", "host", *mounts, *labels]
    # What it may do is known when it is made; there are machines on which nobody may start one like it.
    docker("create", "--name", stranger, *words, IMAGE, "300")
    try:
        result = ada.run("verify", lone, "--json")
        assert result.code == 1, result
        numbers = {number for number, names in failing(result.json) if names == [stranger]}
        assert {"4.1", "5.5", "5.6", "5.16", "5.30", "5.32"} <= numbers
        # A reason may go on in the next line.
        text = " ".join(ada.run("verify", lone).out.split())
        assert re.search(rf" 5\.5 [a-z ]+ fails [^:]*{stranger}", text, re.IGNORECASE), text
    finally:
        # `down` leaves alone what it did not make.
        docker("rm", "--force", stranger)


def test_a_control_that_fails_is_unknown_and_exit_3(ada: Person, labs: tuple[str, str]) -> None:
    lab, other = labs
    ada.done("fault", "isolate", "consul2", "--lab", lab, "--for", "60s")
    try:
        result = ada.run("verify", lab, other, "--json")
    finally:
        ada.done("fault", "heal", "--lab", lab)
    assert result.code == 3, result
    assert (row(result.json, lab)["verdict"], row(result.json, other)["verdict"]) == ("unknown", "apart")
    assert any("its own consul2" in reason for reason in row(result.json, lab)["unproven"])
    # A fault's helper has root and NET_ADMIN, which is what it is for.
    assert failing(result.json) == []


def test_a_server_that_is_stopped_is_unknown(ada: Person, labs: tuple[str, str]) -> None:
    ada.done("stop", labs[0], "--server", "consul3")
    try:
        result = ada.run("verify", *labs)
    finally:
        ada.done("start", labs[0])
    assert result.code == 3, result
    assert f"{labs[0]} is not proven: consul3 does not run" in " ".join(result.out.split())


def test_a_verify_that_is_killed_leaves_a_helper_that_down_removes(ada: Person, name: str) -> None:
    up(ada, name, "--servers", "1")
    process = ada.start("verify", name)
    wait_until(lambda: helpers(name), 30, "a helper")
    process.kill()
    process.communicate()
    ada.done("down", name)
    assert left_of(name) == []


def test_an_interrupted_verify_leaves_nothing(ada: Person, labs: tuple[str, str]) -> None:
    process = ada.start("verify", *labs)
    wait_until(lambda: helpers(labs[0]) and helpers(labs[1]), 30, "both helpers")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    ends = time.monotonic() + 10
    while time.monotonic() < ends and (helpers(labs[0]) or helpers(labs[1])):
        time.sleep(0.2)
    assert helpers(labs[0]) == helpers(labs[1]) == []


def test_labs_that_are_not_there_or_somebody_elses_are_refused(ada: Person, bob: Person, labs: tuple[str, str]) -> None:
    assert ada.run("verify", "nobody-has-this").code == 1
    assert ada.run("verify", "No Name").code == 2
    refused = bob.run("verify", labs[0])
    assert refused.code == 4
    assert ada.owner in refused.sentence()
    assert "No lab of yours" in bob.run("verify").sentence()
