"""A playbook's tasks and what they returned, as one JSON document on stdout."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: tasks_json
type: stdout
short_description: What each task returned, as JSON
description: Prints one document when the playbook has ended.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc] # Ansible's class is untyped
    """Ansible calls this at each step."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "tasks_json"

    def __init__(self) -> None:
        super().__init__()
        self._tasks: list[dict[str, Any]] = []

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002
        """A task begins; its name is without the role's."""
        self._tasks.append({"name": task.name, "hosts": {}})

    def _note(self, result: Any, **more: Any) -> None:
        self._tasks[-1]["hosts"][result.host.get_name()] = {**result.result, **more}

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well."""
        self._note(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ARG002
        """A task failed."""
        self._note(result, failed=True)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A task was left out."""
        self._note(result, skipped=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host did not answer."""
        self._note(result, unreachable=True)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The end: print all of it."""
        said = {host: stats.summarize(host) for host in stats.processed}
        self._display.display(json.dumps({"tasks": self._tasks, "stats": said}, default=str))
