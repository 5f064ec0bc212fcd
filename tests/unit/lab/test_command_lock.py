"""A command decides with the lab locked: the previous holder may have changed everything."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from labctl.cli.main import run
from labctl.engine import labs
from labctl.engine.docker_host import LOCAL_HOST
from labctl.engine.status import Status
from labctl.errors import ExitCode, LabctlError
from labctl.faults import context
from labctl.faults.tools import Tools
from labctl.lab import up
from labctl.lab.command_lock import KEEP_SECONDS, locked_lab
from labctl.lab.desired_state import UpOptions
from labctl.lab.lifecycle import Caller, down
from labctl.progress import Steps
from labctl.shared import lock_holder
from labctl.shared.server_status import View
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labctl.engine.labs import Lab
    from labctl.runner.deadlines import Deadline
    from tests.unit.engine_stand_in import FakeEngine
    from tests.unit.stand_ins import FakeDocker


class ReportedSteps(Steps):
    """Steps that record notes."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    waits = note


class Run:
    """A playbook's run without output."""

    def progress(self) -> Iterator[None]:
        return iter([None])

    def finish(self) -> None: ...

    def interrupt(self) -> None: ...


@pytest.fixture
def engine(docker: FakeDocker) -> FakeEngine:
    fake = docker.beside()
    fake.image_list = [stand_in.image("1.8.7")]
    return fake


@pytest.fixture
def another(docker: FakeDocker) -> Callable[[Callable[[], object]], threading.Thread]:
    """Somebody else's lock on the lab ada, who does something a moment later, and then lets go."""

    def another(work: Callable[[], object]) -> threading.Thread:
        who = lock_holder.holder("labctl up ada --servers 5", 900)
        labels = {"raft-labctl.lock": "ada", "raft-labctl.holder": who.note, "raft-labctl.lab": "ada"}
        docker.put("volume", "other", {"Name": "other", "Labels": labels, "CreatedAt": ""})

        def then() -> None:
            time.sleep(1.3)
            work()
            docker.lose_volume("other")

        thread = threading.Thread(target=then)
        thread.start()
        return thread

    return another


def marks(docker: FakeDocker) -> list[str]:
    """The marks of all who hold the lab."""
    notes = [volume["Labels"]["raft-labctl.holder"] for volume in docker.objects("volume").values()]
    return [holder.mark for note in notes if (holder := lock_holder.holder_of(note))]


def five(**changed: Any) -> list[dict[str, Any]]:
    labels = {"raft-labctl.servers": "5", **changed}
    return [stand_in.container("ada", f"consul{number}", labels=labels) for number in range(1, 6)]


def test_up_decides_and_announces_with_the_lab_in_hand_and_holds_it_to_the_end(
    engine: FakeEngine,
    docker: FakeDocker,
    another: Callable[..., threading.Thread],
) -> None:
    told, ran = ReportedSteps(), []
    begun = time.monotonic()

    def start(playbook: str, inventory: Any, tags: tuple[str, ...], _record: str, deadline: Deadline, lock: str) -> Run:
        assert marks(docker) == [lock]
        # Waiting for the lab takes its part of --timeout, for the run as for what is waited for in it.
        assert deadline.seconds == 120
        assert deadline.since is not None
        assert begun <= deadline.since < time.monotonic() - 1
        settings = inventory.own["labs"]["hosts"]["ada"]
        assert time.time() - settings["consul_cluster_since"] >= time.monotonic() - deadline.since - 0.1
        ran.append((playbook, tags, settings["consul_lab_servers"]))
        return Run()

    thread = another(lambda: setattr(engine, "container_list", five()))
    up.Up(UpOptions("ada", "ada", {"servers": 3}), told, start=start).run()  # type: ignore[arg-type]
    thread.join()
    assert ran == [("up.yml", ("start", "join"), 3)]
    waits, *rest = told.notes
    assert waits.startswith("Waiting for ")
    assert "`labctl up ada --servers 5`" in waits
    assert rest == [
        "The lab ada changes: consul4, consul5 leave the cluster, and their data is removed: the others are made again."
    ]
    assert docker.objects("volume") == {}


