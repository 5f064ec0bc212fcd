"""What `labctl chaos` does step by step, with a Docker that only remembers and a store in this process."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from labctl import output_files
from labctl.engine import client, labs, logs, status
from labctl.engine import clock as clock_of_host
from labctl.engine.clock import Difference
from labctl.engine.kv import Found, Refused, Unanswered
from labctl.errors import ExitCode, LabctlError
from labctl.experiments.chaos import clients, json_view, nemesis, text_view
from labctl.experiments.chaos import run as flow
from labctl.experiments.chaos.clients import PREFIX, REGISTERS, Crowd
from labctl.experiments.chaos.nemesis import Disturber
from labctl.experiments.chaos.report import Report, Run, report_of
from labctl.experiments.chaos.schedule import Step
from labctl.faults import heal, inject, network, processes
from labctl.terminal.progress import SilentSteps
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAB = labs.labs_from(stand_in.lab("ada"), "local")[0]


class Consul:
    """A store that keeps its word; `spoil` may change what is written or answered."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.index = 0
        self.values: dict[str, Found] = {}
        self.spoil: Callable[[str, str], str | None] = lambda _, value: value
        self.trouble: Callable[[int], type[Exception] | None] = lambda _: None
        self.asked = 0

    def answer(self) -> None:
        self.asked += 1
        if kind := self.trouble(self.asked):
            raise kind("trouble")

    def put(self, key: str, value: str, *, cas: int | None = None) -> bool:
        with self.lock:
            if cas is not None and cas != (self.values[key].index if key in self.values else 0):
                self.answer()
                return False
            self.index += 1
            kept = self.spoil(key, value)
            before = self.values.get(key)
            if kept is not None:
                self.values[key] = Found(kept, self.index)
            try:
                self.answer()
            except Refused:
                # Certainly nothing happened.
                if before is None:
                    self.values.pop(key, None)
                else:
                    self.values[key] = before
                raise
            return True

    def get(self, key: str, _mode: str) -> Found | None:
        with self.lock:
            self.answer()
            return self.values.get(key)

    def all(self, prefix: str) -> dict[str, Found]:
        with self.lock:
            return {key: found for key, found in self.values.items() if key.startswith(prefix)}

    def delete(self, prefix: str) -> None:
        with self.lock:
            self.values = {key: found for key, found in self.values.items() if not key.startswith(prefix)}

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def consul(monkeypatch: pytest.MonkeyPatch) -> Consul:
    made = Consul()
    monkeypatch.setattr(clients, "Store", lambda *_: made)
    monkeypatch.setattr(clients, "find_lab", lambda *_: LAB)
    for name in ("_ADD_SECONDS", "_CHANGE_SECONDS", "_READ_SECONDS", "_BACK_OFF_SECONDS"):
        monkeypatch.setattr(clients, name, 0.001)
    return made


def clock() -> Callable[[], float]:
    begun = time.monotonic()
    return lambda: time.monotonic() - begun


def judged(crowd: Crowd, seconds: float) -> dict[str, str]:
    """Let the clients work for a while, and say what each check finds."""
    crowd.begin()
    time.sleep(seconds)
    operations = crowd.end()
    final = crowd.last_look(crowd.clock() + 1)
    names = tuple(one.name for one in LAB.servers)
    run = Run("ada", "1", names, 1, 10, (), datetime.now(UTC), seconds, (), tuple(operations), final)
    return {one.name: one.verdict for one in report_of(run).checks}


def crowd_of(seconds: float = 1) -> Crowd:
    return Crowd(None, LAB, seconds, clock())  # type: ignore[arg-type]


def test_clients_of_a_store_that_keeps_its_word_find_nothing(consul: Consul) -> None:
    crowd = crowd_of()
    assert judged(crowd, 0.5) == {"set": "valid", "cas": "valid", "reads": "valid"}
    assert consul.asked > 200
    crowd.clear()
    assert consul.values == {}


