"""What `labctl chaos` does step by step, with a Docker that only remembers and a store in this process."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from labctl import output_files
from labctl.engine import labs
from labctl.engine.clock import Difference
from labctl.engine.kv import Entry, Indeterminate, NotApplied
from labctl.errors import ExitCode, LabctlError
from labctl.experiments.chaos import json_view, nemesis, text_view
from labctl.experiments.chaos import run as flow
from labctl.experiments.chaos.clients import PREFIX, REGISTERS, ClientPool, Pauses
from labctl.experiments.chaos.nemesis import Nemesis
from labctl.experiments.chaos.report import Report, Run, report_of
from labctl.experiments.chaos.schedule import Step
from labctl.faults.tools import Tools
from labctl.progress import Steps
from labctl.results import FaultResult
from labctl.shared.waiting import Clock
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from labctl.engine.labs import Lab

LAB = labs.labs_from(stand_in.lab("ada"), "local")[0]


class Consul:
    """A store that keeps its word; `spoil` may change what is written or answered."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.index = 0
        self.values: dict[str, Entry] = {}
        self.spoil: Callable[[str, str], str | None] = lambda _, value: value
        self.trouble: Callable[[int], type[Exception] | None] = lambda _: None
        self.asked = 0
        self.tools = flow.ChaosTools(
            store=self.store,
            find_lab=lambda *_: LAB,
            pauses=Pauses(add=0.001, change=0.001, read=0.001, back_off=0.001),
        )

    def store(self, *_: object) -> Any:
        """All servers have the same keys."""
        return self

    def pool(self, seconds: float = 1, lab: Lab = LAB) -> ClientPool:
        nobody: Any = None
        return ClientPool(nobody, lab, seconds, clock(), self.tools, self.tools.pauses)

    def pausing(self, **pauses: float) -> None:
        """Let clients pause in another way."""
        self.tools = replace(self.tools, pauses=replace(self.tools.pauses, **pauses))

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
                self.values[key] = Entry(kept, self.index)
            try:
                self.answer()
            except NotApplied:
                # Certainly nothing happened.
                if before is None:
                    self.values.pop(key, None)
                else:
                    self.values[key] = before
                raise
            return True

    def get(self, key: str, _mode: str) -> Entry | None:
        with self.lock:
            self.answer()
            return self.values.get(key)

    def all(self, prefix: str) -> dict[str, Entry]:
        with self.lock:
            return {key: entry for key, entry in self.values.items() if key.startswith(prefix)}

    def delete(self, prefix: str) -> None:
        with self.lock:
            self.values = {key: entry for key, entry in self.values.items() if not key.startswith(prefix)}

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def consul() -> Consul:
    return Consul()


def clock() -> Callable[[], float]:
    begun = time.monotonic()
    return lambda: time.monotonic() - begun


def judged(pool: ClientPool, seconds: float) -> dict[str, str]:
    """Let the clients work for a while, and return the result of each check."""
    pool.begin()
    time.sleep(seconds)
    operations = pool.end()
    final = pool.last_look(pool.clock() + 1)
    names = tuple(server.name for server in LAB.servers)
    run = Run("ada", "1", names, 1, 10, (), datetime.now(UTC), seconds, (), tuple(operations), final)
    return {check.name: check.verdict for check in report_of(run).checks}


def test_clients_of_a_store_that_keeps_its_word_find_nothing(consul: Consul) -> None:
    pool = consul.pool()
    assert judged(pool, 0.5) == {"set": "valid", "cas": "valid", "reads": "valid"}
    assert consul.asked > 200
    pool.clear()
    assert consul.values == {}


def test_refusals_and_silence_are_no_broken_promise(consul: Consul) -> None:
    kinds = {0: NotApplied, 1: Indeterminate, 2: Indeterminate}
    consul.trouble = lambda number: kinds.get(number % 7) if number > 20 else None
    assert judged(consul.pool(), 0.5) == {"set": "valid", "cas": "valid", "reads": "valid"}


def test_a_store_that_forgets_an_acknowledged_write_is_found_out(consul: Consul) -> None:
    consul.spoil = lambda key, value: None if key.endswith("set/adder2:3") else value
    assert judged(consul.pool(), 0.3)["set"] == "invalid"


