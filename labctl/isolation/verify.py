"""Prove that labs are apart: from inside each, try to reach every other one, and look how hard the containers are."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from labctl.engine import client
from labctl.engine.client import explained
from labctl.engine.labs import Lab, list_labs
from labctl.errors import ExitCode, LabctlError
from labctl.isolation import attempts, connection_table, outcomes, probe
from labctl.isolation.hardening import Container, judge
from labctl.isolation.outcomes import Evidence, JoinResult, Outcome
from labctl.isolation.report import Proof, Report, Verdict
from labctl.isolation.targets import place_of
from labctl.lab.desired_state import refuse_foreign
from labctl.shared import docker_api, lab_names
from labctl.shared.docker_api import DockerError, Engine
from labctl.shared.parallel import each
from labctl.shared.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from labctl.engine.labs import Server
    from labctl.isolation.attempts import Attempt, Join
    from labctl.isolation.connection_table import Connection
    from labctl.isolation.hardening import CheckRow
    from labctl.isolation.outcomes import AttemptResult
    from labctl.isolation.report import Members
    from labctl.isolation.targets import Place
    from labctl.progress import Steps


PROBED_AT_ONCE = 6
"""Labs that try connections at a time. They mostly wait, but each connection is two processes on the Docker host."""
JOINING_AT_ONCE = 48
"""Labs that join at a time. A `consul join` waits ten seconds for an answer; it takes 10 MB in each server."""
ASKED_AT_ONCE = 16
SOURCE_PORTS = range(20_000, 32_000)
"""Below those that the kernel gives out by itself: from which connections come that are to be known again."""
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Host:
    """A Docker host and the labs on it that are to be apart, from each other and from those of all other hosts.

    Attributes:
        name: what it is called.
        engine: its engine.
        labs: those that are looked at.
        hold_seconds: how long a connection stays that is looked for where it arrives.
    """

    name: str
    engine: Engine
    labs: tuple[Lab, ...]
    hold_seconds: int = probe.HOLD_SECONDS

    @property
    def looking(self) -> Engine:
        """The same engine, for what it knows at once: what is tried in a lab may take minutes, a look may not."""
        return self.engine.within(client.TIMEOUT_SECONDS)


@dataclass(frozen=True)
class _Subject:
    """A lab that is looked at."""

    host: Host
    lab: Lab
    documents: tuple[dict[str, Any], ...]
    place: Place


def host_of(connection: client.Client, labs: Iterable[Lab]) -> Host:
    """The Docker host of a connection, with those of its labs that are to be looked at."""
    return Host(connection.host, connection.place.engine(docker_api.TIMEOUT_SECONDS), tuple(labs))


def chosen(names: Sequence[str], owner: str) -> list[Host]:
    """The labs of those names on this Docker host, or all that belong to `owner`. Raises LabctlError."""
    connection = client.connect()
    labs = {lab.name: lab for lab in list_labs(connection)}
    for name in names:
        if problem := lab_names.name_problem(name):
            raise LabctlError(lab_names.name_sentence(name, problem), ExitCode.USAGE)
        if name not in labs:
            raise LabctlError(
                f"There is no lab {name} on this Docker host: `labctl up {name}` starts it, `labctl ls` lists them."
            )
        refuse_foreign(labs[name], owner)
    picked = [labs[name] for name in dict.fromkeys(names)] or [
        each_lab for each_lab in labs.values() if each_lab.owner == owner
    ]
    if not picked:
        raise LabctlError("No lab of yours is there: `labctl up` starts one.")
    return [host_of(connection, picked)]


def verify(
    hosts: Sequence[Host],
    steps: Steps,
    members: Callable[[Iterable[Server]], frozenset[tuple[str, str]] | None] = probe.members,
) -> Report:
    """Try all there is to try between the labs of these Docker hosts. Raises LabctlError.

    Args:
        hosts: the Docker hosts.
        steps: where progress is reported.
        members: what servers say who is in their cluster.
    """
    begun = time.monotonic()
    with explained():
        steps.begin("Looking at the containers")
        subjects = _subjects(hosts)
        judged = _judged(hosts, subjects)
        steps.done(f"{counted(sum(len(subject.documents) for subject in subjects), 'container')} looked at")
        before = each(lambda subject: members(subject.lab.running), subjects, ASKED_AT_ONCE)
        steps.begin("Trying connections from inside each lab")
        proofs = _probed(hosts, subjects)
        steps.done(f"{counted(sum(len(each_proof.tries) for each_proof in proofs), 'connection')} tried")
        steps.begin("Trying to join each lab to every other")
        proofs = _joined(subjects, proofs)
        after = each(lambda subject: members(subject.lab.running), subjects, ASKED_AT_ONCE)
        tried = sum(join.outcome is not Outcome.NOT_TRIED for proof in proofs for join in proof.joins)
        steps.done(f"{counted(tried, 'join')} tried")
    return Report(_with_members(proofs, before, after), tuple(judged), time.monotonic() - begun)


def exit_code(report: Report) -> ExitCode:
    """The exit code: 1 for a crossing or a check that fails, 3 where something is not proven."""
    if report.verdict is Verdict.CROSSED or report.failing:
        return ExitCode.FAILED
    return ExitCode.NOT_READY if report.verdict is Verdict.UNKNOWN else ExitCode.DONE


def _subjects(hosts: Sequence[Host]) -> list[_Subject]:
    def look(pair: tuple[Host, Lab]) -> _Subject:
        host, lab = pair
        documents = tuple(probe.described(host.looking, lab))
        return _Subject(host, lab, documents, place_of(lab.name, host.name, documents))

    return each(look, [(host, lab) for host in hosts for lab in host.labs], ASKED_AT_ONCE)


def _judged(hosts: Sequence[Host], subjects: Sequence[_Subject]) -> list[CheckRow]:
    about = {host.name: probe.information(host.looking) for host in hosts}
    return [
        row
        for subject in subjects
        for row in judge(
            subject.host.name,
            subject.lab.name,
            [Container(document, about[subject.host.name]) for document in subject.documents],
        )
    ]


def _probed(hosts: Sequence[Host], subjects: Sequence[_Subject]) -> list[Proof]:
    addresses = {host.name: probe.addresses_of_host(host.looking, host.labs[0]) for host in hosts if host.labs}
    places = [each_subject.place for each_subject in subjects]
    return each(lambda subject: _proof(subject, subjects, places, addresses), subjects, PROBED_AT_ONCE)


def _proof(
    subject: _Subject, subjects: Sequence[_Subject], places: Sequence[Place], addresses: Mapping[str, Sequence[str]]
) -> Proof:
    """The results of a lab's connections. A lab whose helper fails proves nothing, and stops no other."""
    place, engine = subject.place, subject.host.engine
    if not place.own:
        return Proof(place)
    controls, wanted = attempts.controls(place), attempts.crossings(place, places, addresses)
    # A server that is on a strange network too is the one that gets furthest.
    server = place.strange[0].server if place.strange else place.own[0].server
    try:
        with probe.prober(engine, subject.lab, server, subject.host.hold_seconds) as prober:
            said = prober.connect([attempt.where for attempt in [*controls, *wanted]])
            tried = outcomes.read(wanted, said)
            if asked := outcomes.to_ask(tried):
                tried = outcomes.identified(tried, _evidence(prober, tried, asked, subjects))
            # Once more at the end: a lab that came apart meanwhile proves nothing.
            again = outcomes.read(controls, prober.connect([attempt.where for attempt in controls]))
        inside = [
            (each_server.container, path)
            for each_server in subject.lab.running
            for path in probe.sockets_inside(subject.host.looking, each_server)
        ]
    except DockerError as error:
        return Proof(place, tuple(outcomes.read(controls, "")), doubts=(error.sentence,))
    first = outcomes.read(controls, said)
    checked = tuple(
        then if then.outcome is not Outcome.CONNECTED else now for then, now in zip(first, again, strict=True)
    )
    return Proof(place, checked, tuple(tried), sockets=tuple(inside))