@pytest.mark.usefixtures("docker")
def test_up_does_not_go_on_once_somebody_else_has_the_lab(engine: FakeEngine, docker: FakeDocker) -> None:
    assert engine
    interrupted: list[bool] = []

    class Robbed(Run):
        def progress(self) -> Iterator[None]:
            for volume in docker.objects("volume"):
                docker.lose_volume(volume)
            who = lock_holder.holder("labctl down ada", 900)
            labels = {"raft-labctl.lock": "ada", "raft-labctl.holder": who.note}
            docker.put("volume", "other", {"Name": "other", "Labels": labels, "CreatedAt": ""})
            time.sleep(KEEP_SECONDS)
            yield None

        def interrupt(self) -> None:
            interrupted.append(True)

    with pytest.raises(LabctlError, match=r"its lock was removed, .* `labctl down ada` .* has the lab now") as caught:
        up.Up(UpOptions("ada", "ada"), ReportedSteps(), start=lambda *_: Robbed()).run()  # type: ignore[arg-type]
    assert caught.value.code is ExitCode.REFUSED
    assert interrupted
    assert list(docker.objects("volume")) == ["other"]


def test_up_that_waits_in_vain_is_refused_within_its_time(
    engine: FakeEngine, another: Callable[..., threading.Thread]
) -> None:
    assert engine
    thread = another(lambda: None)
    with pytest.raises(LabctlError, match=r"Cannot work on the lab ada: .* has it, also after 1 seconds") as caught:
        up.Up(UpOptions("ada", "ada", timeout=1), ReportedSteps()).run()
    assert caught.value.code is ExitCode.REFUSED
    thread.join()


@pytest.mark.parametrize(
    ("now", "said"),
    [([], None), (five(**{"raft-labctl.owner": "eve"}), "Cannot remove the lab ada: it belongs to eve now.")],
)
def test_down_looks_again_what_it_removes_and_whose_that_is(
    engine: FakeEngine,
    another: Callable[..., threading.Thread],
    now: list[dict[str, Any]],
    said: str | None,
) -> None:
    def play(*_: object) -> list[dict[str, Any]]:
        pytest.fail("something was removed")

    engine.container_list, told = stand_in.lab("ada"), ReportedSteps()
    thread = another(lambda: setattr(engine, "container_list", now))
    if said is None:
        assert down("ada", Caller("ada"), told, play).changed is False
        assert told.notes[-1] == "There is no lab ada any more: nothing is left of it."
    else:
        with pytest.raises(LabctlError, match=said) as caught:
            down("ada", Caller("ada", force=True), told, play)
        assert caught.value.code is ExitCode.REFUSED
    thread.join()


