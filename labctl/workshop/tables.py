"""A workshop's seats and Docker hosts as tables and as the JSON shapes of the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labctl.shared import lab_names
from labctl.shared.words import counted, listed, stamp
from labctl.terminal.style import NONE, Cell, age, byte_size, harmless, paint, sign, table, width, wrapped
from labctl.workshop.model import expiry
from labctl.workshop.model.capacity import at_rest, route_around
from labctl.workshop.model.plan import room_for, unplaced_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labctl.workshop.model.file import Workshop
    from labctl.workshop.model.hosts import Fleet, HostLook
    from labctl.workshop.model.outcome import Removal, Result, SeatStatus
    from labctl.workshop.model.plan import Plan


# -- plan ----------------------------------------------------------------------------------------------------


def plan_document(plan: Plan) -> dict[str, Any]:
    """The JSON shape of `workshop plan`; sizes in bytes, the skew of a clock in seconds."""
    return {
        "workshop": plan.fleet.workshop.name,
        "fits": plan.fits,
        "hosts": [host_row(plan, look) for look in plan.fleet.looks],
        "seats": [
            {
                "seat": seat.name,
                "number": seat.number,
                "lab": seat.lab,
                "host": plan.placement.hosts.get(seat.lab),
                "exists": seat.lab in plan.fleet.existing,
                "subnet": str(seat.subnet),
                "http_port": seat.http_port or None,
                "problem": _seat_problem(plan, seat.lab),
            }
            for seat in plan.fleet.seats
        ],
        "surplus": plan.fleet.surplus(),
    }


def _seat_problem(plan: Plan, lab: str) -> str | None:
    if lab in plan.placement.unplaced:
        return "it fits nowhere"
    if lab in plan.unknown:
        return f"its Docker host {plan.unknown[lab]} does not answer"
    return plan.obstacles.get(lab)


def host_row(plan: Plan, look: HostLook) -> dict[str, Any]:
    """One Docker host of a plan."""
    read = look.facts.read if look.facts else {}
    room = plan.rooms.get(look.host.name)
    return {
        "host": look.host.name,
        "address": look.host.address,
        "problem": look.problem,
        "cores": read.get("cores"),
        "memory_free": (read.get("memory") or {}).get("free"),
        "disk_free": read.get("disk_free"),
        "engine": read.get("engine"),
        "compose": read.get("compose"),
        "clock_skew": round(look.facts.skew, 3) if look.facts else None,
        "other_labs": _other_labs(plan, look),
        "holds": room.seats if room else 0,
        "binds": room.binds if room else None,
        "holds_by": dict(room.by) if room else {},
        "seats": len(plan.placement.on(look.host.name)),
        "at_rest": _at_rest(plan, look),
    }


def _at_rest(plan: Plan, look: HostLook) -> float | None:
    room = plan.rooms.get(look.host.name)
    if room is None or look.facts is None:
        return None
    seats = len(plan.placement.on(look.host.name))
    return round(at_rest(plan.fleet.workshop, look.facts.read["cores"], seats, room), 3)


def _other_labs(plan: Plan, look: HostLook) -> int | None:
    if look.facts is None:
        return None
    return len(look.facts.labs) - len(look.facts.of_workshop(plan.fleet.workshop.name))


def plan_text(plan: Plan, columns: int | None = None) -> str:
    """`labctl workshop plan` for a person: the hosts, where the seats go, and what is in the way.

    `columns` is how wide the terminal is; None is as wide as needed.
    """
    lines: list[str | None] = [_wrong(look.host.name, look.problem) for look in plan.fleet.looks if look.problem]
    lines += [_wrong(lab, what) for lab, what in plan.obstacles.items()]
    lines += [_stays(harmless(lab)) for lab in plan.fleet.surplus()]
    lines += [_around(plan.fleet.workshop, look) for look in plan.usable()]
    sentences = [*(line for line in lines if line is not None), _plan_verdict(plan)]
    return "\n".join([_hosts_table(plan, columns), "", *_fitted(sentences, columns)])


def _hosts_table(plan: Plan, columns: int | None) -> str:
    """The Docker hosts, one a line; where that makes lines too long, engines and seats stand below."""
    hosts = [host_row(plan, look) for look in plan.fleet.looks]
    rows: list[list[str | Cell]] = []
    for row in hosts:
        well = row["problem"] is None
        rows.append(
            [
                row["host"],
                Cell("ok", "green") if well else Cell("no", "red"),
                str(row["cores"] or NONE),
                byte_size(row["memory_free"]) if row["memory_free"] is not None else NONE,
                byte_size(row["disk_free"]) if row["disk_free"] is not None else NONE,
                str(row["other_labs"]) if row["other_labs"] is not None else NONE,
                f"{row['holds']} ({row['binds']})" if row["binds"] else NONE,
                f"{row['at_rest']:.0%} busy" if row["at_rest"] is not None else NONE,
                row["engine"] or NONE,
                _seat_list(plan, row["host"]),
            ]
        )
    heads = ["host", "", "cores", "memory", "disk", "other labs", "holds (limit)", "at rest", "engine", "seats"]
    text = table(heads, rows)
    if columns is None or max(map(width, text.splitlines())) <= columns:
        return text
    text = table([head.removeprefix("other ") for head in heads[:-2]], [row[:-2] for row in rows])
    below = [
        f"{harmless(row['host'])}: Docker Engine {harmless(row['engine'] or NONE)}, "
        f"{counted(row['seats'], 'seat')}{harmless(_names(plan, row['host'], ': '))}"
        for row in hosts
        if row["problem"] is None
    ]
    return "\n".join([text, "", *_fitted(below, columns)])


def _around(workshop: Workshop, look: HostLook) -> str | None:
    route = route_around(workshop, look.facts) if look.facts is not None else None
    if route is None:
        return None
    return (
        f"{harmless(look.host.name)} has a route to {route}, as to a VPN, and the workshop's network "
        f"{workshop.network} is a part of it: there, the seats' addresses are theirs while they exist. Change "
        "`network` in the file where somebody needs them."
    )


def _wrong(who: str, why: str) -> str:
    return f"{paint(sign('failed'), 'red')} {harmless(who)}: {harmless(why)}"


def _stays(lab: str) -> str:
    return f"{lab} is no longer in the file and stays: `labctl workshop down {lab}` removes it."


def _seat_list(plan: Plan, host: str) -> str:
    count = len(plan.placement.on(host))
    return f"{count}{_names(plan, host, ': ')}" if count else NONE


def _names(plan: Plan, host: str, before: str) -> str:
    """The seats on a host behind `before`, the first and the last of many; "" where there are none."""
    names = {seat.lab: seat.name for seat in plan.fleet.seats}
    here = [names[lab] for lab in plan.placement.on(host)]
    if not here:
        return ""
    return before + (" ".join(here) if len(here) <= 6 else f"{' '.join(here[:4])} ... {here[-1]}")  # noqa: PLR2004 - a line's end


def _plan_verdict(plan: Plan) -> str:
    seats = len(plan.fleet.seats)
    if plan.placement.unplaced:
        return f"{unplaced_words(plan, len(plan.placement.unplaced))}: {room_for(plan)}."
    if plan.obstacles:
        return (
            f"{len(plan.obstacles)} of {seats} seats have something in their way; `labctl workshop up` would fail them."
        )
    if plan.unknown:
        return (
            f"{len(plan.unknown)} of {seats} seats are on Docker hosts that do not answer: whether they fit is not "
            "known, and `labctl workshop up` would fail them."
        )
    there = sum(seat.lab in plan.fleet.existing for seat in plan.fleet.seats)
    exist = {0: "none of them exists yet", 1: "one of them exists"}.get(there, f"{there} of them exist")
    return f"All {seats} seats fit; {exist}. `labctl workshop up` brings them up."


# -- up ------------------------------------------------------------------------------------------------------


def outcomes_document(result: Result) -> dict[str, Any]:
    """The JSON shape of `workshop up`."""
    return {
        "workshop": result.plan.fleet.workshop.name,
        "changed": any(outcome.changed for outcome in result.outcomes),
        "seats": [
            {
                "lab": outcome.lab,
                "host": result.places.get(outcome.lab),
                "ready": outcome.ready,
                "changed": outcome.changed,
                "step": outcome.step,
                "reason": outcome.reason,
                "leader": outcome.leader,
                "term": outcome.term,
                "voters": outcome.voters,
                "seconds": round(outcome.seconds, 3),
            }
            for outcome in result.outcomes
        ],
        "seconds": round(result.seconds, 3),
    }


def outcomes_text(result: Result, columns: int | None = None) -> str:
    """The final output of `workshop up`. `columns` is how wide the terminal is; None is as wide as needed."""
    name, failed = paint(result.plan.fleet.workshop.name, "bold"), result.failed
    count = len(result.outcomes)
    if not failed:
        all_of = "The seat" if count == 1 else f"All {count} seats"
        before = "" if any(outcome.changed for outcome in result.outcomes) else "; nothing had to be done"
        said = (
            f"{paint(sign('done'), 'green')} {all_of} of the workshop {name} {'is' if count == 1 else 'are'} ready "
            f"after {result.seconds:.1f}s{before}."
        )
        return "\n".join(_fitted([said, "What now: `labctl workshop status`, `labctl workshop cards`"], columns))
    rows = [[outcome.lab, result.places.get(outcome.lab, NONE), outcome.step] for outcome in failed]
    why = "\n".join(_fitted(_grouped([(outcome.lab, outcome.reason or "") for outcome in failed]), columns))
    said = (
        f"{paint(sign('failed'), 'red')} {len(failed)} of {count} seats of the workshop {name} "
        f"{'is' if len(failed) == 1 else 'are'} not ready; the others are."
    )
    return (
        "\n" + "\n".join(_fitted([said], columns)) + "\n\n"
        f"{table(['seat', 'host', 'step'], rows)}\n\n{why}\n\n"
        "When the reasons are fixed: `labctl workshop up --retry-failed`"
    )


def _grouped(reasons: Sequence[tuple[str, str]]) -> list[str]:
    """Each reason once, behind the seats that it is for."""
    return [
        f"{harmless(', '.join(who for who, why in reasons if why == reason))}: {harmless(reason)}"
        for reason in dict.fromkeys(why for _, why in reasons)
    ]


# -- status --------------------------------------------------------------------------------------------------


def seats_document(fleet: Fleet, seats: Sequence[SeatStatus]) -> dict[str, Any]:
    """The JSON shape of `workshop status`."""
    end = fleet.end()
    return {
        "workshop": fleet.workshop.name,
        "expires": lab_names.stamp(end) if end else None,
        "ready": all(seat.problem is None for seat in seats),
        "seats": [seat_row(seat) for seat in seats],
    }


def seat_row(seat: SeatStatus) -> dict[str, Any]:
    """One seat as `labctl workshop status --json` has it."""
    return {
        "seat": seat.name,
        "lab": seat.lab,
        "host": seat.host,
        "ready": seat.problem is None,
        "problem": seat.problem,
        "writes": seat.writes,
        "leader": seat.leader,
        "term": seat.term,
        "voters": seat.voters,
        "servers": seat.servers,
        "running": seat.running,
        "faults": seat.faults,
        "created": stamp(seat.created),
        "last_election": stamp(seat.election),
    }


def _seat_state(seat: SeatStatus) -> Cell:
    if seat.problem is None:
        return Cell("ready", "green")
    if seat.works:
        return Cell(f"works without {listed(seat.without)}", "yellow")
    return Cell("not ready", "red" if seat.servers is None else "yellow")


def _counts(seats: Sequence[SeatStatus]) -> str:
    """How many seats are ready, and how many of the others work all the same."""
    ready, works = sum(seat.problem is None for seat in seats), sum(seat.works for seat in seats)
    text = f"{ready} of {len(seats)} seats {'is' if ready == 1 else 'are'} ready"
    return f"{text}, {works} more {'works' if works == 1 else 'work'} with servers away" if works else text


def seats_text(fleet: Fleet, seats: Sequence[SeatStatus], columns: int | None = None) -> str:
    """`labctl workshop status` for a person. `columns` is how wide the terminal is; None is as wide as needed."""
    now = datetime.now(UTC)
    rows: list[list[str | Cell]] = []
    for seat in seats:
        there = seat.servers is not None
        rows.append(
            [
                seat.name,
                seat.host or NONE,
                _seat_state(seat),
                seat.leader or NONE,
                str(seat.term or NONE),
                str(seat.voters or NONE),
                Cell(str(seat.faults), "yellow") if seat.faults else "0" if there else NONE,
                age((now - seat.created).total_seconds()) if seat.created else NONE,
                f"{age((now - seat.election).total_seconds())} ago" if seat.election else NONE,
            ]
        )
    heads = ["seat", "host", "state", "leader", "term", "voters", "faults", "age", "last election"]
    head = f"Workshop {paint(fleet.workshop.name, 'bold')}: {_counts(seats)}{_end_in_words(fleet, now)}"
    why = _grouped([(seat.name, seat.problem) for seat in seats if seat.problem])
    return "\n".join(
        [*_fitted(head.split("\n"), columns), "", table(heads, rows), *(["", *_fitted(why, columns)] if why else [])]
    )


def _fitted(lines: Iterable[str], columns: int | None) -> list[str]:
    """Sentences broken at the terminal's width."""
    return [line if columns is None else wrapped(line, columns) for line in lines]


