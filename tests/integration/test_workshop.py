"""A workshop on this Docker host: every seat up, one that fails, one rebuilt, and an end."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import (
    ROOT,
    SCRIPTS,
    VERSION,
    container,
    docker,
    ended,
    get,
    gossip_key,
    inspect,
    put,
    started,
    wait_until,
)
from tests.integration.kills import ORPHAN_SECONDS
from tests.integration.workshops import REAPER, Room, room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.harness import Person


@pytest.fixture(scope="module")
def pair_of_module(ada: Person) -> Iterator[Room]:
    """A workshop of two seats, which each test leaves as it likes."""
    with room(ada) as made:
        yield made


@pytest.fixture
def pair(pair_of_module: Room) -> Room:
    """A workshop of two seats, up."""
    pair_of_module.done("up")
    return pair_of_module


def test_every_seat_is_up_seen_found_again_and_removed(ada: Person) -> None:
    with room(ada, seats=["ada", "grace", "linus"]) as made:
        planned = made.done("plan", "--json").json
        assert planned["fits"]
        assert [seat["host"] for seat in planned["seats"]] == ["local"] * 3
        result = made.done("up", "--json").json
        assert [(seat["ready"], seat["voters"]) for seat in result["seats"]] == [(True, 3)] * 3
        assert made.labs() == {made.lab(seat) for seat in ("ada", "grace", "linus")}
        status = made.done("status", "--json").json
        assert status["ready"]
        assert all(seat["last_election"] and seat["leader"] for seat in status["seats"])
        before = {lab: started(lab) for lab in made.labs()}
        again = made.done("up", "--json").json
        assert not again["changed"]
        assert {lab: started(lab) for lab in made.labs()} == before
        removed = made.done("down", "--json").json
        assert set(removed["removed"]) == set(before)
        assert made.left() == []
        assert made.done("down", "--json").json["changed"] is False


def test_seats_have_what_their_numbers_say(ada: Person) -> None:
    with room(ada, seats=2, network="10.220.64.0/24", http_port=28110) as made:
        planned = {seat["seat"]: seat for seat in made.done("plan", "--json").json["seats"]}
        made.done("up")
        for number, seat in enumerate(("01", "02")):
            (network,) = made.person.done("status", made.lab(seat), "--json").json["servers"][:1]
            assert network["address"] == f"10.220.64.{number * 16 + 2}"
            assert network["http"] == f"http://127.0.0.1:{28110 + 8 * number}"
            assert planned[seat]["subnet"] == f"10.220.64.{number * 16}/28"
        assert gossip_key(made.lab("01")) != gossip_key(made.lab("02"))


def test_a_seat_that_fails_stops_no_other_and_is_mended_by_a_retry(ada: Person) -> None:
    with room(ada, seats=3, network="10.220.65.0/24") as made:
        # Behind the plan's back: the plan would refuse a subnet that it sees taken.
        thief = f"{made.name}-thief"
        try:
            made.done("up", "01", "03")
            docker("network", "create", "--subnet", "10.220.65.16/28", thief)
            result = made.run("up", "--json")
            assert result.code == 1
            seats = {seat["lab"]: seat for seat in result.json["seats"]}
            failed = seats[made.lab("02")]
            assert (failed["ready"], failed["step"]) == (False, "starting")
            assert thief in failed["reason"]
            assert [seats[made.lab(seat)]["ready"] for seat in ("01", "03")] == [True, True]
            assert made.states() == {"01": True, "02": False, "03": True}
            others = {lab: started(made.lab(lab)) for lab in ("01", "03")}
        finally:
            docker("network", "rm", thief, check=False)
        again = made.done("up", "--retry-failed", "--json").json
        assert [(seat["lab"], seat["ready"]) for seat in again["seats"]] == [(made.lab("02"), True)]
        assert {lab: started(made.lab(lab)) for lab in ("01", "03")} == others
        assert "nothing to try again" in made.run("up", "--retry-failed").sentence()


def test_a_server_that_was_removed_is_seen_and_made_again(pair: Room) -> None:
    put(pair.lab("01"), "k", "v")
    docker("rm", "--force", container(pair.lab("01"), "consul3"))
    assert pair.states() == {"01": False, "02": True}
    other = started(pair.lab("02"))
    pair.done("up")
    assert pair.states() == {"01": True, "02": True}
    assert get(pair.lab("01"), "consul3", "k") == "v"
    assert started(pair.lab("02")) == other


def test_one_seat_is_made_anew_with_the_same_card_and_nobody_else_notices(pair: Room) -> None:
    put(pair.lab("01"), "k", "v")
    before = pair.person.done("status", pair.lab("01"), "--json").json
    key, mine, other = gossip_key(pair.lab("01")), started(pair.lab("01")), started(pair.lab("02"))
    pair.done("reset", "01")
    after = pair.person.done("status", pair.lab("01"), "--json").json
    assert [server["address"] for server in after["servers"]] == [server["address"] for server in before["servers"]]
    assert gossip_key(pair.lab("01")) == key
    assert docker("exec", container(pair.lab("01"), "consul1"), "consul", "kv", "get", "k", check=False) == ""
    assert not set(started(pair.lab("01")).values()) & set(mine.values())
    assert started(pair.lab("02")) == other


def test_seats_come_and_go_while_others_work(ada: Person) -> None:
    with room(ada, seats=["ada", "grace"], servers=1, network="10.220.66.0/24") as made:
        made.done("up")
        before = started(made.lab("grace"))
        made.write(seats=["linus", "grace"])
        result = made.done("up")
        assert f"{made.lab('ada')} is no longer in the file" in result.out
        assert made.states() == {"linus": True, "grace": True, "ada": True}
        assert started(made.lab("grace")) == before
        made.done("down", "ada")
        assert made.labs() == {made.lab("grace"), made.lab("linus")}
        # A name that was given keeps its number, and nobody else gets that of one who left.
        numbers = {seat["seat"]: seat["number"] for seat in made.done("plan", "--json").json["seats"]}
        assert numbers == {"grace": 2, "linus": 3}


def test_the_inventory_does_the_same_with_ansible_alone(ada: Person) -> None:
    with room(ada, expires="2h") as made:
        inventory = ada.home / "inventory.yml"
        inventory.write_text(made.done("inventory").out)
        env = ada.env | {"PATH": f"{SCRIPTS}:{ada.env['PATH']}"}

        def play(book: str, *words: str) -> None:
            words = (str(SCRIPTS / "ansible-playbook"), "-i", str(inventory), f"playbooks/{book}", *words)
            result = ended(words, env, ROOT)
            assert result.code == 0, result.out + result.err

        play("up.yml")
        assert made.states() == {"01": True, "02": True}
        assert len(made.reapers()) == 1
        assert not made.done("up", "--json").json["changed"]
        play("down.yml", "--limit", made.lab("01"))
        assert made.labs() == {made.lab("02")}
        play("down.yml")
        assert made.left() == []


def test_the_docker_host_ends_the_workshop_by_itself(ada: Person) -> None:
    with room(ada, servers=1, expires="2h") as made:
        made.done("up")
        assert len(made.reapers()) == 1
        first = made.done("status", "--json").json["expires"]
        later = made.done("extend", "1h", "--json").json["expires"]
        assert datetime.fromisoformat(later) - datetime.fromisoformat(first) == timedelta(hours=1)
        assert len(made.reapers()) == 1
        soon = datetime.now(UTC) + timedelta(seconds=25)
        made.done("expire", soon.isoformat(timespec="seconds"))
        assert "labctl workshop extend" in made.run("status").out
        ada.end_processes()
        wait_until(lambda: made.left() == [], 90, "the reaper")


def ending(made: Room, *words: str, expires: str = "") -> None:
    """Run a script that ends a workshop, as labctl's module does."""
    labels = {REAPER: made.name, "raft-labctl.owner": made.person.owner, "raft-labctl.expires": expires}
    marks = [word for label, value in labels.items() if value for word in ("--label", f"{label}={value}")]
    access = ("--network", "none", "--user", "0:0", "--volume", "/var/run/docker.sock:/run/docker.sock")
    docker("run", "--detach", *access, *marks, "--entrypoint", "sh", f"raft-labctl/consul:{VERSION}", "-c", *words)


