"""Who else holds a seat's lab: read from the Docker hosts, because over SSH a module's output comes only at its end."""

from __future__ import annotations

import queue
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
    from collections.abc import Iterable, Iterator

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
        self._seen: queue.SimpleQueue[HeldSeat] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        """Start looking."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._ended.set()

    def drain(self) -> Iterator[HeldSeat]:
        """Take the locks that were seen since the last call: each lab with a holder once."""
        while not self._seen.empty():
            yield self._seen.get()

    def _look(self) -> None:
        told: set[tuple[str, str]] = set()
        while self._labs and not self._ended.wait(self._pause):
            notes: dict[str, list[str]] = {}
            for lab, note in (pair for here in each(self._on, self._hosts, hosts.AT_ONCE) for pair in here):
                notes.setdefault(lab, []).append(note)
            for lab, left in notes.items():
                # Anybody may have left these notes, and any number of them.
                first = min(left, key=lambda note: (lock_holder.holder_of(note) is None, note))
                known = first if lock_holder.holder_of(first) is not None else ""
                if (lab, known) not in told:
                    told.add((lab, known))
                    more = f", and {len(left) - 1} more" if len(left) > 1 else ""
                    self._seen.put(HeldSeat(lab, f"{lock_holder.holder_words(known)}{more}"))

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