def test_refusals_and_silence_are_no_broken_promise(consul: Consul) -> None:
    kinds = {0: Refused, 1: Unanswered, 2: Unanswered}
    consul.trouble = lambda number: kinds.get(number % 7) if number > 20 else None
    assert judged(crowd_of(), 0.5) == {"set": "valid", "cas": "valid", "reads": "valid"}


def test_a_store_that_forgets_an_acknowledged_write_is_found_out(consul: Consul) -> None:
    consul.spoil = lambda key, value: None if key.endswith("set/adder2:3") else value
    assert judged(crowd_of(), 0.3)["set"] == "invalid"


def test_a_store_that_writes_something_else_is_found_out(consul: Consul) -> None:
    consul.spoil = lambda key, value: f"not {value}" if key.endswith("/b") and ":2" in value else value
    assert judged(crowd_of(), 0.3)["cas"] == "invalid"


def test_a_store_without_compare_and_set_is_found_out(consul: Consul, monkeypatch: pytest.MonkeyPatch) -> None:
    def put(key: str, value: str, **_: Any) -> bool:
        time.sleep(0.005)  # while this client thinks, another one writes
        return Consul.put(consul, key, value)

    monkeypatch.setattr(consul, "put", put)
    assert judged(crowd_of(), 0.5)["cas"] == "invalid"


def test_a_store_whose_reads_go_back_is_found_out(consul: Consul, monkeypatch: pytest.MonkeyPatch) -> None:
    first: dict[str, Found | None] = {}

    def get(key: str, mode: str) -> Found | None:
        found = Consul.get(consul, key, mode)
        first.setdefault(key, found)
        return first[key] if consul.asked % 50 == 0 else found

    monkeypatch.setattr(consul, "get", get)
    assert judged(crowd_of(), 0.5)["reads"] == "invalid"


def test_what_a_killed_run_left_is_removed_first(consul: Consul) -> None:
    consul.values = {f"{PREFIX}dead/set/x": Found("1", 1), "mine": Found("2", 2)}
    crowd = crowd_of()
    crowd.begin()
    crowd.end()
    assert f"{PREFIX}dead/set/x" not in consul.values
    assert "mine" in consul.values
    assert {key.removeprefix(crowd.prefix) for key in consul.values} >= set(REGISTERS)


def test_an_election_while_the_registers_are_made_is_waited_for(consul: Consul) -> None:
    # The first attempt happens without an answer, so the next one comes too late; later ones are refused for a while.
    trouble: dict[int, type[Exception]] = {1: Unanswered, 3: Refused, 4: Refused}
    consul.trouble = trouble.get
    assert judged(crowd_of(), 0.2) == {"set": "valid", "cas": "valid", "reads": "valid"}


def test_a_lab_that_takes_no_write_is_refused_before_anything_is_broken(
    consul: Consul, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "FOUND_SECONDS", 0.02)
    consul.trouble = lambda _: Unanswered
    with pytest.raises(LabctlError, match="took no write"):
        crowd_of().begin()


@pytest.mark.usefixtures("consul")
def test_a_server_that_does_not_run_is_asked_where_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    down = replace(LAB, servers=tuple(replace(one, http_port=None, state="exited") for one in LAB.servers))
    crowd = Crowd(None, down, 1, clock())  # type: ignore[arg-type]
    crowd.begin()
    crowd.end()
    assert crowd.doors.of("consul1") == LAB.servers[0].door
    monkeypatch.setattr(clients, "find_lab", lambda *_: None)
    monkeypatch.setattr(clients, "_LOOK_UP_SECONDS", 0.0)
    crowd.doors.look_again()
    assert crowd.doors.of("consul1") == LAB.servers[0].door


def test_a_long_run_adds_more_slowly() -> None:
    assert crowd_of(60).add_seconds == pytest.approx(0.05)
    assert crowd_of(1800).add_seconds == pytest.approx(1800 * 3 / 12_000)


