"""The holder of a lock: the note that it leaves with the lock, and what others can learn from the note.

A note is a text that anybody may have written: one that cannot be parsed means nothing, and changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import secrets
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SAY_AFTER_SECONDS = 1.0
POLL_SECONDS = 0.1
WAITING = "Waiting for "
"""The beginning of a sentence about who is waited for, so that it stands out in Ansible's output."""
LONGEST_NOTE = 2000
NOBODY_KNOWN = "somebody (the lock does not say who)"
PROC = Path("/proc")
_BOOT = PROC / "sys/kernel/random/boot_id"
_LONGEST_TEXT = 120
_PLAIN = re.compile(r"[ -_a-~]*", re.ASCII)  # no backtick: words of a command stand between two of them
_MOST = 2**53
# Of /proc/PID/stat behind the command's name.
_STATE, _STARTED = 0, 19


class LockHeldError(Exception):
    """Somebody else has had the lock for as long as we could wait; `who` names them."""

    def __init__(self, who: str, seconds: float) -> None:
        super().__init__(f"{who} has it, also after {seconds:.0f} seconds")
        self.who = who
        self.seconds = seconds


@dataclass(frozen=True)
class Holder:
    """The holder of a lock.

    Attributes:
        user: the login name.
        host: the machine's name.
        command: what it does, as the words of a command; without anything secret.
        pid: the process, as its own PID namespace numbers it.
        started: when the process started, in the kernel's ticks: distinguishes two processes of one number.
        trace: a word in the command lines of processes that may outlive it when it is killed; "" for none.
        boot: the machine's start, by the kernel's random number for it; "" where it is not known.
        space: the PID namespace; 0 where it is not known.
        since: when it took the lock, in seconds since 1970 by the machine's clock.
        seconds: how long it may hold the lock at most.
        mark: a random word, shared with commands that work under another one's lock.
    """

    user: str
    host: str
    command: str
    pid: int
    started: int
    trace: str
    boot: str
    space: int
    since: int
    seconds: int
    mark: str

    @property
    def note(self) -> str:
        """The text to leave with the lock."""
        return json.dumps(asdict(self))

    def is_gone(self) -> bool | None:
        """Whether it has ended, and all that it started; None where that cannot be known from here."""
        if not self.boot or not self.space or (self.boot, self.space) != (_boot(), _space()) or hidden():
            return None
        try:
            stat = process_stat(self.pid)
        except OSError:
            return None
        if stat is not None and int(stat[_STARTED]) == self.started:
            return False
        return None if self.trace and is_somewhere(self.trace) else True

    def words(self, seconds: float) -> str:
        """The holder, for a sentence: "ada's `labctl up x` (process 123 on pc, for 4 s)"."""
        state = ""
        with contextlib.suppress(OSError):
            if (self.boot, self.space) == (_boot(), _space()):
                stat = process_stat(self.pid)
                known = stat is not None and int(stat[_STARTED]) == self.started
                state = ", stopped" if known and stat and stat[_STATE] in "Tt" else "" if known else ", ended"
        return (
            f"{self.user}'s `{self.command}` (process {self.pid} on {self.host}{state}, for {max(seconds, 0.0):.0f} s)"
        )


def holder(command: str, seconds: float, trace: str = "", mark: str = "") -> Holder:
    """This process, as the holder of a lock.

    Args:
        command: what it does; those who wait are shown it, so it holds nothing secret.
        seconds: how long it may hold the lock at most.
        trace: a word in the command lines of processes that must not work on without the lock.
        mark: that of the holder under whose lock it works; otherwise it gets a new one.
    """
    own = process_stat(os.getpid()) or []
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return Holder(
        user=_plain(user),
        host=_plain(os.uname().nodename),
        command=_plain(command),
        pid=os.getpid(),
        started=int(own[_STARTED]) if own else 0,
        trace=_plain(trace),
        boot=_boot(),
        space=_space(),
        since=int(time.time()),
        seconds=int(seconds),
        mark=_plain(mark) or secrets.token_hex(8),
    )


