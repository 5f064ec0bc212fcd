"""`labctl down`, `stop`, `start` and `restart`, up to the playbook that does it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import foreign_labels
from labctl.errors import ExitCode, LabctlError
from labctl.lab.lifecycle import Caller, change, down, down_all
from labctl.progress import Note, Progress, ServerSaid, StepDone, StepFailed, Steps, StepStarted
from labctl.results import ChangePreview, ChangeResult, DownResult
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from tests.unit.engine_stand_in import FakeEngine
    from tests.unit.stand_ins import FakeDocker

ADA = Caller("ada")
NETWORK = {"Id": "n", "Name": "n", "Labels": {"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"}}


class ReportedSteps(Steps):
    """Steps that remember."""

    def __init__(self) -> None:
        super().__init__(self.remember)
        self.lines: list[str] = []

    def remember(self, progress: Progress) -> None:
        match progress:
            case StepStarted(_, title):
                self.lines.append(f"begin {title}")
            case StepDone(_, text, _seconds):
                self.lines.append(f"done {text}")
            case StepFailed():
                self.lines.append("fail")
            case Note(text):
                self.lines.append(text)
            case ServerSaid(server, text):
                self.lines.append(f"{server} {text}")


class Plays:
    """Stands in for the playbooks: remembers which were run for whom, and gives their tasks' results."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str, dict[str, Any]]] = []
        self.results: list[dict[str, Any]] = []

    def __call__(self, playbook: str, lab: str, settings: dict[str, Any], *_: object) -> list[dict[str, Any]]:
        self.runs.append((playbook, lab, settings))
        return self.results


@pytest.fixture
def told() -> ReportedSteps:
    return ReportedSteps()


@pytest.fixture
def engine(docker: FakeDocker) -> FakeEngine:
    """What labctl sees beside its locks."""
    fake = docker.beside()
    fake.container_list = stand_in.lab("ada")
    return fake


@pytest.fixture
def plays() -> Plays:
    return Plays()


# -- down ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
def test_the_only_lab_is_removed_and_what_went_is_counted(told: ReportedSteps, plays: Plays) -> None:
    plays.results = [{}, {"removed": ["labctl-ada-consul1", "network labctl-ada", "volume a", "volume b"]}]
    result = down(None, ADA, told, plays)
    assert plays.runs == [("down.yml", "ada", {"consul_lab_owner": "ada"})]
    assert result == DownResult("ada", "ada", changed=True, removed=tuple(plays.results[1]["removed"]))
    assert told.lines[-1] == "done The lab ada is removed: 1 container, 1 network, 2 volumes, nothing is left"


def test_no_lab_is_no_error(engine: FakeEngine, told: ReportedSteps, plays: Plays) -> None:
    engine.container_list = []
    assert down(None, ADA, told, plays) == DownResult(None)
    assert down("eve", ADA, told, plays) == DownResult("eve")
    assert plays.runs == []


def test_what_a_killed_down_left_is_a_lab_to_remove(engine: FakeEngine, told: ReportedSteps, plays: Plays) -> None:
    engine.container_list, engine.network_list = [], [NETWORK]
    down(None, ADA, told, plays)
    down("ada", ADA, told, plays)
    assert [run[1] for run in plays.runs] == ["ada", "ada"]


@pytest.mark.parametrize("containers", [[], stand_in.lab("eve")])
def test_of_several_none_is_guessed(
    engine: FakeEngine, told: ReportedSteps, plays: Plays, containers: list[dict[str, Any]]
) -> None:
    engine.container_list = containers
    engine.network_list = [
        NETWORK,
        {"Id": "m", "Name": "m", "Labels": {"raft-labctl.lab": "eve", "raft-labctl.owner": "ada"}},
    ]
    with pytest.raises(LabctlError, match="name the one you mean: ada, eve") as caught:
        down(None, ADA, told, plays)
    assert caught.value.code is ExitCode.USAGE
    assert plays.runs == []