def test_nobody_answers_the_last_look(consul: Consul, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> Any:
        raise Unanswered("nothing")

    monkeypatch.setattr(consul, "all", refuse)
    crowd = crowd_of()
    assert crowd.last_look(crowd.clock() + 0.1) is None


class Faults:
    """Remembers what was asked of the fault verbs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.signals: list[tuple[str, list[str]]] = []
        self.refuse: set[str] = set()
        for verb in ("process", "isolate", "partition", "one_way", "loss", "rate", "delay"):
            monkeypatch.setattr(processes if verb == "process" else network, verb, self._verb(verb))
        monkeypatch.setitem(nemesis.VERBS, "partition", network.partition)
        monkeypatch.setattr(inject, "signal", lambda verb, on: self.signals.append((verb, [one.name for one in on])))
        monkeypatch.setattr(inject, "note", lambda *_: None)

    def _verb(self, verb: str) -> Callable[..., dict[str, Any]]:
        def do(*words: Any) -> dict[str, Any]:
            *said, asked, _steps = words
            if self.refuse & set(map(str, said)):
                raise LabctlError("not now.")
            self.asked.append((verb, *said, asked.seconds))
            return {"fault": "abc123", "what": f"{verb} {said}", "servers": ["consul2"]}

        return do


def disturbed(steps: list[Step], monkeypatch: pytest.MonkeyPatch, refuse: str = "") -> tuple[Faults, Disturber]:
    seen = Faults(monkeypatch)
    seen.refuse = {refuse} if refuse else set()
    disturber = Disturber(LAB, "ada", clock(), lambda _: None)
    disturber.run(steps)
    return seen, disturber


def test_each_verb_gets_its_words_and_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        Step(0.0, 0.01, "kill", ("consul1",)),
        Step(0.01, 0.02, "isolate", ("leader",)),
        Step(0.02, 0.02, "partition", ("consul1", "/", "consul2,consul3")),
        Step(0.03, 0.02, "one-way", ("consul1", "consul2")),
        Step(0.04, 0.02, "loss", ("40", "any")),
        Step(0.05, 0.02, "rate", ("16", "minority")),
        Step(0.06, 0.02, "delay", ("200", "leader")),
    ]
    seen, disturber = disturbed(steps, monkeypatch)
    assert sorted(seen.asked, key=str) == sorted(
        [
            ("process", "kill", "consul1", None),
            ("isolate", "leader", 0.02),
            ("partition", ("consul1", "/", "consul2,consul3"), 0.02),
            ("one_way", "consul1", "consul2", 0.02),
            ("loss", 40.0, "any", 0.02),
            ("rate", 16, "minority", 0.02),
            ("delay", 200, "leader", 0, 0.02),
        ],
        key=str,
    )
    assert seen.signals == [("start", ["consul2"])]
    assert len(disturber.done) == len(steps)
    assert all(one.end >= one.begin + one.step.seconds for one in disturber.done)


@pytest.mark.parametrize(("verb", "back"), [("kill", "start"), ("stop", "start"), ("pause", "unpause")])
def test_a_process_comes_back_when_its_time_is_over(verb: str, back: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, _ = disturbed([Step(0.0, 0.01, verb, ("any",))], monkeypatch)
    assert seen.signals == [(back, ["consul2"])]


def test_nothing_else_is_broken_while_a_server_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    _, disturber = disturbed([Step(0.0, 0.2, "kill", ("any",)), Step(0.05, 0.01, "loss", ("40", "any"))], monkeypatch)
    killed, lossy = disturber.done
    assert lossy.begin >= killed.end


def test_where_nobody_leads_anybody_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, disturber = disturbed([Step(0.0, 0.01, "loss", ("40", "leader"))], monkeypatch, refuse="leader")
    assert seen.asked == [("loss", 40.0, "any", 0.01)]
    assert disturber.done[0].skipped == ""


def test_what_cannot_be_done_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, disturber = disturbed([Step(0.0, 5.0, "kill", ("consul1",))], monkeypatch, refuse="consul1")
    assert (seen.asked, seen.signals) == ([], [])
    assert [one.skipped for one in disturber.done] == ["not now."]


def test_a_schedule_that_is_stopped_lifts_what_it_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Faults(monkeypatch)
    disturber = Disturber(LAB, "ada", clock(), lambda _: None)
    steps = [Step(0.0, 60.0, "pause", ("consul2",)), Step(60.0, 1.0, "kill", ("consul1",))]
    runner = threading.Thread(target=disturber.run, args=(steps,))
    runner.start()
    while not seen.asked:
        time.sleep(0.01)
    disturber.stop()
    runner.join(5)
    assert not runner.is_alive()
    assert seen.signals == [("unpause", ["consul2"])]
    assert [one.step.verb for one in disturber.done] == ["pause"]


def test_a_lab_that_is_not_ready_or_broken_already_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = SimpleNamespace(problem="consul2 is not running", ready=False, views=[SimpleNamespace(problem="silent")])
    monkeypatch.setattr(status, "ask", lambda _: silent)
    with pytest.raises(LabctlError, match="consul2 is not running") as raised:
        flow.refuse_unfit(None, LAB)  # type: ignore[arg-type]
    assert raised.value.code == ExitCode.NOT_READY
    # An election that is under way is waited for.
    electing = SimpleNamespace(problem="nobody leads", ready=False, views=[SimpleNamespace(problem=None)])
    answers = [electing, electing, SimpleNamespace(problem=None, ready=True, views=[])]
    monkeypatch.setattr(status, "ask", lambda _: answers.pop(0))
    monkeypatch.setattr(inject, "active", lambda *_: [SimpleNamespace(words="isolate consul1")])
    with pytest.raises(LabctlError, match="isolate consul1"):
        flow.refuse_unfit(None, LAB)  # type: ignore[arg-type]


def test_a_docker_host_with_another_clock_stamps_its_logs_by_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for found, ahead in ((Difference(90.0, 0.1), 90), (Difference(0.05, 0.1), 0), (None, 0)):
        monkeypatch.setattr(clock_of_host, "difference", lambda _, found=found: found)
        assert flow.by_its_clock(LAB, began) == began + timedelta(seconds=ahead)


def test_reigns_are_those_within_the_run() -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)

    def leadership(since: float, until: float | None) -> Any:
        ended = None if until is None else began + timedelta(seconds=until)
        return SimpleNamespace(server="consul1", term=2, since=began + timedelta(seconds=since), until=ended)

    leaderships = [leadership(-20, -10), leadership(-5, 3), leadership(4, None), leadership(40, None)]
    assert [(one.begin, one.end) for one in flow.spans_within(leaderships, began, 30.0)] == [(0.0, 3.0), (4.0, 30.0)]


def test_a_plan_changes_nothing_and_draws_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "choose_lab", lambda *_: LAB)
    asked = flow.Asked(None, LAB.owner, 30.0, None, ("kill",), 60.0)
    first, second = flow.plan(asked, SimpleNamespace()), flow.plan(asked, SimpleNamespace())  # type: ignore[arg-type]
    assert first.seed != second.seed
    again = flow.plan(replace(asked, seed=first.seed), SimpleNamespace())  # type: ignore[arg-type]
    assert again.steps == first.steps
    # What a majority is does not change with a container that is gone, and neither does the plan.
    long = replace(asked, seed=7, mix=("isolate", "partition", "one-way"), seconds=120.0)
    whole = flow.plan(long, SimpleNamespace())  # type: ignore[arg-type]
    monkeypatch.setattr(flow, "choose_lab", lambda *_: replace(LAB, servers=LAB.servers[:2]))
    assert flow.plan(long, SimpleNamespace()).steps == whole.steps  # type: ignore[arg-type]
    with pytest.raises(LabctlError) as raised:
        flow.plan(replace(asked, owner="somebody"), SimpleNamespace())  # type: ignore[arg-type]
    assert raised.value.code == ExitCode.REFUSED


class Ending:
    """A lab that is broken for a moment, and what goes wrong when it is over: an exception for each thing done then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, consul: Consul, folder: Path) -> None:
        self.consul = consul
        self.wrong: dict[str, list[BaseException]] = {}
        self.done: list[str] = []
        self.asked = flow.Asked(None, LAB.owner, 30.0, 1, ("kill",), 0.5, folder / "report", folder / "history")
        monkeypatch.setattr(flow, "alone_with", lambda *_: contextlib.nullcontext())
        monkeypatch.setattr(flow, "choose_lab", lambda *_: LAB)
        monkeypatch.setattr(client, "connect", lambda: None)
        monkeypatch.setattr(flow, "refuse_unfit", lambda *_: None)
        monkeypatch.setattr(flow, "AFTERWARDS_SECONDS", 0.01)
        for module in (flow, clients):
            monkeypatch.setattr(module, "HELD_SECONDS", 0.05)
        monkeypatch.setattr(flow, "LOOK_SECONDS", 0.01)
        breaking = self.doing("break", lambda: None)

        def run(*_: Any) -> None:
            time.sleep(0.2)
            breaking()

        monkeypatch.setattr(nemesis.Disturber, "run", run)
        monkeypatch.setattr(nemesis.Disturber, "stop", self.doing("stop", lambda: None))
        quick = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.01)), monotonic=time.monotonic)
        monkeypatch.setattr(flow, "time", quick)
        monkeypatch.setattr(heal, "heal", self.doing("heal", lambda: None))
        monkeypatch.setattr(flow, "find_lab", self.doing("look up", lambda: LAB))
        monkeypatch.setattr(status, "ask", lambda _: SimpleNamespace(ready=True))
        monkeypatch.setattr(clock_of_host, "difference", self.doing("ask the time", lambda: None))
        monkeypatch.setattr(logs, "read", self.doing("read the logs", list))

    def doing(self, what: str, act: Callable[[], Any]) -> Callable[..., Any]:
        def do(*_: Any, **__: Any) -> Any:
            self.done.append(what)
            for problem in self.wrong.get(what, ()):
                if isinstance(problem, KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)
                raise problem
            return act()

        return do

    def run(self) -> Report:
        report = flow.run(self.asked, SilentSteps())
        assert self.consul.values == {}
        assert not [one for one in threading.enumerate() if one.name.startswith(("adder", "changer", "reader"))]
        assert self.asked.history is not None
        lines = self.asked.history.read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(report.run.operations) > 50
        return report


