"""A workshop is held on all its Docker hosts: who waits, who gives up, and what is not held."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine.docker_host import DockerHost
from labctl.errors import ExitCode, LabctlError
from labctl.progress import Steps
from labctl.shared import lock_holder
from labctl.shared.docker_api import Allowance, DockerError
from labctl.shared.engine_lock import LABEL_END, LABEL_HOLDER, LABEL_WORKSHOP
from labctl.workshop import hosts as links
from labctl.workshop import workshop_lock
from labctl.workshop.model.file import parse
from labctl.workshop.workshop_lock import Times
from tests.unit.shared.test_engine_lock import Engine

if TYPE_CHECKING:
    from labctl.workshop.model.file import Host, Workshop

TEXT = "workshop: w\nseats: 2\nhosts:\n- {address: red, name: red}\n- {address: green, name: green}\n"


class Met(DockerHost):
    """Where the engine of a Docker host is met."""

    def __init__(self, hosts: Hosts, name: str) -> None:
        self.hosts, self.name = hosts, name

    def engine(self, seconds: float) -> Any:
        assert seconds > 0
        if self.hosts.lost:
            raise LabctlError(self.hosts.lost)
        self.hosts.taken.append(self.name)
        return self.hosts.engines[self.name]


class Hosts:
    """Docker hosts that have volumes only; `silent` ones are not reached, with the reason; `lost` is why none is."""

    def __init__(self) -> None:
        self.engines: dict[str, Engine] = {"red": Engine(), "green": Engine()}
        self.silent: dict[str, str] = {}
        self.taken: list[str] = []
        self.lost = ""
        self.times = Times()

    def met(self, host: Host) -> DockerHost | LabctlError:
        if host.name in self.silent:
            return LabctlError(self.silent[host.name])
        return Met(self, host.name)

    def holding(self, verb: str = "up", text: str = TEXT, steps: Steps | None = None) -> Any:
        seats, made = ("01",), parse(text, Path("workshop.yml"))
        return workshop_lock.locked_workshop(
            made, "ada", verb, seats, steps or Remembered(), meet=self.met, times=self.times
        )

    def volumes(self) -> list[dict[str, Any]]:
        return [volume for engine in self.engines.values() for volume in engine.volumes_now.values()]


@pytest.fixture
def hosts() -> Hosts:
    return Hosts()


class Remembered(Steps):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    waits = note


def workshop(text: str = TEXT) -> Workshop:
    return parse(text, Path("workshop.yml"))


def test_it_is_a_volume_on_each_host_in_one_order_whatever_the_files(hosts: Hosts) -> None:
    turned = "workshop: w\nseats: 2\nhosts:\n- {address: green, name: a}\n- {address: red, name: b}\n"
    hosts.engines |= {"a": hosts.engines["green"], "b": hosts.engines["red"]}
    with hosts.holding():
        assert {volume["Labels"][LABEL_WORKSHOP] for volume in hosts.volumes()} == {"w"}
        assert [len(engine.volumes_now) for engine in hosts.engines.values()] == [1, 1, 1, 1]
        (note,) = {volume["Labels"][LABEL_HOLDER] for volume in hosts.volumes()}
        who = lock_holder.holder_of(note)
        assert who is not None
        assert who.command == "labctl workshop up 01"
    assert hosts.taken == ["green", "red"]
    with hosts.holding(text=turned):
        pass
    assert hosts.taken == ["green", "red", "a", "b"]
    assert hosts.volumes() == []


def test_two_names_of_one_host_are_no_two_holders(hosts: Hosts) -> None:
    hosts.engines["green"] = hosts.engines["red"]
    with hosts.holding():
        assert len(hosts.engines["red"].volumes_now) == 2


def test_who_waits_says_for_whom_after_a_second_and_is_refused_at_last(hosts: Hosts) -> None:
    hosts.times = Times(patience=0.3, say_after=0.1)
    steps = Remembered()
    with hosts.holding("reset"):
        with (
            pytest.raises(LabctlError, match=r"Cannot work on the workshop w: .*`labctl workshop reset 01`") as refused,
            hosts.holding("up", steps=steps),
        ):
            pass
        assert len(hosts.volumes()) == 2
    assert refused.value.code is ExitCode.REFUSED
    assert "has it on the Docker host green, also after 0 seconds. Wait until" in refused.value.sentence
    assert "volume" not in refused.value.sentence
    assert [sentence.split(" (process")[0].split("'s ")[1] for sentence in steps.said] == ["`labctl workshop reset 01`"]


def test_of_two_one_comes_after_the_other(hosts: Hosts) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with hosts.holding():
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)

    # Each thread's holder has the same process, and a mark of its own.
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1, 1, 1]
    assert hosts.volumes() == []


def test_a_host_that_does_not_answer_is_gone_without_and_not_asked_again(hosts: Hosts) -> None:
    hosts.silent["red"] = "nothing answered"
    red, green = workshop().hosts
    with hosts.holding():
        assert len(hosts.engines["green"].volumes_now) == 1
        with pytest.raises(LabctlError, match="nothing answered"):
            links.client_of(red)
        assert green not in links.given_up
    assert links.given_up == {}


def test_a_host_where_it_cannot_be_held_is_gone_without_and_a_full_disk_is_no_reason(hosts: Hosts) -> None:
    hosts.engines["red"].fails = "no volumes here"
    hosts.engines["green"].fails = "no space left on device"
    red, green = workshop().hosts
    with hosts.holding():
        assert set(links.given_up) == {red}
    theirs = replace(lock_holder.holder("labctl workshop up", 60), boot="elsewhere")
    hosts.engines["green"].put("v", {LABEL_WORKSHOP: "w", LABEL_HOLDER: theirs.note}, made="2026-11-29T09:44:44Z")
    begun = time.monotonic()
    threading.Timer(0.5, hosts.engines["green"].volumes_now.clear).start()
    with hosts.holding():
        assert time.monotonic() - begun > 0.4
        assert green not in links.given_up


def test_it_is_renewed_until_its_end_so_that_only_a_killed_holder_is_taken_for_one(hosts: Hosts) -> None:
    hosts.times = Times(renew=0.05)
    with hosts.holding() as held:
        first = {volume["Name"] for volume in hosts.volumes()}
        time.sleep(0.5)
        assert len(hosts.volumes()) in {2, 3}
        assert not first & {volume["Name"] for volume in hosts.volumes()}
        held.keep()
    time.sleep(0.2)
    assert hosts.volumes() == []


def test_a_holder_elsewhere_that_was_killed_has_it_for_a_minute(hosts: Hosts) -> None:
    hosts.times = Times(patience=0.2)
    theirs = replace(
        lock_holder.holder("labctl workshop up", workshop_lock.LEASE_SECONDS), boot="elsewhere", pid=1
    ).note
    labels = {LABEL_WORKSHOP: "w", LABEL_HOLDER: theirs}
    # The engine's clock says 09:44:44.
    hosts.engines["red"].put("young", labels, made="2026-11-29T09:44:00Z")
    with (
        pytest.raises(LabctlError, match="or remove the volume young there if you know that it has, then"),
        hosts.holding(),
    ):
        pass
    del hosts.engines["red"].volumes_now["young"]
    hosts.engines["red"].put("old", labels, made="2026-11-29T09:43:40Z")
    with hosts.holding():
        assert "old" not in hosts.engines["red"].volumes_now


def test_one_that_was_pruned_away_and_taken_is_not_worked_under(hosts: Hosts) -> None:
    hosts.times = Times(renew=0.05)
    theirs = lock_holder.holder("labctl workshop down", 60).note
    with hosts.holding() as held:
        engine = hosts.engines["red"]
        with engine.lock:
            engine.volumes_now.clear()
            engine.put("theirs", {LABEL_WORKSHOP: "w", LABEL_HOLDER: theirs})
        renewing = [thread for thread in threading.enumerate() if "_renew" in thread.name]
        for thread in renewing:
            thread.join(10)
        assert renewing
        with pytest.raises(LabctlError, match=r"`labctl workshop down` .* has the workshop now") as lost:
            held.keep()
        assert lost.value.code is ExitCode.REFUSED
        assert set(engine.volumes_now) == {"theirs"}


def test_one_that_was_taken_since_the_last_renewal_is_not_worked_under_either(hosts: Hosts) -> None:
    theirs = lock_holder.holder("labctl workshop down", 60).note
    with hosts.holding() as held:
        held.keep()
        engine = hosts.engines["green"]
        with engine.lock:
            engine.volumes_now.clear()
            engine.put("theirs", {LABEL_WORKSHOP: "w", LABEL_HOLDER: theirs})
        with pytest.raises(LabctlError, match=r"on the Docker host green .* `labctl workshop down`"):
            held.keep()
    assert [volume["Name"] for volume in hosts.volumes()] == ["theirs"]


def test_one_that_was_pruned_away_and_that_nobody_took_is_held_again(hosts: Hosts) -> None:
    with hosts.holding() as held:
        for engine in hosts.engines.values():
            engine.volumes_now.clear()
        held.keep()
        assert [len(engine.volumes_now) for engine in hosts.engines.values()] == [1, 1]
    assert hosts.volumes() == []


def test_an_engine_that_does_not_answer_for_a_while_loses_nothing(hosts: Hosts) -> None:
    hosts.times = Times(renew=0.05)
    with hosts.holding() as held:
        hosts.engines["red"].fails = "busy"
        time.sleep(0.2)
        held.keep()
        assert hosts.engines["red"].volumes_now
        hosts.engines["red"].fails = ""
        time.sleep(0.2)
        held.keep()
    assert hosts.volumes() == []


class Slow(Engine):
    """An engine of which every answer takes a while, or the time that it has."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.allowance = seconds, Allowance(60)

    def sharing(self, allowance: Allowance) -> Engine:
        self.allowance = allowance
        return self

    def ask(self, *words: Any, **more: Any) -> Any:
        self._wait()
        return super().ask(*words, **more)

    def volumes(self, *words: Any, **more: Any) -> Any:
        self._wait()
        return super().volumes(*words, **more)

    def _wait(self) -> None:
        left = self.allowance.left
        time.sleep(min(self.seconds, left))
        if left < self.seconds:
            raise DockerError("The Docker Engine did not answer in time.")