def test_the_end_of_somebody_elses_workshop_of_that_name_removes_nothing_of_mine(ada: Person, bob: Person) -> None:
    with room(ada, seats=1, servers=1, expires="2h") as made:
        made.done("up")
        # As after `labctl down`: the lab is gone, the end waits on, and bob takes the workshop's name.
        ada.done("down", made.lab("01"))
        assert len(made.reapers()) == 1
        file = bob.home / made.file.name
        file.write_text(made.write(expires=None).read_text(encoding="utf-8"), encoding="utf-8")
        bob.done("workshop", "up", "--file", str(file))
        assert bob.done("workshop", "status", "--file", str(file), "--json").json["expires"] is None
        of_bob = {row["lab"]: row for row in bob.done("ls", "--json").json}[made.lab("01")]
        assert (of_bob["owner"], of_bob["expires"]) == (bob.owner, None)
        before = started(made.lab("01"))
        # The same container once more, but that its end comes now.
        (reaper,) = inspect("container", *made.reapers())
        docker("rm", "--force", reaper["Id"])
        _, script, name = reaper["Config"]["Entrypoint"][1:]
        workshop, _, *owner = reaper["Config"]["Cmd"]
        ending(made, script, name, workshop, str(int(time.time()) + 1), *owner)
        wait_until(lambda: made.reapers() == [], 60, "ada's reaper")
        assert started(made.lab("01")) == before
        bob.done("workshop", "down", "--file", str(file))
        assert made.left() == []


