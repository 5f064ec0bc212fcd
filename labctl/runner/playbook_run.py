"""Run one playbook through ansible-runner, in a thread, and report events as progress.

The playbook runs beside the caller, so that it can show the servers' logs meanwhile and be interrupted.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import sysconfig
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ansible_runner

from labctl import state
from labctl.errors import ExitCode, LabctlError
from labctl.runner import galaxy_collections, processes
from labctl.runner.content import content_root, offer_collection, own_settings, utf8_locale
from labctl.shared import lock_holder, parent_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labctl.runner.inventory import Inventory

POLL_SECONDS = 0.1
INTERRUPT_SECONDS = 1.2
# The modules have deadlines of their own and know better what they wait for: they may report first.
GRACE_SECONDS = 5.0
# For a run without a deadline.
LONGEST_SECONDS = 1800.0
_ENDINGS = ("runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_on_skipped")
# Labctl writes its inventory as JSON, which is YAML: Ansible need not load its other readers.
OWN_INVENTORY = {"ANSIBLE_INVENTORY_ENABLED": "yaml"}
# Only building the image uses community.docker. All else works without it, so that a lab can always be removed.
IMAGE_PLAYBOOK, IMAGE_TAG = "image.yml", "image"
_CODES = {
    "failed": ExitCode.FAILED,
    "usage": ExitCode.USAGE,
    "not_ready": ExitCode.NOT_READY,
    "refused": ExitCode.REFUSED,
}


@dataclass(frozen=True)
class TaskEvent:
    """A task that began (`result` is None) or ended on a host; `text` is what Ansible prints about it.

    `module` is the short name of the module that the task runs, whatever its title: `consul_lab`. `failed` is the
    sentence of a task that failed there, and `at` the time of it, in seconds since 1970; `waits` says who a
    task waits.
    """

    host: str
    role: str
    module: str
    result: dict[str, Any] | None
    changed: bool
    text: str
    failed: str | None = None
    at: float = 0.0
    waits: str = ""


@dataclass
class _Seen:
    """The state of the run, as its events show it.

    `task` is the last one that began, and `open` has those that began on a host and have not ended there.
    """

    pid: int | None = None
    well: bool = False
    failures: dict[str, LabctlError] = field(default_factory=dict)
    broken: LabctlError | None = None
    hosts: int = 0
    lost: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)
    task: str = ""
    open: dict[str, str] = field(default_factory=dict)


def _path() -> str:
    """The folder of ansible-playbook: an environment that is not activated is not on PATH.

    Raises LabctlError where it is nowhere.
    """
    scripts = sysconfig.get_path("scripts")
    path = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
    if shutil.which("ansible-playbook", path=path) is None:
        raise LabctlError(
            f"Cannot run Ansible: there is no ansible-playbook in {scripts}, nor on PATH. Install raft-labctl again, "
            "or run `make venv` in a clone."
        )
    return path


def _environment(folder: Path) -> dict[str, str]:
    env = {
        **own_settings(),
        **offer_collection(folder / "collections", galaxy_collections.own_folder()),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_FORCE_COLOR": "false",
        "ANSIBLE_NOCOLOR": "true",
        "PATH": _path(),
    }
    if asker := parent_process.name_of(os.getpid()):
        env[parent_process.ASKER] = asker
    return env | utf8_locale()


class PlaybookRun:
    """A running playbook. Iterate over `progress()`; then `finish()` gives the failure its exception.

    Args:
        playbook: file name in the content's `playbooks/`.
        inventory: the labs it runs for.
        tags: run only the plays with these tags; all where empty.
        check: Ansible's check mode.
        forks: how many hosts of the inventory are worked on at once; None for what ansible.cfg says.
        record: name of the record that is kept of Ansible's output.
        seconds: how long it may take; then it is ended, and the hosts on which a task had not ended have failed.
        since: from when these seconds count, as time.monotonic() has it; None for from now on.
        late: the exit code where the time is over.
        lock: the mark of the lock on its lab that the run works under; "" for none.
    """

    def __init__(  # noqa: PLR0913 - what Ansible is to be told, each by its name
        self,
        playbook: str,
        inventory: Inventory,
        *,
        tags: tuple[str, ...] = (),
        check: bool = False,
        forks: int | None = None,
        record: str = "",
        seconds: float = LONGEST_SECONDS,
        since: float | None = None,
        late: ExitCode = ExitCode.FAILED,
        lock: str = "",
    ) -> None:
        if playbook == IMAGE_PLAYBOOK or IMAGE_TAG in tags:
            galaxy_collections.require()
        self.give(seconds, since)
        if self._ends - GRACE_SECONDS <= time.monotonic():
            raise LabctlError(
                f"Cannot finish within {seconds:.0f} seconds: they were over before Ansible was started, so nothing "
                "was changed. Look whether the Docker Engine answers (`labctl doctor`), then run the same command "
                "again, with more time.",
                late,
            )
        self._late_code = late
        self._late: dict[str, LabctlError] = {}
        self._finished = False
        self._queue: queue.Queue[TaskEvent | None] = queue.Queue()
        self._seen = _Seen()
        self._record = record or playbook.removesuffix(".yml")
        self._name = inventory.name
        self._cancelled = threading.Event()
        root = content_root()
        self._run_folder = state.RunFolder()
        self._folder = self._run_folder.path
        # An inventory that runner writes itself is one file; beside a user's file it is a second source.
        own = self._folder / "inventory"
        own.mkdir(mode=0o700)
        sources = [str(source) for source in inventory.sources]
        self._options: dict[str, Any] = {
            "private_data_dir": str(self._folder),
            "playbook": str(root / "playbooks" / playbook),
            "inventory": inventory.document if not sources else [*sources, self._write_overlay(own, inventory)],
            "limit": inventory.limit,
            "tags": ",".join(tags) or None,
            # Ansible gives the check of a role's arguments the tag `always`, so it would run for roles that are not
            # asked for too; labctl and our modules have checked what they pass.
            "skip_tags": "always" if tags else None,
            "forks": forks,
            "cmdline": "--check --diff" if check else None,
            "envvars": _environment(self._folder) | {parent_process.LOCK: lock} | ({} if sources else OWN_INVENTORY),
            "quiet": True,
            "event_handler": self._on_event,
            "cancel_callback": self._cancelled.is_set,
            "settings": {"pexpect_timeout": POLL_SECONDS, "suppress_ansible_output": True},
        }
        self._runner: Any = None
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    @staticmethod
    def _write_overlay(folder: Path, inventory: Inventory) -> str:
        import json  # noqa: PLC0415 - only for a user's own inventory

        path = folder / "labctl.json"
        path.write_text(json.dumps(inventory.document), encoding="utf-8")
        return str(path)

    def give(self, seconds: float, since: float | None = None) -> None:
        """Give the run that many seconds from a moment on; None is now."""
        self._seconds = seconds
        self._ends = (time.monotonic() if since is None else since) + seconds + GRACE_SECONDS

    def _work(self) -> None:
        try:
            self._runner = ansible_runner.run(**self._options)
        except Exception as error:  # noqa: BLE001 - a library's failure becomes our sentence in finish()
            self._seen.broken = LabctlError(f"ansible-runner could not run the playbook: {error}")
        finally:
            self._queue.put(None)

    def _on_event(self, event: dict[str, Any]) -> bool:
        # An exception here would end the run, so this only reads and passes on.
        with contextlib.suppress(Exception):
            self._read(event)
        return False

    def _read(self, event: dict[str, Any]) -> None:
        self._seen.pid = event.get("pid") or self._seen.pid
        text = event.get("stdout") or ""
        if text:
            self._seen.text.append(text)
        kind, data = event["event"], event.get("event_data") or {}
        if self._late:
            # What comes now is an interrupted task's own message.
            return
        self._note_open(kind, data)
        if kind == "playbook_on_stats":
            self._seen.hosts = len(data.get("processed") or {})
            self._seen.lost = {*(data.get("failures") or {}), *(data.get("dark") or {})}
            self._seen.well = not self._seen.lost
            if self._seen.well:
                self._queue.put(None)
        result = data.get("res") if kind in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable") else None
        host, failed = data.get("host") or "", None
        if kind in ("runner_on_failed", "runner_on_unreachable") and not data.get("ignore_errors"):
            failure = failure_from(result or {}, unreachable=kind == "runner_on_unreachable")
            self._seen.failures[host] = failure
            failed = failure.sentence
        if kind == "runner_on_start" or result is not None or text:
            changed = bool((result or {}).get("changed"))
            self._queue.put(
                TaskEvent(
                    host, data.get("role") or "", _module_of(data), result, changed, text, failed, time.time(),
                    text.strip() if kind == "verbose" and text.startswith(lock_holder.WAITING) else "",
                )
            )  # fmt: skip

    def _note_open(self, kind: str, data: dict[str, Any]) -> None:
        host, task = data.get("host") or "", data.get("task") or ""
        if kind == "runner_on_start":
            self._seen.open[host] = task
        elif kind in _ENDINGS:
            self._seen.open.pop(host, None)
        self._seen.task = task or self._seen.task

    def progress(self, wait: float = POLL_SECONDS) -> Iterator[TaskEvent | None]:
        """The events as they happen; None every `wait` seconds without one. Ends when its time is over."""
        while not self._is_late():
            try:
                item = self._queue.get(timeout=wait)
            except queue.Empty:
                yield None
                continue
            if item is None:
                return
            yield item

    def _is_late(self) -> bool:
        """Whether the time is over; then the run is ended."""
        if self._late:
            return True
        if time.monotonic() < self._ends or not self.thread.is_alive():
            return False
        stuck = dict(self._seen.open) or {"": self._seen.task}
        self._late = {host: self._too_late(host, task) for host, task in stuck.items()}
        self.interrupt()
        return True

    def _too_late(self, host: str, task: str) -> LabctlError:
        step = f"the step `{task}`{f' of {host}' if host else ''}" if task else "Ansible"
        return LabctlError(
            f"Cannot finish within {self._seconds:.0f} seconds: {step} did not end. Look whether the Docker Engine "
            "answers (`labctl doctor`), then run the same command again: it repairs what is there.",
            self._late_code,
        )

    def interrupt(self) -> None:
        """End the run and every process of it, within about a second. A run that has ended is left alone."""
        if self._finished:
            return
        self._finished = True
        self._cancelled.set()
        if self._seen.pid is None:
            self._end_beginning()
        else:
            processes.end(self._seen.pid, INTERRUPT_SECONDS, str(self._folder))
        self.thread.join(timeout=0.5)
        self._clean()

    def _end_beginning(self) -> None:
        """End a run that has reported nothing yet: the child with our folder in its arguments, as soon as it exists.

        Only that one, because labctl has others, such as its connections to Docker hosts.
        """
        ends = time.monotonic() + INTERRUPT_SECONDS
        while self.thread.is_alive() and time.monotonic() < ends:
            for pid in processes.descendants(os.getpid()):
                if processes.names(pid, str(self._folder)):
                    processes.end(pid, INTERRUPT_SECONDS / 2, str(self._folder))
                    break
            self.thread.join(POLL_SECONDS / 2)

    def finish(self) -> None:
        """Wait for the end. Raises LabctlError with the sentence of the task that failed."""
        failures = self.finish_each()
        if failures:
            raise list(failures.values())[-1]

    def finish_each(self) -> dict[str, LabctlError]:
        """Wait for the end. Returns the hosts on which a task failed, or did not end in time.

        Raises LabctlError where Ansible itself failed, or did not end.
        """
        ended_well = self._wait_for_end()
        self._finished = True
        text = "\n".join(self._seen.text) + "\n"
        stamp = time.strftime("%Y%m%d-%H%M%S")
        record = state.keep_record(text, f"{stamp}-{self._name}-{self._record}")
        self._clean()
        if "" in self._late:
            raise self._late[""]
        if self._late:
            return self._seen.failures | self._late
        code = 0 if ended_well else getattr(self._runner, "rc", 1)
        # An error in runner after Ansible has ended well, such as a folder that is gone, does no harm.
        if self._seen.broken is not None and not ended_well:
            raise self._seen.broken
        # A task that failed inside a block with `rescue` is no failure of a host that ended well; without the recap
        # at the end it is unknown which hosts ended well, so all failures count.
        lost = self._seen.lost or set(self._seen.failures)
        failures = {host: error for host, error in self._seen.failures.items() if host in lost}
        if code != 0 and failures:
            return failures
        where = f": what Ansible printed is in {record}" if record else ""
        if code != 0:
            lines = [line for line in text.splitlines() if "ERROR" in line]
            raise LabctlError(f"Ansible ended with code {code}{': ' + lines[-1].strip() if lines else where}")
        if self._seen.hosts == 0:
            raise LabctlError(f"Ansible found no lab to work on{where}")
        return {}

    def _wait_for_end(self) -> bool:
        """Wait until the run has ended. Returns whether Ansible has, well, and runner only has its own end to wait for.

        Runner sleeps a tenth of a second after Ansible has gone, and gives its code only then.
        """
        while self.thread.is_alive():
            if self._seen.well and self._seen.pid and not processes.alive(self._seen.pid):
                return True
            if self._is_late():
                break
            self.thread.join(0.005)
        return False

    def _clean(self) -> None:
        self._run_folder.remove()


def _module_of(data: dict[str, Any]) -> str:
    """The short name of the module that a task runs, "" where the event is of no task."""
    return str(data.get("task_action") or "").rpartition(".")[2]


def failure_from(result: dict[str, Any], *, unreachable: bool = False) -> LabctlError:
    """The error of a failed task: a sentence of our modules, or the message of another module."""
    lines = [line.strip() for line in str(result.get("msg") or "").splitlines() if line.strip()]
    lines = lines or ["a task failed and gave no reason"]
    if unreachable:
        # ssh gives the reason in its last line, behind lines about what it was doing.
        why = lines[-1].removeprefix("Task failed: ").rstrip(":")
        return LabctlError(f"The Docker host could not be reached: {why}")
    if "argument_errors" in result:
        return LabctlError(f"A setting is wrong: {'; '.join(result['argument_errors'])}.", ExitCode.USAGE)
    return LabctlError(" ".join(lines), _CODES.get(str(result.get("failure")), ExitCode.FAILED))
