"""A playbook's run: its input, its output, its end. One run is real, the others replay events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labctl import state
from labctl.errors import ExitCode, LabctlError
from labctl.runner import playbook_run as run_file
from labctl.runner import processes
from labctl.runner.content import content_root, offer_collection, own_settings
from labctl.runner.inventory import Inventory, labs_in, of_this_machine
from labctl.runner.playbook_run import PlaybookRun, TaskEvent, failure_from

if TYPE_CHECKING:
    from collections.abc import Callable

STATS = {"event": "playbook_on_stats", "event_data": {"processed": {"ada": 1}}}


class FakeRunner:
    """Stands in for ansible_runner.run: replays events and ends with a code."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = [STATS]
        self.rc = 0
        self.error: Exception | None = None
        self.options: dict[str, Any] = {}
        self.inside: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None

    def __call__(self, **options: Any) -> FakeRunner:
        self.options = options
        self.inside()
        for event in self.events:
            assert options["event_handler"](event) is False
        self.after()
        if self.error:
            raise self.error
        return self


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    fake = FakeRunner()
    monkeypatch.setattr("ansible_runner.run", fake)
    return fake


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {"event": kind, "pid": 1, "stdout": data.pop("stdout", ""), "event_data": data}


def finished(runner: FakeRunner, *events: dict[str, Any], rc: int = 0, **options: Any) -> PlaybookRun:
    runner.events, runner.rc = [*events, STATS], rc
    run = PlaybookRun("up.yml", of_this_machine("ada", {}), **options)
    run.finish()
    return run


def told(run: PlaybookRun) -> list[TaskEvent]:
    """The events of a run that has ended."""
    return [item for item in run.progress() if item is not None]


def records() -> list[Path]:
    return list((state.state_folder() / "runs").glob("*.log"))


def test_what_ansible_is_given(runner: FakeRunner) -> None:
    finished(runner, tags=("start", "join"), check=True)
    options = runner.options
    assert options["playbook"].endswith("/playbooks/up.yml")
    assert options["limit"] == "ada"
    assert options["tags"] == "start,join"
    assert options["cmdline"] == "--check --diff"
    assert options["inventory"]["labs"]["hosts"]["ada"]["consul_lab_name"] == "ada"
    assert options["forks"] is None
    finished(runner, forks=30)
    assert runner.options["forks"] == 30
    assert runner.options["tags"] is None
    assert runner.options["cmdline"] is None


def test_a_users_inventory_stays_a_source_and_ours_lies_over_it(runner: FakeRunner, tmp_path: Path) -> None:
    seen: list[Any] = []

    def look() -> None:
        first, second = runner.options["inventory"]
        seen.extend([first, json.loads(Path(second).read_text(encoding="utf-8"))])

    runner.inside = look
    inventory = Inventory("ada", (tmp_path / "hosts.yml",), {"labs": {"hosts": {"ada": {"x": 1}}}}, "ada")
    PlaybookRun("up.yml", inventory).finish()
    assert seen == [str(tmp_path / "hosts.yml"), {"labs": {"hosts": {"ada": {"x": 1}}}}]


