"""Seats: values derived from a name and a number stay, whichever other seats come and go."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.workshop.model import network
from labctl.workshop.model.file import Workshop, parse
from labctl.workshop.model.seats import PORTS_PER_SEAT, Seat, chosen, seats_of

NAMES = st.lists(st.sampled_from(["ada", "grace", "linus", "edsger", "leslie", "radia"]), min_size=1, unique=True)


def workshop(seats: object, **keys: object) -> Workshop:
    text = f"workshop: raft101\nseats: {seats}\n" + "".join(f"{key}: {value}\n" for key, value in keys.items())
    return parse(text, Path("workshop.yml"))


def test_numbered_seats_have_two_digits_and_follow_one_another() -> None:
    seats = seats_of(workshop(101, network="10.220.0.0/16"), {})
    assert [(seats[0].name, seats[0].lab), seats[-1].name] == [("01", "raft101-01"), "101"]
    assert (str(seats[1].subnet), seats[1].http_port) == ("10.220.0.16/28", 21008)


def test_where_docker_chooses_ports_no_seat_has_one() -> None:
    assert {seat.http_port for seat in seats_of(workshop(3, http_port=0), {})} == {0}


@given(lists=st.lists(NAMES, min_size=1, max_size=6))
def test_a_name_keeps_its_number_when_others_come_and_go(lists: list[list[str]]) -> None:
    known: dict[str, int] = {}
    ever: dict[str, Seat] = {}
    for names in lists:
        seats = seats_of(workshop(f"[{', '.join(names)}]"), known)
        assert {seat.name for seat in seats} == set(names)
        for seat in seats:
            assert ever.setdefault(seat.name, seat) == seat
        known |= {seat.name: seat.number for seat in seats}
    numbers = [seat.number for seat in ever.values()]
    assert len(set(numbers)) == len(numbers)


def test_a_hundred_seats_share_no_address_and_no_port() -> None:
    seats = seats_of(workshop(100), {})
    assert not any(one.subnet.overlaps(other.subnet) for one, other in combinations(seats, 2))
    ports = [range(seat.http_port, seat.http_port + PORTS_PER_SEAT) for seat in seats]
    assert len({port for each in ports for port in each}) == 100 * PORTS_PER_SEAT
    assert all(seat.subnet.subnet_of(network.default("raft101")) for seat in seats)


def test_names_of_the_past_take_room_too() -> None:
    known = {f"gone{number}": number for number in range(1, 17)}
    with pytest.raises(LabctlError, match="none is left for ada"):
        seats_of(workshop("[ada]", network="10.0.0.0/24"), known)


def test_a_seat_is_named_by_its_name_its_lab_or_its_number() -> None:
    seats = seats_of(workshop(12), {})
    assert [seat.name for seat in chosen(seats, ["07", "raft101-03", "12"])] == ["03", "07", "12"]
    assert [seat.name for seat in chosen(seats, ["7"])] == ["07"]
    assert chosen(seats, []) == seats
    with pytest.raises(LabctlError, match=r"no seat '99': its seats are 01 to 12"):
        chosen(seats, ["99"])


def test_a_name_means_itself_before_it_means_a_number() -> None:
    seats = seats_of(workshop("['2', '1']"), {})
    assert [seat.number for seat in chosen(seats, ["1"])] == [2]


@given(name=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True))
def test_every_workshop_has_a_private_network_of_its_own(name: str) -> None:
    network_ = network.default(name)
    assert network_ == network.parse(str(network_))
    assert network.seats_in(network_) == 256
    assert not str(network_).startswith("10.213.")
