"""A workshop's commands: a seat that fails stops no other, what is lost is not made twice, what exists stays."""

from __future__ import annotations

import io
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from labctl.cli.main import run
from labctl.errors import ExitCode, LabctlError
from labctl.lab.up import JOIN, START
from labctl.progress import StepDone, Steps
from labctl.runner.inventory import of_workshop
from labctl.shared import derived_secrets
from labctl.terminal.style import harmless
from labctl.workshop import tables
from labctl.workshop.down import down
from labctl.workshop.expire import expire, extend
from labctl.workshop.inventory import as_text
from labctl.workshop.model.file import Workshop, parse
from labctl.workshop.reset import reset
from labctl.workshop.state_store import WorkshopState
from labctl.workshop.up import WorkshopUpOptions, up, version_of
from tests.unit.workshop.workshop_stand_in import OWNER, VERSION, Hosts, ReportedSteps, Run

if TYPE_CHECKING:
    from labctl.progress import Progress
    from labctl.runner.inventory import Inventory
    from labctl.workshop.model.outcome import Result
    from tests.unit.stand_ins import StreamChange

TWO_HOSTS = "hosts:\n- {address: red, name: red}\n- {address: green, name: green}\n"


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hosts:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Hosts(monkeypatch)


def workshop(seats: object = 4, more: str = TWO_HOSTS) -> Workshop:
    return parse(f"workshop: w\nseats: {seats}\n{more}", Path("workshop.yml"))


def bring_up(made: Workshop | None = None, steps: Steps | None = None, **options: object) -> Result:
    asked = WorkshopUpOptions(OWNER, **options)  # type: ignore[arg-type]
    return up(made or workshop(), asked, steps or Steps())


def refused(code: ExitCode, made: Workshop | None = None, **options: object) -> str:
    with pytest.raises(LabctlError) as caught:
        bring_up(made, None, **options)
    assert caught.value.code is code
    return caught.value.sentence


@pytest.mark.parametrize(
    ("seats", "more", "said"),
    [
        ((), TWO_HOSTS, "4 seats: 2 on red, 2 on green"),
        (("2",), TWO_HOSTS, "1 seat: 1 on green"),
        ((), "", "The Docker host local is fit for 4 seats"),
        (("2",), "", "The Docker host local is fit for 1 seat"),
    ],
)
@pytest.mark.usefixtures("hosts")
def test_where_seats_go_is_said_of_those_that_are_meant_and_where_there_is_a_choice(
    seats: tuple[str, ...], more: str, said: str
) -> None:
    heard: list[Progress] = []
    bring_up(workshop(4, more), Steps(heard.append), seats=seats)
    assert said in [progress.text for progress in heard if isinstance(progress, StepDone)]


# -- up ------------------------------------------------------------------------------------------------------


def test_all_seats_are_ready_spread_over_the_hosts(hosts: Hosts) -> None:
    result = bring_up()
    assert [outcome.ready for outcome in result.outcomes] == [True] * 4
    assert {host: sorted(labs) for host, labs in hosts.labs.items()} == {
        "red": ["w-01", "w-03"],
        "green": ["w-02", "w-04"],
    }
    assert tables.outcomes_document(result)["changed"]


def test_a_seat_that_fails_stops_no_other_and_is_told_with_its_step_and_reason(hosts: Hosts) -> None:
    hosts.failing = {"w-02": (START, "the subnet is taken"), "w-03": (JOIN, "no leader")}
    steps = ReportedSteps()
    result = bring_up(steps=steps)
    assert [outcome.ready for outcome in result.outcomes] == [True, False, False, True]
    assert [(outcome.step, outcome.reason) for outcome in result.failed] == [
        ("starting", "the subnet is taken"),
        ("joining", "no leader"),
    ]
    assert ("w-02", "failed", "starting", "the subnet is taken") in steps.told
    text = tables.outcomes_text(result)
    assert "w-02: the subnet is taken" in text
    assert "--retry-failed" in text


