"""Labs, servers, members and images as tables and as the JSON shapes of the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labctl.portable import lab_names
from labctl.show.style import Cell, age, byte_size, harmless, paint, paint_server, sign, style_of, table

if TYPE_CHECKING:
    from labctl.engine.faults import ActiveFault
    from labctl.engine.images import Image
    from labctl.engine.labs import Server
    from labctl.engine.members import Seen
    from labctl.engine.status import Status
    from labctl.portable.consul_views import View

NONE = "-"


def _stamp(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


def ls_row(now: Status) -> dict[str, Any]:
    """The JSON shape of one lab in `ls`; `servers` is its size, `running` counts those that run."""
    lab, leader = now.lab, now.leader
    return {
        "lab": lab.name,
        "owner": lab.owner,
        "workshop": lab.workshop or None,
        "host": lab.host,
        "servers": lab.size,
        "running": len(lab.running),
        "ready": now.ready,
        "leader": leader.name if leader else None,
        "term": leader.term if leader else None,
        "pace": lab.pace,
        "profile": lab.profile,
        "version": lab.version,
        "created": _stamp(lab.created),
        "expires": lab.expires,
    }


def ls_table(found: list[Status]) -> str:
    """`labctl ls` for a person."""
    rows: list[list[str | Cell]] = []
    for now in found:
        lab, leader = now.lab, now.leader
        ready = Cell("ready", "green") if now.ready else Cell("not ready", "yellow")
        rows.append(
            [
                lab.name,
                lab.owner,
                f"{len(lab.running)}/{lab.size}",
                ready,
                leader.name if leader else NONE,
                str(leader.term) if leader else NONE,
                lab.pace,
                lab.version,
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


def _server_row(now: Status, server: Server, view: View) -> dict[str, Any]:
    return {
        "name": server.name,
        "id": view.node_id or None,
        "address": server.address,
        "http": server.url,
        "state": server.state,
        "role": _role(now, view),
        "voter": server.address in now.voters,
        "commit_index": view.commit_index if not view.problem else None,
        "last_contact_ms": view.last_contact_ms,
        "problem": view.problem,
    }


def status_document(now: Status, faults: list[ActiveFault]) -> dict[str, Any]:
    """The JSON shape of `status`."""
    leader = now.leader
    return {
        "lab": now.lab.name,
        "owner": now.lab.owner,
        "profile": now.lab.profile,
        "ready": now.ready,
        "problem": now.problem,
        "leader": leader.name if leader else None,
        "term": leader.term if leader else None,
        "commit_index": leader.commit_index if leader else None,
        "servers": [_server_row(now, server, view) for server, view in now.pairs()],
        "faults": [active_row(one) for one in faults],
    }


def status_text(now: Status, faults: list[ActiveFault], viewer: str) -> str:
    """`labctl status` for a person, with the owner's name where it is not the viewer's."""
    lab, leader = now.lab, now.leader
    state = paint("ready", "green") if now.ready else paint("not ready", "yellow")
    owner = "" if lab.owner == viewer else f" of {harmless(lab.owner)}"
    head = f"Lab {paint(lab.name, 'bold')}{owner}: {state}"
    if lab.profile != lab_names.DEFAULT_PROFILE:
        head += f", profile {harmless(lab.profile)}"
    if leader:
        name = paint_server(leader.name, leader.name)
        head += f", {name} leads in term {leader.term}, commit index {leader.commit_index}"
    if now.problem:
        hint = "" if now.joined or lab.missing or not lab.running else "; `labctl join` joins them"
        head += f"\nNot ready because {harmless(now.problem)}{hint}."
    rows: list[list[str | Cell]] = []
    for server, view in now.pairs():
        row = _server_row(now, server, view)
        contact = view.last_contact_ms
        rows.append(
            [
                Cell(server.name, style_of(server.name)),
                server.state,
                row["role"] or NONE,
                "yes" if row["voter"] else "no",
                str(view.term) if not view.problem else NONE,
                str(view.commit_index) if not view.problem else NONE,
                NONE if contact is None or view.problem else f"{contact:.0f}ms",
                server.address,
                row["http"] or NONE,
            ]
        )
    columns = ["server", "state", "role", "voter", "term", "commit", "heard leader", "address", "http"]
    below = f"\n\n{faults_table(faults)}" if faults else ""
    return f"{head}\n\n{table(columns, rows)}{below}"


def members_table(members: list[Seen]) -> str:
    """`labctl members` for a person."""
    rows: list[list[str | Cell]] = [
        [Cell(one.name, style_of(one.name)), one.address, one.state, one.kind, one.build, one.datacenter]
        for one in members
    ]
    return table(["member", "address", "state", "type", "consul", "datacenter"], rows)


def active_row(fault: ActiveFault) -> dict[str, Any]:
    """One fault that a lab has now."""
    return {
        "fault": fault.id or None,
        "what": fault.words,
        "servers": list(fault.servers),
        "seconds_left": fault.seconds_left(datetime.now(UTC)),
    }


def faults_document(lab: str, found: list[ActiveFault]) -> list[dict[str, Any]]:
    """The JSON shape of `fault ls`."""
    return [{"lab": lab, **active_row(one)} for one in found]


def faults_table(found: list[ActiveFault]) -> str:
    """`labctl fault ls` for a person."""
    rows = [
        [one["fault"] or NONE, one["what"], ", ".join(one["servers"]), _left(one["seconds_left"])]
        for one in map(active_row, found)
    ]
    return table(["fault", "what", "servers", "ends in"], rows)


def _left(seconds: float | None) -> str:
    return NONE if seconds is None else f"{seconds:.0f}s"


def images_table(found: list[Image]) -> str:
    """`labctl image ls` for a person."""
    rows = [
        [image.name, image.version, image.source, byte_size(image.size), image.id.removeprefix("sha256:")[:12]]
        for image in found
    ]
    return table(["image", "consul", "source", "size", "id"], rows)


def doctor_text(findings: list[dict[str, Any]]) -> str:
    """`labctl doctor` for a person: a line for each check, and below it the command that mends it."""
    width = max(len(finding["check"]) for finding in findings)
    lines = []
    for finding in findings:
        mark = paint(sign("done"), "green") if finding["ok"] else paint(sign("failed"), "red")
        lines.append(f"{mark} {finding['check']:<{width}}  {harmless(finding['found'])}")
        if finding["fix"]:
            lines.append(f"  {'':<{width}}  {paint('fix:', 'yellow')} {harmless(finding['fix'])}")
    broken = sum(not finding["ok"] for finding in findings)
    lines.append("Everything that a lab needs is here." if not broken else f"{broken} of {len(findings)} are missing.")
    return "\n".join(lines)
