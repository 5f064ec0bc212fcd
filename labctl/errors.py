"""The one list of exit codes, and the one exception that a user sees as a sentence."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of the process (README, "Exit codes")."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_READY = 3
    REFUSED = 4
    INTERRUPTED = 130


class LabctlError(Exception):
    """A failure that labctl understood.

    Attributes:
        sentence: what was tried, what came back and what to do next, in one sentence.
        code: the process's exit code.
    """

    def __init__(self, sentence: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