def test_a_retry_repeats_only_what_failed(hosts: Hosts) -> None:
    hosts.failing = {"w-02": (START, "taken"), "w-04": (START, "taken")}
    bring_up()
    del hosts.failing["w-02"]
    hosts.played.clear()
    assert [outcome.lab for outcome in bring_up(retry_failed=True).outcomes] == ["w-02", "w-04"]
    hosts.failing.clear()
    assert [outcome.lab for outcome in bring_up(retry_failed=True).outcomes] == ["w-04"]
    assert [limit for _, limit, _ in hosts.played] == [["w-02", "w-04"], ["w-04"]]
    assert "nothing to try again" in refused(ExitCode.FAILED, retry_failed=True)


def test_named_seats_only(hosts: Hosts) -> None:
    assert [outcome.lab for outcome in bring_up(seats=("3", "w-01")).outcomes] == ["w-01", "w-03"]
    assert "no seat '9'" in refused(ExitCode.USAGE, seats=("9",))
    assert set(hosts.labs["red"]) == {"w-01", "w-03"}


def test_seats_of_a_host_that_does_not_answer_are_lost_and_not_made_twice(hosts: Hosts) -> None:
    bring_up()
    hosts.problems = {"green": "nothing answered within 10 seconds"}
    hosts.played.clear()
    steps = ReportedSteps()
    result = bring_up(steps=steps)
    assert {outcome.lab: outcome.step for outcome in result.failed} == {"w-02": "lost", "w-04": "lost"}
    assert steps.told[0][:2] == ("w-02,w-04", "lost")
    assert "nothing answered" in steps.told[0][2]
    assert [limit for _, limit, _ in hosts.played] == [["w-01", "w-03"]]


@pytest.mark.parametrize(
    ("different", "reason"),
    [
        ({"disk_free": 1 << 30}, "its disk is full: 1.1 GB are free at /var/lib/docker"),
        ({"skew": -90.0}, "its clock is 90 seconds behind this machine's"),
        ({"api": "1.39", "engine": "18.09"}, "its Docker Engine 18.09 is too old"),
        ({"compose": None}, "it has no Docker Compose v2"),
    ],
)
def test_a_host_that_is_not_fit_is_named_and_harms_no_other(
    hosts: Hosts, different: dict[str, object], reason: str
) -> None:
    bring_up()
    hosts.different = {"green": different}
    hosts.played.clear()
    result = bring_up()
    assert {outcome.lab: outcome.step for outcome in result.failed} == {"w-02": "lost", "w-04": "lost"}
    assert all(f"its Docker host green cannot be used: {reason}" in str(outcome.reason) for outcome in result.failed)
    assert [limit for _, limit, _ in hosts.played] == [["w-01", "w-03"]]
    assert set(hosts.labs["green"]) == {"w-02", "w-04"}
    assert bring_up(workshop(5)).places["w-05"] == "red"


def test_where_no_host_of_the_seats_can_be_used_they_are_lost_and_nothing_is_run(hosts: Hosts) -> None:
    bring_up()
    hosts.problems = {"green": "gone", "red": "gone"}
    hosts.played.clear()
    assert {outcome.step for outcome in bring_up().failed} == {"lost"}
    assert hosts.played == []


def test_two_commands_at_once_put_no_seat_on_two_hosts(hosts: Hosts) -> None:
    hosts.failing = {"w-03": (START, "not yet"), "w-04": (START, "not yet")}
    bring_up()
    # As another command finds it while the first one still makes them, with less room on one host.
    hosts.failing.clear()
    hosts.different = {"red": {"cores": 1}}
    places = bring_up().places
    assert (places["w-03"], places["w-04"]) == ("red", "green")


def test_a_seat_is_reset_on_its_own_host_whatever_has_changed(hosts: Hosts) -> None:
    red_only = "hosts:\n- {address: red, name: red}\n"
    bring_up(workshop(4, red_only))
    hosts.problems = {"green": "gone"}
    removed, result = reset(workshop(4), OWNER, ("3",), Steps())
    assert (set(removed.labs), result is not None) == ({"w-03"}, True)
    hosts.problems = {}
    none_more = TWO_HOSTS.replace("name: red}", "name: red, seats: 0}")
    _, result = reset(workshop(4, none_more), OWNER, ("w-01",), Steps())
    assert result is not None
    assert [(seat.lab, seat.ready) for seat in result.outcomes] == [("w-01", True)]
    assert sorted(hosts.labs["red"]) == ["w-01", "w-02", "w-03", "w-04"]
    assert hosts.labs.get("green", {}) == {}


