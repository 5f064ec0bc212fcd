"""A workshop's end: it is its owner's, it is kept where labs are, and nobody else's decides over it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.errors import ExitCode, LabctlError
from labctl.lab.up import START
from labctl.progress import Steps
from labctl.shared import lab_names
from labctl.workshop.down import down
from labctl.workshop.expire import expire, extend
from labctl.workshop.model.file import Workshop, parse
from labctl.workshop.state_store import WorkshopState
from labctl.workshop.up import WorkshopUpOptions, up
from tests.unit.workshop.workshop_stand_in import OWNER, Hosts, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.workshop.model.outcome import Result

TWO_HOSTS = "hosts:\n- {address: red, name: red}\n- {address: green, name: green}\n"


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hosts:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Hosts(monkeypatch)


@pytest.fixture
def meanwhile(hosts: Hosts) -> Callable[[Callable[[], object]], None]:
    """Do something, once, when the labs of the next `up` are made."""

    def arrange(what: Callable[[], object]) -> None:
        waiting = [what]

        def before(made: Run) -> None:
            if waiting:
                made.after = waiting.pop()

        hosts.on_run = before

    return arrange


def workshop(seats: int = 2, more: str = "expires: 2h\n") -> Workshop:
    return parse(f"workshop: w\nseats: {seats}\n{TWO_HOSTS}{more}", Path("workshop.yml"))


def bring_up(made: Workshop | None = None, **options: object) -> Result:
    return up(made or workshop(), WorkshopUpOptions(OWNER, **options), Steps())  # type: ignore[arg-type]


def a_reaper(end: float, owner: str = OWNER, removes: str = "owned") -> dict[str, str]:
    marks = {"state": "running", "reaper": "w", "owner": owner, "expires": lab_names.stamp(int(end))}
    return marks | ({"removes": removes} if removes else {})


def ends(hosts: Hosts, owner: str = OWNER) -> dict[str, list[str]]:
    return {
        name: [mark["expires"] for mark in marks if mark["owner"] == owner] for name, marks in hosts.reapers.items()
    }


# -- whose it is ---------------------------------------------------------------------------------------------


def test_the_end_of_another_owners_workshop_of_that_name_is_none_of_mine(hosts: Hosts) -> None:
    hosts.reapers = {"red": [a_reaper(time.time() + 60, owner="bob")]}
    made = workshop(more="")
    assert bring_up(made).plan.fleet.end() is None
    with pytest.raises(LabctlError, match="has no end that could be moved"):
        extend(made, OWNER, "1h", Steps())
    assert expire(made, OWNER, "2h", Steps()).changed
    assert {name: len(marks) for name, marks in hosts.reapers.items()} == {"red": 2, "green": 1}
    assert down(made, OWNER, (), None, Steps()).proven
    assert ends(hosts) == {"red": [], "green": []}
    assert len(ends(hosts, "bob")["red"]) == 1


def test_an_end_by_an_older_labctl_that_would_remove_my_labs_is_refused(hosts: Hosts) -> None:
    hosts.reapers = {"green": [a_reaper(time.time() + 60, owner="bob", removes="")]}
    with pytest.raises(LabctlError, match=r"bob has a workshop w on the Docker host green.*older labctl") as caught:
        bring_up()
    assert caught.value.code is ExitCode.REFUSED
    assert hosts.played == []
    # What is there can be removed all the same.
    hosts.put("red", "w-01", 1)
    assert set(down(workshop(), OWNER, (), None, Steps()).labs) == {"w-01"}


def test_my_own_end_by_an_older_labctl_is_the_same_end_and_is_written_down_again(hosts: Hosts) -> None:
    bring_up()
    before = ends(hosts)
    for marks in hosts.reapers.values():
        del marks[0]["removes"]
    hosts.played.clear()
    bring_up()
    assert hosts.played[0][1] == ["w-01", "w-02", "red", "green"]
    assert ends(hosts) == before
    assert all(marks[0]["removes"] == "owned" for marks in hosts.reapers.values())


@pytest.mark.parametrize("move", [extend, expire])
def test_of_hosts_that_tell_nothing_it_is_not_said_that_there_is_no_end_and_no_seat(
    hosts: Hosts, move: Callable[[Workshop, str, str, Steps], object]
) -> None:
    bring_up()
    hosts.problems = dict.fromkeys(("red", "green"), "it hangs.")
    with pytest.raises(LabctlError, match=r"Cannot tell when .* do not answer \(red: it hangs; green: it hangs\)"):
        move(workshop(), OWNER, "2h", Steps())


# -- what happens while labs are made ------------------------------------------------------------------------


def test_an_end_that_went_while_labs_were_made_is_written_down_again(
    hosts: Hosts, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    meanwhile(lambda: hosts.reapers.pop("red"))
    result = bring_up()
    assert result.failed == []
    assert [limit for _, limit, _ in hosts.played] == [["w-01", "w-02", "red", "green"], ["red"]]
    assert ends(hosts)["red"] == ends(hosts)["green"] != []


def test_labs_that_are_made_when_the_end_has_come_are_removed_by_their_hosts_and_told(
    hosts: Hosts, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    now = time.time()
    end = int(now) + 60
    hosts.reapers = {"red": [a_reaper(end)], "green": [a_reaper(end)]}

    def the_end() -> None:
        # Each found nothing to remove, and left.
        hosts.reapers.clear()
        nonlocal now
        now = end + 1.0

    meanwhile(the_end)
    result = bring_up(now=lambda: now)
    assert {outcome.lab: outcome.step for outcome in result.failed} == {"w-01": "ending", "w-02": "ending"}
    assert "came while it was made" in str(result.failed[0].reason)
    assert "labctl workshop expire 8h" in str(result.failed[0].reason)
    # Or they would stay for ever.
    assert ends(hosts) == {name: [lab_names.stamp(end)] for name in ("red", "green")}


def test_an_end_that_is_moved_while_labs_are_made_is_kept_as_it_was_moved(
    hosts: Hosts, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    later = int(time.time()) + 9 * 3600
    meanwhile(lambda: hosts.reapers.update(red=[a_reaper(later)]))
    assert bring_up().failed == []
    assert ends(hosts) == {"red": [lab_names.stamp(later)], "green": [lab_names.stamp(later)]}


def test_an_end_that_is_taken_away_while_labs_are_made_stays_away(
    hosts: Hosts, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    def taken_away() -> None:
        WorkshopState("w").keep_never(never=True)
        hosts.reapers.clear()

    meanwhile(taken_away)
    assert bring_up().failed == []
    assert hosts.reapers == {}


def test_a_host_that_does_not_answer_when_its_labs_are_made_may_have_lost_the_end(
    hosts: Hosts, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    meanwhile(lambda: hosts.problems.update(green="nothing answered"))
    assert {outcome.lab: outcome.step for outcome in bring_up().failed} == {"w-02": "ending"}


def test_without_an_end_the_hosts_are_asked_once(hosts: Hosts) -> None:
    bring_up(workshop(more=""))
    assert sorted(hosts.asked) == ["green", "red"]


def test_nothing_is_made_where_the_end_has_come(hosts: Hosts) -> None:
    hosts.put("red", "w-01", 1)
    hosts.reapers = {"red": [a_reaper(time.time() - 5)]}
    with pytest.raises(LabctlError, match=r"came to its end at .*labctl workshop expire 8h") as caught:
        bring_up()
    assert caught.value.code is ExitCode.REFUSED
    assert hosts.played == []
    expire(workshop(), OWNER, "8h", Steps())
    assert bring_up().failed == []


# -- a removal beside it -------------------------------------------------------------------------------------


def test_an_end_that_is_written_while_the_workshop_is_removed_goes_with_it(hosts: Hosts) -> None:
    made = workshop(more="")
    bring_up(made)
    waiting = [lambda: expire(made, OWNER, "1h", Steps())]

    def before(run: Run) -> None:
        # Its own run comes through here too.
        if run.playbook == "down.yml" and waiting:
            waiting.pop()()

    hosts.on_run = before
    assert down(made, OWNER, (), None, Steps()).proven
    assert ends(hosts) == {"red": [], "green": []}


def test_an_end_of_a_workshop_that_was_removed_meanwhile_is_taken_back_and_that_is_told(hosts: Hosts) -> None:
    made = workshop(more="")
    bring_up(made)

    def before(run: Run) -> None:
        hosts.on_run = lambda _: None
        run.after = lambda: down(made, OWNER, (), None, Steps()) and hosts.reapers.update(red=[a_reaper(9e9)])

    hosts.on_run = before
    with pytest.raises(LabctlError, match=r"was removed meanwhile, so it has no end\. `labctl workshop up` makes it"):
        expire(made, OWNER, "1h", Steps())
    assert ends(hosts) == {"red": [], "green": []}


def test_an_end_that_cannot_be_taken_back_is_not_said_to_be_gone(hosts: Hosts) -> None:
    made = workshop(more="")
    bring_up(made)

    def before(run: Run) -> None:
        hosts.on_run = lambda _: None

        def after() -> None:
            for labs in hosts.labs.values():
                labs.clear()
            hosts.failing["red"] = ("", "its disk is full")

        run.after = after

    hosts.on_run = before
    with pytest.raises(LabctlError, match=r"not be taken back everywhere \(red: its disk is full\).*workshop down"):
        expire(made, OWNER, "1h", Steps())
    assert {name: len(marks) for name, marks in ends(hosts).items()} == {"red": 1, "green": 0}


def test_an_end_stays_where_one_host_of_two_has_lost_its_seats_meanwhile(hosts: Hosts) -> None:
    made = workshop(more="")
    bring_up(made)

    def before(run: Run) -> None:
        run.after = hosts.labs["green"].clear

    hosts.on_run = before
    assert expire(made, OWNER, "1h", Steps()).changed
    assert {name: len(marks) for name, marks in ends(hosts).items()} == {"red": 1, "green": 1}


# -- when it goes --------------------------------------------------------------------------------------------


def test_what_could_not_be_removed_keeps_its_end(hosts: Hosts) -> None:
    bring_up(workshop(4))
    hosts.failing = {"w-03": (START, "the network is in use")}
    removed = down(workshop(4), OWNER, (), None, Steps())
    assert set(removed.failed) == {"w-03"}
    assert {name: len(marks) for name, marks in hosts.reapers.items()} == {"red": 1, "green": 0}
    hosts.failing.clear()
    assert down(workshop(4), OWNER, (), None, Steps()).proven
    assert ends(hosts) == {"red": [], "green": []}


def test_an_end_that_was_taken_away_does_not_come_back_from_a_host_that_did_not_answer(hosts: Hosts) -> None:
    bring_up()
    hosts.problems = {"green": "gone"}
    with pytest.raises(LabctlError, match="not recorded everywhere"):
        expire(workshop(), OWNER, "never", Steps())
    hosts.problems = {}
    bring_up(workshop(3))
    assert ends(hosts) == {"red": [], "green": []}


def test_an_end_is_at_most_a_year_away_however_often_it_is_moved(hosts: Hosts) -> None:
    bring_up()
    extend(workshop(), OWNER, "364d", Steps())
    before = ends(hosts)
    for longer in ("3d", "99999d"):
        with pytest.raises(LabctlError, match="would end more than a year from now") as refused:
            extend(workshop(), OWNER, longer, Steps())
        assert refused.value.code is ExitCode.USAGE
    assert ends(hosts) == before


@pytest.mark.parametrize("move", [extend, expire])
def test_who_has_lost_the_workshop_moves_no_end(hosts: Hosts, move: Callable[..., object]) -> None:
    bring_up()
    before = ends(hosts)

    def lost() -> None:
        raise LabctlError("Cannot go on", ExitCode.REFUSED)

    with pytest.raises(LabctlError, match="Cannot go on"):
        move(workshop(), OWNER, "5h", Steps(), keep=lost)
    assert ends(hosts) == before


def test_an_end_on_a_host_without_seats_goes_and_moves_with_the_others(hosts: Hosts) -> None:
    bring_up()
    hosts.labs["green"].clear()
    later = extend(workshop(), OWNER, "1h", Steps()).expires
    assert ends(hosts) == {"red": [later], "green": [later]}
    expire(workshop(), OWNER, "never", Steps())
    assert ends(hosts) == {"red": [], "green": []}


def test_an_end_stays_on_a_host_that_answers_no_more(hosts: Hosts) -> None:
    bring_up()

    def before(made: Run) -> None:
        made.after = lambda: hosts.problems.update(green="nothing answered")

    hosts.on_run = before
    removed = down(workshop(), OWNER, (), None, Steps())
    assert not removed.proven
    assert removed.unseen == {"green": "nothing answered"}
    assert {name: len(marks) for name, marks in hosts.reapers.items()} == {"red": 0, "green": 1}
    # No run is for no host: Ansible would take that for all of them.
    assert all(limit != [""] for _, limit, _ in hosts.played)
