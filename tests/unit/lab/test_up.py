"""`labctl up`: the playbooks' results in its report."""

from __future__ import annotations

from labctl.lab.desired_state import UpOptions
from labctl.lab.up import START, WAIT, Up
from labctl.progress import Progress, StepDone, Steps
from labctl.runner.playbook_run import TaskEvent
from tests.unit.engine_stand_in import FakeEngine


def test_a_module_that_failed_over_ssh_is_no_fault_of_labctl() -> None:
    work = Up(UpOptions("ada", "ada"), Steps(), FakeEngine())  # type: ignore[arg-type]
    failed = {
        "failed": True,
        "msg": "no engine",
        "ansible_facts": {"discovered_interpreter_python": "python3"},
    }
    work._tell(TaskEvent("ada", "consul_lab", START, failed, changed=False, text=""), 0.0)
    assert work.report.members == []


def test_what_came_of_waiting_is_told_of_those_that_wait() -> None:
    members = [{"name": f"consul{number}"} for number in (1, 2, 3)]
    for names, says in (
        (["consul1", "consul2", "consul3"], "The servers wait for each other: nobody has joined them yet"),
        (["consul2"], "consul2 waits for the others: nobody has joined them yet"),
        ([], "No server waits to be joined"),
    ):
        told: list[Progress] = []
        work = Up(UpOptions("ada", "ada"), Steps(told.append), FakeEngine())  # type: ignore[arg-type]
        work.report.members = members
        work._tell(TaskEvent("ada", "consul_cluster", WAIT, {"waiting": names}, changed=False, text=""), 0.0)
        (done,) = told
        assert isinstance(done, StepDone)
        assert done.text == says
