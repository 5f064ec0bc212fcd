"""`labctl up` and `labctl join`: from nothing, or from an existing lab, to a ready one."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from labctl.engine import client as engine
from labctl.engine import status
from labctl.engine.images import Image, find_image, origin_of_binary
from labctl.engine.labs import Lab, choose_lab, find_lab
from labctl.errors import ExitCode, LabctlError
from labctl.lab.command_lock import LOCK_SECONDS, MOST_SECONDS, locked_lab
from labctl.lab.desired_state import (
    UpOptions,
    completed,
    differences,
    refuse_foreign,
    refuse_options,
    refuse_profile,
    refuse_subnet,
    wanted_of,
)
from labctl.lab.image import reported_image
from labctl.results import ServerRole, UpPreview, UpResult
from labctl.runner.deadlines import IMAGE, Deadline
from labctl.runner.run import finishing, tell_item
from labctl.shared.templates import Template
from labctl.shared.words import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labctl.lab.command_lock import LabLock
    from labctl.lab.watch import ServerWatch
    from labctl.progress import Steps
    from labctl.runner.inventory import Inventory
    from labctl.runner.playbook_run import PlaybookRun, TaskEvent
    from labctl.shared.lab_spec import LabSpec

# At pace `teach` a waiting server logs that 5 to 10 seconds after its start (raft_multiplier 5, timer in [T, 2T)).
WAITING_SECONDS = 12.0
SUBNET_POOL = "LABCTL_SUBNET_POOL"
# What else an `up` does while it has the lab, such as starting Ansible.
MORE_SECONDS = 60.0
IMAGE_ROLE = "consul_image"
START, WAIT, JOIN = "consul_lab", "consul_lab_wait", "consul_cluster"
"""The modules of the steps: they are recognised by their modules, so titles of tasks may change."""
# The servers' lines only accompany the run: it does not wait for an engine that delivers them late.
LISTEN_SECONDS = 2.0
_TITLES = {
    "image": "Image: looking for one, or making it",
    START: "Servers: starting",
    WAIT: "Servers: waiting until each says that it knows no peers",
    JOIN: "Cluster: joining the servers, waiting until it is ready",
}


# When the role has made an image, by Ansible's clock.
_IMAGE_SINCE = Template("{{ consul_image__since | default(0.0) }}")


class Plan(NamedTuple):
    """What `up` found: the existing lab, the desired one, its image, and the changes, in sentences."""

    lab: Lab | None
    wanted: LabSpec
    image: Image | None
    changes: list[str]


@dataclass
class PlaybookReport:
    """What the playbooks reported."""

    changed: bool = False
    image: dict[str, Any] = field(default_factory=dict)
    members: list[dict[str, Any]] = field(default_factory=list)
    command: str = ""
    cluster: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class Up:
    """One `labctl up`. `run()` returns its result, or raises LabctlError.

    Args:
        options: what is asked for.
        steps: where progress is reported.
        client: the Docker Engine; by default the one of the user's Docker host.
        start: starts a playbook, as `start_playbook` does.
    """

    def __init__(
        self,
        options: UpOptions,
        steps: Steps,
        client: engine.Client | None = None,
        start: Callable[..., PlaybookRun] | None = None,
    ) -> None:
        self._start = start or start_playbook
        self.options = options
        self.steps = steps
        self.begun = time.monotonic()
        self.since = time.time()
        self.report = PlaybookReport()
        self.client: engine.Client = client or engine.connect_within(options.timeout)
        self._lesson: ServerWatch | None = None
        self._identities: list[tuple[str, str]] = []
        self._held: LabLock | None = None
        self._plan: Plan | None = None
        self._seed_file: str | None = None
        # When --timeout begins: the time to make an image is not counted.
        self._since = self.begun

    @property
    def _left(self) -> float:
        """How much of --timeout is left, in seconds."""
        return max(0.0, self._since + self.options.timeout - time.monotonic())

    def run(self) -> UpResult | UpPreview:
        """Bring the lab up. Its announcement is made while it holds the lab, and so is true until it is done."""
        refuse_options(self.options)
        self._seed_file = self.options.seed_file
        self._read_inventory()
        options = self.options
        if options.subnet is None and options.subnet_pool is None:
            refuse_subnet(SUBNET_POOL, os.environ.get(SUBNET_POOL) or None)
        plan = self._look()
        if options.dry_run:
            return self._preview(plan)
        if (now := self._enough(plan)) is not None:
            return self._unchanged(now)
        while True:
            besides = 0.0 if plan.image else IMAGE
            with self._holding("up", besides):
                plan = self._look()
                if plan.image is None and not besides:
                    # The lab was removed between the two looks, and making one takes longer than the lock says.
                    continue
                if (now := self._enough(plan)) is not None:
                    return self._unchanged(now)
                self._announce(plan.changes)
                self._bring_up(plan)
            return self._result()

    def _look(self) -> Plan:
        """What exists, and what the request changes. Raises LabctlError where the request is impossible."""
        options = self.options
        lab = find_lab(self.client, options.lab)
        refuse_foreign(lab, options.owner)
        if lab is None and self._seed_file:
            # A file that an inventory names is Ansible's to find.
            _refuse_seed(self._seed_file)
        wanted = wanted_of(options, lab)
        refuse_profile(lab, wanted)
        image = self._find_image(wanted)
        if image and options.version is None and options.image_source is not None:
            wanted = replace(wanted, version=image.version)
        return Plan(lab, wanted, image, differences(lab, wanted) if lab else [])

    def _enough(self, plan: Plan) -> status.Status | None:
        """The lab's status where nothing has to be done for the request."""
        options = self.options
        if plan.lab is None or plan.changes or options.subnet is not None or options.image_source is not None:
            return None
        now = status.ask(plan.lab)
        waits = now.answers and not now.joined
        return now if now.ready or (waits and not options.join) else None

    @contextlib.contextmanager
    def _holding(self, verb: str, besides: float = 0.0) -> Iterator[None]:
        """Lock the lab until the command is done with it, which may take `besides` seconds on top of its --timeout."""
        lab, timeout = self.options.lab, self.options.timeout
        command, seconds = f"labctl {verb} {lab}", max(MOST_SECONDS, timeout + besides + MORE_SECONDS)
        patience = min(LOCK_SECONDS, self._left)
        with locked_lab(
            self.client.place, lab, self.options.owner, command, self.steps,
            seconds=seconds, patience=patience, allowance=self.client.allowance,
        ) as self._held:  # fmt: skip
            yield

    def _read_inventory(self) -> None:
        if self.options.inventory is None:
            return
        from labctl.runner.inventory import lab_in  # noqa: PLC0415 - a second `up` needs no Ansible

        self.options = completed(self.options, lab_in(self.options.inventory, self.options.lab))
        refuse_options(self.options)

    def join(self, lab: Lab) -> UpResult:
        """Join the servers of an existing lab."""
        self._read_inventory()
        now = status.ask(lab)
        if now.ready:
            return self._unchanged(now)
        with self._holding("join"):
            lab = choose_lab(self.client, lab.name)
            refuse_foreign(lab, self.options.owner)
            now = status.ask(lab)
            if now.ready:
                return self._unchanged(now)
            self._identities = now.identities
            wanted = wanted_of(self.options, lab)
            image = find_image(self.client, wanted.version or None)
            self._listen()
            try:
                self._play("join.yml", self._inventory(wanted, image), ())
            finally:
                if self._lesson:
                    self._lesson.end()
        return self._result()

    def _find_image(self, wanted: LabSpec) -> Image | None:
        """The existing image that fits the request. Raises LabctlError where the named one cannot be used."""
        options = self.options
        origin = options.image_digest
        if options.image_binary:
            # The role looks at a file of another Docker host there; it takes no image but that file's.
            if engine.is_elsewhere():
                return None
            origin = origin_of_binary(self.client, options.image_binary)
        image = find_image(self.client, wanted.version or None, options.image_source, origin)
        if image is None and options.image_source == "binary" and not options.image_binary:
            raise LabctlError(
                "There is no such image from the source binary, and to make one takes a consul binary: name it with "
                "`--binary FILE`.",
                ExitCode.USAGE,
            )
        return image

    def _preview(self, plan: Plan) -> UpPreview:
        name = self.options.lab
        lab, wanted, image, changes = plan
        would = [f"in the lab {name}, {change}" for change in changes]
        if image is None:
            source = self.options.image_source or "auto"
            named = self.options.image_binary or self.options.image_digest
            newest = f"in {named}" if named else "(the newest there is)"
            would.insert(0, f"make an image of Consul {wanted.version or newest} from the source {source}")
        if lab is None:
            version = f"Consul {image.version}" if image else "Consul"
            would.append(
                f"start {wanted.servers} servers of {version} as the lab {name} at pace {wanted.pace} with the profile "
                f"{wanted.profile}"
            )
        if self.options.join and (lab is None or not status.ask(lab).ready):
            would.append("join the servers and wait until the cluster is ready")
        for line in would:
            self.steps.note(f"Would {line}." if not line.startswith("in the lab") else f"Would change: {line}.")
        if not would:
            self.steps.note(f"The lab {name} is ready: nothing would change.")
        return UpPreview(name, bool(would), tuple(would))

    def _unchanged(self, now: status.Status) -> UpResult:
        leader = now.leader
        if now.ready and leader:
            self.steps.note(
                f"The lab {now.lab.name} is ready, {leader.name} leads in term {leader.term}: nothing to do."
            )
        else:
            self.steps.note(f"The lab {now.lab.name} waits to be joined: nothing to do. Join it with `labctl join`.")
        return UpResult(
            lab=now.lab.name,
            changed=False,
            servers=tuple(ServerRole(view.name, view.address, view.state or None) for view in now.views),
            leader=leader.name if leader else None,
            term=leader.term if leader else None,
            voters=len(leader.voters) if leader else 0,
            seconds=self._seconds(),
        )

    def _changes_with(self, version: str) -> list[str]:
        """What changes besides the announced changes, now that the image's version is known."""
        plan, options = self._plan, self.options
        if plan is None or plan.lab is None or options.version is not None or options.image_source is None:
            return []
        now = differences(plan.lab, replace(plan.wanted, version=version))
        return [change for change in now if change not in plan.changes]

    def _announce(self, changes: list[str]) -> None:
        for change in changes:
            self.steps.note(f"The lab {self.options.lab} changes: {change}.")

    def _bring_up(self, plan: Plan) -> None:
        """Run the playbook that makes it so."""
        self._plan = plan
        tags = ("start", "join") if self.options.join else ("start",)
        inventory = self._inventory(plan.wanted, plan.image)
        try:
            self._play("up.yml", inventory, tags if plan.image else ("image", *tags))
        finally:
            if self._lesson:
                self._lesson.end()

    def _inventory(self, wanted: LabSpec, image: Image | None) -> Inventory:
        from labctl.runner import inventory  # noqa: PLC0415 - a second `up` needs no Ansible

        options = self.options
        # A lone server has no peers and leads at once; and half of the time is for the election.
        watches = options.watch and wanted.servers > 1
        settings: dict[str, Any] = {
            "consul_lab_owner": options.owner,
            **wanted.to_inventory(),
            "consul_cluster_timeout": options.timeout,
            "consul_cluster_wait": min(WAITING_SECONDS, self._left / 2) if watches else 0.0,
            # Until an image is made, it is unknown when --timeout begins.
            "consul_cluster_since": _IMAGE_SINCE if image is None else time.time() - (time.monotonic() - self._since),
            "consul_image_source": options.image_source or "auto",
        }
        if options.subnet:
            settings["consul_lab_subnet"] = options.subnet
        if options.subnet_pool is not None:
            settings["consul_lab_subnet_pool"] = options.subnet_pool
        if options.seed_file:
            settings["consul_lab_seed_file"] = options.seed_file
        if options.image_binary:
            settings["consul_image_binary"] = options.image_binary
        if image:
            settings |= {"consul_image_id": image.id, "consul_image_consul_version": image.version}
        if options.inventory:
            return inventory.from_file(options.inventory, options.lab, settings)
        return inventory.of_this_machine(options.lab, settings)

    def _play(self, playbook: str, inventory: Inventory, tags: tuple[str, ...]) -> None:
        makes_image, lock = "image" in tags, ""
        if self._held is not None:
            self._held.keep()
            lock = self._held.mark
        deadline = Deadline(IMAGE) if makes_image else Deadline(self.options.timeout, self._since)
        if makes_image:
            self.client.give(IMAGE)
        run = self._start(playbook, inventory, tags, f"up-{playbook}", deadline, lock)
        self._watch(run)

    def _watch(self, run: PlaybookRun) -> None:
        """Follow a run to its end. Raises LabctlError where a task failed, or somebody else took the lab."""
        step, begun = "", time.monotonic()
        with finishing(run, self.steps):
            for item in run.progress():
                if self._lesson:
                    self._lesson.show()
                if item is None:
                    if self._held is not None:
                        self._held.keep_meanwhile()
                    continue
                tell_item(item, self.steps, verbose=self.options.verbose)
                at = "image" if item.role == IMAGE_ROLE else item.module
                if at != step and at in _TITLES:
                    if step == "image":
                        # --timeout begins now.
                        self._since += time.monotonic() - begun
                        run.give(self.options.timeout, self._since)
                        self.client.give(self._left)
                    step, begun = at, time.monotonic()
                    self.steps.begin(_TITLES[step], step)
                if item.result is not None:
                    self._tell(item, time.monotonic() - begun)

    def _tell(self, item: TaskEvent, seconds: float) -> None:
        """Record and show the result of a task."""
        result = item.result or {}
        self.report.changed = self.report.changed or item.changed
        if image := reported_image(item):
            self.report.image = image
            self.report.seconds["image"] = seconds
            self.steps.done(f"Image {image['name']} from the source {image['source']}")
            self._announce(self._changes_with(image["version"]))
        # A task that failed over SSH has facts too, such as the Python that it found there.
        members = (result.get("ansible_facts") or {}).get("consul_lab_members")
        if item.module == START and members is not None:
            self.report.members = members
            self.report.seconds["start"] = seconds
            names = ", ".join(member["name"] for member in self.report.members)
            self.steps.done(f"Servers {names} run in {result.get('subnet')}")
            for note in result.get("notes") or ():
                self.steps.note(note)
            self._listen()
        if item.module == WAIT and "waiting" in result:
            if self._lesson:
                self._lesson.show(0.1)
            self.steps.done(_waiting(result["waiting"], self.report.members))
        if item.module == JOIN and "cluster" in result:
            self.report.cluster = result["cluster"]
            self.report.command = result.get("command", "")
            self.report.seconds |= self.report.cluster.get("seconds", {})
            if self._lesson:
                self._lesson.show(0.1)
            joined = f" after `{self.report.command}`" if self.report.command else ""
            self.steps.done(
                f"{self.report.cluster['leader']} leads in term {self.report.cluster['term']}, "
                f"{self.report.cluster['voters']} {'voter' if self.report.cluster['voters'] == 1 else 'voters'}{joined}"
            )

    def _listen(self) -> None:
        from labctl.lab.watch import ServerWatch  # noqa: PLC0415 - only when servers were started

        if self.steps.silent or self._lesson:
            return
        with contextlib.suppress(LabctlError):
            lab = find_lab(self.client.hurried(LISTEN_SECONDS), self.options.lab)
            if lab is None:
                return
            self._lesson = ServerWatch(self.client, lab, self.steps, self.since, self._identities)

    def _seconds(self) -> dict[str, float]:
        known = {name: round(self.report.seconds.get(name, 0.0), 3) for name in ("image", "start", "join", "election")}
        return {**known, "total": round(time.monotonic() - self.begun, 3)}

    def _result(self) -> UpResult:
        cluster = self.report.cluster
        servers = cluster.get("servers") or self.report.members
        return UpResult(
            lab=self.options.lab,
            changed=self.report.changed,
            servers=tuple(ServerRole(server["name"], server["address"], server.get("role")) for server in servers),
            leader=cluster.get("leader"),
            term=cluster.get("term"),
            voters=cluster.get("voters", 0),
            seconds=self._seconds(),
        )


