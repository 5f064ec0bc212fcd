"""Docker hosts that only have facts, and playbooks with the outcomes that a test wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labctl.errors import ExitCode, LabctlError
from labctl.lab.up import JOIN, START
from labctl.progress import Steps
from labctl.runner.playbook_run import TaskEvent
from labctl.shared import lab_names
from labctl.workshop import bring_up, down, expire, survey, up
from labctl.workshop.model.capacity import Facts
from tests.unit.workshop.model.test_capacity import WELL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pytest

    from labctl.runner.inventory import Inventory
    from labctl.workshop.model.file import Host

VERSION = "1.8.7"
OWNER = "ada"


class Hosts:
    """The Docker hosts of a workshop: their labs change as playbooks run.

    Attributes:
        problems: of hosts that do not answer, by name.
        different: facts of hosts that are not as usual, by name; `skew` is how far the clock is away.
        failing: the sentence of a lab that fails, and at which task.
        played: each run's playbook and the hosts of its inventory that it was for.
        asked: the hosts that were asked, in order.
        on_run: is called with each run before it begins.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.labs: dict[str, dict[str, dict[str, Any]]] = {}
        self.problems: dict[str, str] = {}
        self.different: dict[str, dict[str, Any]] = {}
        self.failing: dict[str, tuple[str, str]] = {}
        self.played: list[tuple[str, list[str], tuple[str, ...]]] = []
        self.asked: list[str] = []
        self.on_run: Callable[[Run], object] = lambda _: None
        self.reapers: dict[str, list[dict[str, str]]] = {}
        monkeypatch.setattr(survey, "ask_host", self.ask)
        for module in (bring_up, down, expire, up):
            monkeypatch.setattr(module, "PlaybookRun", self.run)
        monkeypatch.setattr(up, "labs_of", lambda _: [])

    def ask(self, host: Host) -> tuple[Facts | None, str | None]:
        self.asked.append(host.name)
        if host.name in self.problems:
            return None, self.problems[host.name]
        labs = list(self.labs.get(host.name, {}).values())
        own = {"labs": labs, "images": [VERSION], "reapers": self.reapers.get(host.name, [])}
        different = dict(self.different.get(host.name, {}))
        skew = different.pop("skew", 0.0)
        return Facts(WELL | own | different, skew), None

    def put(self, host: str, lab: str, number: int, owner: str = OWNER, workshop: str = "w") -> None:
        """A lab that is there."""
        self.labs.setdefault(host, {})[lab] = {
            "lab": lab,
            "workshop": workshop,
            "owner": owner,
            "seat": lab.removeprefix(f"{workshop}-"),
            "number": str(number),
            "servers": "3",
            "running": 3,
        }

    def run(  # noqa: PLR0913 - what a run is given
        self,
        playbook: str,
        inventory: Inventory,
        *,
        tags: tuple[str, ...] = (),
        forks: int | None = None,
        record: str = "",
        seconds: float,
        late: ExitCode = ExitCode.FAILED,
        lock: str = "",
    ) -> Run:
        assert lock == "" or len(lock) == 16
        assert record
        assert seconds > 0
        assert late in {ExitCode.FAILED, ExitCode.NOT_READY}
        assert forks is None or forks > 0
        made = Run(self, playbook, inventory, tags)
        self.on_run(made)
        return made


class Run:
    """One playbook for many labs."""

    def __init__(self, hosts: Hosts, playbook: str, inventory: Inventory, tags: tuple[str, ...]) -> None:
        self.hosts, self.playbook, self.inventory = hosts, playbook, inventory
        self.limit = inventory.limit.split(",")
        hosts.played.append((playbook, self.limit, tags))
        self.failed: dict[str, LabctlError] = {}
        self.after: Callable[[], object] = lambda: None

    def place_of(self, lab: str) -> tuple[str, dict[str, Any]]:
        """The Docker host of a lab in the inventory, and the lab's variables there."""
        labs = self.inventory.own["labs"]
        for group, described in labs.get("children", {}).items():
            if lab in described["hosts"]:
                return group.removeprefix("on_"), described["hosts"][lab]
        address = labs["hosts"][lab].get("ansible_host", "local")
        return address, labs["hosts"][lab]

    def progress(self) -> Iterator[TaskEvent | None]:
        group = self.inventory.own.get("docker_hosts", {})
        for name in self.limit:
            if name in group.get("hosts", {}):
                yield from self.on_a_docker_host(name, group["vars"])
            elif self.playbook == "down.yml":
                yield from self.removed(name)
            else:
                yield from self.made(name)
        self.after()

    def on_a_docker_host(self, name: str, settings: dict[str, Any]) -> Iterator[TaskEvent]:
        end = 0 if self.playbook == "down.yml" else settings["workshop_reaper_end"]
        if name in self.hosts.failing:
            self.failed[name] = LabctlError(self.hosts.failing[name][1])
            return
        name_of, owner = settings["workshop_reaper_workshop"], settings["workshop_reaper_owner"]
        others = [reaper for reaper in self.hosts.reapers.get(name, []) if reaper["owner"] != owner]
        marks = {"state": "running", "reaper": name_of, "owner": owner, "removes": "owned"}
        self.hosts.reapers[name] = others + ([{**marks, "expires": lab_names.stamp(end)}] if end else [])
        yield TaskEvent(name, "workshop_reaper", "Write down", {"changed": True}, changed=True, text="")

    def removed(self, lab: str) -> Iterator[TaskEvent]:
        host, _ = self.place_of(lab)
        if lab in self.hosts.failing:
            self.failed[lab] = LabctlError(self.hosts.failing[lab][1])
            return
        self.hosts.labs[host].pop(lab)
        yield TaskEvent(lab, "consul_lab", START, {"removed": [lab]}, changed=True, text="")

    def made(self, lab: str) -> Iterator[TaskEvent | None]:
        host, settings = self.place_of(lab)
        for task, result in (
            (START, {"changed": True}),
            (JOIN, {"cluster": {"leader": "consul1", "term": 2, "voters": 3}}),
        ):
            yield TaskEvent(lab, "role", task, None, changed=False, text="", at=1.0)
            at, sentence = self.hosts.failing.get(lab, ("", ""))
            if at == task:
                self.failed[lab] = LabctlError(sentence)
                yield TaskEvent(lab, "role", task, {}, changed=False, text="", failed=sentence)
                return
            self.hosts.put(host, lab, settings["consul_lab_seat_number"])
            yield TaskEvent(lab, "role", task, result, changed=True, text="")
        yield None

    def finish_each(self) -> dict[str, LabctlError]:
        return self.failed

    def finish(self) -> None:
        """It ended well."""

    def interrupt(self) -> None:
        """Nothing runs."""


class ReportedSteps(Steps):
    """The reports about seats, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, ...]] = []

    def seat(self, lab: str, state: str, text: str = "", seconds: float = 0.0, at: str = "") -> None:  # noqa: ARG002
        self.told.append((lab, state, at, text) if at else (lab, state))

    def lost(self, labs: Iterable[str], text: str) -> None:
        self.told.append((",".join(labs), "lost", text))
