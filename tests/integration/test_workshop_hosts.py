"""A workshop over several Docker hosts by SSH: seats on both, one host lost and back, and an end that they keep."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from labctl.shared import derived_secrets
from tests.integration.docker_hosts import GUEST, DockerHosts
from tests.integration.harness import (
    IMAGE,
    ROOT,
    SCRIPTS,
    Person,
    container,
    docker,
    ended,
    inspect,
    left_of,
    new_name,
    remove_lab,
    wait_until,
)
from tests.integration.harness import started as started_on
from tests.integration.old_engine import old_engine
from tests.integration.workshops import REAPER, WORKSHOP, Room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tests.integration.docker_hosts import DockerHost
    from tests.integration.harness import Result

SEATS = 12
NAMES = ("red", "green")
REAPED_SECONDS = 90
CARRIED = Path("/var/tmp/raft-labctl-of-a-killed-run.tar")  # noqa: S108 - where an image is carried through
READY_SECONDS = 60
BEFORE_SECONDS = 60.0
"""Files that were not touched since so long before cannot hold a workshop's secret that is newer."""


class Fleet(Room):
    """A workshop whose seats live on Docker hosts that are reached over SSH; `with` removes it.

    Args:
        person: the instructor.
        hosts: the Docker hosts; they are called as NAMES has it.
        keys: of the workshop's file.
    """

    def __init__(self, person: Person, hosts: DockerHosts, **keys: Any) -> None:
        self.docker_hosts = hosts
        self.hosts: dict[str, DockerHost] = dict(zip(NAMES, hosts.hosts, strict=True))
        super().__init__(person, **{"seats": SEATS, "hosts": self.described(), **keys})

    def described(self, **green: Any) -> list[dict[str, Any]]:
        """The hosts as a workshop's file has them; `green` changes keys of the second."""
        common = {"user": "root", "key": str(self.docker_hosts.key), "known_hosts": str(self.docker_hosts.known_hosts)}
        made = [{"name": name, "address": host.address, **common} for name, host in self.hosts.items()]
        return [made[0], made[1] | green]

    def labs_on(self, host: DockerHost) -> set[str]:
        """The labs that a Docker host has anything of."""
        found = set()
        for kind in ("container", "network", "volume"):
            words = [kind, "ls", *(["--all"] if kind == "container" else [])]
            words += ["--filter", f"label={WORKSHOP}={self.name}", "--format", '{{.Label "raft-labctl.lab"}}']
            found |= set(docker(*words, host=host.host).split())
        return found

    def reapers_on(self, host: DockerHost) -> list[str]:
        """The containers of a Docker host that wait for the workshop's end."""
        words = ["container", "ls", "-q", "--all", "--filter", f"label={REAPER}={self.name}"]
        return docker(*words, host=host.host).split()

    def started(self, *names: str) -> dict[str, tuple[str, str]]:
        """Each server's container on those hosts, or on all, and when it was started."""
        hosts = [self.hosts[name] for name in names or self.hosts]
        return {
            server: when
            for host in hosts
            for lab in self.labs_on(host)
            for server, when in started_on(lab, host.host).items()
        }

    def seats(self) -> list[dict[str, Any]]:
        """The seats as `status --json` tells them."""
        seats: list[dict[str, Any]] = self.run("status", "--json").json["seats"]
        return seats

    def of(self, host: str) -> set[str]:
        """The seats of one host, as `status` tells them."""
        return {seat["seat"] for seat in self.seats() if seat["host"] == host}

    def ready(self) -> set[str]:
        """The seats that are ready."""
        return {seat["seat"] for seat in self.seats() if seat["ready"]}

    def left(self) -> list[str]:
        """Everything that is still there, on any host."""
        found = []
        for host in self.hosts.values():
            found += self.reapers_on(host)
            found += [part for lab in self.labs_on(host) for part in left_of(lab, host.host)]
        return found

    def remove(self) -> None:
        """Take away what is there, whatever state it is in."""
        self.docker_hosts.learn()
        for host in self.hosts.values():
            host.start()
            for one in self.reapers_on(host):
                docker("rm", "--force", one, host=host.host, check=False)
            for lab in self.labs_on(host):
                remove_lab(lab, host.host)

    def __enter__(self) -> Self:
        """Nothing is made yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Remove it."""
        self.remove()


