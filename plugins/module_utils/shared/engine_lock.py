"""A lock shared by all who use a Docker Engine, wherever they are: a volume with a label, which needs no image.

A process that wants it makes a volume with a unique name, then looks: it holds the lock where that is the only
one with that label. A process that sees another volume removes its own and waits, so two never hold the lock. A volume
whose holder has ended is removed by its name, which is unique: nobody can remove a lock that was taken
since.
"""

from __future__ import annotations

import contextlib
import random
import re
import secrets
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LABEL_LOCK = "raft-labctl.lock"
"""On the volume of a command that changes a lab: the lab."""
LABEL_ALONE = "raft-labctl.alone"
"""On the volume of an experiment that breaks a lab and judges the outcome: the lab."""
LABEL_WORKSHOP = "raft-labctl.workshop-lock"
"""On the volume of a command that changes a workshop: the workshop."""
LABEL_END = "raft-labctl.end-lock"
"""On the volume of a command that moves a workshop's end: the workshop."""
LABEL_HOLDER = "raft-labctl.holder"
"""On each of them: the holder."""
_DOING = "locking the lab"
# A hanging engine must not keep a command from ending in time.
_RELEASE_SECONDS = 2.0
# How long to try to get back a lock that was removed: a rival that waits for it steps back within that.
_AGAIN_SECONDS = 1.0
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")
# Two that came at once go on at different times.
_SOON = (0.01, 0.2)


class Rival(NamedTuple):
    """Another volume of the lock: its name, its holder's note, and for how long it has been there, if that is known."""

    volume: str
    note: str
    age: float | None


class LostError(Exception):
    """The lock was removed, as by `docker volume prune`, and `rival` holds it now."""

    def __init__(self, rival: Rival) -> None:
        super().__init__(f"{rival.volume} is the lock now")
        self.rival = rival


class EngineLock:
    """The lock of a lab, or of a workshop, on a Docker Engine. Every method raises the engine's error where it has one.

    Args:
        engine: a docker_api.Engine.
        label: what the lock is for.
        lab: the name of the lab, or of the workshop.
        over: whether a rival's holder has ended, by its note and age.
        pause: is called while a rival has the lock; it waits, or raises.
        within: whether a note is of a holder that lets us work under its lock, or works under ours: no rival.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - whose lock, and what is known of others
        self,
        engine: Any,
        label: str,
        lab: str,
        over: Callable[[str, float | None], bool],
        pause: Callable[[str, float | None, str], None],
        within: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._engine = engine
        self._label = label
        self._lab = lab
        self._over = over
        self._pause = pause
        self._within = within
        self._body: dict[str, Any] = {}
        self._ahead: float | None = None
        self._own = ""
        self._older: list[str] = []

    @contextlib.contextmanager
    def held(self, note: str, labels: Mapping[str, str]) -> Iterator[None]:
        """Hold the lock; `labels` are for its volume besides its own."""
        self._own = self._new_name()
        self._body = {"Name": self._own, "Labels": {**labels, self._label: self._lab, LABEL_HOLDER: note}}
        try:
            self._take()
            yield
        finally:
            # If the engine does not answer now, the next process sees that the holder has ended.
            with contextlib.suppress(Exception):
                for volume in (*self._older, self._own):
                    self._remove(volume, self._engine.at_the_end(_RELEASE_SECONDS))

    def _new_name(self) -> str:
        return f"labctl-{self._lab}-{self._label.rpartition('.')[2]}-{secrets.token_hex(6)}"

    def renew(self, seconds: float) -> None:
        """Hold it by a younger volume: a process that cannot see the holder goes by the volume's age. Raises LostError.

        `within` must know its own note. `seconds` is how long the engine may take for an answer.
        """
        self.keep(seconds)
        engine, body = self._engine.within(seconds), {**self._body, "Name": self._new_name()}
        try:
            engine.ask("POST", "/volumes/create", body=body, doing=_DOING)
        except BaseException:
            # It may have been made all the same.
            self._older.append(body["Name"])
            raise
        self._older.append(self._own)
        self._own, self._body = body["Name"], body
        while self._older:
            self._remove(self._older[0], engine)
            del self._older[0]

    def keep(self, seconds: float | None = None) -> None:
        """Make sure that it is still held, and take it again where its volume was removed. Raises LostError.

        `seconds` is how long the engine may take to answer; None leaves it all its time.
        """
        ends = time.monotonic() + _AGAIN_SECONDS
        of_lab = {"label": f"{self._label}={self._lab}"}
        engine = self._engine if seconds is None else self._engine.within(seconds)
        if any(volume["Name"] == self._own for volume in engine.volumes(of_lab, doing=_DOING)):
            return
        self._engine.ask("POST", "/volumes/create", body=self._body, doing=_DOING)
        while rivals := self.rivals():
            if time.monotonic() >= ends:
                self._remove(self._own)
                raise LostError(rivals[0])
            time.sleep(random.uniform(*_SOON))  # noqa: S311 - no secret

    def wait(self) -> None:
        """Wait until nobody else has it, without taking it."""
        while rivals := self.rivals():
            self._pause(rivals[0].note, rivals[0].age, rivals[0].volume)

    def rivals(self) -> list[Rival]:
        """The others that hold or want it now, oldest first; volumes of holders that have ended are removed.

        A command holds the lock for longer than processes that work under it, and its words are what the user typed.
        """
        others = []
        for volume in self._engine.volumes({"label": f"{self._label}={self._lab}"}, doing=_DOING):
            labels = volume.get("Labels") or {}
            if volume["Name"] == self._own or labels.get(self._label) != self._lab:
                continue
            note = labels.get(LABEL_HOLDER) or ""
            if self._within(note):
                continue
            rival = Rival(volume["Name"], note, self._age(volume))
            if self._over(rival.note, rival.age):
                self._remove(rival.volume)
            else:
                others.append(rival)
        return sorted(others, key=lambda rival: -(rival.age or 0))

    def _take(self) -> None:
        while True:
            self._engine.ask("POST", "/volumes/create", body=self._body, doing=_DOING)
            rivals = self.rivals()
            if not rivals:
                return
            self._remove(self._own)
            self._pause(rivals[0].note, rivals[0].age, rivals[0].volume)
            self.wait()
            time.sleep(random.uniform(*_SOON))  # noqa: S311 - no secret

    def _remove(self, volume: str, engine: Any = None) -> None:
        try:
            (engine or self._engine).remove("volume", [volume], doing=_DOING)
        except Exception as error:
            if "no such volume" not in str(getattr(error, "said", "")).lower():
                raise

    def _age(self, volume: dict[str, Any]) -> float | None:
        """How long a volume has been there, both by the clock of the Docker host; None where it does not say."""
        made = moment_of(volume.get("CreatedAt"))
        if made is None:
            return None
        if self._ahead is None:
            now = moment_of(self._engine.get("/info", doing=_DOING).get("SystemTime"))
            if now is None:
                return None
            self._ahead = now - time.time()
        return time.time() + self._ahead - made


def moment_of(text: Any) -> float | None:
    """A moment as the engine writes it, in seconds since 1970; None if it is not one."""
    match = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match.group(1) + match.group(2).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None