def test_nothing_is_removed_that_the_file_has_not(hosts: Hosts) -> None:
    bring_up()
    before = {host: set(labs) for host, labs in hosts.labs.items()}
    with pytest.raises(LabctlError, match="no seat '04'"):
        reset(workshop(3), OWNER, ("04",), Steps())
    assert {host: set(labs) for host, labs in hosts.labs.items()} == before


def test_a_word_that_means_two_labs_is_refused_and_both_are_named(hosts: Hosts) -> None:
    made = workshop("[w-1, '1']")
    bring_up(made)
    for command in (
        lambda: down(made, OWNER, ("w-1",), None, Steps()),
        lambda: reset(made, OWNER, ("w-1",), Steps()),
        lambda: bring_up(made, seats=("w-1",)),
    ):
        with pytest.raises(LabctlError, match="'w-1' can mean the labs w-1 and w-w-1") as caught:
            command()
        assert caught.value.code is ExitCode.USAGE
    assert {lab for labs in hosts.labs.values() for lab in labs} == {"w-1", "w-w-1"}
    # What the file calls a seat is not the number of another one.
    removed, result = reset(made, OWNER, ("1",), Steps())
    assert (set(removed.labs), result is not None and result.failed) == ({"w-1"}, [])
    removed, result = reset(made, OWNER, ("w-w-1",), Steps())
    assert (set(removed.labs), result is not None and result.failed) == ({"w-w-1"}, [])
    assert set(down(made, OWNER, ("w-w-1",), None, Steps()).labs) == {"w-w-1"}
    assert {lab for labs in hosts.labs.values() for lab in labs} == {"w-1"}


def test_the_number_of_a_seat_is_not_the_name_of_one_that_was(hosts: Hosts) -> None:
    made = workshop("[a, b, c]")
    bring_up(made)
    hosts.put("red", "w-3", 9)
    with pytest.raises(LabctlError, match="'3' can mean the labs w-3 and w-c"):
        down(made, OWNER, ("3",), None, Steps())
    assert set(down(made, OWNER, ("w-3",), None, Steps()).labs) == {"w-3"}
    assert set(down(made, OWNER, ("3",), None, Steps()).labs) == {"w-c"}


def test_a_seat_is_not_called_like_the_lab_of_one_that_was(hosts: Hosts) -> None:
    made = workshop("[w-1]")
    bring_up(made)
    hosts.put("red", "w-1", 9)
    with pytest.raises(LabctlError, match="'w-1' can mean the labs w-1 and w-w-1"):
        down(made, OWNER, ("w-1",), None, Steps())
    assert {lab for labs in hosts.labs.values() for lab in labs} == {"w-1", "w-w-1"}


def test_seats_that_are_there_keep_their_version_when_a_newer_image_comes(hosts: Hosts) -> None:
    bring_up()
    for labs in hosts.labs.values():
        for lab in labs.values():
            lab["consul-version"] = VERSION
    hosts.different = {"red": {"images": ["1.21.4", VERSION]}, "green": {"images": ["1.21.4", VERSION]}}
    plan = bring_up(workshop(5)).plan
    assert plan.fleet.workshop.spec.version == version_of(plan) == VERSION


def test_seats_of_a_host_that_was_given_up_are_made_on_the_others_and_a_double_is_named(hosts: Hosts) -> None:
    bring_up()
    hosts.problems = {"green": "gone"}
    assert bring_up(replace=True).failed == []
    assert set(hosts.labs["red"]) == {"w-01", "w-02", "w-03", "w-04"}
    hosts.problems = {}
    sentence = refused(ExitCode.REFUSED)
    assert "w-02 lives on two Docker hosts" in sentence
    assert "labctl workshop down --host green w-02" in sentence
    removed = down(workshop(), OWNER, (), "green", Steps())
    assert (set(removed.labs), removed.left) == ({"w-02", "w-04"}, [])
    assert set(hosts.labs["red"]) == {"w-01", "w-02", "w-03", "w-04"}
    assert bring_up().failed == []


