"""A playbook is run to its end, whatever end that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from labctl.errors import LabctlError
from labctl.progress import Steps
from labctl.runner.playbook_run import PlaybookRun, TaskEvent
from labctl.runner.run import note_lines, play, play_each

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGUN = TaskEvent("lab", "role", "task", None, changed=False, text="TASK [task]")
ENDED = TaskEvent("lab", "role", "task", {"a": 1}, changed=True, text="")


class Run:
    """A run that reports two tasks, or is broken off."""

    def __init__(self, error: BaseException | None = None, at_end: LabctlError | None = None) -> None:
        self.error, self.at_end = error, at_end
        self.interrupted = self.finished = False

    def progress(self) -> Iterator[TaskEvent | None]:
        yield from (None, BEGUN, ENDED)
        if self.error:
            raise self.error

    def finish(self) -> None:
        self.finished = True
        if self.at_end:
            raise self.at_end

    def finish_each(self) -> dict[str, LabctlError]:
        self.finish()
        return {}

    def interrupt(self) -> None:
        self.interrupted = True


class Remembered(Steps):
    def __init__(self) -> None:
        super().__init__()
        self.failed = False
        self.notes: list[str] = []

    def fail(self) -> None:
        self.failed = True

    def note(self, text: str) -> None:
        self.notes.append(text)

    waits = note


def run_it(run: Run, steps: Remembered, **options: Any) -> list[TaskEvent]:
    return play(cast("PlaybookRun", run), steps, **options)


def test_what_the_tasks_reported_is_returned() -> None:
    run, steps = Run(), Remembered()
    assert run_it(run, steps) == [ENDED]
    assert (run.finished, run.interrupted, steps.failed, steps.notes) == (True, False, False, [])


def test_for_whom_a_task_waits_is_shown_without_being_asked_for() -> None:
    class Waiting(Run):
        def progress(self) -> Iterator[TaskEvent | None]:
            yield TaskEvent("", "", "", None, changed=False, text="Waiting for ada", waits="Waiting for ada")
            yield BEGUN

    steps = Remembered()
    run_it(Waiting(), steps)
    assert steps.notes == ["Waiting for ada"]
    steps = Remembered()
    # Somebody else tells it, seat by seat.
    play_each(cast("PlaybookRun", Waiting()), steps, waits=False)
    assert steps.notes == []


def test_verbose_shows_what_ansible_prints() -> None:
    steps = Remembered()
    run_it(Run(), steps, verbose=True)
    assert steps.notes == ["TASK [task]"]


def test_an_interrupt_ends_the_run_and_goes_on() -> None:
    run = Run(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run_it(run, Remembered())
    assert (run.interrupted, run.finished) == (True, False)


def test_a_failure_marks_the_step() -> None:
    steps = Remembered()
    with pytest.raises(LabctlError):
        run_it(Run(at_end=LabctlError("no")), steps)
    assert steps.failed


def test_where_ansible_fails_for_several_hosts_the_step_has_failed() -> None:
    steps = Remembered()
    with pytest.raises(LabctlError, match="no such limit"):
        play_each(cast("PlaybookRun", Run(at_end=LabctlError("no such limit"))), steps)
    assert steps.failed


def test_what_ansible_prints_is_noted_line_by_line() -> None:
    steps = Remembered()
    play_each(cast("PlaybookRun", Run()), steps, verbose=True)
    assert steps.notes == ["TASK [task]"]
    steps = Remembered()
    note_lines("ok: [a]\r\n  said: \x1b[2J\n", steps)
    assert steps.notes == ["ok: [a]", "  said: \x1b[2J", ""]
