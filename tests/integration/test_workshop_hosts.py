"""Workshops over two Docker hosts by SSH: one lost and back, by Ansible alone, an end that they keep, and secrets."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from labctl.shared import derived_secrets
from tests.integration.fleets import NAMES, Fleet
from tests.integration.harness import ROOT, SCRIPTS, container, ended, inspect, wait_until

if TYPE_CHECKING:
    from types import TracebackType

    from tests.integration.docker_hosts import DockerHosts
    from tests.integration.harness import Person, Result

REAPED_SECONDS = 90
CARRY_SECONDS = 180
"""For the image, which is carried to both hosts first, and the first part of a lab."""
BEFORE_SECONDS = 60.0
"""Files older than this before the test cannot hold a workshop's secret that is newer."""


def test_a_host_that_is_lost_while_seats_come_up_takes_only_its_own(hosts: DockerHosts, dora: Person) -> None:
    with Fleet(dora, hosts, seats=4) as fleet:
        out = dora.home / f"{fleet.name}-up"
        process = dora.start(*fleet.words("up", "--json"), into=out)
        wait_until(lambda: fleet.labs_on(fleet.hosts["green"]), CARRY_SECONDS, "the first part of a lab")
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


def test_what_a_lost_host_had_is_made_on_the_other_and_the_double_is_named(hosts: DockerHosts, dora: Person) -> None:
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


def play(fleet: Fleet, book: str, *words: str) -> Result:
    """What `ansible-playbook` says with the inventory that labctl prints."""
    inventory = fleet.person.home / f"{fleet.name}-inventory.yml"
    if not inventory.exists():
        inventory.write_text(fleet.done("inventory").out)
    env = fleet.person.env | {"PATH": f"{SCRIPTS}:{fleet.person.env['PATH']}"}
    return ended([str(SCRIPTS / "ansible-playbook"), "-i", str(inventory), f"playbooks/{book}", *words], env, ROOT)


def test_the_inventory_does_the_same_with_ansible_alone(hosts: DockerHosts, dora: Person) -> None:
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


def test_both_hosts_end_the_workshop_by_themselves(hosts: DockerHosts, dora: Person) -> None:
    with Fleet(dora, hosts, expires="2h", seats=2) as fleet:
        fleet.done("up")

        def ends() -> list[str]:
            reapers = [
                reaper
                for host in hosts.hosts
                for reaper in inspect("container", *fleet.reapers_on(host), host=host.host)
            ]
            return [reaper["Config"]["Labels"]["raft-labctl.expires"] for reaper in reapers]

        first = fleet.done("status", "--json").json["expires"]
        assert ends() == [first, first]
        later = fleet.done("extend", "1h", "--json").json
        assert later["hosts"] == list(NAMES)
        assert ends() == [later["expires"]] * 2
        moved = dt.datetime.fromisoformat(later["expires"]) - dt.datetime.fromisoformat(first)
        assert moved == dt.timedelta(hours=1)
        before = fleet.started()
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
        fleet.done("expire", soon.isoformat(timespec="seconds"))
        assert fleet.started() == before
        dora.end_processes()
        wait_until(lambda: fleet.left() == [], REAPED_SECONDS, "both hosts to be empty")


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
        modes = {}
        for where, _, names in os.walk(folder):
            for name in names:
                with suppress(OSError):
                    path = Path(where, name)
                    if (
                        path.is_file()
                        and path.stat().st_mtime >= self._begun
                        and self._secret.search(path.read_bytes())
                    ):
                        modes[path] = path.stat().st_mode & 0o777
        return modes


def secrets_of(fleet: Fleet) -> list[bytes]:
    """The workshop's secret, and of each seat the seed, the key and the tokens, as they would be written."""
    folder = fleet.person.state / "workshops" / fleet.name
    secrets = [(folder / "secret").read_text().strip()]
    for path in (folder / "seats").glob("*.seed"):
        seed = bytes.fromhex(path.read_text().strip())
        secrets += [seed.hex(), derived_secrets.gossip_key(seed)]
        secrets += [derived_secrets.token(seed), derived_secrets.recovery_token(seed)]
    assert len(secrets) == 1 + 4 * 2
    return [secret.encode() for secret in secrets]


def test_secrets_are_only_in_files_of_their_owners(hosts: DockerHosts, dora: Person) -> None:
    with Fleet(dora, hosts, seats=2, expires="2h", profile="full") as fleet:
        inventory = fleet.done("inventory").out
        secrets = secrets_of(fleet)
        folders = [dora.home, *(host.home for host in hosts.hosts), Path(tempfile.gettempdir())]
        with Watch(secrets, [dora.home, *(host.home for host in hosts.hosts)]) as watch:
            fleet.done("up")
            # The watch works.
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
            for reaper in fleet.reapers_on(host):
                texts[f"reaper of {host.address}"] = json.dumps(inspect("container", reaper, host=host.host)).encode()
            texts[f"log of {host.address}"] = (host.folder / "log").read_bytes()
        assert [name for name, text in texts.items() if any(secret in text for secret in secrets)] == []