@pytest.mark.parametrize("words", [["down", "ada"], ["start", "ada"]])
def test_for_whom_a_command_waits_is_told_on_stderr_where_stdout_is_json(
    engine: FakeEngine,
    another: Callable[..., threading.Thread],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    monkeypatch.setenv("LABCTL_OWNER", "ada")
    engine.container_list = stand_in.lab("ada")

    def over() -> None:
        engine.container_list = five(**{"raft-labctl.owner": "eve"})

    thread = another(over)
    assert run([*words, "--json"]) in {ExitCode.REFUSED, ExitCode.DONE, ExitCode.FAILED}
    thread.join()
    (note, *_) = capsys.readouterr().err.splitlines()
    assert "Waiting for " in json.loads(note)["note"]
    assert "`labctl up ada --servers 5`" in json.loads(note)["note"]


def test_an_engine_that_does_not_answer_for_a_moment_takes_the_lab_from_nobody(docker: FakeDocker) -> None:
    with locked_lab(LOCAL_HOST, "ada", "ada", "labctl up ada", ReportedSteps(), keep_seconds=0.0) as lock:
        docker.answer("volume", err="the engine restarts", code=1, times=1)
        lock.keep_meanwhile()
        docker.answer("volume", err="the engine restarts", code=1, times=1)
        with pytest.raises(LabctlError, match="the engine restarts"):
            lock.keep()


def test_what_breaks_waits_for_whoever_has_the_lab_and_then_has_it_and_a_look_does_not(
    engine: FakeEngine, docker: FakeDocker, another: Callable[..., threading.Thread]
) -> None:
    engine.container_list, told = stand_in.lab("ada"), ReportedSteps()
    thread = another(lambda: setattr(engine, "container_list", five()))
    with context.in_turn(context.FaultRequest(None, "ada", dry_run=True), "kill", told) as asked:
        assert list(docker.objects("volume")) == ["other"]
    with context.in_turn(context.FaultRequest(None, "ada"), "kill", told) as asked:
        assert asked.lab == "ada"
        assert len(engine.container_list) == 5
        (note,) = (volume["Labels"]["raft-labctl.holder"] for volume in docker.objects("volume").values())
        assert "`labctl fault kill --lab ada`" in lock_holder.holder_words(note)
    thread.join()
    assert docker.objects("volume") == {}


class Loser:
    """Faults' tools whose look takes so long that the lab's lock goes, and somebody else takes it.

    Attributes:
        done: what was done to the lab after that.
    """

    def __init__(self, docker: FakeDocker) -> None:
        self.done: list[str] = []
        self._docker = docker
        (self._lab,) = labs.labs_from(stand_in.lab("ada", labels={"raft-labctl.consul-version": "1.20.0"}), "local")
        nobody: Any = None
        self.tools = Tools(
            connect=lambda: nobody,
            choose_lab=lambda *_: self._lab,
            ask=self._ask,
            difference=lambda *_: None,
            active=lambda *_: [],
            change=lambda *_: self.done.append("change"),
            signal=lambda *_: self.done.append("signal"),
            note=lambda *_: self.done.append("note"),
            transfer=lambda *_: self.done.append("transfer"),
        )

    def _ask(self, lab: Lab) -> Status:
        for name in list(self._docker.objects("volume")):
            self._docker.lose_volume(name)
        labels = {"raft-labctl.lock": "ada", "raft-labctl.holder": lock_holder.holder("labctl up ada", 900).note}
        self._docker.put("volume", "other", {"Name": "other", "Labels": labels, "CreatedAt": ""})
        leader = lab.servers[0].address
        first, *others = (View(server.name, server.address, leader=leader) for server in lab.servers)
        return Status(lab, (replace(first, state="leader"), *others))


@pytest.mark.parametrize(
    "words", [("kill", "consul1"), ("pause", "consul2"), ("isolate", "consul1"), ("delay", "50"), ("transfer-leader",)]
)
def test_nothing_is_broken_by_whoever_lost_the_lab_since_the_look(
    engine: FakeEngine, docker: FakeDocker, words: tuple[str, ...], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("LABCTL_OWNER", "ada")
    engine.container_list = stand_in.lab("ada")
    loser = Loser(docker)
    assert run(["fault", *words, "--lab", "ada"], loser.tools) == ExitCode.REFUSED
    assert loser.done == []
    assert "Cannot go on with the lab ada: its lock was removed" in capsys.readouterr().err


def test_what_mends_waits_for_nobody(
    docker: FakeDocker, another: Callable[..., threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_OWNER", "ada")
    fixed: list[list[str]] = []
    nobody: Any = None

    def lift(*_: object) -> dict[str, set[str]]:
        fixed.append(list(docker.objects("volume")))
        return {}

    (lab,) = labs.labs_from(stand_in.lab("ada"), "local")
    tools = Tools(connect=lambda: nobody, choose_lab=lambda *_: lab, active=lambda *_: [], lift=lift)
    thread = another(lambda: None)
    assert run(["fault", "heal", "--lab", "ada"], tools) == 0
    assert fixed == [["other"]]
    thread.join()