@pytest.mark.parametrize(
    ("locale", "given"),
    [({"LC_ALL": "C"}, "C.UTF-8"), ({"LANG": "de_DE.utf8"}, None), ({"LC_ALL": "en_US.UTF-8"}, None), ({}, "C.UTF-8")],
)
def test_ansible_gets_a_locale_that_it_starts_in(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch, locale: dict[str, str], given: str | None
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in locale.items():
        monkeypatch.setenv(name, value)
    finished(runner)
    assert runner.options["envvars"].get("LC_ALL") == given


def test_progress_tells_tasks_as_they_begin_and_end(runner: FakeRunner) -> None:
    runner.events = [
        event("playbook_on_play_start", name="x"),
        event("runner_on_start", role="consul_lab", task="Make it", task_action="raft.labctl.consul_lab"),
        event(
            "runner_on_ok", role="consul_lab", task_action="consul_lab", res={"changed": True}, stdout="changed: [ada]"
        ),
        STATS,
    ]
    run = PlaybookRun("up.yml", of_this_machine("ada", {}))
    told = [item for item in run.progress() if item is not None]
    run.finish()
    assert [(task_event.module, task_event.result, task_event.changed, task_event.text) for task_event in told] == [
        ("consul_lab", None, False, ""),
        ("consul_lab", {"changed": True}, True, "changed: [ada]"),
    ]


def test_progress_says_none_while_nothing_happens(runner: FakeRunner) -> None:
    go = threading.Event()

    def wait() -> None:
        go.wait(10)

    runner.inside = wait
    run = PlaybookRun("up.yml", of_this_machine("ada", {}))
    assert next(run.progress(wait=0.01)) is None
    go.set()
    run.finish()


def test_the_sentence_of_the_task_that_failed_is_the_runs_sentence(runner: FakeRunner) -> None:
    failed = event("runner_on_failed", task="x", res={"msg": "It is taken.", "failure": "refused"})
    with pytest.raises(LabctlError, match=r"^It is taken\.$") as caught:
        finished(runner, failed, rc=2)
    assert caught.value.code is ExitCode.REFUSED


def test_a_failure_that_is_ignored_is_none(runner: FakeRunner) -> None:
    (item,) = told(finished(runner, event("runner_on_failed", res={"msg": "no"}, ignore_errors=True)))
    assert item.failed is None


def test_a_failure_that_was_rescued_is_told_and_does_not_fail_the_run(runner: FakeRunner) -> None:
    (item,) = told(finished(runner, event("runner_on_failed", res={"msg": "the engine does not answer"}), rc=0))
    assert item.failed == "the engine does not answer"


def test_a_run_that_worked_on_nothing_has_failed(runner: FakeRunner) -> None:
    runner.events = [{"event": "playbook_on_stats", "event_data": {"processed": {}}}]
    with pytest.raises(LabctlError, match=r"found no lab to work on: what Ansible printed is in .*ada-up\.log"):
        PlaybookRun("up.yml", of_this_machine("ada", {})).finish()


def test_an_end_without_a_failed_task_tells_ansibles_own_error(runner: FakeRunner) -> None:
    with pytest.raises(LabctlError, match="ended with code 4: ERROR! the playbook could not be found"):
        finished(runner, {"event": "verbose", "stdout": "ERROR! the playbook could not be found"}, rc=4)


def test_a_runner_that_raises_is_a_sentence(runner: FakeRunner) -> None:
    runner.error = RuntimeError("no pexpect")
    with pytest.raises(LabctlError, match="ansible-runner could not run the playbook: no pexpect"):
        finished(runner)


def test_what_breaks_in_runner_after_ansible_has_ended_well_is_no_failure(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    kept, raised = threading.Event(), FileNotFoundError("artifacts/rc")
    runner.events, runner.error, runner.after = [{**STATS, "pid": ended.pid}], raised, kept.wait
    run = PlaybookRun("up.yml", of_this_machine("ada", {}))

    def keep(*_: str) -> None:
        kept.set()
        run.thread.join()

    monkeypatch.setattr(state, "keep_record", keep)
    run.finish()


def test_an_event_of_an_unknown_shape_does_not_end_the_run(runner: FakeRunner) -> None:
    known = event("runner_on_ok", task_action="x", res={})
    assert [
        item.module
        for item in told(finished(runner, {}, {"event": "runner_on_ok", "event_data": {"res": "text"}}, known))
    ] == ["x"]


def test_what_ansible_printed_is_kept_and_the_runs_folder_is_not(runner: FakeRunner) -> None:
    finished(runner, {"event": "verbose", "stdout": "PLAY [one]"}, record="up-start")
    (record,) = records()
    assert record.name.endswith("-ada-up-start.log")
    assert record.read_text(encoding="utf-8") == "PLAY [one]\n"
    assert list(record.parent.glob("run-*")) == []


def test_a_run_that_is_interrupted_before_it_began_is_cancelled(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "descendants", lambda _pid: [])

    def wait() -> None:
        while not runner.options["cancel_callback"]():
            time.sleep(0.005)

    runner.inside = wait
    run = PlaybookRun("up.yml", of_this_machine("ada", {}))
    begun = time.monotonic()
    run.interrupt()
    assert time.monotonic() - begun < 2
    assert list((state.state_folder() / "runs").iterdir()) == []


class Stuck:
    """Makes a run begin tasks that do not end, until somebody interrupts it."""

    def __init__(self, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch, *events: dict[str, Any]) -> None:
        self.over = threading.Event()
        self.ended: list[int] = []
        runner.events, runner.after = list(events), self.wait
        monkeypatch.setattr(processes, "end", self.end)
        monkeypatch.setattr(run_file, "GRACE_SECONDS", 0.0)

    def wait(self) -> None:
        assert self.over.wait(10)

    def end(self, pid: int, _seconds: float, _word: str) -> None:
        self.ended.append(pid)
        self.over.set()


MAKE = {"role": "consul_lab", "task": "Make it", "task_action": "raft.labctl.consul_lab"}
JOIN = {"role": "consul_cluster", "task": "Join it", "task_action": "raft.labctl.consul_cluster"}


def test_a_run_that_does_not_end_in_time_is_ended_and_the_step_is_named(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck(
        runner,
        monkeypatch,
        event("runner_on_start", host="ada", **MAKE),
        event("runner_on_ok", host="ada", res={}, **MAKE),
        event("runner_on_start", host="ada", **JOIN),
    )
    run = PlaybookRun("up.yml", of_this_machine("ada", {}), seconds=0.3, late=ExitCode.NOT_READY)
    begun = time.monotonic()
    told = [item.module for item in run.progress() if item is not None]
    with pytest.raises(
        LabctlError, match="Cannot finish within 0 seconds: the step `Join it` of ada did not"
    ) as caught:
        run.finish()
    assert time.monotonic() - begun < 3
    assert caught.value.code is ExitCode.NOT_READY
    assert told == ["consul_lab", "consul_lab", "consul_cluster"]
    assert stuck.ended == [1]
    assert len(records()) == 1
    assert list((state.state_folder() / "runs").glob("run-*")) == []


def test_a_runs_time_may_have_begun_before_it(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    Stuck(runner, monkeypatch, event("runner_on_start", host="ada", **JOIN))
    begun = time.monotonic()
    run = PlaybookRun("up.yml", of_this_machine("ada", {}), seconds=30, since=begun - 29)
    with pytest.raises(LabctlError, match="Cannot finish within 30 seconds"):
        run.finish()
    assert time.monotonic() - begun < 10


def test_a_run_whose_time_is_over_before_it_begins_starts_nothing(runner: FakeRunner) -> None:
    since = time.monotonic() - 30
    with pytest.raises(LabctlError, match="they were over before Ansible was started, so nothing") as caught:
        PlaybookRun("up.yml", of_this_machine("ada", {}), seconds=30, since=since, late=ExitCode.NOT_READY)
    assert caught.value.code is ExitCode.NOT_READY
    assert runner.options == {}


def test_a_run_that_nobody_watches_is_ended_in_time_too(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck(runner, monkeypatch, event("runner_on_start", host="ada", **JOIN))
    run = PlaybookRun("up.yml", of_this_machine("ada", {}), seconds=0.1)
    with pytest.raises(LabctlError, match="the step `Join it` of ada did not end") as caught:
        run.finish()
    assert (caught.value.code, stuck.ended) == (ExitCode.FAILED, [1])


def test_the_hosts_on_which_a_task_did_not_end_are_those_that_failed(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stuck(
        runner,
        monkeypatch,
        event("runner_on_start", host="w-01", **JOIN),
        event("runner_on_start", host="w-02", **JOIN),
        event("runner_on_start", host="w-03", **JOIN),
        event("runner_on_failed", host="w-01", res={"msg": "It is full."}, **JOIN),
        event("runner_on_ok", host="w-02", res={}, **JOIN),
    )
    run = PlaybookRun("up.yml", of_this_machine("ada", {}), seconds=0.1)
    failures = run.finish_each()
    assert {host: error.sentence[:30] for host, error in failures.items()} == {
        "w-01": "It is full.",
        "w-03": "Cannot finish within 0 seconds",
    }


def test_what_an_interrupted_task_says_of_itself_is_not_told(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck(runner, monkeypatch, event("runner_on_start", host="ada", **JOIN))

    def wait() -> None:
        stuck.wait()
        runner.options["event_handler"](event("runner_on_failed", host="ada", res={"msg": "Broken pipe"}, **JOIN))

    runner.after = wait
    with pytest.raises(LabctlError, match="Cannot finish within"):
        PlaybookRun("up.yml", of_this_machine("ada", {}), seconds=0.1).finish()


def test_between_two_tasks_the_last_one_is_named(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = event("runner_on_ok", host="ada", res={}, **MAKE)
    Stuck(runner, monkeypatch, event("runner_on_start", host="ada", **MAKE), ended)
    with pytest.raises(LabctlError, match="Cannot finish within 0 seconds: the step `Make it` did not end"):
        PlaybookRun("up.yml", of_this_machine("ada", {}), seconds=0.1).finish()


def test_a_run_is_given_more_time_from_a_step_on(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck(runner, monkeypatch, event("runner_on_start", host="ada", **JOIN))
    threading.Timer(0.6, stuck.over.set).start()
    run = PlaybookRun("up.yml", of_this_machine("ada", {}), seconds=0.2)
    for item in run.progress():
        if item is not None:
            run.give(20)
    runner.options["event_handler"](STATS)
    run.finish()
    assert stuck.ended == []


def test_a_run_that_has_ended_is_not_interrupted(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(processes, "end", lambda pid, _seconds: ended.append(pid))
    run = finished(runner, event("runner_on_ok", host="ada", res={}, **MAKE))
    run.interrupt()
    assert ended == []


def test_ansible_ends_with_all_that_it_started_when_labctl_is_killed(tmp_path: Path) -> None:
    note, play = tmp_path / "pid", tmp_path / "play.yml"
    task = {"ansible.builtin.shell": f"echo $$ >{note}.new && mv {note}.new {note}; sleep 1000; true"}
    play.write_text(json.dumps([{"hosts": "labs", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    run = f"PlaybookRun({str(play)!r}, of_this_machine('ada', {{}})).finish()"
    imports = "from labctl.runner.inventory import of_this_machine; from labctl.runner.playbook_run import PlaybookRun"
    with subprocess.Popen([sys.executable, "-c", f"{imports}; {run}"], start_new_session=True) as labctl:
        try:
            _wait(note.exists, 30)
        finally:
            family = processes.descendants(labctl.pid)
            labctl.kill()
    assert int(note.read_text(encoding="utf-8")) in family
    try:
        _wait(lambda: not any(processes.alive(process) for process in family), 10)
    finally:
        for process in filter(processes.alive, family):
            os.kill(process, signal.SIGKILL)


def _wait(is_so: Callable[[], bool], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, f"not so after {seconds:.0f} s"
        time.sleep(0.02)


@pytest.mark.parametrize("seconds", [0.0, 0.15, 0.4])
def test_an_interrupt_in_the_first_moments_ends_ansible_and_no_other_child_of_labctl(seconds: float) -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as other:
        run = PlaybookRun("up.yml", of_this_machine("ada", {}))
        time.sleep(seconds)
        run.interrupt()
        alive, left = processes.alive(other.pid), processes.descendants(os.getpid())
        other.kill()
    assert alive
    assert [pid for pid in left if processes.names(pid, "ansible-playbook") and processes.alive(pid)] == []


@pytest.mark.parametrize(
    ("result", "code", "says"),
    [
        ({"msg": "a", "failure": "usage"}, ExitCode.USAGE, "a"),
        ({"msg": "a", "failure": "not_ready"}, ExitCode.NOT_READY, "a"),
        ({"msg": "a", "failure": "odd"}, ExitCode.FAILED, "a"),
        ({"msg": " a \n"}, ExitCode.FAILED, "a"),
        ({}, ExitCode.FAILED, "a task failed and gave no reason"),
        (
            {"argument_errors": ["servers must be 3", "y"]},
            ExitCode.USAGE,
            "A setting is wrong: servers must be 3; y.",
        ),
    ],
)
def test_a_failed_tasks_result_becomes_a_sentence_and_a_code(result: dict[str, Any], code: ExitCode, says: str) -> None:
    error = failure_from(result)
    assert (error.code, error.sentence) == (code, says)


def test_what_another_module_said_is_one_sentence() -> None:
    error = failure_from({"msg": "apt failed:\n\n  E: no lock\r\n  E: try later\n"})
    assert error.sentence == "apt failed: E: no lock E: try later"
    assert "no reason" in failure_from({"msg": " \n"}, unreachable=True).sentence


def test_a_host_out_of_reach_is_told() -> None:
    assert (
        failure_from({"msg": "timed out"}, unreachable=True).sentence
        == "The Docker host could not be reached: timed out"
    )


def test_of_a_host_out_of_reach_the_last_line_of_ssh_is_told() -> None:
    said = "Task failed: Failed to connect to the host via ssh: read from master failed\r\nssh: connect: timed out"
    error = failure_from({"msg": said}, unreachable=True)
    assert error.sentence == "The Docker host could not be reached: ssh: connect: timed out"
    error = failure_from({"msg": "Task failed: Data could not be sent:"}, unreachable=True)
    assert error.sentence == "The Docker host could not be reached: Data could not be sent"


def test_a_real_playbook_runs_for_its_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
    play = [
        {
            "hosts": "labs",
            "gather_facts": False,
            "tasks": [
                {"name": "Say", "ansible.builtin.debug": {"msg": "{{ consul_lab_name }}"}},
                {"name": "Fail", "ansible.builtin.fail": {"msg": "It went wrong."}},
            ],
        }
    ]
    (tmp_path / "playbooks" / "x.yml").write_text(json.dumps(play), encoding="utf-8")
    monkeypatch.setattr(run_file, "content_root", lambda: tmp_path)
    run = PlaybookRun("x.yml", of_this_machine("ada", {}))
    told = [item for item in run.progress(wait=5) if item is not None and item.result is not None]
    with pytest.raises(LabctlError, match=r"^It went wrong\.$"):
        run.finish()
    assert told[0].result is not None
    assert told[0].result["msg"] == "ada"
    assert len(records()) == 1


def test_what_others_wrote_is_handed_on_as_data(runner: FakeRunner, tmp_path: Path) -> None:
    seen: list[Any] = []
    runner.inside = lambda: seen.append(json.loads(Path(runner.options["inventory"][1]).read_text(encoding="utf-8")))
    made = of_this_machine("ada", {"consul_lab_owner": "{{ x }}"})
    PlaybookRun("up.yml", Inventory("ada", (tmp_path / "hosts.yml",), made.own, "ada")).finish()
    runner.inside = lambda: None
    PlaybookRun("up.yml", made).finish()
    for given in (seen[0], runner.options["inventory"]):
        assert given["labs"]["hosts"]["ada"]["consul_lab_owner"] == {"__ansible_unsafe": "{{ x }}"}


def test_for_whom_a_task_waits_is_told_apart_from_what_ansible_prints(runner: FakeRunner) -> None:
    words = "Waiting for ada's `labctl up ada` (process 1 on pc, for 2 s)"
    events = [event("verbose", stdout=f"{words}\n"), event("verbose", stdout="text"), event("warning", stdout=words)]
    runner.events = [*events, STATS]
    run = PlaybookRun("up.yml", of_this_machine("ada", {}))
    assert [item.waits for item in run.progress() if item is not None] == [words, "", ""]
    run.finish()


def test_neither_a_folder_nor_a_variable_decides_which_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ansible.cfg").write_text("[defaults]\nroles_path = evil\nstrategy = free\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANSIBLE_ROLES_PATH", "/evil")
    settings = own_settings()
    root = content_root()
    assert settings["ANSIBLE_CONFIG"] == str(root / "ansible.cfg")
    assert {"ANSIBLE_CALLBACKS_ENABLED", "ANSIBLE_STRATEGY"} <= set(settings)
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", "/evil")
    first, *others = offer_collection(tmp_path / "collections", tmp_path / "needed")["ANSIBLE_COLLECTIONS_PATH"].split(
        os.pathsep
    )
    assert Path(first, "ansible_collections", "raft", "labctl").resolve() == root.resolve()
    assert others == [str(tmp_path / "needed"), "/evil"]


def test_an_inventory_is_read_with_our_settings_and_not_those_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugins").mkdir()
    evil = f"open({str(tmp_path / 'pwned')!r}, 'w')\n"
    (tmp_path / "plugins" / "evil.py").write_text(evil, encoding="utf-8")
    config = "[defaults]\nvars_plugins = plugins\nvars_plugins_enabled = evil,host_group_vars\n"
    (tmp_path / "ansible.cfg").write_text(config, encoding="utf-8")
    tmp_path.chmod(0o755)
    (tmp_path / "hosts.yml").write_text("labs: {hosts: {ada: {ansible_connection: local}}}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert set(labs_in(tmp_path / "hosts.yml")) == {"ada"}
    assert not (tmp_path / "pwned").exists()
