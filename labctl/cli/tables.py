"""Labs, servers, members and images as tables and as the JSON shapes of the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labctl.faults.condition import condition_of
from labctl.shared import lab_names
from labctl.shared.words import listed, stamp
from labctl.terminal.style import (
    NONE,
    Cell,
    age,
    byte_size,
    harmless,
    paint,
    paint_server,
    sign,
    style_of,
    table,
    width,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.engine.images import Image
    from labctl.engine.labs import Server
    from labctl.engine.members import Member
    from labctl.engine.status import Status
    from labctl.faults.condition import Condition
    from labctl.faults.inject import ActiveFault
    from labctl.setup.doctor import Finding
    from labctl.shared.server_status import View

_MOST = 80
"""The most characters shown of a member's own text: one with ten thousand would hide all the others."""


def ls_row(now: Status) -> dict[str, Any]:
    """The JSON shape of one lab in `ls`; `servers` is its size, `running` counts those that run."""
    lab, leader = now.lab, now.leader
    return {
        "lab": lab.name,
        "owner": lab.owner,
        "workshop": lab.workshop or None,
        "host": lab.host,
        "servers": lab.spec.servers,
        "running": len(lab.running),
        "ready": now.ready,
        "leader": leader.name if leader else None,
        "term": leader.term if leader else None,
        "pace": lab.spec.pace,
        "profile": lab.spec.profile,
        "version": lab.spec.version,
        "created": stamp(lab.created),
        "expires": lab.expires,
    }


def _ls_state(now: Status) -> Cell:
    """What the servers themselves report; `ls` does not look up the faults of each lab."""
    if now.ready:
        return Cell("ready", "green")
    condition = condition_of(now, ())
    if condition.writes and condition.without:
        return Cell(f"works without {listed(condition.without)}", "yellow")
    return Cell("not ready", "yellow")


def ls_table(statuses: list[Status]) -> str:
    """`labctl ls` for a person."""
    rows: list[list[str | Cell]] = []
    for now in statuses:
        lab, leader = now.lab, now.leader
        rows.append(
            [
                lab.name,
                lab.owner,
                f"{len(lab.running)}/{lab.spec.servers}",
                _ls_state(now),
                leader.name if leader else NONE,
                str(leader.term) if leader else NONE,
                lab.spec.pace,
                lab.spec.version,
                age((datetime.now(UTC) - lab.created).total_seconds()),
            ]
        )
    return table(["lab", "owner", "servers", "state", "leader", "term", "pace", "consul", "age"], rows)


def _role(now: Status, view: View) -> str | None:
    if view.problem or not view.state:
        return None
    leader = now.leader
    # A server that was cut off may still believe that it leads: the newest term decides.
    if view.state == "leader" and leader is not None and leader.name != view.name:
        return "old leader"
    return view.state


def server_row(now: Status, server: Server, view: View) -> dict[str, Any]:
    """One server of a lab as `labctl status --json` has it."""
    return {
        "name": server.name,
        "id": view.node_id or None,
        "address": server.address,
        "http": server.url,
        "state": server.state,
        "role": _role(now, view),
        # Where no server answers, nobody knows.
        "voter": None if all(seen_by.problem for seen_by in now.views) else server.address in now.voters,
        "counted_by": [
            seen_by.name for seen_by in now.views if not seen_by.problem and server.address in seen_by.voters
        ],
        "commit_index": view.commit_index if not view.problem else None,
        "last_contact_ms": view.last_contact_ms,
        "problem": view.problem,
    }


def status_document(now: Status, condition: Condition, faults: list[ActiveFault]) -> dict[str, Any]:
    """The JSON shape of `status`."""
    leader = condition.leader
    return {
        "lab": now.lab.name,
        "owner": now.lab.owner,
        "profile": now.lab.spec.profile,
        "ready": condition.ready,
        "problem": condition.problem,
        "leader": leader.name if leader else None,
        "term": leader.term if leader else None,
        "commit_index": leader.commit_index if leader else None,
        "writes": condition.writes,
        "voters": condition.voters,
        "quorum": condition.quorum,
        "answering": condition.answering,
        "condition": condition.sentence or None,
        "servers": [server_row(now, server, view) for server, view in now.pairs()],
        "faults": [active_row(fault) for fault in faults],
    }


def status_text(
    now: Status, condition: Condition, faults: list[ActiveFault], viewer: str, columns: int | None = None
) -> str:
    """`labctl status` for a person, with the owner's name where it is not the viewer's.

    `columns` is how wide the terminal is; None is as wide as needed.
    """
    owner = "" if now.lab.owner == viewer else f" of {harmless(now.lab.owner)}"
    head = f"Lab {paint(now.lab.name, 'bold')}{owner}: {_state(now, condition)}"
    lines = [head]
    if condition.sentence:
        lines.append(harmless(condition.sentence))
    if condition.problem:
        is_for_join = now.answers and not now.joined and not now.lab.missing
        hint = "; `labctl join` joins them" if is_for_join else ""
        lines.append(f"Not ready because {harmless(condition.problem)}{hint}.")
    above = "\n".join(line if columns is None else wrapped(line, columns) for line in lines)
    below = f"\n\n{faults_table(faults)}" if faults else ""
    return f"{above}\n\n{_servers_table(now, columns)}{below}"