def _evidence(
    prober: probe.Prober, tried: Sequence[AttemptResult], asked: Sequence[str], subjects: Sequence[_Subject]
) -> Evidence:
    """Look who took the connections that were made, while they are made once more. Raises DockerError."""
    connected = [attempt.what for attempt in tried if attempt.outcome is Outcome.CONNECTED]
    by_name = {subject.place.name: subject for subject in subjects}
    by_attempt = {attempt: _server_of(attempt, by_name) for attempt in connected}
    meant = {attempt: it for attempt, it in by_attempt.items() if it is not None}
    decoys = prober.connect([target for target in asked if target.startswith(f"{attempts.DECOY}:")])
    said = prober.ask(asked)
    again = prober.connect([attempt.where for attempt in connected if attempt not in meant])
    seen: dict[Attempt, bool | None] = {}
    for begin in range(0, len(meant), probe.HELD_AT_ONCE):
        part = dict(list(meant.items())[begin : begin + probe.HELD_AT_ONCE])
        lines, saw = _watched(prober, part)
        again, seen = again + lines, seen | saw
    return Evidence(decoys, said, again, seen)


def _server_of(attempt: Attempt, subjects: Mapping[tuple[str, str], _Subject]) -> tuple[_Subject, Server] | None:
    """The server that a connection is meant for; None where it is meant for no lab."""
    subject = subjects.get((attempt.host, attempt.lab))
    if subject is None:
        return None
    return next(((subject, server) for server in subject.lab.running if server.name == attempt.server), None)


