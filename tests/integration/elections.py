"""Make servers elect a new leader, and compare `labctl story` with Consul's own API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integration.harness import container, docker, wait_until

if TYPE_CHECKING:
    from tests.integration.harness import Person

ELECTION_SECONDS = 60.0


def status_of(person: Person, lab: str) -> dict[str, Any]:
    """The status from the servers' own API now, ready or not."""
    document: dict[str, Any] = person.run("status", lab, "--json").json
    return document


def story_of(person: Person, lab: str) -> dict[str, Any]:
    """The story of the servers' logs."""
    document: dict[str, Any] = person.done("story", lab, "--json").json
    return document


def take_leader(person: Person, lab: str, how: str) -> str:
    """Kill or pause the leader (`kill`, `pause`) and wait until another one leads. Returns the old leader."""
    before = status_of(person, lab)
    docker(how, container(lab, before["leader"]))

    def another_leads() -> bool:
        now = status_of(person, lab)
        return now["leader"] not in {None, before["leader"]} and now["term"] > before["term"]

    wait_until(another_leads, ELECTION_SECONDS, f"a new leader after docker {how} of {before['leader']}")
    return str(before["leader"])


def bring_back(person: Person, lab: str, server: str, how: str) -> None:
    """Undo what `take_leader` did, and wait until the lab is ready."""
    docker("start" if how == "kill" else "unpause", container(lab, server))
    wait_until(lambda: status_of(person, lab)["ready"], ELECTION_SECONDS, f"{lab} to be ready with {server}")


def must_agree(person: Person, lab: str, what: str) -> tuple[str, int]:
    """The story's last leader and term are those of the API, and it was elected. Returns both."""
    story, status = story_of(person, lab), status_of(person, lab)
    leads = story["leaders"][-1]
    told = (leads["server"], leads["term"], leads["ended_by"])
    assert told == (status["leader"], status["term"], None), f"{what}: the story tells {told}, the API {status}"
    won = [election for election in story["elections"] if election["outcome"] == "won"][-1]
    assert (won["candidate"], won["term"]) == told[:2], f"{what}: {won}"
    assert won["tally"] >= won["needed"] == len(status["servers"]) // 2 + 1, f"{what}: {won}"
    assert story["unparsed"] == 0, f"{what}: {story['unparsed']} lines of Raft were not understood"
    return told[0], told[1]