@pytest.mark.usefixtures("engine")
def test_a_lab_of_somebody_else_is_not_touched(told: ReportedSteps, plays: Plays) -> None:
    with pytest.raises(
        LabctlError, match=r"belongs to ada, not to bob.*`labctl down ada --force` removes it"
    ) as caught:
        down("ada", Caller("bob"), told, plays)
    assert caught.value.code is ExitCode.REFUSED
    assert plays.runs == []


def test_what_a_killed_down_of_somebody_else_left_is_not_touched(
    engine: FakeEngine, told: ReportedSteps, plays: Plays
) -> None:
    engine.container_list, engine.network_list = [], [NETWORK]
    with pytest.raises(LabctlError, match="belongs to ada, not to bob") as caught:
        down("ada", Caller("bob"), told, plays)
    assert caught.value.code is ExitCode.REFUSED
    assert plays.runs == []


@pytest.mark.usefixtures("engine")
def test_without_a_name_labs_of_others_are_told_and_are_no_candidates(told: ReportedSteps, plays: Plays) -> None:
    result = down(None, Caller("bob"), told, plays)
    assert result == DownResult(None)
    assert told.lines == ["Labs of others stay: ada of ada.", "No lab of yours is there: nothing to remove."]
    assert plays.runs == []


def test_without_a_name_the_only_lab_of_mine_is_removed(engine: FakeEngine, told: ReportedSteps, plays: Plays) -> None:
    engine.container_list += stand_in.lab("b", labels={"raft-labctl.owner": "bo\x1bb"})
    assert down(None, ADA, told, plays).lab == "ada"
    assert told.lines[0] == "Labs of others stay: b of bo\x1bb."
    assert [run[1] for run in plays.runs] == ["ada"]


def test_several_labs_of_mine_are_listed_without_those_of_others(engine: FakeEngine, told: ReportedSteps) -> None:
    engine.container_list += stand_in.lab("ada-2") + stand_in.lab("b", labels={"raft-labctl.owner": "bob"})
    with pytest.raises(LabctlError, match=r"name the one you mean: ada, ada-2\. LABCTL_LAB can name it, too\.$"):
        down(None, ADA, told)


@pytest.mark.usefixtures("engine")
def test_force_removes_the_lab_of_somebody_else_after_saying_whose_it_is(told: ReportedSteps, plays: Plays) -> None:
    plays.results = [{"removed": ["labctl-ada-consul1"]}]
    result = down("ada", Caller("bob", force=True), told, plays)
    assert plays.runs == [("down.yml", "ada", {"consul_lab_owner": "bob", "consul_lab_force": True})]
    assert told.lines[0] == "The lab ada belongs to ada, not to bob: it is removed anyway."
    assert (result.owner, result.changed) == ("ada", True)


def test_a_lab_with_a_part_of_somebody_else_is_refused_with_a_way_out_and_force_is_that(
    engine: FakeEngine, told: ReportedSteps, plays: Plays
) -> None:
    part = stand_in.container("ada", "consul3", labels={"raft-labctl.owner": "eve"})
    engine.container_list = [*stand_in.lab("ada")[:2], part]
    with pytest.raises(LabctlError) as caught:
        down("ada", ADA, told, plays)
    assert caught.value.code is ExitCode.REFUSED
    assert caught.value.sentence == (
        "A part of the lab ada on this Docker host belongs to eve, not to ada, so nothing was changed: `labctl down "
        "ada --force` removes it anyway, and `docker ps -a --filter label=raft-labctl.lab=ada` lists its "
        "containers."
    )
    assert plays.runs == []
    down("ada", replace(ADA, force=True), told, plays)
    assert plays.runs == [("down.yml", "ada", {"consul_lab_owner": "ada", "consul_lab_force": True})]
    assert "A part of the lab ada belongs to eve, not to ada: it is removed anyway." in told.lines


@pytest.mark.usefixtures("engine")
def test_force_is_not_used_where_the_lab_is_ones_own(told: ReportedSteps, plays: Plays) -> None:
    down("ada", replace(ADA, force=True), told, plays)
    assert plays.runs == [("down.yml", "ada", {"consul_lab_owner": "ada"})]