BUSY = LabctlError("The Docker Engine did not answer within 20 seconds.")


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch, consul: Consul, tmp_path: Path) -> Ending:
    return Ending(monkeypatch, consul, tmp_path)


def test_a_run_leaves_a_verdict_a_history_and_no_key(ending: Ending) -> None:
    report = ending.run()
    assert (report.verdict, report.run.problems, report.run.interrupted) == ("valid", (), False)
    assert ending.done == ["break", "stop", "heal", "look up", "ask the time", "read the logs"]
    assert report.run.ready_after is not None


def test_a_runs_time_ends_with_its_clients_and_not_with_its_history(
    ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = output_files.save

    def slow(*words: Any) -> None:
        time.sleep(1)
        save(*words)

    monkeypatch.setattr(flow, "save", slow)
    report = ending.run()
    assert 0 <= report.run.seconds - max(one.end for one in report.run.operations) < 0.8


@pytest.mark.parametrize("what", ["read the logs", "ask the time"])
@pytest.mark.parametrize("how", [BUSY, ValueError("odd"), KeyboardInterrupt()])
def test_who_led_may_stay_unknown_and_the_verdict_stands(ending: Ending, what: str, how: BaseException) -> None:
    ending.wrong = {what: [how]}
    report = ending.run()
    assert (report.verdict, report.run.problems) == ("valid", ())
    assert report.run.leaderships == ()
    assert report.run.interrupted == isinstance(how, KeyboardInterrupt)
    assert "leader    not known: " in text_view.report_text(report)
    why = json.loads(json_view.text(report))["leaders_unknown"]
    assert why in {BUSY.sentence, "ValueError: odd.", "labctl was interrupted."}


def test_an_engine_that_is_busy_for_a_moment_at_the_end_answers_later(
    ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = {"heal": 1, "look up": 3}

    def busy(what: str) -> Callable[..., Any]:
        def do(*_: Any) -> Any:
            tries[what] -= 1
            if tries[what] >= 0:
                raise BUSY
            return LAB

        return do

    monkeypatch.setattr(heal, "heal", busy("heal"))
    monkeypatch.setattr(flow, "find_lab", busy("look up"))
    report = ending.run()
    assert (report.verdict, report.run.problems) == ("valid", ())
    assert tries == {"heal": -1, "look up": -1}


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("heal", "The lab ada could not be healed; `labctl fault heal --lab ada` does it: The Docker Engine did not"),
        ("look up", "Nobody could say whether the lab ada is ready: The Docker Engine did not answer"),
    ],
)
def test_an_engine_that_does_not_answer_any_more_loses_no_history(ending: Ending, what: str, says: str) -> None:
    ending.wrong = {what: [BUSY]}
    report = ending.run()
    assert report.verdict == "unknown"
    (problem,) = report.run.problems
    assert problem.startswith(says)
    assert json.loads(json_view.text(report))["problems"] == [problem]


