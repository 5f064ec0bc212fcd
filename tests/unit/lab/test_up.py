"""`labctl up`: what the playbooks' results tell."""

from __future__ import annotations

from labctl.lab.desired_state import UpOptions
from labctl.lab.up import START, Up
from labctl.progress import Steps
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
    assert work.told.members == []
