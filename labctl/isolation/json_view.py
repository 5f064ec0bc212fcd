"""The proof that labs are apart, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labctl.isolation.hardening import BENCHMARK
from labctl.isolation.outcomes import Outcome

if TYPE_CHECKING:
    from labctl.isolation.hardening import CheckRow
    from labctl.isolation.outcomes import AttemptResult, JoinResult
    from labctl.isolation.report import Proof, Report


def verify_document(report: Report, *, each: bool) -> dict[str, Any]:
    """The JSON shape of `verify`; `tries` and `joins` hold every one where `each` is asked for, else what crossed."""
    return {
        "verdict": str(report.verdict),
        "seconds": round(report.seconds, 1),
        "labs": [proof_row(each_proof) for each_proof in report.proofs],
        "tries": [
            try_row(proof, attempt) for proof in report.proofs for attempt in (proof.tries if each else proof.crossed)
        ],
        "joins": [join_row(proof, join) for proof in report.proofs for join in (proof.joins if each else proof.merged)],
        "benchmark": BENCHMARK,
        "hardening": [hardening_row(check) for check in report.judged],
    }


def proof_row(proof: Proof) -> dict[str, Any]:
    """The attempts from inside one lab, by their outcome."""
    count = proof.count()
    return {
        "lab": proof.place.lab,
        "host": proof.place.host,
        "verdict": str(proof.verdict),
        "controls": len(proof.controls),
        "controls_connected": sum(attempt.outcome is Outcome.CONNECTED for attempt in proof.controls),
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


def try_row(proof: Proof, attempt: AttemptResult) -> dict[str, Any]:
    """One connection."""
    return {
        "from": proof.place.lab,
        "from_host": proof.place.host,
        "kind": attempt.what.kind,
        "to": attempt.what.lab or None,
        "host": attempt.what.host,
        "server": attempt.what.server or None,
        "address": attempt.what.address,
        "port": attempt.what.port,
        "outcome": str(attempt.outcome),
        "said": attempt.said,
    }


def join_row(proof: Proof, join: JoinResult) -> dict[str, Any]:
    """One `consul join`."""
    return {
        "from": proof.place.lab,
        "from_host": proof.place.host,
        "joiner": join.what.server,
        "to": join.what.lab,
        "host": join.what.host,
        "server": join.what.target,
        "address": join.what.address,
        "outcome": str(join.outcome),
        "said": join.said,
    }


def hardening_row(check: CheckRow) -> dict[str, Any]:
    """One check of a lab's containers; those that differ have a row of their own."""
    return {
        "number": check.number,
        "check": check.title,
        "host": check.host,
        "lab": check.lab,
        "containers": list(check.containers),
        "result": check.result,
        "why": check.why,
    }