def test_an_end_of_an_older_labctl_still_removes_its_labs_and_is_refused_to_others(ada: Person, bob: Person) -> None:
    with room(ada, seats=1, servers=1) as made:
        made.done("up")
        # As the labctl before wrote it down: without the owner among its words.
        script = (ROOT / "tests" / "data" / "reaper-without-owner.sh").read_text(encoding="utf-8")
        end = int(time.time()) + 20
        ending(made, script, "reaper", made.name, str(end), expires=f"{datetime.fromtimestamp(end, UTC):%FT%TZ}")
        assert made.done("status", "--json").json["expires"]
        other = bob.home / made.file.name
        other.write_text(made.file.read_text(encoding="utf-8").replace("seats: 1", "seats: 2"), encoding="utf-8")
        result = bob.run("workshop", "up", "--file", str(other))
        assert (result.code, "older labctl" in result.sentence()) == (4, True)
        wait_until(lambda: made.left() == [], 60, "the older reaper")


def test_a_workshop_without_an_end_says_so(pair: Room) -> None:
    assert pair.reapers() == []
    assert "has no end" in pair.run("extend", "1h").sentence()
    pair.done("expire", "3h")
    assert len(pair.reapers()) == 1
    pair.done("expire", "never")
    assert pair.reapers() == []


def test_a_workshop_of_somebody_else_is_refused(pair: Room, bob: Person) -> None:
    for verb in (("up",), ("down",), ("reset", "01"), ("expire", "1h"), ("fault kill", "leader", "--all")):
        result = bob.run(*pair.words(verb[0], *verb[1:]))
        assert result.code == 4, verb
        assert pair.person.owner in result.sentence()
    assert pair.states() == {"01": True, "02": True}


def test_what_does_not_fit_is_refused_before_anything_is_made(ada: Person) -> None:
    with room(ada, seats=500, network="10.220.0.0/16") as made:
        assert made.run("plan").code == 4
        result = made.run("up")
        assert result.code == 4
        assert "fit nowhere" in result.sentence()
        assert made.left() == []


def test_every_leader_at_once_and_everybody_healed(pair: Room) -> None:
    result = pair.done("fault kill", "leader", "--all", "--json").json
    assert [seat["problem"] for seat in result["seats"]] == [None, None]
    for seat in result["seats"]:
        assert seat["leader"] not in seat["servers"]
        assert seat["seconds"] > 0
    pair.done("fault heal", "--all")
    wait_until(lambda: set(pair.states().values()) == {True}, 60, "every seat to be ready")


def test_no_seat_reaches_another(pair: Room) -> None:
    report = pair.done("verify", "--json").json
    assert report["verdict"] == "apart"


def test_four_commands_at_once_do_not_collide(ada: Person, people: Callable[[str], Person]) -> None:
    others = [people(f"cleo{number}") for number in (1, 2, 3)]
    rooms = [Room(ada, seats=2), *(Room(person, seats=2, servers=1) for person in others)]
    try:
        with ThreadPoolExecutor(4) as pool:
            assert [result.code for result in pool.map(lambda made: made.run("up"), rooms)] == [0] * 4
            # And one workshop by four commands.
            docker("rm", "--force", container(rooms[0].lab("02"), "consul2"))
            assert [result.code for result in pool.map(lambda _: rooms[0].run("up"), range(4))] == [0] * 4
        assert [made.states() for made in rooms] == [{"01": True, "02": True}] * 4
    finally:
        for made in rooms:
            made.remove()


def test_killed_in_the_middle_the_next_up_ends_ready(ada: Person) -> None:
    with room(ada, seats=3) as made:
        for seconds in (1.5, 3.0, 5.0):
            process = ada.start(*made.words("up"))
            time.sleep(seconds)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=30)
        made.done("up")
        assert set(made.states().values()) == {True}
        process = ada.start(*made.words("down"))
        time.sleep(1.5)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
        made.done("down")
        assert made.left() == []


def test_down_after_a_kill_has_the_last_word(ada: Person) -> None:
    with room(ada, seats=12) as made:
        for _ in range(3):
            process = ada.start(*made.words("up"))
            # The first seats' secrets are there, and others wait for their turn.
            wait_until(made.labs, 60, "something of the first seat")
            process.kill()
            process.communicate(timeout=30)
            made.done("down")
            wait_until(lambda: not ada.processes(), ORPHAN_SECONDS, "Ansible to end")
            assert made.left() == []


def test_ctrl_c_says_what_to_do_next(ada: Person) -> None:
    with room(ada, seats=3) as made:
        process = ada.start(*made.words("up"))
        wait_until(made.labs, 60, "something of the first seat")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "labctl workshop up" in err
        made.done("down")
        assert made.left() == []
