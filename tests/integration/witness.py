"""What a lab did, seen without its logs: by Consul's API of each server, 20 times a second, and by Docker's events.

The story of the same time is compared with it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from labctl.shared.lab_names import LABEL_LAB
from tests.integration.harness import container, docker, servers

if TYPE_CHECKING:
    from collections.abc import Iterator

POLL_SECONDS = 0.05
ANSWER_SECONDS = 0.4
EXACT_SECONDS = 0.2
_AWAY = {"kill": "down", "stop": "down", "pause": "frozen"}


class Said(NamedTuple):
    """One answer of a server's API: who leads, and when it came."""

    time: datetime
    server: str
    leader: str | None


class Done(NamedTuple):
    """One event of Docker's about a server: `kill 9`, `pause`, ..."""

    time: datetime
    server: str
    what: str


class Run(NamedTuple):
    """From when to when a server claimed to lead."""

    server: str
    begin: datetime
    end: datetime


def address_of(server: dict[str, Any]) -> str:
    """A server's address in its lab, also while it does not run."""
    network = next(iter(server["NetworkSettings"]["Networks"].values()))
    return str(network["IPAddress"] or network["IPAMConfig"]["IPv4Address"])


@dataclass
class Witness:
    """Watches a lab from `with` on."""

    lab: str
    answers: list[Said] = field(default_factory=list)
    events: list[Done] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._addresses = {
            str(server["Config"]["Labels"]["raft-labctl.server"]): address_of(server) for server in servers(self.lab)
        }
        self._names = {address: server for server, address in self._addresses.items()}
        self._stopped = threading.Event()
        words = ["docker", "events", "--filter", f"label={LABEL_LAB}={self.lab}", "--format", "{{json .}}"]
        self._docker = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._threads = [
            threading.Thread(target=self._poll, args=address, daemon=True) for address in self._addresses.items()
        ]
        self._threads.append(threading.Thread(target=self._listen, daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._docker.terminate()
        for thread in self._threads:
            thread.join(5)
        self._docker.communicate()

    @property
    def servers(self) -> list[str]:
        """Their names."""
        return sorted(self._addresses)

    def _poll(self, server: str, address: str) -> None:
        connection = http.client.HTTPConnection(address, 8500, timeout=ANSWER_SECONDS)
        while not self._stopped.is_set():
            begun = time.monotonic()
            try:
                connection.request("GET", "/v1/status/leader")
                with connection.getresponse() as answer:
                    said = json.loads(answer.read()) if answer.status == http.client.OK else ""
                leader = self._names.get(said.rpartition(":")[0])
                self.answers.append(Said(datetime.now(UTC), server, leader))
            except (OSError, http.client.HTTPException, ValueError):
                # The next question begins another one.
                connection.close()
            self._stopped.wait(max(POLL_SECONDS - (time.monotonic() - begun), 0.005))
        connection.close()

    def _listen(self) -> None:
        names = {container(self.lab, server): server for server in self._addresses}
        for line in self._docker.stdout or ():
            with contextlib.suppress(ValueError, KeyError):
                event = json.loads(line)
                named = event["Actor"]["Attributes"]
                if (server := names.get(named["name"])) and event["Type"] == "container":
                    signal = f" {named['signal']}" if event["Action"] == "kill" else ""
                    moment = datetime.fromtimestamp(event["timeNano"] / 1e9, UTC)
                    self.events.append(Done(moment, server, f"{event['Action']}{signal}"))

    # -- what was seen ---------------------------------------------------------------------------------------

    def leader(self, within: float = 0.5) -> str | None:
        """The leader, if all servers that answered just now agree."""
        since = datetime.now(UTC) - timedelta(seconds=within)
        said = {answer.leader for answer in self.answers[-400:] if answer.time >= since}
        return said.pop() if len(said) == 1 else None

    def first_named(self, leader: str, since: datetime) -> datetime | None:
        """When the first answer since a time named a leader."""
        return min(
            (said.time for said in list(self.answers) if said.leader == leader and said.time >= since), default=None
        )

    def runs(self) -> list[Run]:
        """When each server claimed to lead; a server that could not answer claims it again later."""
        leaderships: list[Run] = []
        by_server: dict[str, list[Said]] = defaultdict(list)
        for answer in list(self.answers):
            by_server[answer.server].append(answer)
        for server, said in by_server.items():
            begin: datetime | None = None
            for saying, after in pairwise([*said, Said(datetime.max.replace(tzinfo=UTC), server, None)]):
                begin = (begin or saying.time) if saying.leader == server else None
                if begin is not None and (after.leader != server or after.time - saying.time > timedelta(seconds=1)):
                    leaderships.append(Run(server, begin, saying.time))
                    begin = None
        return sorted(leaderships, key=lambda run: run.begin)

    def ends_of(self, server: str) -> list[datetime]:
        """When Docker ended, or froze, a server's process."""
        ends = ("kill 9", "kill 15", "kill 19", "die", "pause")
        return [done.time for done in list(self.events) if done.server == server and done.what in ends]

    def thawed(self, server: str) -> list[datetime]:
        """When Docker let a server's process go on."""
        return [
            done.time for done in list(self.events) if done.server == server and done.what in {"unpause", "kill 18"}
        ]


# -- what a story says of it -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """Which servers could not reach which, from when to when: pairs of sender and receiver."""

    begin: datetime
    end: datetime
    pairs: frozenset[tuple[str, str]]

    def parts(self, sender: str, other: str) -> bool:
        """Whether no answer can pass between two."""
        return (sender, other) in self.pairs or (other, sender) in self.pairs


def moment(text: str) -> datetime:
    """A time as a story has it."""
    return datetime.fromisoformat(text)


GIVE_UP = (
    "failed to contact quorum",
    "cluster leadership lost",
    "[Leader] entering follower",
    "stepping down",
    "peer has newer term",
    "entering follower state",
    "lost leadership",
)


def lines_of(lab: str, server: str) -> Iterator[tuple[datetime, str]]:
    """A server's log, with its times."""
    words = ["docker", "logs", "--timestamps", container(lab, server)]
    said = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True).stdout
    for line in said.decode("utf-8", "replace").splitlines():
        stamp, _, text = line.partition(" ")
        with contextlib.suppress(ValueError):
            # The server's own stamp, as `measure` takes it; where it has none, Docker's.
            own = text.split(maxsplit=1)[:1]
            yield datetime.fromisoformat(own[0] if own and own[0][:2] == "20" and "T" in own[0] else stamp), text


def faults_of(  # noqa: C901 - one claim after the other
    story: dict[str, Any], witness: Witness, begin: datetime, cut: Cut | None
) -> list[str]:
    """The errors of a story about the time since `begin`, in sentences; none where it is right."""
    wrong: list[str] = []
    end = datetime.now(UTC)
    given_up = {
        server: [time for time, text in lines_of(witness.lab, server) if any(sign in text for sign in GIVE_UP)]
        for server in witness.servers
    }
    leaders = story["leaders"]
    for before, leadership in zip([None, *leaders], leaders, strict=False):
        known = f"{leadership['server']} in term {leadership['term']}"
        if leadership["from"] is None:
            wrong.append(f"{known}: since when is not told")
            continue
        since = moment(leadership["from"])
        if leadership["to"] is not None and moment(leadership["to"]) >= begin:
            until = moment(leadership["to"])
            wrong += _wrong_end(leadership, since, until, witness, given_up[leadership["server"]])
        if since < begin:
            continue
        led_before = before is not None and before["server"] == leadership["server"]
        named = None if led_before else witness.first_named(leadership["server"], since - timedelta(seconds=1))
        if named is not None and named < since - timedelta(seconds=0.02):
            wrong.append(f"{known}: the API named it at {named}, the story says that it leads from {since} on")
        if before is None or before["to"] is None:
            continue
        if leadership["without_leader"] is None:
            if before["ended_by"] not in {"silent", "unknown", "restarted"} and before["superseded"] is None:
                wrong.append(f"{known}: how long nobody had led is not told, though {before} ended")
            elif cut is None and any(
                moment(before["from"]) < time < since for time in witness.ends_of(before["server"])
            ):
                wrong.append(f"{known}: how long nobody had led is not told: {before}")
        else:
            wrong += _wrong_vacancy(leadership, before, witness)
    wrong += _wrong_elections(story, begin, end, cut)
    wrong += wrong_runs(leaders, witness, begin)
    if story["unparsed"]:
        wrong.append(f"{story['unparsed']} lines were not understood")
    return wrong


def _wrong_vacancy(leadership: dict[str, Any], before: dict[str, Any], witness: Witness) -> list[str]:
    """The time without a leader is what `measure` would say: from Docker's event to the new leader's own stamp."""
    since, until, said = moment(leadership["from"]), moment(before["to"]), leadership["without_leader"]
    told = f"{leadership['server']} in term {leadership['term']}: {said} s without a leader"
    if abs(said - (since - until).total_seconds()) > EXACT_SECONDS:
        return [f"{told}, since {until}, until {since}"]
    by_docker = [time for time in witness.ends_of(before["server"]) if abs(time - until) <= timedelta(seconds=1)]
    if not by_docker or before["ended_by"] not in {"killed", "stopped", "paused", "ended"}:
        return []
    led = [time for time, text in lines_of(witness.lab, leadership["server"]) if "entering leader state" in text
           and abs(time - since) <= timedelta(seconds=1)]  # fmt: skip
    measured = (led[0] - by_docker[0]).total_seconds() if led else None
    # Of an event that Docker has forgotten, it knows when the process was gone.
    exact = 1.0 if before["ended_by"] == "ended" else EXACT_SECONDS
    return [] if measured is not None and abs(measured - said) <= exact else [f"{told}, measured {measured}"]


def _wrong_end(
    leadership: dict[str, Any], since: datetime, until: datetime, witness: Witness, given_up: list[datetime]
) -> list[str]:
    """A leadership's end is when Docker ended its process, else when its server said that it gives up."""
    second = timedelta(seconds=1)
    by_docker = [time for time in witness.ends_of(leadership["server"]) if time >= since]
    # The API shows until when it led; a server that does not run shows nothing.
    last = max((run.end for run in witness.runs() if run.server == leadership["server"] and run.begin <= until + second
                and run.end >= since), default=None)  # fmt: skip
    right = [time for time in by_docker if last is None or time >= last - second][:1] + [
        time for time in given_up if time >= since
    ]
    if leadership["gave_up"] is not None:
        # Docker has forgotten what was done: it ceased to lead between its last sign of life and when it was missed.
        missed, gave_up = moment(leadership["silent_since"]), moment(leadership["gave_up"])
        seen = all(until - second <= time <= missed + second for time in right[:1] if time in by_docker)
        if seen and any(abs(time - gave_up) <= second for time in given_up):
            return []
    if any(abs(time - until) <= second for time in right):
        return []
    known = f"{leadership['server']} in term {leadership['term']}"
    return [f"{known} led until {until} ({leadership['ended_by']}), but {right}; API {last}"]


def _wrong_elections(story: dict[str, Any], begin: datetime, end: datetime, cut: Cut | None) -> list[str]:
    wrong = []
    for election in story["elections"]:
        if election["start"] is None or not begin <= moment(election["start"]) <= end:
            continue
        known = f"{election['candidate']} in term {election['term']}"
        if election["cause"] == "transfer":
            wrong.append(f"{known}: leadership was handed to nobody")
        rivals = [other["candidate"] for other in story["elections"] if other["term"] == election["term"]
                  and other["candidate"] != election["candidate"]]  # fmt: skip
        whole = cut is not None and cut.begin <= moment(election["start"]) and (
            election["end"] is not None and moment(election["end"]) <= cut.end
        )  # fmt: skip
        reached = [rival for rival in rivals if not (whole and cut and cut.parts(election["candidate"], rival))]
        if election["outcome"] == "split" and not reached:
            wrong.append(f"{known}: told as split, and nobody else stood whom it could reach")
        if whole and cut is not None:
            wrong += [
                f"{known}: told that {no['server']} refused, which was cut off"
                for no in election["refusals"]
                # A server that hears a request refuses it, even if its answer is lost.
                if (election["candidate"], no["server"]) in cut.pairs
            ]
    return wrong


def wrong_runs(leaders: list[dict[str, Any]], witness: Witness, begin: datetime) -> list[str]:
    """A server that said it leads is in the story as leader for that time, and every leader in the story said so."""
    wrong, slack = [], timedelta(seconds=1)
    told = [
        (leader["server"], moment(leader["from"]), leader["to"] and moment(leader["to"]))
        for leader in leaders
        if leader["from"]
    ]
    runs = witness.runs()
    for run in runs:
        if any(-slack / 10 <= run.begin - time <= run.end - time <= slack for time in witness.thawed(run.server)):
            # A frozen leader takes itself for the leader until it hears of the new one.
            continue
        mine = [(since, until) for server, since, until in told if server == run.server]
        if run.end >= begin and not any(
            since <= run.begin + slack / 10 and (until is None or until >= run.end - slack) for since, until in mine
        ):
            wrong.append(f"the API says that {run.server} led from {run.begin} to {run.end}: the story tells {mine}")
    first = min((said.time for said in witness.answers), default=begin)
    for server, since, until in told:
        lasted = (until or datetime.now(UTC)) - since
        if since < max(begin, first) or lasted < slack / 2:
            continue
        if not any(run.server == server and run.begin <= since + slack and run.end >= since for run in runs):
            wrong.append(f"the story tells that {server} led from {since} to {until}: the API never said so")
    return wrong


def foreign_events(count: int) -> None:
    """Give an engine that many events that have nothing to do with a lab: rename a container."""
    name = f"it-foreign-{time.monotonic_ns()}"
    made = docker("create", "--name", name, docker("image", "ls", "-q", "raft-labctl/consul").split()[0])
    from labctl.shared.docker_api import Engine  # noqa: PLC0415

    engine = Engine()
    try:
        for number in range(count):
            engine.ask("POST", f"/containers/{made}/rename", {"name": f"{name}-{number}"}, doing="renaming")
    finally:
        docker("rm", "--force", made)
