"""A workshop's state on this machine: its secret, the numbers of its names, the last failures. All mode 0600.

Nothing in it decides what exists. Without it, numbers are read from the seats' labels, and a new secret is made for
new seats; existing seats keep their own, and are marked as having an unknown secret. A damaged
file is not a missing one: its content is unknown, so it is refused.

Several commands may use it at once. A change of a file reads, changes and writes it under one lock; whatever
assigns numbers or places to seats holds `placing` from its look at the Docker hosts on.
"""

from __future__ import annotations

import contextlib
import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from labctl import state
from labctl.errors import ExitCode, LabctlError
from labctl.shared import derived_secrets, file_lock, lock_holder, plain_files
from labctl.terminal import waiting
from labctl.workshop import state_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from labctl.workshop.model.seats import Seat

Kept = TypeVar("Kept")
_SECRET, _NUMBERS, _PLACES, _FAILED, _LOCK = "secret", "numbers.json", "places.json", "failed.json", "lock"
_UNKNOWN_SECRETS, _NEVER, _PLACING = "strangers.json", "never", "placing"
# Longer than a look at Docker hosts that do not answer: after that, the other command hangs.
LOCK_SECONDS = 120.0
_LONGEST = 1 << 20
# Advice for a damaged file, so that nobody removes one whose content cannot be recovered.
_ADVICE = {
    _NUMBERS: "take your copy back with `labctl workshop secret --input FILE --force`; without a copy, remove that "
    "file: existing seats keep the numbers in their labels, and other names get new ones",
    _PLACES: "remove that file when every Docker host of the workshop answers, because the existing seats show "
    "where they are",
    _FAILED: "remove that file, and `labctl workshop up` finds the seats that are not ready",
    _UNKNOWN_SECRETS: "remove that file, and give the seats whose cards do not open them new ones with "
    "`labctl workshop reset SEAT`",
}


@dataclass(frozen=True)
class SecretCopy:
    """The secrets and numbers that a workshop's seats are derived from.

    Attributes:
        workshop: its name.
        secret: its secret.
        numbers: the numbers that names were given.
        seeds: of labs whose seed was derived from another secret, made while this one was missing.
    """

    workshop: str
    secret: bytes = field(repr=False)
    numbers: Mapping[str, int]
    seeds: Mapping[str, bytes] = field(repr=False)