@pytest.mark.usefixtures("engine")
def test_who_does_not_say_yes_keeps_the_lab(told: ReportedSteps, plays: Plays) -> None:
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(LabctlError, match="The lab ada of ada stays") as caught:
        down("ada", Caller("bob", force=True, agrees=no), told, plays)
    assert caught.value.code is ExitCode.REFUSED
    assert asked == ["The lab ada belongs to ada, and its data would be gone for good. Remove it?"]
    down("ada", Caller("bob", force=True, agrees=no, dry_run=True), told, plays)
    assert told.lines[-1].startswith("Would remove the lab ada of ada with labctl-ada-consul1")
    assert plays.runs == []


def test_a_name_that_cannot_be_is_wrong_usage(engine: FakeEngine, told: ReportedSteps, plays: Plays) -> None:
    engine.container_list = []
    with pytest.raises(LabctlError) as caught:
        down("../x", ADA, told, plays)
    assert caught.value.code is ExitCode.USAGE
    assert plays.runs == []


@pytest.mark.usefixtures("engine")
def test_a_dry_run_of_down_names_the_servers_and_runs_nothing(told: ReportedSteps, plays: Plays) -> None:
    result = down("ada", replace(ADA, dry_run=True), told, plays)
    assert result == DownResult("ada", "ada", changed=True)
    assert "labctl-ada-consul1, labctl-ada-consul2, labctl-ada-consul3" in told.lines[0]
    assert plays.runs == []


def test_down_all_removes_what_is_mine_and_names_what_is_not(
    engine: FakeEngine, told: ReportedSteps, plays: Plays
) -> None:
    engine.container_list += stand_in.lab("bob", labels={"raft-labctl.owner": "bob"})
    engine.network_list = [
        {"Id": "r", "Name": "r", "Labels": {"raft-labctl.lab": "rest", "raft-labctl.owner": "ada"}},
        {"Id": "f", "Name": "f", "Labels": {"raft-labctl.lab": "foreign", "raft-labctl.owner": "bob"}},
    ]
    results, failure = down_all(ADA, told, plays)
    assert [result.lab for result in results] == ["ada", "rest"]
    assert failure is None
    assert [run[1] for run in plays.runs] == ["ada", "rest"]
    assert told.lines[0] == "The lab bob belongs to bob: it stays."


def test_down_all_says_that_the_end_of_a_workshop_stays(engine: FakeEngine, told: ReportedSteps, plays: Plays) -> None:
    engine.container_list = [
        part for name in ("w-01", "w-02") for part in stand_in.lab(name, labels={"raft-labctl.workshop": "w"})
    ]
    down_all(ADA, told, plays)
    assert told.lines[-1] == "The end of the workshop w stays: `labctl workshop down` removes that, too."


@pytest.mark.usefixtures("engine")
def test_a_name_that_is_nearly_that_of_a_lab_is_asked_about(told: ReportedSteps, plays: Plays) -> None:
    down("aada", ADA, told, plays)
    assert told.lines == ["There is no lab aada: nothing to remove. Did you mean ada?"]


def test_a_lab_that_cannot_be_removed_keeps_no_other(engine: FakeEngine, told: ReportedSteps) -> None:
    said = {"ada": "The engine is busy.", "dora": "The engine is busy.", "carl": "The disk is full."}
    engine.container_list = [part for name in ("ada", "bea", "carl", "dora") for part in stand_in.lab(name)]

    def play(_playbook: str, lab: str, *_: object) -> list[dict[str, Any]]:
        if lab in said:
            raise LabctlError(said[lab])
        return [{"removed": [f"labctl-{lab}-consul1"]}]

    results, failure = down_all(ADA, told, play)
    assert [result.lab for result in results] == ["bea"]
    assert failure is not None
    assert failure.code is ExitCode.FAILED
    assert "(ada, dora: The engine is busy; carl: The disk is full)" in failure.sentence