def _end_in_words(fleet: Fleet, now: datetime) -> str:
    end = fleet.end()
    if end is None:
        return ""
    left = end - now.timestamp()
    if left <= 0:
        return f"\n{paint('It has ended: its Docker hosts are removing it.', 'red')}"
    local = datetime.fromtimestamp(end, UTC).astimezone()
    text = f"It ends in {expiry.left_in_words(left)}, at {local:%Y-%m-%d %H:%M %Z}"
    if left > expiry.WARN_SECONDS:
        return f"\n{text}."
    return (
        f"\n{paint(f'{text}, and everything in it is removed: `labctl workshop extend 1h` gives more time.', 'yellow')}"
    )


# -- down ----------------------------------------------------------------------------------------------------


def removed_document(removed: Removal) -> dict[str, Any]:
    """The JSON shape of `workshop down`."""
    return {
        "workshop": removed.workshop,
        "changed": any(removed.labs.values()),
        "removed": {lab: list(parts) for lab, parts in sorted(removed.labs.items())},
        "failed": dict(sorted(removed.failed.items())),
        "left": list(removed.left),
        "unseen": dict(sorted(removed.unseen.items())),
    }


def removed_text(removed: Removal, columns: int | None = None) -> str:
    """The final output of `workshop down`; empty where there is nothing to add."""
    gone = [] if removed.proven else sorted(lab for lab in removed.labs if lab not in {*removed.failed, *removed.left})
    lines = [f"{counted(len(gone), 'seat')} removed: {harmless(' '.join(gone))}."] if gone else []
    lines += [_wrong(lab, why) for lab, why in sorted(removed.failed.items())]
    lines += [f"{paint(sign('failed'), 'red')} {harmless(lab)} is still there: run it again." for lab in removed.left]
    lines += [
        _wrong(host, f"nobody can check whether anything is left there: {why}.")
        for host, why in sorted(removed.unseen.items())
    ]
    return "\n".join(_fitted(lines, columns))