def test_a_store_that_writes_something_else_is_found_out(consul: Consul) -> None:
    consul.spoil = lambda key, value: f"not {value}" if key.endswith("/b") and ":2" in value else value
    assert judged(consul.pool(), 0.3)["cas"] == "invalid"


def test_a_store_without_compare_and_set_is_found_out(consul: Consul) -> None:
    def put(key: str, value: str, **_: Any) -> bool:
        time.sleep(0.005)  # while this client thinks, another one writes
        return Consul.put(consul, key, value)

    consul.put = put  # type: ignore[method-assign]
    assert judged(consul.pool(), 0.5)["cas"] == "invalid"


def test_a_store_whose_reads_go_back_is_found_out(consul: Consul) -> None:
    first: dict[str, Entry | None] = {}

    def get(key: str, mode: str) -> Entry | None:
        entry = Consul.get(consul, key, mode)
        first.setdefault(key, entry)
        return first[key] if consul.asked % 50 == 0 else entry

    consul.get = get  # type: ignore[assignment,method-assign]
    assert judged(consul.pool(), 0.5)["reads"] == "invalid"


def test_what_a_killed_run_left_is_removed_first(consul: Consul) -> None:
    consul.values = {f"{PREFIX}dead/set/x": Entry("1", 1), "mine": Entry("2", 2)}
    pool = consul.pool()
    pool.begin()
    pool.end()
    assert f"{PREFIX}dead/set/x" not in consul.values
    assert "mine" in consul.values
    assert {key.removeprefix(pool.prefix) for key in consul.values} >= set(REGISTERS)


def test_an_election_while_the_registers_are_made_is_waited_for(consul: Consul) -> None:
    # The first attempt happens without an answer, so the next one comes too late; later ones are refused for a while.
    trouble: dict[int, type[Exception]] = {1: Indeterminate, 3: NotApplied, 4: NotApplied}
    consul.trouble = trouble.get
    assert judged(consul.pool(), 0.2) == {"set": "valid", "cas": "valid", "reads": "valid"}


def test_a_lab_that_takes_no_write_is_refused_before_anything_is_broken(consul: Consul) -> None:
    consul.pausing(create=0.02)
    consul.trouble = lambda _: Indeterminate
    with pytest.raises(LabctlError, match="took no write"):
        consul.pool().begin()


def test_a_server_that_does_not_run_is_asked_where_it_is_now(consul: Consul) -> None:
    there = [LAB]
    consul.tools = replace(consul.tools, find_lab=lambda *_: there[0] if there else None)
    consul.pausing(look_up=0.001)
    down = replace(LAB, servers=tuple(replace(server, http_port=None, state="exited") for server in LAB.servers))
    pool = consul.pool(lab=down)
    pool.begin()
    pool.end()
    assert pool.endpoints.of("consul1") == LAB.servers[0].api
    there.clear()
    time.sleep(0.01)
    pool.endpoints.look_again()
    assert pool.endpoints.of("consul1") == LAB.servers[0].api


def test_a_long_run_adds_more_slowly() -> None:
    assert Consul().pool(60).add_seconds == pytest.approx(0.015)
    assert Consul().pool(1800).add_seconds == pytest.approx(1800 * 3 / 12_000)


def test_nobody_answers_the_last_look(consul: Consul) -> None:
    def refuse(_: str) -> Any:
        raise Indeterminate("nothing")

    consul.all = refuse  # type: ignore[assignment,method-assign]
    pool = consul.pool()
    assert pool.last_look(pool.clock() + 0.1) is None