def _waiting(names: list[str], members: list[dict[str, Any]]) -> str:
    """The outcome of the wait for servers that know no peers."""
    if not names:
        return "No server waits to be joined"
    if len(names) == len(members):
        return "The servers wait for each other: nobody has joined them yet"
    return f"{listed(names)} {'waits' if len(names) == 1 else 'wait'} for the others: nobody has joined them yet"


def start_playbook(  # noqa: PLR0913, PLR0917 - what is run, and how
    playbook: str, inventory: Inventory, tags: tuple[str, ...], record: str, deadline: Deadline, lock: str
) -> PlaybookRun:
    """Start a playbook for a lab, with that deadline, under the lock with that mark."""
    from labctl.runner.playbook_run import PlaybookRun  # noqa: PLC0415 - loads ansible-runner

    return PlaybookRun(
        playbook,
        inventory,
        tags=tags,
        record=record.removesuffix(".yml"),
        seconds=deadline.seconds,
        since=deadline.since,
        late=ExitCode.NOT_READY,
        lock=lock,
    )


def _refuse_seed(path: str) -> None:
    """Raise LabctlError (usage) where a file holds no seed for a new lab."""
    from labctl.shared import derived_secrets  # noqa: PLC0415 - most labs are given none

    try:
        derived_secrets.read_seed(path)
    except ValueError as error:
        raise LabctlError(str(error), ExitCode.USAGE) from None


def join(name: str | None, options: UpOptions, steps: Steps) -> UpResult:
    """`labctl join`: the manual join of a lab that was started with `--no-join`."""
    work = Up(options, steps)
    lab = choose_lab(work.client, name, options.owner)
    refuse_foreign(lab, options.owner)
    work.options = replace(options, lab=lab.name)
    return work.join(lab)