def _state(now: Status, condition: Condition) -> str:
    """The one line that matters most: whether the lab works, and who its leader is."""
    leader = condition.leader
    state = paint("ready", "green") if condition.ready else paint("not ready", "yellow")
    if condition.writes and condition.without:
        state = paint(f"works without {listed(condition.without)}", "yellow")
    profile = f", profile {harmless(now.lab.spec.profile)}" if now.lab.spec.profile != lab_names.DEFAULT_PROFILE else ""
    if leader is None:
        return f"{state}{profile}" + (f", {paint('nobody leads', 'red')}" if condition.voters else "")
    leads = f"{paint_server(leader.name, leader.name)} {'leads' if condition.writes else 'says that it leads'}"
    return f"{state}{profile}, {leads} in term {leader.term}, commit index {leader.commit_index}"


def _servers_table(now: Status, columns: int | None) -> str:
    """The servers, one a line; where the HTTP addresses make lines too long, they stand below."""
    rows: list[list[str | Cell]] = []
    away = False
    for server, view in now.pairs():
        row = server_row(now, server, view)
        contact = view.last_contact_ms
        voter = {True: "yes", False: "no", None: NONE}[row["voter"]]
        # Only the others know whether a server that does not answer is a voter.
        away = away or bool(view.problem and row["voter"])
        rows.append(
            [
                Cell(server.name, style_of(server.name)),
                "frozen" if server.state == "paused" else server.state,
                row["role"] or NONE,
                f"({voter})" if view.problem and row["voter"] else voter,
                str(view.term) if not view.problem else NONE,
                str(view.commit_index) if not view.problem else NONE,
                NONE if contact is None or view.problem else f"{contact:.0f}ms",
                server.address,
                row["http"] or NONE,
            ]
        )
    heads = ["server", "state", "role", "voter", "term", "commit", "heard", "address", "http"]
    text = table(heads, rows)
    if columns is not None and max(map(width, text.splitlines())) > columns:
        urls = [harmless(f"{server.name} {server.url}") for server, _ in now.pairs() if server.url]
        text = table(heads[:-1], [row[:-1] for row in rows])
        if urls:
            text += "\n\n" + wrapped(f"HTTP: {', '.join(urls)}", columns)
    return text + ("\n(yes): the others count it as a voter; it does not answer." if away else "")


def members_table(members: list[Member]) -> str:
    """`labctl members` for a person."""
    rows: list[list[str | Cell]] = [
        [
            Cell(_short(member.name), style_of(member.name)),
            _short(member.address),
            member.state,
            member.kind,
            _short(member.build),
            _short(member.datacenter),
        ]
        for member in members
    ]
    return table(["member", "address", "state", "type", "consul", "datacenter"], rows)


def _short(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."


def active_row(fault: ActiveFault) -> dict[str, Any]:
    """One fault that a lab has now."""
    return {
        "fault": fault.id or None,
        "what": fault.words,
        "servers": list(fault.servers),
        "seconds_left": fault.seconds_left(datetime.now(UTC)),
    }


def faults_document(lab: str, faults: list[ActiveFault]) -> list[dict[str, Any]]:
    """The JSON shape of `fault ls`."""
    return [{"lab": lab, **active_row(fault)} for fault in faults]


def faults_table(faults: list[ActiveFault]) -> str:
    """`labctl fault ls` for a person."""
    rows = [
        [row["fault"] or NONE, row["what"], ", ".join(row["servers"]), _left(row["seconds_left"])]
        for row in map(active_row, faults)
    ]
    return table(["fault", "what", "servers", "ends in"], rows)


def _left(seconds: float | None) -> str:
    return NONE if seconds is None else f"{seconds:.0f}s"


def images_table(images: list[Image]) -> str:
    """`labctl image ls` for a person."""
    rows = [
        [image.name, image.version, image.source, byte_size(image.size), image.id.removeprefix("sha256:")[:12]]
        for image in images
    ]
    return table(["image", "consul", "source", "size", "id"], rows)


def doctor_text(findings: Sequence[Finding]) -> str:
    """`labctl doctor` for a person: a line for each check, and below it the command that fixes it."""
    longest = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        mark = paint(sign("done"), "green") if finding.ok else paint(sign("failed"), "red")
        lines.append(f"{mark} {finding.check:<{longest}}  {harmless(finding.found)}")
        if finding.fix:
            lines.append(f"  {'':<{longest}}  {paint('fix:', 'yellow')} {harmless(finding.fix)}")
    broken = sum(not finding.ok for finding in findings)
    failed = f"{broken} of {len(findings)} checks failed."
    lines.append(failed if broken else "Everything that a lab needs is here.")
    return "\n".join(lines)