def test_all_locks_together_have_one_time_that_is_told(hosts: Hosts) -> None:
    hosts.engines = {name: Slow(0.8) for name in ("red", "green", "blue")}
    text = TEXT + "- {address: blue, name: blue}\n"
    hosts.times = Times(patience=1.0, say_after=0.2)
    steps, begun = Remembered(), time.monotonic()
    with pytest.raises(LabctlError) as late, hosts.holding(text=text, steps=steps):
        pass
    assert time.monotonic() - begun < 1 + workshop_lock.GRACE_SECONDS + 1
    assert late.value.code is ExitCode.NOT_READY
    assert late.value.sentence == (
        "Cannot hold the workshop w within 1 second: its Docker hosts answer too slowly, the last of them green. See "
        "what keeps them busy, then run the same command again."
    )
    assert steps.said == ["Waiting for the Docker host blue to answer, to hold the workshop w there"]
    assert hosts.volumes() == []


def test_a_time_that_is_over_ends_no_renewal(hosts: Hosts) -> None:
    hosts.engines = {name: Slow(0.01) for name in ("red", "green")}
    hosts.times = Times(patience=0.1, renew=0.1)
    with hosts.holding() as held:
        time.sleep(0.1 + workshop_lock.GRACE_SECONDS)
        first = {volume["Name"] for volume in hosts.volumes()}
        time.sleep(0.5)
        held.keep()
        assert not first & {volume["Name"] for volume in hosts.volumes()}
    assert hosts.volumes() == []