class WorkshopState:
    """The state of one workshop. Every method raises LabctlError where the state folder does not allow it.

    Args:
        workshop: its name.
        patience: how long to wait for another command that uses it, in seconds.
        say_after: after how many seconds it reports who it waits for.
    """

    def __init__(
        self, workshop: str, patience: float = LOCK_SECONDS, say_after: float = lock_holder.SAY_AFTER_SECONDS
    ) -> None:
        self.workshop = workshop
        self._patience, self._say_after = patience, say_after
        self.folder = state.state_folder() / "workshops" / workshop

    @property
    def seeds(self) -> Path:
        """The folder with the seats' seeds."""
        return self.folder / "seats"

    # -- the secret and what is derived from it --------------------------------------------------------------

    @property
    def secret_file(self) -> Path:
        """Where the workshop's secret is, or belongs."""
        return self.folder / _SECRET

    def files(self) -> list[Path]:
        """All files of this state, which nothing else may be written over."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def has_secret(self) -> bool:
        """Whether the workshop's secret is here."""
        return self.secret_file.is_file()

    def secret(self) -> bytes:
        """The workshop's secret; it is made where there is none."""
        with self._locked():
            return self._secret()

    def _secret(self) -> bytes:
        """The same, with the lock held."""
        text = self._read(_SECRET)
        if text is None:
            text = derived_secrets.new_secret().hex() + "\n"
            self._write(_SECRET, text)
        return self._bytes(text, _SECRET)

    def seed(self, lab: str, fingerprint: str | None = None) -> bytes:
        """A seat's seed: the one with that fingerprint; without one, that which was stored, else the secret's."""
        known = self._kept_seed(lab) if fingerprint is None else self._seed_with(lab, fingerprint)
        if known is None and fingerprint is not None:
            raise LabctlError(
                f"The secret of {lab} is not on this machine: put your copy back with `labctl workshop secret --input "
                f"FILE`, or run `labctl workshop reset {lab}`."
            )
        return derived_secrets.seed_of(self.secret(), lab) if known is None else known

    def _seed_with(self, lab: str, fingerprint: str) -> bytes | None:
        """The seed with that fingerprint; None where it is not known here, as where its file is damaged."""
        kept = _seed_in(self._read(_seed_name(lab)) or "")
        if kept is not None and derived_secrets.fingerprint(kept) == fingerprint:
            return kept
        text = self._read(_SECRET)
        seed = None if text is None else derived_secrets.seed_of(self._bytes(text, _SECRET), lab)
        return seed if seed is not None and derived_secrets.fingerprint(seed) == fingerprint else None

    def _kept_seed(self, lab: str) -> bytes | None:
        text = self._read(_seed_name(lab))
        return None if text is None else self._bytes(text, _seed_name(lab))

    def write_seeds(self, seats: Iterable[Seat], existing: Collection[str], fingerprints: Mapping[str, str]) -> None:
        """Write the seats' seeds where the playbooks read them.

        Existing files stay, unless the seat has another seed, or is not there and its file is damaged.

        `existing` are labs that existed before, with the `fingerprints` of their seeds where these are known. If a new
        secret has to be made, theirs is another one.
        """
        with self._locked():
            known, now = self._unknown_secrets(), self.seats_with_unknown_secret(existing, fingerprints)
            if now != known:
                self._note(_UNKNOWN_SECRETS, {"labs": now})
            secret = self._secret()
            for seat in seats:
                kept, printed = self._read(_seed_name(seat.lab)), fingerprints.get(seat.lab)
                seed = None if printed is None else self._seed_with(seat.lab, printed)
                if seed is None and (kept is None or (seat.lab not in existing and _seed_in(kept) is None)):
                    seed = derived_secrets.seed_of(secret, seat.lab)
                if seed is not None and seed != _seed_in(kept or ""):
                    self._write(_seed_name(seat.lab), seed.hex() + "\n")

    def note_unknown_secrets(self, fingerprints: Mapping[str, str]) -> None:
        """Keep in mind what the fingerprints of existing labs' seeds tell, for when their Docker host is silent."""
        with self._locked():
            noted = self._unknown_secrets()
            unknown = self.seats_with_unknown_secret(fingerprints, fingerprints)
            now = sorted({*unknown, *(lab for lab in noted if lab not in fingerprints)})
            if now != sorted(noted):
                self._note(_UNKNOWN_SECRETS, {"labs": now})

    def seats_with_unknown_secret(self, existing: Collection[str], fingerprints: Mapping[str, str]) -> list[str]:
        """The existing labs whose seed is unknown here: it was derived from a secret that was lost, or from another's.

        A lab's fingerprint decides where there is one; a lab of an older labctl has none.
        """
        noted = self._unknown_secrets()
        lost = not self.has_secret()

        def is_unknown(lab: str) -> bool:
            if (printed := fingerprints.get(lab)) is not None:
                return self._seed_with(lab, printed) is None
            return lab in noted or (lost and self._read(_seed_name(lab)) is None)

        return sorted(lab for lab in existing if is_unknown(lab))

    def _unknown_secrets(self) -> list[str]:
        return self._noted(_UNKNOWN_SECRETS, state_schema.strangers) or []

    # -- a copy, for another machine or for a bad day --------------------------------------------------------

    def copy(self) -> SecretCopy:
        """The secrets that another machine needs to derive the same seats. Only where the secret is here."""
        with self._locked():
            secret, strangers = self._secret(), self._unknown_secrets()
            labs = [path.stem for path in sorted(self.seeds.glob("*.seed"))]
            seeds = {lab: self._kept_seed(lab) for lab in labs if lab not in strangers}
            own = {lab: seed for lab, seed in seeds.items() if seed and seed != derived_secrets.seed_of(secret, lab)}
            return SecretCopy(self.workshop, secret, self.numbers(), own)

    def take(self, copy: SecretCopy, *, force: bool = False) -> None:
        """Take over the copy's secrets. Seeds of seats that were made here in the meantime stay.

        With `force`, it also replaces another secret, and numbers that are damaged here.
        """
        with self.placing(), self._locked():
            if not force and self.has_secret() and self._secret() != copy.secret:
                raise LabctlError(
                    f"The workshop {self.workshop} has another secret on this machine, which seats may have been made "
                    "with: keep a copy of it with `labctl workshop secret --output FILE`, then replace it with "
                    "--force.",
                    ExitCode.REFUSED,
                )
            strangers = self._unknown_secrets()
            try:
                own = self.numbers()
            except LabctlError:
                if not force:
                    raise
                own = {}
            for lab in strangers:
                # Not that seat's seed: it was derived from a secret that was made while the right one was missing.
                (self.folder / _seed_name(lab)).unlink(missing_ok=True)
            for lab, seed in copy.seeds.items():
                self._write(_seed_name(lab), seed.hex() + "\n")
            given = set(copy.numbers.values())
            own = {name: number for name, number in own.items() if number not in given}
            self._note(_NUMBERS, {**own, **copy.numbers})
            self._write(_SECRET, copy.secret.hex() + "\n")
            # Last: if the process is killed before, no seat gets a card from a wrong secret.
            self._note(_UNKNOWN_SECRETS, {"labs": []})

    # -- names and failures ----------------------------------------------------------------------------------

    def numbers(self) -> dict[str, int]:
        """The numbers that names were given."""
        return self._noted(_NUMBERS, state_schema.numbers) or {}

    def keep_numbers(self, seats: Iterable[Seat]) -> None:
        """Store the seats' numbers, besides those of the past. Call it while `placing`, as the look before it."""
        with self._locked():
            before = self.numbers()
            now = before | {seat.name: seat.number for seat in seats}
            if now != before:
                self._note(_NUMBERS, now)

    def places(self) -> dict[str, str]:
        """Where `up` put each lab, or is putting it."""
        return self._noted(_PLACES, state_schema.texts) or {}

    def keep_places(self, places: Mapping[str, str]) -> None:
        """Store where the labs are. Call it while `placing`, as the look before it."""
        with self._locked():
            if places != self.places():
                self._note(_PLACES, dict(places))

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Hold this from the look at the Docker hosts until the choice is stored.

        Without it, two commands at once place a seat twice, or give two seats one number.
        """
        with self._locked(_PLACING):
            yield

    def never_ends(self) -> bool:
        """Whether a user removed the workshop's end, so that the one in its file no longer counts."""
        return (self.folder / _NEVER).is_file()

    def keep_never(self, *, never: bool) -> None:
        """Store that the workshop has no end, or that it has one."""
        with self._locked():
            if never:
                self._write(_NEVER, "")
            else:
                (self.folder / _NEVER).unlink(missing_ok=True)

    def failed(self) -> dict[str, str]:
        """The labs that the last `up` left not ready, with the reasons."""
        return self._noted(_FAILED, state_schema.texts) or {}

    def keep_failed(self, outcomes: Mapping[str, str | None]) -> None:
        """Store the outcome of labs: why they are not ready, or None where they are. Those of other labs stay."""
        with self._locked():
            before = self.failed()
            now = {lab: reason for lab, reason in {**before, **outcomes}.items() if reason is not None}
            if now != before:
                self._note(_FAILED, now)

    def forget(self) -> None:
        """Forget the last failures and the seeds, after the workshop was removed; its secret and numbers stay."""
        if not self.folder.is_dir():
            return
        with self._locked():
            notes = [self.folder / name for name in (_FAILED, _PLACES, _NEVER)]
            for path in [*notes, *self.seeds.glob("*.seed")]:
                path.unlink(missing_ok=True)

    # -- files -----------------------------------------------------------------------------------------------

    def _bytes(self, text: str, name: str) -> bytes:
        """Read a secret or a seed from its file. Raises LabctlError without anything of its content."""
        content = _seed_in(text)
        if content is None:
            raise LabctlError(
                f"A secret of the workshop {self.workshop} in {self.folder / name} is damaged (it is not "
                f"{derived_secrets.SECRET_BYTES} bytes in hexadecimal): take your copy of the secret back with `labctl "
                "workshop secret --input FILE --force`, or remove the file; seats that exist keep what they have."
            )
        return content

    def _noted(self, name: str, read: Callable[[Any], Kept]) -> Kept | None:
        """Parse a file, strictly; None if there is no file. Raises LabctlError where it is damaged."""
        text = self._read(name)
        if text is None:
            return None
        try:
            return read(state_schema.document(text))
        except ValueError as error:
            raise LabctlError(
                f"Cannot read {self.folder / name}, which the workshop {self.workshop} needs: {error}. Fix it by "
                f"hand, or {_ADVICE[name]}."
            ) from None

    def _note(self, name: str, content: Any) -> None:
        self._write(name, json.dumps(content, indent=1) + "\n")

    def _read(self, name: str) -> str | None:
        try:
            with plain_files.opened(self.folder / name, sys.maxsize) as file:
                # A longer file was not written here, and is damaged even without reading the rest.
                return file.read(_LONGEST).decode("ascii", "replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from error

    def _write(self, name: str, text: str) -> None:
        """Write a file whole or not at all, readable by its owner only from its first byte on."""
        path = self.folder / name
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            plain_files.write_whole(path, text)
        except OSError as error:
            raise self._unusable(error) from error

    @contextmanager
    def _locked(self, name: str = _LOCK) -> Iterator[None]:
        """Keep two commands apart; a killed one releases the lock. Raises LabctlError where another one keeps it."""
        patience = lock_holder.Patience(self._patience, waiting.tell, self._say_after)
        note = lock_holder.holder(f"labctl workshop (of {self.workshop})", LOCK_SECONDS).note
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(file_lock.locked(self.folder / name, note, patience.pause))
            except lock_holder.LockHeldError as error:
                raise LabctlError(
                    f"Cannot use the register of the workshop {self.workshop}: {error}. Wait until that one has ended, "
                    "or end it, then run this again.",
                    ExitCode.REFUSED,
                ) from None
            except OSError as error:
                raise self._unusable(error) from error
            yield

    def _unusable(self, error: Exception) -> LabctlError:
        reason = getattr(error, "strerror", None) or error
        return LabctlError(
            f"The workshop's register in {self.folder} cannot be used ({reason}): make that folder yours and writable, "
            "or name another state folder with XDG_STATE_HOME."
        )


def _seed_name(lab: str) -> str:
    return f"seats/{lab}.seed"


def _seed_in(text: str) -> bytes | None:
    """The secret or seed in a file's text; None where it is damaged."""
    try:
        return state_schema.secret(text.strip())
    except ValueError:
        return None