def test_a_container_that_labctl_cannot_name_keeps_no_lab_and_is_left(
    engine: FakeEngine, told: ReportedSteps, plays: Plays
) -> None:
    engine.container_list = [
        *stand_in.lab("0BAD_"),
        stand_in.container("ada", "consul1", labels={"raft-labctl.server": "../x"}),
        *stand_in.lab("good"),
    ]
    results, failure = down_all(ADA, told, plays)
    assert ([result.lab for result in results], failure) == (["good"], None)
    assert [run[1] for run in plays.runs] == ["good"]
    assert "raft-labctl.lab with '0BAD_'" in foreign_labels.sentences()[0]


def test_down_all_without_a_lab_says_so(engine: FakeEngine, told: ReportedSteps) -> None:
    engine.container_list = []
    assert down_all(ADA, told) == ([], None)
    assert told.lines == ["No lab of yours is there: nothing to remove."]


# -- stop, start, restart ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("verb", "playbook"), [("stop", "stop.yml"), ("start", "resume.yml"), ("restart", "restart.yml")]
)
def test_each_verb_has_its_playbook(told: ReportedSteps, plays: Plays, verb: str, playbook: str) -> None:
    plays.results = [{"actions": ["stopped consul2"]}]
    result = change(verb, None, "consul2", replace(ADA, timeout=7), told, plays)
    begun = plays.runs[0][2].pop("consul_cluster_since")
    assert time.time() - 60 < begun <= time.time()
    settings = {"consul_lab_owner": "ada", "consul_lab_server": "consul2", "consul_cluster_timeout": 7}
    assert plays.runs == [(playbook, "ada", settings)]
    assert result == ChangeResult("ada", changed=True, actions=("stopped consul2",), leader=None)
    assert told.lines[-1] == "done consul2 of the lab ada: stopped consul2"


@pytest.mark.usefixtures("engine")
def test_nothing_to_do_changes_nothing_and_the_leader_is_told(told: ReportedSteps, plays: Plays) -> None:
    plays.results = [{"actions": []}, {"cluster": {"leader": "consul3", "term": 4}}]
    result = change("start", "ada", "", ADA, told, plays)
    assert result == ChangeResult("ada", changed=False, actions=(), leader="consul3")
    assert told.lines[-1] == "done The lab ada: nothing to do; consul3 leads in term 4"


@pytest.mark.usefixtures("engine")
def test_an_unknown_server_and_a_foreign_lab_are_refused_before_anything_runs(
    told: ReportedSteps, plays: Plays
) -> None:
    with pytest.raises(LabctlError, match="no server 'x'"):
        change("stop", None, "x", ADA, told, plays)
    with pytest.raises(LabctlError, match="belongs to ada"):
        change("stop", None, "", Caller("bob"), told, plays)
    assert plays.runs == []


@pytest.mark.usefixtures("engine")
def test_a_dry_run_says_what_and_runs_nothing(told: ReportedSteps, plays: Plays) -> None:
    result = change("stop", None, "consul2", replace(ADA, dry_run=True), told, plays)
    assert told.lines == ["Would stop consul2 of the lab ada."]
    assert result == ChangePreview("ada", changed=True, actions=("would stop consul2",))
    assert plays.runs == []


@pytest.mark.usefixtures("engine")
def test_a_dry_run_that_would_change_nothing_says_so(told: ReportedSteps, plays: Plays) -> None:
    for server, line in (
        ("", "Nothing to start: the lab ada has all its servers running already."),
        ("consul1", "Nothing to start: consul1 of the lab ada is running already."),
    ):
        result = change("start", None, server, replace(ADA, dry_run=True), told, plays)
        assert told.lines.pop() == line
        assert (result.changed, result.actions) == (False, ())
    change("restart", None, "", replace(ADA, dry_run=True), told, plays)
    assert told.lines == ["Would restart consul1, consul2, consul3 of the lab ada."]
    assert plays.runs == []
