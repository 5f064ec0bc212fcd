"""A workshop over two Docker hosts by SSH: what is wrong with one is named, and harms no seat of the other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

from tests.integration.docker_hosts import GUEST
from tests.integration.fleets import Fleet
from tests.integration.harness import IMAGE, docker, ended, inspect
from tests.integration.old_engine import old_engine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.docker_hosts import DockerHost, DockerHosts
    from tests.integration.harness import Person, Result

SEATS = 4


def test_a_host_that_is_lost_takes_only_its_own_seats_and_up_mends_them_when_it_is_back(fleet: Fleet) -> None:
    there, here = fleet.of("green"), fleet.of("red")
    before = fleet.started("red")
    fleet.hosts["green"].die()
    status = fleet.run("status", "--json")
    assert status.code == 3
    for seat in status.json["seats"]:
        lost = seat["seat"] in there
        assert seat["ready"] is not lost
        if lost:
            assert seat["host"] == "green"
            assert re.match("its Docker host green cannot be used: .*(nothing answered|no way leads)", seat["problem"])
    up = fleet.run("up", "--json")
    assert up.code == 1
    for outcome in up.json["seats"]:
        lost = outcome["lab"] in {fleet.lab(seat) for seat in there}
        assert (outcome["ready"], outcome["step"]) == ((False, "lost") if lost else (True, "ready"))
        assert not outcome["changed"]
        assert not lost or "its Docker host green cannot be used" in outcome["reason"]
    assert fleet.started("red") == before
    fleet.hosts["green"].start()
    assert fleet.ready() == here
    fleet.done("up", "--retry-failed")
    assert fleet.ready() == here | there
    assert fleet.of("green") == there
    assert fleet.started("red") == before


def refused_on_green(fleet: Fleet, status: int = 3) -> str:
    """Why `up` can do nothing for the seats of the host green, while it leaves those of the other unharmed.

    `status` is what `labctl workshop status` ends with: 0 where the seats work all the same.
    """
    up = fleet.run("up", "--json")
    assert up.code == 1, up
    reasons = {seat["reason"] for seat in up.json["seats"] if seat["host"] == "green"}
    assert len(reasons) == 1
    assert [seat["ready"] for seat in up.json["seats"] if seat["host"] == "red"] == [True] * (SEATS // 2)
    (reason,) = reasons
    assert fleet.run("status").code == status
    plan = fleet.run("plan", "--json").json
    # A clock that is read twice may differ by a second.
    said, later = (
        re.sub(r"\d+ seconds", "N seconds", text)
        for text in (reason, f"its Docker host green cannot be used: {plan['hosts'][1]['problem']}")
    )
    assert later == said
    return str(reason)


def test_a_host_key_that_is_unknown_or_changed_is_refused(fleet: Fleet) -> None:
    green, known = fleet.hosts["green"], fleet.docker_hosts.known_hosts
    before = fleet.started()
    try:
        known.write_text(fleet.hosts["red"].known())
        reason = refused_on_green(fleet)
        assert "its host key is not known here, and labctl trusts no host that nobody has checked" in reason
        assert known.read_text() == fleet.hosts["red"].known()
        fleet.docker_hosts.learn()
        green.change_host_key()
        reason = refused_on_green(fleet)
        assert "its host key is not the one that is known for it, so nobody knows who answers there" in reason
        assert f"-R '{green.address}'" in reason
        # A seat is not moved because of it either, and nothing is removed.
        gone = fleet.run("down", "--host", "green")
        assert gone.code == 1
        assert "The Docker host green cannot be used, so nothing was removed there" in gone.sentence()
        down = fleet.run("down")
        assert down.code == 1
        assert "green: nobody can check whether anything is left there" in down.out
        assert "its host key is not the one that is known for it" in down.out
        assert fleet.labs_on(fleet.hosts["red"]) == set()
    finally:
        fleet.docker_hosts.learn()
    labs = {fleet.lab(seat) for seat in fleet.of("green")}
    assert labs == fleet.labs_on(green)
    assert fleet.started("green").items() <= before.items()


def test_a_wrong_key_file_and_a_guest_are_named(fleet: Fleet) -> None:
    before = fleet.started()
    fleet.write(hosts=fleet.described(user=GUEST))
    reason = refused_on_green(fleet)
    assert f"The user {GUEST} may not use the Docker socket of the Docker host green" in reason
    other = fleet.person.home / "other_key"
    if not other.exists():
        assert ended(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)]).code == 0
    fleet.write(hosts=fleet.described(key=str(other)))
    reason = refused_on_green(fleet)
    assert f"it refused the login root@{fleet.hosts['green'].address}" in reason
    assert str(other) in reason
    fleet.write(hosts=fleet.described(key=str(other.with_name("none"))))
    reason = refused_on_green(fleet)
    assert f"{other.with_name('none')}" in reason
    assert fleet.started() == before


def test_an_engine_that_stopped_is_named_and_its_seats_are_mended(fleet: Fleet) -> None:
    before, there = fleet.started("red"), fleet.of("green")
    fleet.hosts["green"].stop()
    reason = refused_on_green(fleet)
    assert "Docker does not run on the Docker host green: start it there" in reason
    fleet.hosts["green"].start()
    fleet.done("up", "--retry-failed")
    assert fleet.ready() == fleet.of("red") | there
    assert fleet.started("red") == before


def test_a_full_disk_and_a_wrong_clock_are_named_and_their_seats_are_mended(fleet: Fleet) -> None:
    before, there, green = fleet.started(), fleet.of("green"), fleet.hosts["green"]
    with green.seen_with(f"-t tmpfs -o size=1m none {green.folder}/data"):
        reason = refused_on_green(fleet, status=0)
        assert f"its disk is full: 0.0 GB are free at {green.folder}/data, and 2.1 must be" in reason
    date = green.folder / "date"
    date.write_text("#!/bin/sh\ntouch /run/now && echo $(($(stat -c %Y /run/now) + 3600))\n")
    date.chmod(0o755)
    with green.seen_with(f"--bind {date} {shutil.which('date')}"):
        reason = refused_on_green(fleet, status=0)
        assert re.search(r"its clock is 3(599|600|601) seconds ahead of this machine's: set both by NTP", reason)
    fleet.done("up", "--retry-failed")
    assert fleet.ready() == fleet.of("red") | there
    assert fleet.started() == before


def test_an_engine_that_is_too_old_is_named_and_the_other_host_unharmed(fleet: Fleet) -> None:
    before, there, green = fleet.started(), fleet.of("green"), fleet.hosts["green"]
    door = green.folder / "old.sock"
    with old_engine(door, green.folder / "docker.sock"), green.seen_with(f"--bind {door} /run/docker.sock"):
        reason = refused_on_green(fleet, status=0)
        assert re.search(r"its Docker Engine 18\.\S+ is too old: install 19\.03 or newer", reason)
    fleet.done("up", "--retry-failed")
    assert fleet.ready() == fleet.of("red") | there
    assert fleet.started() == before


def listening(host: DockerHost, port: int) -> subprocess.Popen[bytes]:
    """A process that has a port of a Docker host's loopback."""
    words = [*host.inside, sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_subnet_or_a_port_that_is_taken_on_one_host_fails_one_seat(
    hosts: DockerHosts, dora: Person, carried: tuple[Fleet, Result]
) -> None:
    assert carried
    with Fleet(dora, hosts, seats=4, network="10.221.64.0/24", http_port=28310) as fleet:
        planned = fleet.done("plan", "--json").json["seats"]
        on_green = [seat for seat in planned if seat["host"] == "green"]
        green = fleet.hosts["green"]
        fleet.done("up", *(seat["seat"] for seat in planned if seat["host"] == "red"))
        before = fleet.started("red")
        thief = f"{fleet.name}-thief"
        listener = listening(green, on_green[1]["http_port"])
        try:
            docker("network", "create", "--subnet", on_green[0]["subnet"], thief, host=green.host)
            up = fleet.run("up", "--json")
            assert up.code == 1
            seats = {seat["lab"]: seat for seat in up.json["seats"]}
            assert {seat["lab"] for seat in seats.values() if not seat["ready"]} == {
                planned_seat["lab"] for planned_seat in on_green
            }
            assert thief in seats[on_green[0]["lab"]]["reason"]
            assert str(on_green[1]["http_port"]) in seats[on_green[1]["lab"]]["reason"]
        finally:
            docker("network", "rm", thief, host=green.host, check=False)
            listener.kill()
            listener.wait()
        again = fleet.done("up", "--retry-failed", "--json").json
        assert [(seat["lab"], seat["ready"]) for seat in again["seats"]] == [
            (planned_seat["lab"], True) for planned_seat in on_green
        ]
        assert fleet.started("red") == before
        fleet.done("down")
        assert fleet.left() == []


def break_image(host: DockerHost, folder: Path) -> None:
    """Give the image's name, with all of its labels, to one that holds nothing."""
    empty = folder / "empty.tar"
    with tarfile.open(empty, "w"):
        pass
    (image,) = inspect("image", IMAGE, host=host.host)
    labels = [f"--change=LABEL {name}={json.dumps(value)}" for name, value in image["Config"]["Labels"].items()]
    words = ["image", "import", *labels, '--change=ENTRYPOINT ["consul"]', str(empty), IMAGE]
    docker(*words, host=host.host)


def test_an_image_that_is_broken_on_one_host_fails_its_seats_and_is_carried_there_again(
    hosts: DockerHosts, dora: Person, carried: tuple[Fleet, Result]
) -> None:
    assert carried
    green = hosts.hosts[1]
    (whole,) = inspect("image", IMAGE, host=green.host)
    with Fleet(dora, hosts, seats=4) as fleet:
        try:
            break_image(green, dora.home)
            up = fleet.run("up", "--json")
            assert up.code == 1
            for seat in up.json["seats"]:
                assert seat["ready"] is (seat["host"] == "red")
                if seat["host"] == "green":
                    assert seat["step"] == "starting"
                    assert f"The image {IMAGE} on this Docker host cannot run consul" in seat["reason"]
                    assert f"docker image rm --force {IMAGE}" in seat["reason"]
            before = fleet.started("red")
            docker("image", "rm", "--force", IMAGE, host=green.host)
            again = fleet.done("up", "--retry-failed", "--json").json
            assert [(seat["host"], seat["ready"]) for seat in again["seats"]] == [("green", True)] * 2
            assert fleet.started("red") == before
            assert inspect("image", IMAGE, host=green.host)[0]["Id"] == whole["Id"]
        finally:
            docker("tag", whole["Id"], IMAGE, host=green.host)
