"""How many seats a Docker host holds, what binds, what is wrong with it, and what is in a seat's way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from labctl.workshop.model.capacity import SERVER_CORE, Facts, at_rest, obstacles, problem_of, room_of, route_around
from labctl.workshop.model.file import Workshop, parse
from labctl.workshop.model.seats import seats_of

GIB = 1 << 30
WELL: dict[str, Any] = {
    "cores": 4,
    "memory": {"total": 32 * GIB, "free": 30 * GIB},
    "disk_free": 200 * GIB,
    "disk_root": "/var/lib/docker",
    "engine": "28.2.2",
    "api": "1.51",
    "compose": "2.26.1",
    "ports": [],
    "networks": [],
    "routes": [],
    "labs": [],
    "images": [],
    "reapers": [],
}


def workshop(**keys: object) -> Workshop:
    given = {"workshop": "raft101", "seats": 3, "pace": "real", "network": "10.220.0.0/24", **keys}
    return parse("".join(f"{key}: {value}\n" for key, value in given.items()), Path("workshop.yml"))


def facts(**different: Any) -> Facts:
    skew = different.pop("skew", 0.0)
    return Facts(WELL | different, skew)


def lab(name: str, **labels: str) -> dict[str, Any]:
    return {"lab": name, "owner": "ada", "servers": "3", "running": 3, **labels}


def reaper(expires: str, **different: str) -> dict[str, str]:
    own = {"reaper": "raft101", "owner": "ada", "removes": "owned", "state": "running", "expires": expires}
    return own | different


@pytest.mark.parametrize(
    ("different", "binds"),
    [
        ({}, "cores"),
        ({"memory": {"total": 4 * GIB, "free": 2 * GIB}}, "memory"),
        ({"disk_free": 3 * GIB}, "disk"),
    ],
)
def test_what_gives_out_first_binds(different: dict[str, Any], binds: str) -> None:
    room = room_of(workshop(), facts(**different), None)
    assert room.binds == binds
    assert room.seats == min(room.by.values()) == room.by[binds] > 0


def test_the_files_limit_binds_where_it_is_the_least() -> None:
    room = room_of(workshop(), facts(), 2)
    assert (room.seats, room.binds) == (2, "the file's limit")


# What the guide says that a plan counts, in numbers of its own: 48 MiB of memory, 1.42 % of a core, and of the disk 40
# MiB, or 100 with a log of Consul 1.20 and later; half a GiB of memory and 2000 MiB of disk are the machine's.
HELD = [
    (1, "1.8.7", {"cores": 281, "memory": 629, "disk": 5070}),
    (3, "1.8.7", {"cores": 93, "memory": 209, "disk": 1690}),
    (7, "1.8.7", {"cores": 40, "memory": 89, "disk": 724}),
    (3, "1.19.2", {"cores": 93, "memory": 209, "disk": 1690}),
    (3, "1.20.0", {"cores": 93, "memory": 209, "disk": 676}),
    (3, "1.22.0-dev", {"cores": 93, "memory": 209, "disk": 676}),
    (3, "2.0.0", {"cores": 93, "memory": 209, "disk": 676}),
]


@pytest.mark.parametrize(("servers", "version", "held"), HELD)
def test_so_many_seats_does_a_host_hold_for_each_of_its_means(servers: int, version: str, held: dict[str, int]) -> None:
    assert room_of(workshop(servers=servers, consul_version=f'"{version}"'), facts(), None).by == held
    assert room_of(workshop(servers=servers), facts(images=[version, "0.6.4"]), None).by == held


def test_a_version_that_nobody_knows_yet_may_be_a_large_one() -> None:
    assert room_of(workshop(), facts(images=[]), None).by["disk"] == 676


def test_a_full_disk_is_seen_before_servers_end_in_the_lesson() -> None:
    """Six seats of three servers take 18 * 65 MiB in minutes: too much for 3000 MiB, of which 2000 are spare."""
    given = facts(disk_free=3_000 * (1 << 20), images=["1.22.0"])
    assert (room_of(workshop(), given, None).binds, room_of(workshop(), given, None).seats) == ("disk", 3)


def test_seats_that_are_there_are_counted_with_what_their_own_version_takes() -> None:
    old = [lab("raft101-01", workshop="raft101", **{"consul-version": "1.8.7"})]
    new = [lab("raft101-01", workshop="raft101", **{"consul-version": "1.21.0"})]
    # What they have in use is theirs: 3 * 40 or 3 * 100 MiB, and a seat to come takes 3 * 100.
    little = {"disk_free": 2_290 * (1 << 20), "images": ["1.21.0"]}
    assert room_of(workshop(), facts(labs=old, **little), None).by["disk"] == 1
    assert room_of(workshop(), facts(labs=new, **little), None).by["disk"] == 1
    assert room_of(workshop(), facts(labs=new, **{**little, "disk_free": 2_300 * (1 << 20)}), None).by["disk"] == 2
    assert room_of(workshop(), facts(labs=old, **{**little, "disk_free": 2_300 * (1 << 20)}), None).by["disk"] == 1


def test_labs_of_others_take_room_and_seats_that_are_there_do_not_count_twice() -> None:
    empty = room_of(workshop(), facts(), None)
    ours = [lab(f"raft101-0{number}", workshop="raft101") for number in (1, 2, 3)]
    assert room_of(workshop(), facts(labs=ours), None).by["cores"] == empty.by["cores"]
    others = [lab("ada"), lab("bob"), lab("other-01", workshop="other")]
    assert room_of(workshop(), facts(labs=others), None).by["cores"] == empty.by["cores"] - 3


def test_a_full_host_is_busy_with_what_servers_do_at_rest() -> None:
    for pace in ("real", "teach"):
        for labs in ([], [lab("ada"), lab("bob")]):
            given = workshop(pace=pace)
            room = room_of(given, facts(labs=labs), None)
            assert 0.98 < at_rest(given, 4, room.by["cores"], room) <= 1.0
            assert at_rest(given, 4, 0, room) == pytest.approx(at_rest(given, 8, 0, room) * 2)


def test_the_guides_table_is_what_a_plan_counts() -> None:
    guide = (Path(__file__).resolve().parents[4] / "docs" / "workshop.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) cores, (\d+) GiB \| (\d+) \| (\d+) \| (\w+) \|$", guide, re.MULTILINE)
    assert len(rows) > 4
    for cores, memory, real, teach, binds in rows:
        host = facts(cores=int(cores), memory={"total": int(memory) * GIB, "free": int(memory) * GIB * 4 // 5})
        rooms = [room_of(workshop(pace=pace), host, None) for pace in ("real", "teach")]
        assert [room.seats for room in rooms] == [int(real), int(teach)]
        assert {room.binds for room in rooms} == {binds}
    assert f"{SERVER_CORE['real']:.2%}" in guide.replace(" %", "%")
    assert f"{SERVER_CORE['teach']:.2%}" in guide.replace(" %", "%")


def test_forty_five_seats_fit_on_two_cores() -> None:
    assert room_of(workshop(), facts(cores=2), None).by["cores"] >= 45


def test_a_host_with_nothing_left_holds_none() -> None:
    assert room_of(workshop(), facts(memory={"total": GIB, "free": 0}), None).seats == 0


@pytest.mark.parametrize(("what", "untold"), [("disk", {"disk_free": None}), ("memory", {"memory": {"free": None}})])
def test_what_nobody_can_measure_binds_nothing(what: str, untold: dict[str, Any]) -> None:
    assert what not in room_of(workshop(), facts(**untold), None).by
    assert problem_of(facts(**untold)) is None


def test_a_clock_that_nobody_can_read_is_not_one_that_is_wrong() -> None:
    assert "does not tell what time it is" in str(problem_of(facts(clock=None)))
    assert problem_of(facts(clock=1795539600.0)) is None


@pytest.mark.parametrize(
    ("different", "problem"),
    [
        ({}, None),
        ({"api": "1.39", "engine": "18.09"}, "its Docker Engine 18.09 is too old: install 19.03 or newer"),
        ({"compose": None}, "it has no Docker Compose v2"),
        ({"disk_free": GIB}, "its disk is full: 1.1 GB are free at /var/lib/docker, and 2.1 must be"),
        ({"skew": 61.0}, "its clock is 61 seconds ahead of this machine's: set both by NTP"),
        ({"skew": -300.0}, "its clock is 300 seconds behind this machine's: set both by NTP"),
        ({"skew": 20.0}, None),
    ],
)
def test_what_is_wrong_with_a_host_is_said_exactly(different: dict[str, Any], problem: str | None) -> None:
    assert problem_of(facts(**different)) == problem


def test_a_network_in_a_seats_way_is_named_and_only_for_seats_that_are_to_be_made() -> None:
    made = workshop(http_port=0)
    seats = seats_of(made, {})
    vpn = {"name": "vpn", "subnets": ["10.220.0.16/29"], "lab": None}
    own = {"name": "labctl-raft101-01", "subnets": ["10.220.0.0/28"], "lab": "raft101-01"}
    there = [lab("raft101-01", workshop="raft101")]
    assert obstacles(made, facts(networks=[vpn, own], labs=there), seats) == {
        "raft101-02": "its subnet 10.220.0.16/28 is taken by the Docker network vpn (10.220.0.16/29)"
    }


def test_a_port_that_somebody_has_is_named() -> None:
    made = workshop()
    in_the_way = obstacles(made, facts(ports=[80, 21009, 21003]), seats_of(made, {}))
    assert in_the_way == {"raft101-02": "its HTTP port 21009 is taken: change `http_port` in the file"}


def test_a_route_of_the_host_is_in_the_way_as_up_would_say() -> None:
    made = workshop(seats=2)
    (seat, two) = seats_of(made, {})
    networks = [{"name": "labctl-raft101-02", "subnets": [str(two.subnet)], "lab": "raft101-02"}]
    labs = [{"lab": "raft101-02", "workshop": "raft101"}]
    told = facts(routes=["10.220.0.0/26", str(two.subnet)], networks=networks, labs=labs)
    assert obstacles(made, told, [seat, two]) == {
        "raft101-01": f"its subnet {seat.subnet} is taken by a route of the host (10.220.0.0/26): change `network` in "
        "the file"
    }


@pytest.mark.parametrize(
    ("routes", "around"),
    [
        (["10.0.0.0/8"], "10.0.0.0/8"),
        (["0.0.0.0/1", "128.0.0.0/1"], "0.0.0.0/1"),
        (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], "10.0.0.0/8"),
        (["10.0.0.0/8", "10.216.0.0/13"], "10.216.0.0/13"),
        (["172.16.0.0/12"], None),
    ],
)
def test_a_route_of_a_vpn_is_around_a_workshop_and_in_no_seats_way(routes: list[str], around: str | None) -> None:
    made = workshop()
    told = facts(routes=routes)
    assert obstacles(made, told, seats_of(made, {})) == {}
    network = route_around(made, told)
    assert (str(network) if network else None) == around


@pytest.mark.parametrize("route", ["10.220.0.0/24", "10.220.0.0/28", "10.220.0.7/32"])
def test_a_route_that_is_no_wider_than_the_workshops_network_is_in_the_way(route: str) -> None:
    made = workshop()
    told = facts(routes=["10.0.0.0/8", route])
    assert obstacles(made, told, seats_of(made, {})[:1]) == {
        "raft101-01": f"its subnet 10.220.0.0/28 is taken by a route of the host ({route}): change `network` in the "
        "file"
    }


def test_the_end_is_the_latest_that_a_host_waits_for_and_runs() -> None:
    reapers = [
        reaper("2026-11-24T18:00:00Z"),
        reaper("2026-11-24T19:00:00Z"),
        reaper("2026-11-24T20:00:00Z", state="exited"),
        reaper("soon"),
        reaper("2027-11-24T19:00:00Z", reaper="other"),
    ]
    assert facts(reapers=reapers).end_of("raft101", "ada") == 1795546800
    assert facts().end_of("raft101", "ada") is None


def test_the_end_of_another_owners_workshop_is_none_of_mine() -> None:
    others = facts(reapers=[reaper("2026-11-24T18:00:00Z", owner="bob")])
    assert others.end_of("raft101", "ada") is None
    assert not others.has_reaper("raft101", "ada")
    assert others.has_reaper("raft101", "bob")
    assert others.threat_of("raft101", "ada") is None


def test_an_end_of_an_older_labctl_is_a_threat_to_others_and_has_to_be_written_down_again() -> None:
    end = 1795543200
    old, new = ({**reaper("2026-11-24T18:00:00Z"), "removes": removes} for removes in ("", "owned"))
    assert facts(reapers=[old]).end_of("raft101", "ada") == end
    assert not facts(reapers=[old]).keeps("raft101", "ada", end)
    assert facts(reapers=[old]).threat_of("raft101", "bob") == "ada"
    assert facts(reapers=[old]).threat_of("raft101", "ada") is None
    assert facts(reapers=[{**old, "state": "exited"}]).threat_of("raft101", "bob") is None
    assert facts(reapers=[new]).keeps("raft101", "ada", end)
    assert not facts(reapers=[new]).keeps("raft101", "ada", end + 1)
    assert not facts(reapers=[new]).keeps("raft101", "ada", 0)
    assert facts().keeps("raft101", "ada", 0)


@pytest.mark.parametrize("expires", ["2026-13-45T99:99:99Z", "", "{{ x }}", "2026-02-30T00:00:00Z"])
def test_an_end_that_is_no_moment_is_none(expires: str) -> None:
    odd = reaper(expires)
    assert facts(reapers=[odd]).end_of("raft101", "ada") is None
    assert facts(reapers=[odd, reaper("2026-11-24T18:00:00Z")]).end_of("raft101", "ada") == 1795543200


@pytest.mark.parametrize("servers", ["20000000", "9" * 5000, "²", "-3"])
def test_a_size_that_no_lab_has_takes_no_room(servers: str) -> None:
    other = facts(labs=[lab("x", servers=servers)])
    assert room_of(workshop(), other, None) == room_of(workshop(), facts(), None)
