"""Run a playbook to its end, whatever the end is."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from labctl.errors import LabctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labctl.progress import Steps
    from labctl.runner.playbook_run import PlaybookRun, TaskEvent


@contextlib.contextmanager
def finishing(run: PlaybookRun, steps: Steps) -> Iterator[None]:
    """Finish the run after the block; whatever breaks the block off ends every process of it, as Ctrl-C does.

    Raises LabctlError where a task failed, or did not end in time.
    """
    try:
        yield
        run.finish()
    except BaseException as error:
        run.interrupt()
        if isinstance(error, LabctlError):
            steps.fail()
        raise


def play(run: PlaybookRun, steps: Steps, *, verbose: bool = False) -> list[TaskEvent]:
    """Run to the end, and return what the tasks reported. Raises LabctlError."""
    with finishing(run, steps):
        return _results(run, steps, verbose=verbose)


def play_each(
    run: PlaybookRun,
    steps: Steps,
    *,
    verbose: bool = False,
    waits: bool = True,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[list[TaskEvent], dict[str, LabctlError]]:
    """Run to the end for several hosts, and call `meanwhile` again and again.

    `waits` says whether to note who a task waits for, where nothing else shows it.
    Returns what the tasks reported, and the hosts on which one failed.
    Whatever breaks it off ends every process of it, as Ctrl-C does. Raises LabctlError where Ansible itself failed.
    """
    try:
        return _results(run, steps, verbose=verbose, waits=waits, meanwhile=meanwhile), run.finish_each()
    except BaseException as error:
        run.interrupt()
        if isinstance(error, LabctlError):
            steps.fail()
        raise


def note_lines(text: str, steps: Steps) -> None:
    """Note Ansible's output, line by line; it may quote a Docker host."""
    for line in text.split("\n") if text else []:
        steps.note(line.rstrip("\r"))


def tell_item(item: TaskEvent, steps: Steps, *, waits: bool = True, verbose: bool = False) -> None:
    """Report who a task waits for and, if asked, what Ansible printed."""
    if item.waits and waits:
        steps.waits(item.waits)
    elif verbose:
        note_lines(item.text, steps)


def _results(
    run: PlaybookRun,
    steps: Steps,
    *,
    verbose: bool,
    waits: bool = True,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[TaskEvent]:
    """The results of a run's tasks, as they come; `meanwhile` is called again and again."""
    seen = []
    for item in run.progress():
        meanwhile()
        if item is None:
            continue
        tell_item(item, steps, waits=waits, verbose=verbose)
        if item.result is not None:
            seen.append(item)
    return seen