def test_seats_stay_where_they_are_when_a_host_is_added(hosts: Hosts) -> None:
    bring_up(workshop(2, "hosts:\n- {address: red, name: red}\n"))
    bring_up(workshop(4))
    assert set(hosts.labs["red"]) >= {"w-01", "w-02"}
    assert set(hosts.labs["green"]) == {"w-03", "w-04"}


def test_a_name_that_was_taken_out_keeps_its_seat_until_it_is_removed(hosts: Hosts) -> None:
    bring_up(workshop("[ada, grace]"))
    made = workshop("[linus, grace]")
    result = bring_up(made)
    numbers = {seat.name: seat.number for seat in result.plan.fleet.seats}
    assert numbers == {"grace": 2, "linus": 3}
    assert result.plan.fleet.surplus() == ["w-ada"]
    assert set(down(made, OWNER, ("ada",), None, Steps()).labs) == {"w-ada"}
    assert set(down(made, OWNER, (), None, Steps()).labs) == {"w-grace", "w-linus"}
    assert hosts.labs == {"red": {}, "green": {}}


def test_numbers_are_known_from_labels_where_the_register_was_lost(hosts: Hosts) -> None:
    hosts.put("red", "w-grace", 7)
    numbers = {seat.name: seat.number for seat in bring_up(workshop("[ada, grace]")).plan.fleet.seats}
    assert numbers == {"ada": 1, "grace": 7}


def test_a_label_gives_no_seat_the_number_of_another_one(hosts: Hosts) -> None:
    bring_up(workshop("[ada, grace, linus]"))
    hosts.labs.clear()
    hosts.put("red", "w-grace", 1)
    numbers = {seat.name: seat.number for seat in bring_up(workshop("[ada, grace, linus]")).plan.fleet.seats}
    assert numbers == {"ada": 1, "grace": 2, "linus": 3}


@pytest.mark.parametrize("number", ["0", "4097", "²", "7" * 5000, "-1", "seven"])
def test_a_label_that_is_no_seats_number_gives_none(hosts: Hosts, number: str) -> None:
    hosts.put("green", "w-grace", 7)
    hosts.labs["green"]["w-grace"]["number"] = number
    numbers = {seat.name: seat.number for seat in bring_up(workshop("[ada, grace]")).plan.fleet.seats}
    assert numbers == {"ada": 1, "grace": 2}


def test_a_workshop_of_somebody_else_is_refused_with_whose_it_is(hosts: Hosts) -> None:
    hosts.put("green", "w-01", 1, owner="bob")
    assert "belongs to bob, not to ada" in refused(ExitCode.REFUSED)
    with pytest.raises(LabctlError, match="belongs to bob"):
        down(workshop(), OWNER, (), None, Steps())
    assert hosts.played == []


def test_what_does_not_fit_is_refused_before_anything_is_done(hosts: Hosts) -> None:
    hosts.problems = {"green": "gone"}
    sentence = refused(ExitCode.REFUSED, workshop(200, f"{TWO_HOSTS}network: 10.220.0.0/16\n"))
    room = "(red holds 106, for its cores; green: gone): make green answer, add a Docker host, or take"
    assert f"94 of 200 seats have no place on the Docker hosts that answer {room}" in sentence
    assert hosts.played == []


# -- the end -------------------------------------------------------------------------------------------------


def test_an_end_is_written_down_once_on_every_host_before_the_seats_are_made(hosts: Hosts) -> None:
    made = workshop(2, f"{TWO_HOSTS}expires: 2h\n")
    bring_up(made)
    assert hosts.played == [("up.yml", ["w-01", "w-02", "red", "green"], ("expiry", "start", "join"))]
    ends = {host: marks[0]["expires"] for host, marks in hosts.reapers.items()}
    assert len(set(ends.values())) == 1
    hosts.played.clear()
    bring_up(made)
    assert hosts.played[0][1] == ["w-01", "w-02"]
    assert {host: marks[0]["expires"] for host, marks in hosts.reapers.items()} == ends