def test_a_host_that_answers_late_keeps_no_other_lock_from_being_renewed(hosts: Hosts) -> None:
    hosts.times = Times(renew=0.1)
    hosts.engines["green"] = slow = Slow(0)
    with hosts.holding():
        slow.seconds = 5
        time.sleep(0.3)
        first = set(hosts.engines["red"].volumes_now)
        time.sleep(0.7)
        assert not first & set(hosts.engines["red"].volumes_now)
        slow.seconds = 0


def test_nothing_is_left_where_the_command_fails(hosts: Hosts) -> None:
    with pytest.raises(DockerError), hosts.holding():
        raise DockerError("x")
    assert hosts.volumes() == []
    assert links.given_up == {}


def test_a_lock_of_the_workshops_end_that_outlived_its_holder_goes_and_one_that_is_held_stays(hosts: Hosts) -> None:
    who = lock_holder.holder("labctl workshop extend 1h", workshop_lock.LEASE_SECONDS)
    labels = {LABEL_END: "w", LABEL_HOLDER: replace(who, boot="elsewhere", pid=1).note}
    # The engine's clock says 09:44:44.
    hosts.engines["red"].put("dead", labels, made="2026-11-29T09:43:40Z")
    hosts.engines["red"].put("of-another", labels | {LABEL_END: "v"}, made="2026-11-29T09:43:40Z")
    hosts.engines["green"].put("held", labels | {LABEL_HOLDER: who.note})
    workshop_lock.remove_ended(workshop(), LABEL_END, meet=hosts.met)
    assert [volume["Name"] for volume in hosts.volumes()] == ["of-another", "held"]
    hosts.lost = "The connection to the Docker host red was lost."
    workshop_lock.remove_ended(workshop(), LABEL_END, meet=hosts.met)
    hosts.silent = {"red": "it hangs", "green": "it hangs"}
    workshop_lock.remove_ended(workshop(), LABEL_END, meet=hosts.met)
    assert len(hosts.volumes()) == 2