class Faults:
    """Records the calls of the fault verbs."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.signals: list[tuple[str, list[str]]] = []
        self.refuse: set[str] = set()
        verbs = ("process", "isolate", "partition", "one_way", "loss", "rate", "delay")
        self.verbs = nemesis.Verbs(**{verb: self._verb(verb) for verb in verbs})
        self.tools = Tools(signal=self._signal, note=lambda *_: None, difference=lambda _: None)

    def _signal(self, verb: str, on: Iterable[labs.Server]) -> None:
        self.signals.append((verb, [server.name for server in on]))

    def nemesis(self) -> Nemesis:
        return Nemesis(LAB, "ada", clock(), lambda _: None, self.tools, self.verbs)

    def _verb(self, verb: str) -> Callable[..., FaultResult]:
        def do(*words: Any) -> FaultResult:
            *said, asked, _steps = words
            if self.refuse & set(map(str, said)):
                raise LabctlError("not now.")
            self.asked.append((verb, *said, asked.seconds))
            return FaultResult(LAB.name, True, "abc123", f"{verb} {said}", ("consul2",), asked.seconds, None)

        return do


def disturbed(steps: list[Step], refuse: str = "") -> tuple[Faults, Nemesis]:
    seen = Faults()
    seen.refuse = {refuse} if refuse else set()
    nemesis = seen.nemesis()
    nemesis.run(steps)
    return seen, nemesis


def test_each_verb_gets_its_words_and_its_lease() -> None:
    steps = [
        Step(0.0, 0.01, "kill", ("consul1",)),
        Step(0.01, 0.02, "isolate", ("leader",)),
        Step(0.02, 0.02, "partition", ("consul1", "/", "consul2,consul3")),
        Step(0.03, 0.02, "one-way", ("consul1", "consul2")),
        Step(0.04, 0.02, "loss", ("40", "any")),
        Step(0.05, 0.02, "rate", ("16", "minority")),
        Step(0.06, 0.02, "delay", ("200", "leader")),
    ]
    seen, nemesis = disturbed(steps)
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
    assert len(nemesis.done) == len(steps)
    assert all(disturbance.end >= disturbance.begin + disturbance.step.seconds for disturbance in nemesis.done)


@pytest.mark.parametrize(("verb", "back"), [("kill", "start"), ("stop", "start"), ("pause", "unpause")])
def test_a_process_comes_back_when_its_time_is_over(verb: str, back: str) -> None:
    seen, _ = disturbed([Step(0.0, 0.01, verb, ("any",))])
    assert seen.signals == [(back, ["consul2"])]


def test_nothing_else_is_broken_while_a_server_is_down() -> None:
    _, nemesis = disturbed([Step(0.0, 0.2, "kill", ("any",)), Step(0.05, 0.01, "loss", ("40", "any"))])
    killed, lossy = nemesis.done
    assert lossy.begin >= killed.end


def test_no_step_begins_when_the_runs_time_is_over() -> None:
    seen = Faults()
    nemesis = seen.nemesis()
    slow = [Step(0.0, 0.2, "kill", ("any",)), *(Step(0.01 * number, 0.01, "loss", ("40", "any")) for number in (1, 2))]
    nemesis.run(slow, seconds=0.1)
    assert [verb for verb, *_ in seen.asked] == ["process"]
    late = "The run's 0.1 seconds were over: the Docker Engine was too slow."
    assert [disturbance.skipped for disturbance in nemesis.done] == ["", late, late]


def test_where_nobody_leads_anybody_will_do() -> None:
    seen, nemesis = disturbed([Step(0.0, 0.01, "loss", ("40", "leader"))], refuse="leader")
    assert seen.asked == [("loss", 40.0, "any", 0.01)]
    assert nemesis.done[0].skipped == ""


def test_what_cannot_be_done_is_left_out_with_its_reason() -> None:
    seen, nemesis = disturbed([Step(0.0, 5.0, "kill", ("consul1",))], refuse="consul1")
    assert (seen.asked, seen.signals) == ([], [])
    assert [disturbance.skipped for disturbance in nemesis.done] == ["not now."]


def test_a_schedule_that_is_stopped_lifts_what_it_broke() -> None:
    seen = Faults()
    nemesis = seen.nemesis()
    steps = [Step(0.0, 60.0, "pause", ("consul2",)), Step(60.0, 1.0, "kill", ("consul1",))]
    runner = threading.Thread(target=nemesis.run, args=(steps,))
    runner.start()
    while not seen.asked:
        time.sleep(0.01)
    nemesis.stop()
    runner.join(5)
    assert not runner.is_alive()
    assert seen.signals == [("unpause", ["consul2"])]
    assert [disturbance.step.verb for disturbance in nemesis.done] == ["pause"]


def test_a_lab_that_is_not_ready_or_broken_already_is_refused() -> None:
    silent: Any = SimpleNamespace(
        problem="consul2 is not running", ready=False, views=[SimpleNamespace(problem="silent")]
    )
    broken: Any = SimpleNamespace(words="isolate consul1")
    tools = flow.ChaosTools(ask=lambda _: silent, active=lambda *_: [broken])
    with pytest.raises(LabctlError, match="consul2 is not running") as raised:
        flow.refuse_unfit(None, LAB, tools)  # type: ignore[arg-type]
    assert raised.value.code == ExitCode.NOT_READY
    # An election that is under way is waited for.
    electing = SimpleNamespace(problem="nobody leads", ready=False, views=[SimpleNamespace(problem=None)])
    answers: list[Any] = [electing, electing, SimpleNamespace(problem=None, ready=True, views=[])]
    tools = replace(tools, ask=lambda _: answers.pop(0))
    with pytest.raises(LabctlError, match="isolate consul1"):
        flow.refuse_unfit(None, LAB, tools)  # type: ignore[arg-type]


def test_a_docker_host_with_another_clock_stamps_its_logs_by_that_one() -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for measured, ahead in ((Difference(90.0, 0.1), 90), (Difference(0.05, 0.1), 0), (None, 0)):
        tools = flow.ChaosTools(difference=partial(lambda difference, _: difference, measured))
        assert flow.host_time(LAB, began, tools) == began + timedelta(seconds=ahead)


def test_reigns_are_those_within_the_run() -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)

    def leadership(since: float, until: float | None) -> Any:
        ended = None if until is None else began + timedelta(seconds=until)
        return SimpleNamespace(server="consul1", term=2, since=began + timedelta(seconds=since), until=ended)

    leaderships = [leadership(-20, -10), leadership(-5, 3), leadership(4, None), leadership(40, None)]
    assert [(span.begin, span.end) for span in flow.spans_within(leaderships, began, 30.0)] == [(0.0, 3.0), (4.0, 30.0)]


def test_a_plan_changes_nothing_and_draws_a_seed() -> None:
    labs_now = [LAB]
    nothing: Any = None
    tools = flow.ChaosTools(connect=lambda: nothing, choose_lab=lambda *_: labs_now[0])
    asked = flow.ChaosRequest(None, LAB.owner, 30.0, None, ("kill",), 60.0)
    first, second = flow.plan(asked, tools=tools), flow.plan(asked, tools=tools)
    assert first.seed != second.seed
    again = flow.plan(replace(asked, seed=first.seed), tools=tools)
    assert again.steps == first.steps
    # What a majority is does not change with a container that is gone, and neither does the plan.
    long = replace(asked, seed=7, mix=("isolate", "partition", "one-way"), seconds=120.0)
    whole = flow.plan(long, tools=tools)
    labs_now[0] = replace(LAB, servers=LAB.servers[:2])
    assert flow.plan(long, tools=tools).steps == whole.steps
    with pytest.raises(LabctlError) as raised:
        flow.plan(replace(asked, owner="somebody"), tools=tools)
    assert raised.value.code == ExitCode.REFUSED


class Ending:
    """A lab that is broken for a moment, and what goes wrong when it is over: an exception for each thing done then."""

    def __init__(self, consul: Consul, folder: Path) -> None:
        self.consul = consul
        self.wrong: dict[str, list[BaseException]] = {}
        self.done: list[str] = []
        self.hurries: list[float] = []
        self.asked = flow.ChaosRequest(None, LAB.owner, 30.0, 1, ("kill",), 0.5, folder / "report", folder / "history")
        ready: Any = SimpleNamespace(ready=True, problem=None)
        consul.pausing(held=0.05)
        self.tools = replace(
            consul.tools,
            connect=self.connected,
            choose_lab=lambda *_: LAB,
            exclusive_lab_lock=lambda *_: contextlib.nullcontext(lambda: None),
            active=lambda *_: [],
            ask=lambda _: ready,
            time=Clock(sleep=lambda seconds: time.sleep(min(seconds, 0.01))),
            look=0.01,
            afterwards=0.01,
            nemesis=self.nemesis,
            heal_lab=self.doing("heal", lambda: None),
            find_lab=self.doing("look up", lambda: LAB),
            difference=self.doing("ask the time", lambda: None),
            read_logs=self.doing("read the logs", list),
        )

    def connected(self) -> Any:
        """An engine that is asked nothing."""
        return self

    def hurried(self, seconds: float) -> Any:
        """The same, for somebody who has so many seconds."""
        self.hurries.append(seconds)
        return self

    def nemesis(self, *_: object) -> Any:
        """Breaks nothing, for a while."""
        breaking = self.doing("break", lambda: None)

        def run(*_: object) -> None:
            time.sleep(0.2)
            breaking()

        return SimpleNamespace(run=run, stop=self.doing("stop", lambda: None), done=[])

    def pausing(self, **pauses: float) -> None:
        """Let clients pause in another way."""
        self.tools = replace(self.tools, pauses=replace(self.tools.pauses, **pauses))

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
        report = flow.run(self.asked, Steps(), self.tools)
        assert self.consul.values == {}
        assert not [
            thread for thread in threading.enumerate() if thread.name.startswith(("adder", "changer", "reader"))
        ]
        assert self.asked.history is not None
        lines = self.asked.history.read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(report.run.operations) > 50
        return report


BUSY = LabctlError("The Docker Engine did not answer within 20 seconds.")


@pytest.fixture
def ending(consul: Consul, tmp_path: Path) -> Ending:
    return Ending(consul, tmp_path)


def test_a_run_leaves_a_verdict_a_history_and_no_key(ending: Ending) -> None:
    report = ending.run()
    assert (report.verdict, report.run.problems, report.run.interrupted) == ("valid", (), False)
    assert ending.done == ["break", "stop", "heal", "look up", "ask the time", "read the logs"]
    assert report.run.ready_after is not None
    # All that an engine is asked until the lab is ready has what is left of --timeout, and little more.
    (seconds,) = ending.hurries
    assert 5.0 < seconds <= 5.5


def test_a_runs_time_ends_with_its_clients_and_not_with_its_history(ending: Ending) -> None:
    save = output_files.save

    def slow(*words: Any) -> None:
        time.sleep(1)
        save(*words)

    ending.tools = replace(ending.tools, save=slow)
    report = ending.run()
    assert 0 <= report.run.seconds - max(operation.end for operation in report.run.operations) < 0.8


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


def test_an_engine_that_is_busy_for_a_moment_at_the_end_answers_later(ending: Ending) -> None:
    tries = {"heal": 1, "look up": 3}

    def busy(what: str) -> Callable[..., Any]:
        def do(*_: Any) -> Any:
            tries[what] -= 1
            if tries[what] >= 0:
                raise BUSY
            return LAB

        return do

    ending.tools = replace(ending.tools, heal_lab=busy("heal"), find_lab=busy("look up"))
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


def test_a_second_ctrl_c_heals_and_waits_no_longer(ending: Ending) -> None:
    tries: list[str] = []

    def interrupted(*_: Any) -> None:
        tries.append("heal")
        if len(tries) == 1:
            signal.raise_signal(signal.SIGINT)

    ending.tools = replace(ending.tools, heal_lab=interrupted)
    ending.wrong = {"break": [KeyboardInterrupt()]}
    report = ending.run()
    assert (report.verdict, report.run.problems, report.run.interrupted) == ("unknown", (), True)
    assert tries == ["heal", "heal"]
    assert "look up" not in ending.done


def test_a_lab_that_is_not_ready_in_time_is_no_trouble_of_the_engine(ending: Ending) -> None:
    tries = iter([BUSY])

    def find_lab(*_: Any) -> Any:
        if problem := next(tries, None):
            raise problem
        return LAB

    # It was ready before anything was broken, and is not again.
    answers: Any = itertools.chain([True], itertools.repeat(False))
    ask: Any = lambda _: SimpleNamespace(ready=next(answers), problem=None, views=[])  # noqa: E731
    ending.tools = replace(ending.tools, find_lab=find_lab, ask=ask)
    report = ending.run()
    assert (report.verdict, report.run.problems, report.run.ready_after) == ("unknown", (), None)


def test_signals_while_what_was_found_is_kept_are_not_heard(ending: Ending) -> None:
    judge, keep = report_of, output_files.save

    def pressed(act: Callable[..., Any]) -> Callable[..., Any]:
        def do(*words: Any) -> Any:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(number)
            return act(*words)

        return do

    ending.tools = replace(ending.tools, judge=pressed(judge), save=pressed(keep))
    before = signal.getsignal(signal.SIGINT)
    assert ending.run().verdict == "valid"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_history_that_cannot_be_written_does_not_lose_the_report(ending: Ending, tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.mkdir()
    ending.asked = replace(ending.asked, history=path / "history")

    def fail(_: str, path: Path) -> None:
        raise LabctlError(f"{path} could not be written: No space left on device.")

    report = flow.run(ending.asked, Steps(), replace(ending.tools, save=fail))
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
    assert {check.verdict for check in report.checks} == {"unknown"}
    sentence = "adder2 ended by itself after 8 requests, so it could not see what came later (ZeroDivisionError: odd)"
    assert report.checks[0].sentence == sentence
    last = [operation for operation in report.run.operations if operation.client == "adder2"][-1]
    assert (last.value, last.outcome) == ("adder2:7", "unanswered")


def test_what_a_run_found_is_found_although_a_client_died(ending: Ending, consul: Consul) -> None:
    put = consul.put

    def odd(key: str, value: str, *, cas: int | None = None) -> bool:
        if value == "adder2:7":
            raise ZeroDivisionError("odd")
        return True if value == "adder1:3" else put(key, value, cas=cas)

    consul.put = odd  # type: ignore[method-assign]
    report = ending.run()
    assert [check.verdict for check in report.checks] == ["invalid", "unknown", "unknown"]


def late(consul: Consul, seconds: float) -> list[threading.Timer]:
    """Let a server hold one write, which gets no answer, and do it so many seconds after the keys were removed."""
    put, delete = consul.put, consul.delete
    held: list[threading.Timer] = []

    def holding(key: str, value: str, *, cas: int | None = None) -> bool:
        if value == "adder2:7":
            held.append(threading.Timer(seconds, put, (key, value)))
            raise Indeterminate("held")
        return put(key, value, cas=cas)

    def removed(prefix: str) -> None:
        delete(prefix)
        if prefix != PREFIX and held and not held[0].is_alive() and not held[0].finished.is_set():
            held[0].start()

    consul.put = holding  # type: ignore[method-assign]
    consul.delete = removed  # type: ignore[method-assign]
    return held


def test_a_write_that_is_done_after_the_keys_were_removed_is_removed_too(ending: Ending, consul: Consul) -> None:
    ending.pausing(held=2.0)
    held = late(consul, 0.1)
    assert ending.run().verdict == "valid"
    held[0].join()
    assert consul.values == {}


def test_keys_that_no_server_removes_are_named(ending: Ending, consul: Consul) -> None:
    ending.pausing(remove=0.1)
    delete = consul.delete

    def refuse(prefix: str) -> None:
        if prefix != PREFIX:
            raise Indeterminate("nobody")
        delete(prefix)

    consul.delete = refuse  # type: ignore[method-assign]
    report = flow.run(ending.asked, Steps(), ending.tools)
    assert report.verdict == "valid"
    (problem,) = report.run.problems
    assert problem.startswith(f"Keys below {PREFIX}")
    assert problem.endswith("no server removed them.")


def test_a_lab_that_takes_no_write_has_found_nothing(ending: Ending, consul: Consul) -> None:
    ending.pausing(create=0.02)
    consul.trouble = lambda _: Indeterminate
    with pytest.raises(LabctlError, match="took no write"):
        flow.run(ending.asked, Steps(), ending.tools)
    assert set(ending.done) <= {"look up"}, "clients look where their servers are, and nothing was broken"
    assert consul.values == {}