def test_an_end_is_moved_taken_away_and_given(hosts: Hosts) -> None:
    made = workshop(2)
    with pytest.raises(LabctlError, match="no seat on a Docker host that answers"):
        expire(made, OWNER, "2h", Steps())
    bring_up(made)
    with pytest.raises(LabctlError, match="has no end that could be moved"):
        extend(made, OWNER, "1h", Steps())
    first = expire(made, OWNER, "2h", Steps()).expires
    later = extend(made, OWNER, "1h", Steps()).expires
    assert later is not None
    assert first is not None
    assert datetime.fromisoformat(later) - datetime.fromisoformat(first) == timedelta(hours=1)
    assert expire(made, OWNER, "never", Steps()).expires is None
    assert hosts.reapers == {"red": [], "green": []}
    for wrong in ("soon", "2026-01-01T00:00:00Z", "9999d", "2026-11-24T18:00:00"):
        with pytest.raises(LabctlError) as caught:
            expire(made, OWNER, wrong, Steps())
        assert caught.value.code is ExitCode.USAGE


def test_an_end_that_is_not_written_down_everywhere_is_said(hosts: Hosts) -> None:
    bring_up(workshop(2))
    hosts.problems = {"green": "gone"}
    with pytest.raises(LabctlError, match=r"not recorded everywhere .*green"):
        expire(workshop(2), OWNER, "2h", Steps())


def test_an_end_that_was_taken_away_stays_away(hosts: Hosts) -> None:
    made = workshop(2, f"{TWO_HOSTS}expires: 2h\n")
    bring_up(made)
    expire(made, OWNER, "never", Steps())
    bring_up(workshop(3, f"{TWO_HOSTS}expires: 2h\n"))
    assert hosts.reapers == {"red": [], "green": []}
    expire(made, OWNER, "3h", Steps())
    assert [len(marks) for marks in hosts.reapers.values()] == [1, 1]
    down(made, OWNER, (), None, Steps())
    bring_up(made)
    assert [len(marks) for marks in hosts.reapers.values()] == [1, 1]


def test_an_end_for_which_nobody_runs_is_written_down_again(hosts: Hosts) -> None:
    made = workshop(2, f"{TWO_HOSTS}expires: 2h\n")
    bring_up(made)
    for marks in hosts.reapers.values():
        marks[0]["state"] = "created"
    hosts.played.clear()
    bring_up(made)
    assert hosts.played[0][1] == ["w-01", "w-02", "red", "green"]


def test_a_host_on_which_the_end_is_not_written_down_fails_its_seats_and_no_other(hosts: Hosts) -> None:
    hosts.failing = {"green": ("", "no space left on device")}
    made = workshop(4, f"{TWO_HOSTS}expires: 2h\n")
    result = bring_up(made)
    assert {outcome.lab: outcome.step for outcome in result.failed} == {"w-02": "ending", "w-04": "ending"}
    assert "could not be recorded on its Docker host green: no space left" in str(result.failed[0].reason)
    hosts.failing.clear()
    assert bring_up(made, retry_failed=True).failed == []
    assert [len(marks) for marks in hosts.reapers.values()] == [1, 1]


def test_an_end_without_seats_is_removed_with_the_workshop_and_kept_by_a_reset(hosts: Hosts) -> None:
    made = workshop(1, f"{TWO_HOSTS}expires: 2h\n")
    bring_up(made)
    extend(made, OWNER, "5h", Steps())
    ends = {host: list(marks) for host, marks in hosts.reapers.items()}
    reset(made, OWNER, ("1",), Steps())
    assert hosts.reapers == ends
    hosts.labs = {}
    assert down(made, OWNER, (), None, Steps()).proven
    assert hosts.reapers == {"red": []}


def test_an_end_needs_no_image_that_the_file_wants_next(hosts: Hosts) -> None:
    bring_up(workshop(2))
    wanted: list[Inventory] = []
    hosts.on_run = lambda made: wanted.append(made.inventory)
    expire(workshop(2, f"{TWO_HOSTS}consul_version: 1.21.4\n"), OWNER, "2h", Steps())
    images = {host["workshop_reaper_image"] for host in wanted[0].own["docker_hosts"]["hosts"].values()}
    assert images == {f"raft-labctl/consul:{VERSION}"}


