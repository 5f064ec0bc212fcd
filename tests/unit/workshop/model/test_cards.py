"""A seat's card: its own, the same one again, and commands that an attendee can type."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.shared import derived_secrets
from labctl.workshop.model import network
from labctl.workshop.model.cards import Card, HostAccess, card_of, phone_text, way_to
from labctl.workshop.model.file import Host, Workshop, parse
from labctl.workshop.model.seats import seats_of
from plugins.module_utils.shared import subnets

SECRET = bytes(range(32))
RED = HostAccess("red", "192.0.2.11")
HERE = HostAccess("local", None)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", fullmatch=True)
SECRETS = st.binary(min_size=32, max_size=32)


def workshop(text: str = "workshop: raft101\nseats: 3\n") -> Workshop:
    return parse(text, Path("workshop.yml"))


def cards(
    made: Workshop, way: HostAccess = RED, secret: bytes = SECRET, known: dict[str, int] | None = None
) -> list[Card]:
    seats = seats_of(made, known or {})
    return [card_of(made, seat, way, derived_secrets.seed_of(secret, seat.lab)) for seat in seats]


def secrets_of(card: Card) -> set[str]:
    assert card.gossip_key is not None
    return {card.token, card.gossip_key}


@given(
    names=st.lists(NAMES, min_size=1, max_size=8, unique=True),
    workshops=st.lists(st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True), min_size=1, max_size=4),
    secrets=st.lists(SECRETS, min_size=4, max_size=4, unique=True),
)
def test_no_two_seats_of_any_workshop_share_a_secret(
    names: list[str], workshops: list[str], secrets: list[bytes]
) -> None:
    seats = ", ".join(f"'{name}'" for name in names)
    made = [
        card
        for name, secret in zip(workshops, secrets, strict=False)
        for card in cards(workshop(f"workshop: '{name}'\nseats: [{seats}]\n"), secret=secret)
    ]
    found = [secret for card in made for secret in secrets_of(card)]
    assert len(found) == len(set(found)) == 2 * len(names) * len(workshops)


def test_no_two_of_a_thousand_seats_share_anything() -> None:
    made = cards(workshop("workshop: raft101\nseats: 1000\nnetwork: 10.216.0.0/16\nhttp_port: 30000\n"))
    assert len({secret for card in made for secret in secrets_of(card)}) == 2000
    assert len({server.address for card in made for server in card.servers}) == 3000
    assert len({server.port for card in made for server in card.servers}) == 3000


@given(
    before=st.lists(NAMES, min_size=1, max_size=8, unique=True),
    later=st.lists(NAMES, min_size=1, max_size=8, unique=True),
    secret=SECRETS,
)
def test_a_seat_keeps_its_card_when_others_come_and_go(before: list[str], later: list[str], secret: bytes) -> None:
    def of(names: list[str], known: dict[str, int]) -> dict[str, Card]:
        listed = ", ".join(f"'{name}'" for name in names)
        made = cards(workshop(f"workshop: raft101\nseats: [{listed}]\n"), secret=secret, known=known)
        return {card.seat: card for card in made}

    first = of(before, {})
    numbers = {name: card.number for name, card in first.items()}
    after = of(later, numbers)
    assert {name: after[name] for name in set(before) & set(later)} == {
        name: first[name] for name in set(before) & set(later)
    }
    # Those who left come back to their own card, too.
    assert of(before, numbers | {name: card.number for name, card in after.items()}) == first


def test_more_seats_by_number_leave_the_cards_that_are_there() -> None:
    assert cards(workshop("workshop: raft101\nseats: 12\n"))[:3] == cards(workshop())


def test_the_servers_have_the_addresses_that_the_lab_gives_them() -> None:
    for made in (workshop(), workshop("workshop: raft101\nseats: 3\nservers: 7\n")):
        for seat, card in zip(seats_of(made, {}), cards(made), strict=True):
            assert [server.address for server in card.servers] == subnets.addresses(seat.subnet, made.spec.servers)
    assert network.SEAT_PREFIX == subnets.PREFIX


def test_an_attendee_elsewhere_brings_the_first_server_by_ssh() -> None:
    card = cards(workshop())[2]
    assert card.ssh == "ssh -N -L 8500:127.0.0.1:21016 attendee@192.0.2.11"
    assert card.url == "http://127.0.0.1:8500/ui/"
    assert [command.words for command in card.commands] == [
        "curl http://127.0.0.1:8500/v1/status/leader",
        "curl -X PUT -d hello http://127.0.0.1:8500/v1/kv/greeting",
        "curl 'http://127.0.0.1:8500/v1/kv/greeting?raw'",
    ]


def test_an_attendee_at_the_docker_host_needs_no_ssh() -> None:
    card = cards(workshop(), HERE)[1]
    assert card.ssh is None
    assert card.url == "http://127.0.0.1:21008/ui/"


def test_another_port_and_a_login_for_each_seat() -> None:
    card = cards(workshop(), replace(RED, port=2222, login="seat-{seat}"))[0]
    assert card.ssh == "ssh -N -L 8500:127.0.0.1:21000 -p 2222 seat-01@192.0.2.11"
    assert cards(workshop(), replace(RED, port=22))[0].ssh == "ssh -N -L 8500:127.0.0.1:21000 attendee@192.0.2.11"


def test_where_docker_chooses_the_ports_the_servers_own_addresses_stay() -> None:
    made = workshop("workshop: raft101\nseats: 3\nhttp_port: 0\n")
    address = str(seats_of(made, {})[0].subnet.network_address + 2)
    card = cards(made)[0]
    assert [server.port for server in card.servers] == [None, None, None]
    assert card.ssh == f"ssh -N -L 8500:{address}:8500 attendee@192.0.2.11"
    assert cards(made, HERE)[0].url == f"http://{address}:8500/ui/"
    full = workshop("workshop: raft101\nseats: 3\nhttp_port: 0\nprofile: full\n")
    assert cards(full)[0].ssh == f"ssh -N -L 8500:{address}:8501 attendee@192.0.2.11"


def test_with_the_profile_full_the_token_is_shown_and_is_no_word_of_a_program() -> None:
    card = cards(workshop("workshop: raft101\nseats: 3\nprofile: full\n"))[0]
    assert card.url.startswith("https://")
    keeps, *others = [command.words for command in card.commands]
    assert card.token in keeps
    assert keeps.startswith("(umask 077; printf ")  # a shell does that itself
    assert all(card.token not in words for words in others)
    assert all(shlex.split(words)[:3] == ["curl", "-K", "lab.curl"] for words in others)


def test_a_phone_gets_what_nobody_likes_to_type_and_never_the_gossip_key() -> None:
    open_text, gossip_text, full_text = (
        phone_text(cards(workshop(f"workshop: raft101\nseats: 3\nprofile: {profile}\n"))[0])
        for profile in ("open", "gossip", "full")
    )
    card = cards(workshop())[0]
    assert card.gossip_key is not None
    assert open_text == gossip_text == f"raft101 seat 01\n{card.ssh}\n{card.url}"
    assert full_text.endswith(f"\ntoken {card.token}")
    assert card.gossip_key not in open_text + gossip_text + full_text


def test_an_open_lab_has_no_gossip_key_and_no_secret_is_in_a_repr() -> None:
    assert cards(workshop("workshop: raft101\nseats: 1\nprofile: open\n"))[0].gossip_key is None
    card = cards(workshop())[0]
    assert card.gossip_key is not None
    assert card.token not in repr(card)
    assert card.gossip_key not in repr(card)


def test_the_way_to_a_docker_host() -> None:
    red = Host("red", "192.0.2.11", user="teacher", port=2222)
    assert way_to(red, None, "198.51.100.1") == HostAccess("red", "192.0.2.11", 2222, "attendee")
    assert way_to(Host("local", "local"), "guest", None) == HostAccess("local", None, None, "guest")
    assert way_to(Host("local", "local"), None, "198.51.100.1").address == "198.51.100.1"


@pytest.mark.parametrize("login", ["", "-oProxyCommand=x", "a b", "a;id", "{seat", "a{seat}{", "x" * 65, "a@b"])
def test_what_is_no_login_is_refused(login: str) -> None:
    with pytest.raises(LabctlError, match="is no login name"):
        way_to(Host("red", "192.0.2.11"), login, None)


@pytest.mark.parametrize(
    "address", ["", "-x", "a b", "a;id", "a'b", "room:22", "192.0.2.1:22", "999.1.1.1", "1", "fe80::1%eth0"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(LabctlError, match="no host name and no address"):
        way_to(Host("local", "local"), None, address)


@pytest.mark.parametrize("address", ["room", "room-2.example.org", "192.0.2.1", "2001:db8::1", "::1"])
def test_host_names_and_addresses_of_both_kinds_are_taken(address: str) -> None:
    assert way_to(Host("local", "local"), None, address).address == address
