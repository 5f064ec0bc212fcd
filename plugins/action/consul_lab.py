"""Run a module of a lab in Ansible's own worker process where the Docker host is this machine.

Starting a new Python and unpacking a module into it takes most of half a second of a core, several times per
lab. A worker has everything loaded, so on a local connection it calls the module's `answer` itself. Anywhere
else, and wherever a task asks for another user or environment, the module is sent and run as always.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader

from ..module_utils.shared import derived_secrets, parent_process

if TYPE_CHECKING:
    from types import ModuleType


def load(name: str) -> ModuleType:
    """Load a module of this collection as plain Python."""
    return importlib.import_module(f"...modules.{name}", __name__)


def with_seed(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the seed in place of the controller's file that holds it. Raises ValueError, one sentence.

    Since it is read here, the seed is in no task, and so in no event, record or fact: only in the module's arguments.
    """
    rest = {name: value for name, value in arguments.items() if name != "seed_file"}
    if not arguments.get("seed_file"):
        return rest
    # A user without a home has no `~`: then it is a file's name, and not there.
    path = os.path.expanduser(str(arguments["seed_file"]))  # noqa: PTH111 - pathlib raises
    return {**rest, "seed": derived_secrets.read_seed(path).hex()}


def with_lock(arguments: dict[str, Any], module: ModuleType) -> dict[str, Any]:
    """The arguments with the mark of the lock that labctl holds on the lab, for a module that asks for it."""
    mark = os.environ.get(parent_process.LOCK)
    return {**arguments, "lock_mark": mark} if mark and "lock_mark" in module.argument_spec() else arguments


class ActionModule(ActionBase):  # type: ignore[misc]
    """The same result as the module gives, whichever way it is run."""

    @staticmethod
    def prepare(name: str) -> None:
        """Load a module, and our filters, in the process that reads this file.

        Ansible's strategy reads it before it starts a worker for each lab, so all workers share what it has loaded.
        """
        load(name)
        filter_loader.get("raft.labctl.consul_agent_settings")
        filter_loader.get("raft.labctl.compose_text")

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task's module. Returns its result."""
        super().run(tmp, task_vars)
        module = load(self._task.action.rpartition(".")[2])
        try:
            arguments = with_lock(with_seed(self._task.args), module)
        except ValueError as error:
            return {"failed": True, "msg": str(error), "failure": "usage"}
        if not self._is_here():
            result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
            return result
        checked = ArgumentSpecValidator(module.argument_spec()).validate(arguments)
        if checked.error_messages:
            return {"failed": True, "msg": "; ".join(checked.error_messages), "failure": "usage"}
        try:
            answer: dict[str, Any] = module.answer(
                checked.validated_parameters, check_mode=self._task.check_mode, **self.more_for(module)
            )
        except module.DockerError as error:
            return {"failed": True, "msg": error.sentence, "failure": error.failure}
        return answer

    def more_for(self, module: ModuleType) -> dict[str, Any]:
        """Arguments of a module in this process besides its own: a way to report who it waits for."""
        return (
            {"say": self._display.display}
            if module.__name__.rpartition(".")[2] in {"consul_lab", "consul_cluster"}
            else {}
        )

    def _is_here(self) -> bool:
        """Whether this process is what the task asks for: this machine, this user, this environment."""
        return (
            self._connection.transport == "local"
            and self._connection.become is None
            and not self._task.async_val
            and not any(self._task.environment or [])
        )


ActionModule.prepare("consul_lab")