def holder_of(note: str) -> Holder | None:
    """Parse a note; None where it is none."""
    if len(note) > LONGEST_NOTE:
        return None
    try:
        content: Any = json.loads(note)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or set(content) != {field_.name for field_ in fields(Holder)}:
        return None
    for field_ in fields(Holder):
        value = content[field_.name]
        if field_.type == "int" and not (type(value) is int and 0 <= value <= _MOST):
            return None
        if field_.type == "str" and not (
            isinstance(value, str) and len(value) <= _LONGEST_TEXT and _PLAIN.fullmatch(value)
        ):
            return None
    return Holder(**content)


def is_over(note: str, age: float | None, before: str = "") -> bool:
    """Whether a lock's holder has ended, or had it for longer than allowed; if that is unknown, it counts as held.

    Args:
        note: what the holder left.
        age: how long it has been held, in seconds, by the clock of the lock's keeper; None where that is not known.
        before: a note whose holder is known to have ended.
    """
    who = holder_of(note)
    if who is None:
        return False
    gone = True if note == before else who.is_gone()
    return age is not None and age > who.seconds if gone is None else gone


def holder_words(note: str, age: float | None = None) -> str:
    """The author of a note, for a sentence."""
    who = holder_of(note)
    return NOBODY_KNOWN if who is None else who.words(time.time() - who.since if age is None else age)


class Patience:
    """How long to wait for a lock; after a second it is reported who holds it.

    Args:
        seconds: until it gives up.
        say: receives the sentence.
        say_after: when, in seconds.
    """

    def __init__(
        self, seconds: float, say: Callable[[str], None] | None = None, say_after: float = SAY_AFTER_SECONDS
    ) -> None:
        self.seconds = seconds
        self._say_after = say_after
        self._say = say
        self._begun = time.monotonic()

    def pause(self, note: str, age: float | None = None) -> None:
        """Pause once in a wait for the author of that note. Raises LockHeldError once the patience is over."""
        self.wait(lambda: holder_words(note, age))

    def wait(self, who: Callable[[], str], seconds: float = POLL_SECONDS) -> None:
        """Pause once in a wait for the holder that `who` names. Raises LockHeldError once the patience is over."""
        waited = time.monotonic() - self._begun
        if waited >= self.seconds:
            raise LockHeldError(who(), self.seconds)
        if self._say is not None and waited >= self._say_after:
            self._say(WAITING + who())
            self._say = None
        time.sleep(min(seconds, self.seconds - waited))


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped, as with Ctrl-Z."""
    with contextlib.suppress(OSError):
        stat = process_stat(pid)
        return stat is not None and stat[_STATE] in "Tt"
    return False


def _plain(text: str) -> str:
    """A text in a form that a note may hold."""
    return re.sub(r"[^ -_a-~]", "?", text)[:_LONGEST_TEXT]


def process_stat(pid: int) -> list[str] | None:
    """The kernel's record of a process; None where the process is gone. Raises OSError where there is no record."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    stat = text.rpartition(")")[2].split()
    return None if len(stat) <= _STARTED or stat[_STATE] in "ZX" else stat


def is_somewhere(word: str) -> bool:
    """Whether a process runs with that word in its command line, such as a `docker compose` whose module was killed."""
    for entry in PROC.glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in entry.read_bytes().split(b"\0"):
                return True
    return False


def _boot() -> str:
    try:
        return _plain(_BOOT.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError):
        return ""


def _space() -> int:
    try:
        return (PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return 0


def hidden(proc: Path = PROC, user: int | None = None) -> bool:
    """Whether /proc is mounted so that this user, or any user, cannot see other people's processes."""
    if (os.geteuid() if user is None else user) == 0:
        return False
    try:
        mounts = (proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    on_proc = [line for line in mounts.splitlines() if line.split()[4:5] == [str(proc)]]
    return not on_proc or bool(re.search(r"\bhidepid=(?!0\b|off\b)", on_proc[-1]))