def test_the_end_goes_with_the_last_seat_of_a_host(hosts: Hosts) -> None:
    made = workshop(3, f"{TWO_HOSTS}expires: 2h\n")
    bring_up(made)
    down(made, OWNER, ("02",), None, Steps())
    assert {host: len(marks) for host, marks in hosts.reapers.items()} == {"red": 1, "green": 0}


# -- down ----------------------------------------------------------------------------------------------------


def test_what_cannot_be_removed_is_told_and_stops_no_other(hosts: Hosts) -> None:
    bring_up()
    hosts.failing = {"w-03": (START, "the network is in use")}
    hosts.problems = {"green": "gone"}
    removed = down(workshop(), OWNER, (), None, Steps())
    assert set(removed.labs) == {"w-01"}
    assert removed.failed["w-03"] == "the network is in use"
    assert "gone" in removed.failed["w-02"]
    assert "w-03: the network is in use" in tables.removed_text(removed)
    assert tables.removed_text(removed).splitlines()[0] == "1 seat removed: w-01."


def test_what_failed_once_is_tried_again_and_what_fails_for_good_is_not_tried_for_ever(hosts: Hosts) -> None:
    bring_up()
    hosts.failing = {"w-03": (START, "the engine was busy"), "w-02": (START, "the disk is full")}
    times: list[str] = []

    def before(made: Run) -> None:
        times.append(made.inventory.limit)
        if len(times) > 1:
            hosts.failing.pop("w-03", None)

    hosts.on_run = before
    removed = down(workshop(), OWNER, (), None, Steps())
    assert set(removed.labs) == {"w-01", "w-03", "w-04"}
    assert removed.failed == {"w-02": "the disk is full"}
    assert not removed.left
    assert [set(limit.split(",")) for limit in times[1:]] == [{"w-02", "w-03"}, {"w-02"}]


def test_what_comes_back_while_it_is_removed_is_removed_again(hosts: Hosts) -> None:
    bring_up()
    late = [("red", "w-01", 1), ("green", "w-09", 9)]

    def put_late() -> None:
        while late:
            hosts.put(*late.pop())

    def before(made: Run) -> None:
        # Behind the back of the modules that have just removed them.
        made.after = put_late

    hosts.on_run = before
    removed = down(workshop(), OWNER, (), None, Steps())
    assert removed.proven
    assert set(removed.labs) == {"w-01", "w-02", "w-03", "w-04", "w-09"}
    assert hosts.labs == {"red": {}, "green": {}}
    assert [limit for book, limit, _ in hosts.played if book == "down.yml"][1:] == [["w-01", "w-09"]]


def test_what_is_not_there_is_removed_already(hosts: Hosts) -> None:
    removed = down(workshop(), OWNER, (), None, Steps())
    assert (dict(removed.labs), dict(removed.failed), hosts.played) == ({}, {}, [])
    with pytest.raises(LabctlError, match="no Docker host 'blue'"):
        down(workshop(), OWNER, (), "blue", Steps())
    with pytest.raises(LabctlError, match="no seat '77'"):
        down(workshop(), OWNER, ("77",), None, Steps())


# -- the register --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hosts")
def test_secrets_are_in_files_that_only_their_owner_reads() -> None:
    bring_up(workshop(2))
    register = WorkshopState("w")
    files = [path for path in register.folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (register.folder, register.seeds)} == {0o700}
    seed = bytes.fromhex((register.seeds / "w-01.seed").read_text().strip())
    assert seed == derived_secrets.seed_of(register.secret(), "w-01") == register.seed("w-01")


@pytest.mark.usefixtures("hosts")
def test_many_commands_at_once_make_one_secret() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: WorkshopState("w").secret(), range(16)))) == 1


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("text", ["", "zz", "00" * 31])
def test_a_damaged_secret_is_one_sentence(text: str) -> None:
    register = WorkshopState("w")
    register.secret()
    register.secret_file.write_text(text)
    with pytest.raises(LabctlError, match="damaged"):
        register.secret()


