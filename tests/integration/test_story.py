"""`labctl story` on a real lab: its leader and term are those of Consul's own API, whatever happened before."""

from __future__ import annotations

import json
import tarfile
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.integration.elections import bring_back, must_agree, story_of, take_leader
from tests.integration.fixtures import up
from tests.integration.harness import gossip_key, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.harness import Person


@pytest.fixture(scope="module")
def lab(ada: Person, module_names: Callable[[], str]) -> str:
    """A lab that has elected its first leader."""
    lab = module_names()
    up(ada, lab)
    return lab


def test_the_first_leader_and_those_after_a_kill_and_a_pause_are_told(ada: Person, lab: str) -> None:
    first, term = must_agree(ada, lab, "the first election")
    for how in ("kill", "pause"):
        gone = take_leader(ada, lab, how)
        leader, newer = must_agree(ada, lab, f"after docker {how}")
        assert gone == first
        assert leader != first
        assert newer > term
        bring_back(ada, lab, gone, how)
        # A leader that comes back may be outvoted once more, so who leads is asked again.
        first, term = must_agree(ada, lab, f"after {gone} is back")
    ended = [leadership["ended_by"] for leadership in story_of(ada, lab)["leaders"]]
    assert ended[-1] is None
    assert None not in ended[:-1]


def test_every_event_has_its_time_and_its_line_and_a_servers_own_order_stays(ada: Person, lab: str) -> None:
    events = story_of(ada, lab)["events"]
    latest = datetime.min.replace(tzinfo=UTC)
    for event in events:
        time = datetime.fromisoformat(event["time"])
        # Two parts of a server may write at the same moment, and the one with the later stamp first: what they wrote
        # stays in its own order, so a line of another server may stand between them.
        assert latest - time <= timedelta(milliseconds=100), event
        latest = max(latest, time)
    for server in ("consul1", "consul2", "consul3"):
        numbers = [event["line_no"] for event in events if event["server"] == server and event["line_no"]]
        assert numbers == sorted(numbers)
    assert {event["server"] for event in events} == {"consul1", "consul2", "consul3"}
    assert all("raft" in event["line"] or event["event"] != "other" for event in events)
    won = next(event for event in events if event["event"] == "election_won")
    lines = ada.done("logs", lab, "--server", won["server"], "--no-prefix").out.splitlines()
    assert lines[won["line_no"] - 1] == won["line"]


def test_each_format_is_whole(ada: Person, lab: str) -> None:
    ET.fromstring(ada.done("story", lab, "--format", "svg").out)  # noqa: S314 - labctl's own
    assert ada.done("story", lab, "--format", "html").out.rstrip().endswith("</html>")
    assert ada.done("story", lab, "--format", "mermaid").out.startswith("sequenceDiagram\n")
    text = ada.done("story", lab).out
    assert "won the election of term 2" in text
    assert "\nLeaders\n" in text


def test_a_story_that_goes_on_tells_what_happens_now(ada: Person, lab: str) -> None:
    out = ada.home / "story.jsonl"
    process = ada.start("story", lab, "--follow", "--json", into=out)
    try:
        gone = take_leader(ada, lab, "kill")
        leader, term = must_agree(ada, lab, "while it is followed")

        def is_told() -> bool:
            told = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
            return any(
                (event["event"], event["server"], event["term"]) == ("election_won", leader, term) for event in told
            )

        wait_until(is_told, 10, "the election in `story --follow`")
        bring_back(ada, lab, gone, "kill")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_a_bundle_tells_the_same_story_without_docker_and_holds_no_secret(
    ada: Person, lab: str, tmp_path: Path
) -> None:
    path = tmp_path / "lab.tgz"
    result = ada.done("bundle", "save", lab, "-o", str(path), "--json").json
    assert (result["lab"], result["size"]) == (lab, path.stat().st_size)
    kept = ada.run("story", str(path), "--json", DOCKER_HOST="unix:///nowhere/docker.sock").json
    live = story_of(ada, lab)
    assert [(leader["server"], leader["term"]) for leader in kept["leaders"]] == [
        (leader["server"], leader["term"]) for leader in live["leaders"]
    ]
    assert kept["unparsed"] == 0
    key = gossip_key(lab)
    with tarfile.open(path) as bundle:
        for entry in bundle:
            content = bundle.extractfile(entry)
            assert content is not None
            assert key not in content.read().decode("utf-8", "replace"), entry.name
