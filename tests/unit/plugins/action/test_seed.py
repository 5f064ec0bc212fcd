"""The action plugin reads a seed on the controller, and keeps it out of the task."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from ansible.plugins import loader
from ansible.plugins.action import ActionBase

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[4]
SEED = bytes(range(32)).hex()


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """plugins/action/consul_lab.py, which Ansible loads as a part of the collection."""
    # That collection is known to a running Ansible only.
    monkeypatch.setattr(loader.filter_loader, "get", lambda _: None)
    from plugins.action import consul_lab  # noqa: PLC0415 - it loads what it runs

    return consul_lab


class Unprepared(ActionBase):  # type: ignore[misc]
    """What Ansible does before an action, which needs all of a running Ansible."""

    def run(self, *_: object) -> dict[str, Any]:
        return {}


def action(plugin: ModuleType, *, transport: str = "local", **arguments: Any) -> Any:
    class Action(plugin.ActionModule, Unprepared):  # type: ignore[misc,name-defined]
        sent: ClassVar[dict[str, Any]] = {}

        def _execute_module(self, **given: Any) -> dict[str, Any]:
            self.sent.update(given)
            return {"ok": True}

    task = SimpleNamespace(
        action="raft.labctl.consul_lab",
        args=arguments,
        async_val=0,
        environment=[],
        check_mode=False,
        diff=False,
        delegate_to=None,
    )
    made = Action.__new__(Action)
    made._task = task
    made._connection = SimpleNamespace(transport=transport, become=None)
    return made


def seed_file(folder: Path, mode: int = 0o600) -> str:
    path = folder / "seed"
    path.write_text(SEED, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_the_seed_takes_the_place_of_its_file(plugin: ModuleType, tmp_path: Path) -> None:
    given = {"name": "ada", "seed_file": seed_file(tmp_path)}
    assert plugin.with_seed(given) == {"name": "ada", "seed": SEED}
    # The task's own arguments are what events and records are made of.
    assert SEED not in str(given)


def test_without_a_file_there_is_no_seed(plugin: ModuleType) -> None:
    assert plugin.with_seed({"name": "ada", "seed_file": ""}) == {"name": "ada"}


@pytest.mark.parametrize("transport", ["local", "ssh"])
def test_a_seed_file_that_is_refused_is_one_sentence_wherever_the_lab_is(
    plugin: ModuleType, tmp_path: Path, transport: str
) -> None:
    result = action(plugin, transport=transport, name="ada", seed_file=seed_file(tmp_path, 0o644)).run()
    assert (result["failed"], result["failure"]) == (True, "usage")
    assert "has the mode 0644" in result["msg"]
    assert SEED not in str(result)


def test_a_docker_host_over_ssh_gets_the_seed_as_an_argument_and_not_the_path(
    plugin: ModuleType, tmp_path: Path
) -> None:
    made = action(plugin, transport="ssh", name="ada", seed_file=seed_file(tmp_path))
    assert made.run() == {"ok": True}
    assert made.sent["module_args"] == {"name": "ada", "seed": SEED}
    assert "seed" not in made._task.args


def test_the_module_says_that_its_seed_is_not_for_logs(plugin: ModuleType) -> None:
    assert plugin.load("consul_lab").argument_spec()["seed"]["no_log"] is True
