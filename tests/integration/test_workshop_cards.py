"""What stands on a card opens its seat, typed as it is: at the Docker host, and over SSH by somebody without Docker."""

from __future__ import annotations

import json
import secrets
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from labctl.errors import ExitCode
from tests.integration.docker_hosts import GUEST, DockerHosts
from tests.integration.harness import Person, ended, gossip_key, new_name, remove_lab, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.harness import Result

SEATS = ("01", "02")


@pytest.fixture
def workshop() -> Iterator[str]:
    """The name of a workshop whose labs on this machine are removed afterwards."""
    name = new_name()
    yield name
    for seat in SEATS:
        remove_lab(f"{name}-{seat}")


def described(person: Person, name: str, **more: Any) -> None:
    """Write workshop.yml, which is YAML as JSON is."""
    port = 22000 + 16 * secrets.randbelow(500)
    given = {"workshop": name, "seats": len(SEATS), "pace": "real", "http_port": port, **more}
    (person.home / "workshop.yml").write_text(json.dumps(given), encoding="utf-8")


def cards(person: Person, *words: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = person.done("workshop", "cards", "--format", "json", *words).json["cards"]
    return made


def typed(person: Person, card: dict[str, Any], folder: Path) -> list[Result]:
    """The output for an attendee who types a card's commands, in a folder of their own."""
    folder.mkdir(exist_ok=True)
    return [ended(["bash", "-c", command["command"]], person.env, folder) for command in card["commands"]]


def opens(seen: list[Result], card: dict[str, Any]) -> None:
    assert [result.code for result in seen] == [0] * len(seen), seen
    leader, written, read = (result.out.strip() for result in seen[-3:])
    assert json.loads(leader) in [f"{server['address']}:8300" for server in card["servers"]]
    assert (written, read) == ("true", "hello")


def test_the_commands_of_a_card_open_its_seat_also_after_a_reset(
    people: Callable[[str], Person], workshop: str, tmp_path: Path
) -> None:
    ada = people(f"ada-{new_name()}")
    described(ada, workshop)
    before = cards(ada)
    ada.done("workshop", "up")
    first, second = cards(ada)
    assert [first, second] == before
    assert first["gossip_key"] == gossip_key(first["lab"])
    for number, card in enumerate((first, second)):
        opens(typed(ada, card, tmp_path / str(number)), card)
    ada.done("workshop", "reset", "01")
    assert cards(ada) == before
    assert first["gossip_key"] == gossip_key(first["lab"])
    opens(typed(ada, first, tmp_path / "0"), first)
    # Somebody of the same name makes a seat anew on another machine, which knows no secret of the workshop's.
    other = Person(ada.owner, tmp_path / "other")
    (other.home / "workshop.yml").write_text((ada.home / "workshop.yml").read_text())
    other.done("workshop", "reset", "01")
    (theirs,) = cards(other, "01")
    assert theirs["gossip_key"] == gossip_key(first["lab"]) != first["gossip_key"]
    for person, lab, seats in ((ada, first["lab"], ()), (other, second["lab"], ("02",))):
        refused = person.run("workshop", "cards", *seats)
        assert refused.code == ExitCode.FAILED
        assert f"The secret of 1 seat of the workshop {workshop}, such as {lab}, is not on this machine" in refused.err
    assert cards(ada, "02") == [second]


def test_with_the_profile_full_a_card_opens_its_own_seat_and_no_other(
    people: Callable[[str], Person], workshop: str, tmp_path: Path
) -> None:
    ada = people(f"ada-{new_name()}")
    described(ada, workshop, profile="full")
    ada.done("workshop", "up")
    first, second = cards(ada)
    opens(typed(ada, first, tmp_path / "first"), first)
    assert (tmp_path / "first" / "lab.curl").stat().st_mode & 0o777 == 0o600
    # The other seat's address, with this one's token: Consul does not know it, and keeps the value to itself.
    stolen = {"commands": [first["commands"][0], *second["commands"][2:]]}
    *_, written, read = typed(ada, stolen, tmp_path / "thief")
    assert "ACL not found" in written.out + read.out
    assert "hello" not in read.out


def test_over_ssh_a_card_opens_its_seat_for_somebody_who_may_not_use_docker(
    people: Callable[[str], Person], image: str, tmp_path: Path
) -> None:
    ada = people(f"ada-{new_name()}")
    with DockerHosts(1, image) as hosts:
        host = hosts.hosts[0]
        reached = {"address": host.address, "name": "red", "user": "root", "port": host.port, "key": str(hosts.key)}
        described(ada, new_name(), hosts=[{**reached, "known_hosts": str(hosts.known_hosts)}])
        ada.done("workshop", "up")
        card = cards(ada, "--login", GUEST)[1]
        assert card["address"] == host.address
        # Whose key it is, and whose machine, an attendee's own ssh knows.
        ada.env.update(hosts.settings())
        forwarding = subprocess.Popen(["bash", "-c", f"exec {card['ssh']}"], env=ada.env, stdin=subprocess.DEVNULL)
        try:
            asks = ["bash", "-c", card["commands"][0]["command"]]
            wait_until(lambda: ended(asks, ada.env).code == 0, 20, "the lab is brought to the attendee's machine")
            opens(typed(ada, card, tmp_path / "attendee"), card)
            page = ended(["curl", "--silent", "--location", card["url"]], ada.env)
            assert "Consul" in page.out
        finally:
            forwarding.terminate()
            forwarding.wait(timeout=10)
    assert hosts.left() == []
