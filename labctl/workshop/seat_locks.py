"""Who else holds a seat's lab: read from the Docker hosts, because over SSH a module's output comes only at its end."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, NamedTuple, Self

from labctl.errors import LabctlError
from labctl.shared import lock_holder
from labctl.shared.docker_api import DockerError
from labctl.shared.engine_lock import LABEL_HOLDER, LABEL_LOCK
from labctl.shared.parallel import each
from labctl.workshop import hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from labctl.workshop.model.file import Host

LOOK_SECONDS = 2.0
# A slow host is asked again later: the seats have deadlines of their own.
ENGINE_SECONDS = 5.0


class HeldSeat(NamedTuple):
    """A lab that somebody else holds, and the words for them."""

    lab: str
    who: str


class SeatLocks:
    """Looks now and then for other holders of labs on Docker hosts, in a thread, while a block runs.

    Args:
        hosts: the Docker hosts of the labs.
        labs: the labs.
        pause: the time between two looks, in seconds.

    Attributes:
        mark: the mark of the locks that processes of this command hold.
    """

    def __init__(self, hosts: Iterable[Host], labs: Iterable[str], pause: float = LOOK_SECONDS) -> None:
        self._pause = pause
        self.mark = secrets.token_hex(8)
        self._hosts = list(hosts)
        self._labs = set(labs)
        self._held: dict[str, tuple[str, str]] = {}  # by lab, the holder's note and the words for who holds it
        self._told: set[tuple[str, str]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        """Start looking."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._ended.set()

    def drain(self, waits: Callable[[str], bool] = lambda _: True) -> Iterator[HeldSeat]:
        """Take the labs that are held now: each lab with a holder once.

        Args:
            waits: whether something waits for a lab by now; until then, its holder stays to be taken.
        """
        for lab, (note, who) in self._held.items():
            if (lab, note) not in self._told and waits(lab):
                self._told.add((lab, note))
                yield HeldSeat(lab, who)

    def _look(self) -> None:
        while self._labs and not self._ended.wait(self._pause):
            notes: dict[str, list[str]] = {}
            for lab, note in (pair for here in each(self._on, self._hosts, hosts.AT_ONCE) for pair in here):
                notes.setdefault(lab, []).append(note)
            # Made anew and put in place whole: it is read meanwhile.
            self._held = {lab: _first_of(left) for lab, left in notes.items()}

    def _on(self, host: Host) -> list[tuple[str, str]]:
        """The labs that somebody else holds on a Docker host, with their notes; none where it does not answer."""
        try:
            engine = hosts.client_of(host).place.engine(ENGINE_SECONDS)
            volumes = engine.volumes({"label": LABEL_LOCK}, doing="looking who works on the seats")
        except (LabctlError, DockerError):
            return []
        notes = []
        for labels in (volume.get("Labels") or {} for volume in volumes):
            lab, note = labels.get(LABEL_LOCK), labels.get(LABEL_HOLDER) or ""
            holder = lock_holder.holder_of(note)
            ours = holder is not None and (holder.mark == self.mark or holder.is_gone())
            if lab in self._labs and not ours:
                notes.append((lab, note))
        return notes


def _first_of(notes: list[str]) -> tuple[str, str]:
    """A holder's note, "" where none can be read, and the words for all: anybody may have left any number of them."""
    first = min(notes, key=lambda note: (lock_holder.holder_of(note) is None, note))
    known = first if lock_holder.holder_of(first) is not None else ""
    more = f", and {len(notes) - 1} more" if len(notes) > 1 else ""
    return known, f"{lock_holder.holder_words(known)}{more}"
