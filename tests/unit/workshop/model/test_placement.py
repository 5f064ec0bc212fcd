"""Where seats go: what is placed stays, nobody is placed beyond a host's room, and hosts fill alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from labctl.workshop.model.file import parse
from labctl.workshop.model.placement import place
from labctl.workshop.model.seats import Seat, seats_of

HOSTS = ["red", "green", "blue", "grey"]
ROOMS = st.dictionaries(st.sampled_from(HOSTS), st.integers(0, 12), max_size=4)


def seats(number: int) -> list[Seat]:
    return seats_of(parse(f"workshop: w\nseats: {number}\n", Path("workshop.yml")), {})


@given(number=st.integers(1, 30), room=ROOMS, data=st.data())
def test_what_exists_stays_and_nobody_is_placed_beyond_a_hosts_room(
    number: int, room: dict[str, int], data: st.DataObject
) -> None:
    labs = [seat.lab for seat in seats(number)]
    existing = data.draw(st.dictionaries(st.sampled_from(labs), st.sampled_from(HOSTS)))
    placement = place(seats(number), room, existing)
    assert {lab: placement.hosts[lab] for lab in existing} == existing
    assert {*placement.hosts, *placement.unplaced} == set(labs)
    before, now = Counter(existing.values()), Counter(placement.hosts.values())
    for host in now:
        assert now[host] <= max(room.get(host, 0), before[host])
    if placement.unplaced:
        assert all(now[host] >= size for host, size in room.items())


@given(number=st.integers(1, 30), room=ROOMS, more=st.integers(1, 10))
def test_seats_that_come_later_move_nobody(number: int, room: dict[str, int], more: int) -> None:
    first = place(seats(number), room, {})
    later = place(seats(number + more), room, first.hosts)
    assert {lab: later.hosts[lab] for lab in first.hosts} == first.hosts


def test_hosts_fill_alike_by_their_share() -> None:
    placement = place(seats(30), {"small": 20, "large": 40}, {})
    assert Counter(placement.hosts.values()) == {"small": 10, "large": 20}


def test_the_files_order_decides_between_equals() -> None:
    assert list(place(seats(4), {"b": 5, "a": 5}, {}).hosts.values()) == ["b", "a", "b", "a"]


def test_a_host_that_was_given_up_loses_its_seats_to_the_others() -> None:
    existing = {"w-01": "red", "w-02": "green"}
    assert place(seats(2), {"green": 5}, existing, gone=["red"]).hosts == {"w-01": "green", "w-02": "green"}


def test_a_hundred_seats_over_ten_hosts_of_different_sizes() -> None:
    room = {f"host{number}": size for number, size in enumerate((4, 8, 8, 12, 12, 12, 16, 16, 16, 20), 1)}
    placement = place(seats(100), room, {})
    assert placement.unplaced == ()
    shares = {host: len(placement.on(host)) / size for host, size in room.items()}
    # 100 of 124 places: every host is as full as all of them, but for the one seat that it cannot have a part of.
    assert all(abs(share - 100 / 124) <= 1 / room[host] for host, share in shares.items())
    assert place(seats(125), room, placement.hosts).unplaced == ("w-125",)