@pytest.mark.usefixtures("hosts")
def test_after_the_last_seat_the_secret_stays_so_that_cards_fit_again() -> None:
    bring_up(workshop("[ada, grace]"))
    register = WorkshopState("w")
    before = register.secret()
    down(workshop("[ada, grace]"), OWNER, (), None, Steps())
    assert not list(register.seeds.glob("*.seed"))
    assert (register.secret(), register.numbers()) == (before, {"ada": 1, "grace": 2})


@pytest.mark.parametrize("name", ["Łódź", "a\x9b2J", "a\u202eb"])
def test_an_inventory_holds_nothing_that_a_terminal_obeys_and_every_character(name: str) -> None:
    text = as_text(of_workshop("w", {"labs": {"hosts": {name: {}}}}, ""))
    assert yaml.safe_load(text) == {"labs": {"hosts": {name: {}}}}
    assert [line for line in text.split("\n") if harmless(line) != line] == []
    assert ("Łódź" in text) is (name == "Łódź")


# -- what is said of it --------------------------------------------------------------------------------------


class HeardSteps(Steps):
    """What steps were told at their end."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []

    def done(self, text: str) -> None:
        self.ended.append(text)

    def fail(self) -> None:
        self.ended.append("failed")


def test_nothing_is_called_gone_while_something_is_left(hosts: Hosts) -> None:
    bring_up()

    def before(made: Run) -> None:
        made.after = lambda: hosts.put("red", "w-01", 1)

    hosts.on_run = before
    steps = HeardSteps()
    removed = down(workshop(), OWNER, (), None, steps)
    assert (removed.left, dict(removed.failed), removed.proven) == (["w-01"], {}, False)
    assert steps.ended[-1] == "failed"
    hosts.on_run = lambda _: None
    steps = HeardSteps()
    assert down(workshop(), OWNER, (), None, steps).proven
    assert steps.ended[-1] == "1 seat is removed, nothing is left of it"


@pytest.mark.parametrize("host", [None, "red"])
def test_a_whole_workshop_goes_only_if_the_user_agrees(hosts: Hosts, host: str | None) -> None:
    bring_up()
    before = {name: set(labs) for name, labs in hosts.labs.items()}
    questions: list[str] = []

    def no(question: str) -> bool:
        questions.append(question)
        return False

    with pytest.raises(LabctlError, match="stays as it is: you did not say yes") as caught:
        down(workshop(), OWNER, (), host, Steps(), agrees=no)
    assert caught.value.code is ExitCode.REFUSED
    assert {name: set(labs) for name, labs in hosts.labs.items()} == before
    seats, where = ("All 4 seats", "red, green") if host is None else ("All 2 seats", "red")
    assert questions == [f"{seats} of the workshop w on {where}, and all data, would be gone for good. Remove?"]
    # What is named was meant, and what is not there needs no answer.
    assert set(down(workshop(), OWNER, ("01",), host, Steps(), agrees=no).labs) == {"w-01"}
    down(workshop(), OWNER, (), host, Steps())
    assert down(workshop(), OWNER, (), host, Steps(), agrees=no).proven


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "words", "code"),
    [
        ("n\n", "", ExitCode.REFUSED),
        ("\n", "--host red", ExitCode.REFUSED),
        ("", "", ExitCode.INTERRUPTED),
        ("y\n", "", ExitCode.DONE),
        ("", "--yes", ExitCode.DONE),
        ("", "--json", ExitCode.DONE),
        ("", "01 03", ExitCode.DONE),
        (None, "", ExitCode.DONE),
    ],
)
def test_a_terminal_is_asked_before_a_whole_workshop_goes(  # noqa: PLR0913, PLR0917 - every way to say it
    hosts: Hosts,
    monkeypatch: pytest.MonkeyPatch,
    standard_input: StreamChange,
    typed: str | None,
    words: str,
    code: int,
) -> None:
    bring_up()
    monkeypatch.setenv("LABCTL_OWNER", OWNER)
    standard_input(io.StringIO("") if typed is None else Terminal(typed))
    path = WorkshopState("w").folder / "w.yml"
    path.write_text(f"workshop: w\nseats: 4\n{TWO_HOSTS}", encoding="utf-8")
    assert run(["workshop", "down", "--file", str(path), *words.split()]) == code
    assert (hosts.labs["red"] == {}) == (code == ExitCode.DONE)
