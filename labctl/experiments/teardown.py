"""The end of an experiment: what goes wrong there is kept beside the findings, and loses nothing."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from labctl.errors import LabctlError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Ending:
    """What went wrong while an experiment ended. As a context manager, it makes Ctrl-C end only a part in `attempt`.

    Attributes:
        problems: a sentence for each.
        interrupts: how often Ctrl-C was pressed.
    """

    problems: list[str] = field(default_factory=list)
    interrupts: int = 0
    _listens: bool = False
    _before: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, _number: int, _frame: object) -> None:
        # One interrupt each: a second signal right behind the first must not hit the code that saves the findings.
        if self._listens:
            self._listens = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Run something that may fail or be interrupted, and go on; `what` begins the sentence that reports it."""
        try:
            try:
                self._listens = True
                yield
                self._listens = False
            except Exception as error:
                self._listens = False
                logging.getLogger(__name__).debug("where it came from", exc_info=True)
                self.problems.append(f"{what}: {sentence_of(error)}")
        except KeyboardInterrupt:
            self.interrupts += 1


def sentence_of(error: Exception) -> str:
    """An exception as text for a person."""
    return error.sentence if isinstance(error, LabctlError) else f"{type(error).__name__}: {error}."


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Defer Ctrl-C: a user who presses it twice still wants the lab back, and the results."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