@pytest.fixture(scope="module")
def hosts(image: str) -> Iterator[DockerHosts]:
    """Two Docker hosts without an image."""
    assert image
    with DockerHosts(len(NAMES)) as hosts:
        yield hosts
    assert hosts.left() == []


@pytest.fixture(scope="module")
def dora(hosts: DockerHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """An instructor whose ssh knows nothing but what the workshop's file says."""
    assert hosts
    with tempfile.TemporaryDirectory(prefix="lt-") as sockets:
        person = Person(f"dora-{new_name()}", tmp_path_factory.mktemp("dora"), settings={"XDG_RUNTIME_DIR": sockets})
        yield person
        person.end_processes()
        assert list(Path(sockets).iterdir()) == []


@pytest.fixture(scope="module")
def carried(hosts: DockerHosts, dora: Person) -> Iterator[tuple[Fleet, Result]]:
    """The workshop of most tests, and what its first `up` said, with hosts that had no image."""
    with Fleet(dora, hosts) as fleet:
        for host in hosts.hosts:
            assert docker("image", "ls", "-q", host=host.host) == ""
        CARRIED.touch()
        os.utime(CARRIED, (time.time() - 7200,) * 2)
        yield fleet, fleet.done("up", "--json")
        fleet.remove()
        assert fleet.left() == []


@pytest.fixture
def fleet(carried: tuple[Fleet, Result]) -> Fleet:
    """The workshop, every seat ready."""
    fleet, _ = carried
    for host in fleet.hosts.values():
        host.start()
    fleet.docker_hosts.learn()
    fleet.write(hosts=fleet.described())
    fleet.done("up")
    return fleet


def play(fleet: Fleet, book: str, *words: str) -> Result:
    """What `ansible-playbook` says with the inventory that labctl prints."""
    inventory = fleet.person.home / f"{fleet.name}-inventory.yml"
    if not inventory.exists():
        inventory.write_text(fleet.done("inventory").out)
    env = fleet.person.env | {"PATH": f"{SCRIPTS}:{fleet.person.env['PATH']}"}
    return ended([str(SCRIPTS / "ansible-playbook"), "-i", str(inventory), f"playbooks/{book}", *words], env, ROOT)


def test_every_seat_is_ready_on_a_host_that_had_no_image(carried: tuple[Fleet, Result]) -> None:
    fleet, first = carried
    assert [(seat["ready"], seat["voters"]) for seat in first.json["seats"]] == [(True, 3)] * SEATS
    status = fleet.done("status", "--json").json
    assert status["ready"]
    assert {one["host"] for one in status["seats"]} == set(NAMES)
    for name, host in fleet.hosts.items():
        # Large and small fill alike, and these two are the same machine.
        assert len(fleet.labs_on(host)) == SEATS // 2
        assert {fleet.lab(seat) for seat in fleet.of(name)} == fleet.labs_on(host)
    # Nothing of it is on the controller's own engine.
    assert fleet.left() != []
    assert [part for one in status["seats"] for part in left_of(one["lab"])] == []
    ids = {
        docker("image", "ls", "-q", "--no-trunc", "raft-labctl/consul", host=host.host) for host in fleet.hosts.values()
    }
    assert ids == {docker("image", "ls", "-q", "--no-trunc", IMAGE)}
    # The hosts have this machine's files. What a killed run left two hours ago is gone with what this one carried.
    assert list(CARRIED.parent.glob("raft-labctl-*.tar*")) == []


def test_a_second_up_has_nothing_to_do_and_touches_nothing(fleet: Fleet) -> None:
    before = fleet.started()
    again = fleet.done("up", "--json").json
    assert not again["changed"]
    assert fleet.started() == before
    plan = fleet.done("plan", "--json").json
    assert [(host["host"], host["problem"], host["seats"]) for host in plan["hosts"]] == [
        (name, None, SEATS // 2) for name in NAMES
    ]


def test_every_leader_of_both_hosts_at_once_and_everybody_healed(fleet: Fleet) -> None:
    result = fleet.done("fault kill", "leader", "--all", "--json").json
    assert len(result["seats"]) == SEATS
    assert {seat["host"] for seat in result["seats"]} == set(NAMES)
    for seat in result["seats"]:
        assert seat["problem"] is None
        assert len(seat["servers"]) == 1
        assert seat["leader"] not in seat["servers"]
        assert seat["seconds"] > 0
    assert fleet.ready() == set()
    healed = fleet.done("fault heal", "--all", "--json").json
    assert [seat["problem"] for seat in healed["seats"]] == [None] * SEATS
    wait_until(lambda: len(fleet.ready()) == SEATS, READY_SECONDS, "every seat to be ready")


def test_a_host_that_is_lost_takes_only_its_own_seats_and_up_mends_them_when_it_is_back(fleet: Fleet) -> None:
    there, here = fleet.of("green"), fleet.of("red")
    before = fleet.started("red")
    fleet.hosts["green"].die()
    status = fleet.run("status", "--json")
    assert status.code == 3
    for one in status.json["seats"]:
        lost = one["seat"] in there
        assert one["ready"] is not lost
        if lost:
            assert one["host"] == "green"
            assert re.match("its Docker host green cannot be used: .*(nothing answered|no way leads)", one["problem"])
    up = fleet.run("up", "--json")
    assert up.code == 1
    for one in up.json["seats"]:
        lost = one["lab"] in {fleet.lab(seat) for seat in there}
        assert (one["ready"], one["step"]) == ((False, "lost") if lost else (True, "ready"))
        assert not one["changed"]
        assert not lost or "its Docker host green cannot be used" in one["reason"]
    assert fleet.started("red") == before
    fleet.hosts["green"].start()
    assert fleet.ready() == here
    fleet.done("up", "--retry-failed")
    assert fleet.ready() == here | there
    assert fleet.of("green") == there
    assert fleet.started("red") == before


def test_a_host_that_is_lost_while_seats_come_up_takes_only_its_own(
    hosts: DockerHosts, dora: Person, carried: tuple[Fleet, Result]
) -> None:
    assert carried
    with Fleet(dora, hosts, seats=4) as fleet:
        out = dora.home / f"{fleet.name}-up"
        process = dora.start(*fleet.words("up", "--json"), into=out)
        wait_until(lambda: fleet.labs_on(fleet.hosts["green"]), READY_SECONDS, "the first part of a lab")
        fleet.hosts["green"].die()
        process.communicate()
        assert process.returncode == 1
        for seat in json.loads(out.read_text())["seats"]:
            assert seat["ready"] is (seat["host"] == "red")
            assert seat["ready"] or seat["reason"].startswith("The Docker host could not be reached: ")
            assert seat["ready"] or "\n" not in seat["reason"]
        before = fleet.started("red")
        fleet.hosts["green"].start()
        again = fleet.done("up", "--retry-failed", "--json").json
        assert [(seat["host"], seat["ready"]) for seat in again["seats"]] == [("green", True)] * 2
        assert fleet.ready() == {"01", "02", "03", "04"}
        assert fleet.started("red") == before


def test_what_a_lost_host_had_is_made_on_the_other_and_the_double_is_named(
    hosts: DockerHosts, dora: Person, carried: tuple[Fleet, Result]
) -> None:
    assert carried
    with Fleet(dora, hosts, seats=2, expires="2h") as fleet:
        fleet.done("up")
        (moved,) = fleet.of("green")
        (stayed,) = fleet.of("red")
        before = fleet.started("red")
        fleet.hosts["green"].die()
        fleet.done("up", "--replace")
        assert fleet.of("red") == {moved, stayed}
        assert fleet.ready() == {moved, stayed}
        assert before.items() <= fleet.started("red").items()
        fleet.hosts["green"].start()
        now = fleet.started("red")
        for verb in ("status", "up", "plan"):
            refused = fleet.run(verb)
            assert refused.code == 4
            assert f"{fleet.lab(moved)} lives on two Docker hosts, red and green" in refused.sentence()
            assert f"labctl workshop down --host green {fleet.lab(moved)}" in refused.sentence()
        fleet.done("down", "--host", "green")
        assert fleet.labs_on(fleet.hosts["green"]) == set()
        assert fleet.reapers_on(fleet.hosts["green"]) == []
        assert fleet.started("red") == now
        assert len(fleet.reapers_on(fleet.hosts["red"])) == 1
        assert not fleet.done("up", "--json").json["changed"]
        fleet.done("down")
        assert fleet.left() == []


def refused_on_green(fleet: Fleet, status: int = 3) -> str:
    """Why `up` can do nothing for the seats of the host green, while it leaves those of the other unharmed.

    `status` is what `labctl workshop status` ends with: 0 where the seats work all the same.
    """
    up = fleet.run("up", "--json")
    assert up.code == 1, up
    found = {seat["reason"] for seat in up.json["seats"] if seat["host"] == "green"}
    assert len(found) == 1
    assert [seat["ready"] for seat in up.json["seats"] if seat["host"] == "red"] == [True] * (SEATS // 2)
    (reason,) = found
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
        assert "its host key is not known here, and labctl trusts no host that nobody looked at" in reason
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
        assert "green: nobody can look whether anything is left there" in down.out
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
        on_green = [one for one in planned if one["host"] == "green"]
        green = fleet.hosts["green"]
        fleet.done("up", *(one["seat"] for one in planned if one["host"] == "red"))
        before = fleet.started("red")
        thief = f"{fleet.name}-thief"
        listener = listening(green, on_green[1]["http_port"])
        try:
            docker("network", "create", "--subnet", on_green[0]["subnet"], thief, host=green.host)
            up = fleet.run("up", "--json")
            assert up.code == 1
            seats = {seat["lab"]: seat for seat in up.json["seats"]}
            assert {seat["lab"] for seat in seats.values() if not seat["ready"]} == {one["lab"] for one in on_green}
            assert thief in seats[on_green[0]["lab"]]["reason"]
            assert str(on_green[1]["http_port"]) in seats[on_green[1]["lab"]]["reason"]
        finally:
            docker("network", "rm", thief, host=green.host, check=False)
            listener.kill()
            listener.wait()
        again = fleet.done("up", "--retry-failed", "--json").json
        assert [(seat["lab"], seat["ready"]) for seat in again["seats"]] == [(one["lab"], True) for one in on_green]
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


def test_the_inventory_does_the_same_with_ansible_alone(
    hosts: DockerHosts, dora: Person, carried: tuple[Fleet, Result]
) -> None:
    assert carried
    with Fleet(dora, hosts, seats=3, expires="2h") as fleet:
        done = play(fleet, "up.yml", "--limit", fleet.lab("02"))
        assert done.code == 0, done.out + done.err
        assert fleet.ready() == {"02"}
        only = fleet.started()
        done = play(fleet, "up.yml")
        assert done.code == 0, done.out + done.err
        assert fleet.ready() == {"01", "02", "03"}
        assert only.items() <= fleet.started().items()
        assert [len(fleet.reapers_on(host)) for host in hosts.hosts] == [1, 1]
        again = fleet.done("up")
        assert "nothing had to be done" in again.out
        done = play(fleet, "down.yml", "--limit", fleet.lab("03"))
        assert done.code == 0, done.out + done.err
        assert fleet.ready() == {"01", "02"}
        done = play(fleet, "down.yml")
        assert done.code == 0, done.out + done.err
        assert fleet.left() == []


def test_both_hosts_end_the_workshop_by_themselves(
    hosts: DockerHosts, dora: Person, carried: tuple[Fleet, Result]
) -> None:
    assert carried
    with Fleet(dora, hosts, expires="2h", seats=2) as fleet:
        fleet.done("up")

        def ends() -> list[str]:
            found = [
                one for host in hosts.hosts for one in inspect("container", *fleet.reapers_on(host), host=host.host)
            ]
            return [one["Config"]["Labels"]["raft-labctl.expires"] for one in found]

        first = fleet.done("status", "--json").json["expires"]
        assert ends() == [first, first]
        later = fleet.done("extend", "1h", "--json").json
        assert later["hosts"] == list(NAMES)
        assert ends() == [later["expires"]] * 2
        moved = dt.datetime.fromisoformat(later["expires"]) - dt.datetime.fromisoformat(first)
        assert moved == dt.timedelta(hours=1)
        before = fleet.started()
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=15)
        fleet.done("expire", soon.isoformat(timespec="seconds"))
        assert fleet.started() == before
        dora.end_processes()
        wait_until(lambda: fleet.left() == [], REAPED_SECONDS, "both hosts to be empty")


# -- secrets --------------------------------------------------------------------------------------------------


class Watch:
    """Looks at every process and at every file of some folders, again and again, for secrets; use it with `with`.

    Attributes:
        argv: the command lines in which there was one.
        files: the files in which there was one, with their modes.
    """

    def __init__(self, secrets: list[bytes], folders: list[Path]) -> None:
        self._secret = re.compile(b"|".join(re.escape(secret) for secret in secrets))
        self._folders = folders
        self._begun = time.time() - BEFORE_SECONDS
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.argv: set[bytes] = set()
        self.files: dict[Path, int] = {}
        self.rounds = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    with suppress(OSError):
                        said = (process / name).read_bytes()
                        if self._secret.search(said):
                            self.argv.add(said)
            for folder in self._folders:
                self.files |= self.found_in(folder)
            self.rounds += 1
            self._over.wait(0.05)

    def found_in(self, folder: Path) -> dict[Path, int]:
        """The files below a folder in which there is a secret now, with their modes."""
        found = {}
        for where, _, names in os.walk(folder):
            for name in names:
                with suppress(OSError):
                    path = Path(where, name)
                    if (
                        path.is_file()
                        and path.stat().st_mtime >= self._begun
                        and self._secret.search(path.read_bytes())
                    ):
                        found[path] = path.stat().st_mode & 0o777
        return found


def secrets_of(fleet: Fleet) -> list[bytes]:
    """The workshop's secret, and of each seat the seed, the key and the tokens, as they would be written."""
    folder = fleet.person.state / "workshops" / fleet.name
    found = [(folder / "secret").read_text().strip()]
    for path in (folder / "seats").glob("*.seed"):
        seed = bytes.fromhex(path.read_text().strip())
        found += [seed.hex(), derived_secrets.gossip_key(seed)]
        found += [derived_secrets.token(seed), derived_secrets.recovery_token(seed)]
    assert len(found) == 1 + 4 * 2
    return [one.encode() for one in found]


def test_secrets_are_only_in_files_of_their_owners(
    hosts: DockerHosts, dora: Person, carried: tuple[Fleet, Result]
) -> None:
    assert carried
    with Fleet(dora, hosts, seats=2, expires="2h", profile="full") as fleet:
        inventory = fleet.done("inventory").out
        secrets = secrets_of(fleet)
        folders = [dora.home, *(host.home for host in hosts.hosts), Path(tempfile.gettempdir())]
        with Watch(secrets, [dora.home, *(host.home for host in hosts.hosts)]) as watch:
            fleet.done("up")
            # The watch sees what is to be seen.
            assert (dora.state / "workshops" / fleet.name / "secret") in watch.files
        assert watch.rounds > 10
        assert watch.argv == set()
        for folder in folders:
            watch.files |= watch.found_in(folder)
        register = dora.state / "workshops" / fleet.name
        assert set(watch.files.values()) == {0o600}, watch.files
        assert {path for path in watch.files if not path.is_relative_to(register)} == set()
        # On the hosts, only servers have them: in the volumes of their labs.
        for host in hosts.hosts:
            kept = watch.found_in(host.folder / "data")
            assert len(kept) >= 3
            assert {path for path in kept if not path.is_relative_to(host.folder / "data/volumes")} == set()
            # What servers wrote into Raft's log is theirs, and they choose its mode: in a volume that only root sees.
            own = {path: mode for path, mode in kept.items() if "/_data/raft/" not in str(path)}
            assert set(own.values()) == {0o600}, own
        texts = {"inventory": inventory.encode()}
        for host in hosts.hosts:
            for lab in fleet.labs_on(host):
                for server in ("consul1", "consul2", "consul3"):
                    name = container(lab, server)
                    texts[f"{name} inspect"] = json.dumps(inspect("container", name, host=host.host)).encode()
                    texts[f"{name} logs"] = ended(["docker", "--host", host.host, "logs", name]).out.encode()
            for one in fleet.reapers_on(host):
                texts[f"reaper of {host.address}"] = json.dumps(inspect("container", one, host=host.host)).encode()
            texts[f"log of {host.address}"] = (host.folder / "log").read_bytes()
        assert [name for name, text in texts.items() if any(secret in text for secret in secrets)] == []