def test_a_breaking_that_fails_is_told_and_what_was_found_is_judged(ending: Ending) -> None:
    ending.wrong = {"break": [LabctlError("Docker is gone.")]}
    report = ending.run()
    assert report.verdict == "valid"
    assert report.run.problems == ("The breaking ended early: Docker is gone.",)
    assert "heal" in ending.done


@pytest.mark.parametrize(
    ("where", "verdict"), [("break", "valid"), ("heal", "unknown"), ("look up", "unknown"), ("read the logs", "valid")]
)
def test_ctrl_c_at_any_moment_loses_nothing(ending: Ending, where: str, verdict: str) -> None:
    ending.wrong = {where: [KeyboardInterrupt()]}
    report = ending.run()
    assert report.run.interrupted
    assert report.verdict == verdict
    if where == "heal":
        assert "is not healed, because labctl was interrupted" in report.run.problems[0]
    else:
        assert report.run.problems == ()
        assert ending.done[:3] == ["break", "stop", "heal"]


def test_a_second_ctrl_c_heals_and_waits_no_longer(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def interrupted(*_: Any) -> None:
        tries.append("heal")
        if len(tries) == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(heal, "heal", interrupted)
    ending.wrong = {"break": [KeyboardInterrupt()]}
    report = ending.run()
    assert (report.verdict, report.run.problems, report.run.interrupted) == ("unknown", (), True)
    assert tries == ["heal", "heal"]
    assert "look up" not in ending.done


def test_a_lab_that_is_not_ready_in_time_is_no_trouble_of_the_engine(
    ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = iter([BUSY])

    def find_lab(*_: Any) -> Any:
        if problem := next(tries, None):
            raise problem
        return LAB

    monkeypatch.setattr(flow, "find_lab", find_lab)
    monkeypatch.setattr(status, "ask", lambda _: SimpleNamespace(ready=False))
    report = ending.run()
    assert (report.verdict, report.run.problems, report.run.ready_after) == ("unknown", (), None)


def test_signals_while_what_was_found_is_kept_are_not_heard(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, keep = report_of, output_files.save

    def pressed(act: Callable[..., Any]) -> Callable[..., Any]:
        def do(*words: Any) -> Any:
            for one in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(one)
            return act(*words)

        return do

    monkeypatch.setattr(flow, "report_of", pressed(judge))
    monkeypatch.setattr(flow, "save", pressed(keep))
    before = signal.getsignal(signal.SIGINT)
    assert ending.run().verdict == "valid"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_history_that_cannot_be_written_does_not_lose_the_report(ending: Ending, tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.mkdir()
    ending.asked = replace(ending.asked, history=path / "history")

    def fail(_: str, path: Path) -> None:
        raise LabctlError(f"{path} could not be written: No space left on device.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "save", fail)
        report = flow.run(ending.asked, SilentSteps())
    assert report.verdict == "valid"
    assert "No space left on device" in report.run.problems[0]


def test_a_client_that_dies_leaves_a_verdict_that_is_unknown(ending: Ending, consul: Consul) -> None:
    put = consul.put

    def odd(key: str, value: str, *, cas: int | None = None) -> bool:
        written = put(key, value, cas=cas)
        if value == "adder2:7":
            raise ZeroDivisionError("odd")
        return written

    consul.put = odd  # type: ignore[method-assign]
    report = ending.run()
    assert report.verdict == "unknown"
    assert {one.verdict for one in report.checks} == {"unknown"}
    sentence = "adder2 ended by itself after 8 requests, so it could not see what came later (ZeroDivisionError: odd)"
    assert report.checks[0].sentence == sentence
    last = [one for one in report.run.operations if one.client == "adder2"][-1]
    assert (last.value, last.outcome) == ("adder2:7", "unanswered")


def test_what_a_run_found_is_found_although_a_client_died(ending: Ending, consul: Consul) -> None:
    put = consul.put

    def odd(key: str, value: str, *, cas: int | None = None) -> bool:
        if value == "adder2:7":
            raise ZeroDivisionError("odd")
        return True if value == "adder1:3" else put(key, value, cas=cas)

    consul.put = odd  # type: ignore[method-assign]
    report = ending.run()
    assert [one.verdict for one in report.checks] == ["invalid", "unknown", "unknown"]


def late(consul: Consul, seconds: float) -> list[threading.Timer]:
    """Let a server hold one write, which gets no answer, and do it so many seconds after the keys were removed."""
    put, delete = consul.put, consul.delete
    held: list[threading.Timer] = []

    def holding(key: str, value: str, *, cas: int | None = None) -> bool:
        if value == "adder2:7":
            held.append(threading.Timer(seconds, put, (key, value)))
            raise Unanswered("held")
        return put(key, value, cas=cas)

    def removed(prefix: str) -> None:
        delete(prefix)
        if prefix != PREFIX and held and not held[0].is_alive() and not held[0].finished.is_set():
            held[0].start()

    consul.put = holding  # type: ignore[method-assign]
    consul.delete = removed  # type: ignore[method-assign]
    return held


def test_a_write_that_is_done_after_the_keys_were_removed_is_removed_too(
    ending: Ending, consul: Consul, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "HELD_SECONDS", 2.0)
    held = late(consul, 0.1)
    assert ending.run().verdict == "valid"
    held[0].join()
    assert consul.values == {}


def test_keys_that_no_server_removes_are_named(ending: Ending, consul: Consul, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "REMOVE_SECONDS", 0.1)
    delete = consul.delete

    def refuse(prefix: str) -> None:
        if prefix != PREFIX:
            raise Unanswered("nobody")
        delete(prefix)

    consul.delete = refuse  # type: ignore[method-assign]
    report = flow.run(ending.asked, SilentSteps())
    assert report.verdict == "valid"
    (problem,) = report.run.problems
    assert problem.startswith(f"Keys below {PREFIX}")
    assert problem.endswith("no server removed them.")


def test_a_lab_that_takes_no_write_has_found_nothing(
    ending: Ending, consul: Consul, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "FOUND_SECONDS", 0.02)
    consul.trouble = lambda _: Unanswered
    with pytest.raises(LabctlError, match="took no write"):
        flow.run(ending.asked, SilentSteps())
    assert ending.done == []
    assert consul.values == {}