def _watched(
    prober: probe.Prober, meant: Mapping[Attempt, tuple[_Subject, Server]]
) -> tuple[str, dict[Attempt, bool | None]]:
    """Hold these connections, and ask the servers whether they see them. Raises DockerError."""
    sources = dict(zip(meant, random.sample(SOURCE_PORTS, len(meant)), strict=True))
    servers = {server.id: (subject, server) for subject, server in meant.values()}
    before = _tables(servers)
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(prober.hold, {attempt.where: source for attempt, source in sources.items()})
        during: dict[str, frozenset[Connection] | None] = {}
        over = False
        while not over:
            over = holding.done()
            for key, table in _tables(servers).items():
                known = during.get(key, frozenset())
                during[key] = None if table is None or known is None else known | table
            time.sleep(0 if over else _LOOK_SECONDS)
    seen: dict[Attempt, bool | None] = {}
    for attempt, (subject, server) in meant.items():
        then, now = before[server.id], during.get(server.id)
        own = {spot.address for spot in subject.place.own}
        seen[attempt] = (
            None if then is None or now is None else connection_table.saw(attempt, sources[attempt], then, now, own)
        )
    return holding.result(), seen


def _tables(servers: Mapping[str, tuple[_Subject, Server]]) -> dict[str, frozenset[Connection] | None]:
    """The connections of each server, by its ID; None where it cannot be looked into."""

    def look(key: str) -> frozenset[Connection] | None:
        subject, server = servers[key]
        try:
            return connection_table.connections(probe.connections_of(subject.host.looking, server))
        except DockerError:
            return None

    return dict(zip(servers, each(look, servers, ASKED_AT_ONCE), strict=True))


def _joined(subjects: Sequence[_Subject], proofs: Sequence[Proof]) -> list[Proof]:
    places = [each_subject.place for each_subject in subjects]

    def work(pair: tuple[_Subject, Proof]) -> Proof:
        subject, proof = pair
        reached = {(attempt.what.host, attempt.what.lab) for attempt in proof.crossed if attempt.what.kind == "server"}
        # Nothing says that joining would stop short of merging them, so it is not tried where a way is known.
        left_out = [
            JoinResult(join, Outcome.NOT_TRIED, "its servers were reached, so a join might merge two clusters")
            for join in attempts.joins(subject.place, places, set())
            if (join.host, join.lab) in reached
        ]
        asked = attempts.joins(subject.place, places, reached)
        by_server: dict[str, list[Join]] = {}
        for join in asked:
            by_server.setdefault(join.server, []).append(join)
        parts = each(lambda server: _join(subject, server, by_server[server]), by_server, len(by_server) or 1)
        return replace(proof, joins=tuple(left_out + [join for part in parts for join in part]))

    return each(work, list(zip(subjects, proofs, strict=True)), JOINING_AT_ONCE)


def _join(subject: _Subject, server: str, asked: Sequence[Join]) -> list[JoinResult]:
    try:
        code, said = probe.join(subject.host.engine, subject.lab.server(server), [join.address for join in asked])
    except DockerError as error:
        return [JoinResult(join, Outcome.UNKNOWN, error.sentence) for join in asked]
    joins = outcomes.joined(asked, code, said)
    if all(join.outcome is Outcome.UNKNOWN for join in joins):
        # The agent speaks TLS or wants a token, which the command was not given; labctl has them.
        words = [probe.join_by_api(subject.lab.server(server), join.address) for join in asked]
        joins = [outcomes.joined_by_api(join, said) for join, said in zip(asked, words, strict=True)]
    return joins


def _with_members(
    proofs: Sequence[Proof], before: Sequence[Members | None], after: Sequence[Members | None]
) -> tuple[Proof, ...]:
    return tuple(replace(proof, before=then, after=now) for proof, then, now in zip(proofs, before, after, strict=True))
