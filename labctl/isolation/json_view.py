"""The proof that labs are apart, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labctl.isolation.hardening import BENCHMARK
from labctl.isolation.outcomes import Outcome

if TYPE_CHECKING:
    from labctl.isolation.hardening import Judged
    from labctl.isolation.outcomes import Joined, Tried
    from labctl.isolation.report import Proof, Report


def verify_document(report: Report, *, each: bool) -> dict[str, Any]:
    """The JSON shape of `verify`; `tries` and `joins` hold every one where `each` is asked for, else what crossed."""
    return {
        "verdict": str(report.verdict),
        "seconds": round(report.seconds, 1),
        "labs": [proof_row(one) for one in report.proofs],
        "tries": [try_row(proof, one) for proof in report.proofs for one in (proof.tries if each else proof.crossed)],
        "joins": [join_row(proof, one) for proof in report.proofs for one in (proof.joins if each else proof.merged)],
        "benchmark": BENCHMARK,
        "hardening": [hardening_row(one) for one in report.judged],
    }


def proof_row(proof: Proof) -> dict[str, Any]:
    """What was tried from inside one lab, by how it ended."""
    count = proof.count()
    return {
        "lab": proof.place.lab,
        "host": proof.place.host,
        "verdict": str(proof.verdict),
        "controls": len(proof.controls),
        "controls_connected": sum(one.outcome is Outcome.CONNECTED for one in proof.controls),
        "outcomes": {
            "refused": count[Outcome.REFUSED],
            "unreachable": count[Outcome.UNREACHABLE],
            "no answer": count[Outcome.NO_ANSWER],
            "decoy": count[Outcome.DECOY],
            "momentary": count[Outcome.MOMENTARY],
            "not tried": count[Outcome.NOT_TRIED],
            "unknown": count[Outcome.UNKNOWN],
            "connected": count[Outcome.CONNECTED],
        },
        "sockets": [{"container": container, "path": path} for container, path in proof.sockets],
        "members_changed": proof.strangers,
        "unproven": proof.unproven,
    }


def try_row(proof: Proof, one: Tried) -> dict[str, Any]:
    """One connection."""
    return {
        "from": proof.place.lab,
        "from_host": proof.place.host,
        "kind": one.what.kind,
        "to": one.what.lab or None,
        "host": one.what.host,
        "server": one.what.server or None,
        "address": one.what.address,
        "port": one.what.port,
        "outcome": str(one.outcome),
        "said": one.said,
    }


def join_row(proof: Proof, one: Joined) -> dict[str, Any]:
    """One `consul join`."""
    return {
        "from": proof.place.lab,
        "from_host": proof.place.host,
        "joiner": one.what.server,
        "to": one.what.lab,
        "host": one.what.host,
        "server": one.what.target,
        "address": one.what.address,
        "outcome": str(one.outcome),
        "said": one.said,
    }


def hardening_row(one: Judged) -> dict[str, Any]:
    """One check of a lab's containers; those that differ have a row of their own."""
    return {
        "number": one.number,
        "check": one.title,
        "host": one.host,
        "lab": one.lab,
        "containers": list(one.containers),
        "result": one.result,
        "why": one.why,
    }
