"""What this machine keeps of a workshop: its secret, the numbers of its names, the last failures. All mode 0600.

Nothing in it decides what exists. Without it, numbers are read from the seats' labels, and a new secret is made for
seats to come; seats that are there keep their own, and are remembered as those whose secret nobody knows here.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labctl.errors import LabctlError
from labctl.portable import seat_secrets
from labctl.provision import state

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from labctl.workshop.seats import Seat

_SECRET, _NUMBERS, _PLACES, _FAILED, _LOCK = "secret", "numbers.json", "places.json", "failed.json", "lock"
_STRANGERS, _NEVER, _PLACING = "strangers.json", "never", "placing"


@dataclass(frozen=True)
class SecretCopy:
    """What the seats of a workshop follow from.

    Attributes:
        workshop: its name.
        secret: its secret.
        numbers: the numbers that names were given.
        seeds: of labs whose seed follows from another secret, made while this one was away.
    """

    workshop: str
    secret: bytes = field(repr=False)
    numbers: Mapping[str, int]
    seeds: Mapping[str, bytes] = field(repr=False)


class Register:
    """The register of one workshop. Every method raises LabctlError where the state folder does not let it."""

    def __init__(self, workshop: str) -> None:
        self.workshop = workshop
        self.folder = state.state_folder() / "workshops" / workshop

    @property
    def seeds(self) -> Path:
        """The folder with the seats' seeds."""
        return self.folder / "seats"

    # -- the secret and what follows from it -----------------------------------------------------------------

    @property
    def secret_file(self) -> Path:
        """Where the workshop's secret is, or belongs."""
        return self.folder / _SECRET

    def has_secret(self) -> bool:
        """Whether the workshop's secret is here."""
        return self.secret_file.is_file()

    def secret(self) -> bytes:
        """The workshop's secret; it is made where there is none."""
        with self._locked():
            text = self._read(_SECRET)
            if text is None:
                self._write(_SECRET, seat_secrets.new_secret().hex() + "\n")
                text = self._read(_SECRET) or ""
        return self._bytes(text, _SECRET)

    def seed(self, lab: str) -> bytes:
        """A seat's seed: the one that was kept for it, else the one that follows from the secret."""
        text = self._read(_seed_name(lab))
        return seat_secrets.seed_of(self.secret(), lab) if text is None else self._bytes(text, _seed_name(lab))

    def write_seeds(self, seats: Iterable[Seat], existing: Collection[str]) -> None:
        """Lay the seats' seeds where the playbooks read them; one that is there stays.

        `existing` are the labs that were there before. Where the secret has to be made anew, theirs is another one.
        """
        self._keep_strangers(existing)
        secret = self.secret()
        for seat in seats:
            name = _seed_name(seat.lab)
            if self._read(name) is None:
                self._write(name, seat_secrets.seed_of(secret, seat.lab).hex() + "\n")

    def strangers(self, existing: Collection[str]) -> list[str]:
        """The labs that exist and that nobody here knows the seed of: it followed from a secret that was lost here."""
        known = self._json(_STRANGERS).get("labs", [])
        lost = not self.has_secret()
        return sorted(lab for lab in existing if lab in known or (lost and self._read(_seed_name(lab)) is None))

    def _keep_strangers(self, existing: Collection[str]) -> None:
        now = self.strangers(existing)
        if now != self._json(_STRANGERS).get("labs", []):
            self._write(_STRANGERS, json.dumps({"labs": now}, indent=1) + "\n")

    # -- a copy of it, for another machine or for a bad day --------------------------------------------------

    def copy(self) -> SecretCopy:
        """What another machine needs to know the seats as this one does. Only where the secret is here."""
        secret = self.secret()
        labs = [path.stem for path in sorted(self.seeds.glob("*.seed"))]
        strangers = self._json(_STRANGERS).get("labs", [])
        seeds = {lab: self.seed(lab) for lab in labs if lab not in strangers}
        own = {lab: seed for lab, seed in seeds.items() if seed != seat_secrets.seed_of(secret, lab)}
        return SecretCopy(self.workshop, secret, self.numbers(), own)

    def take(self, copy: SecretCopy) -> None:
        """Know the seats as the copy does. Seeds of seats that were made here in the meantime stay."""
        for lab in self._json(_STRANGERS).get("labs", []):
            # It is not that seat's: it follows from a secret that was made when the right one was away.
            (self.folder / _seed_name(lab)).unlink(missing_ok=True)
        for lab, seed in copy.seeds.items():
            self._write(_seed_name(lab), seed.hex() + "\n")
        given = set(copy.numbers.values())
        own = {name: number for name, number in self.numbers().items() if number not in given}
        self._write(_NUMBERS, json.dumps({**own, **copy.numbers}, indent=1) + "\n")
        self._write(_STRANGERS, json.dumps({"labs": []}) + "\n")
        with self._locked():
            self._write(_SECRET, copy.secret.hex() + "\n")

    # -- names and failures ----------------------------------------------------------------------------------

    def numbers(self) -> dict[str, int]:
        """The numbers that names were given."""
        return {str(name): int(number) for name, number in self._json(_NUMBERS).items()}

    def keep_numbers(self, seats: Iterable[Seat]) -> None:
        """Remember the seats' numbers, besides those of the past."""
        before = self.numbers()
        now = before | {seat.name: seat.number for seat in seats}
        if now != before:
            self._write(_NUMBERS, json.dumps(now, indent=1) + "\n")

    def places(self) -> dict[str, str]:
        """Where `up` put each lab, or is putting it."""
        return {str(lab): str(host) for lab, host in self._json(_PLACES).items()}

    def keep_places(self, places: Mapping[str, str]) -> None:
        """Remember where the labs are."""
        if places != self.places():
            self._write(_PLACES, json.dumps(places, indent=1) + "\n")

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Hold this from the look at the Docker hosts until the places are kept, or two `up` place a seat twice."""
        with self._locked(_PLACING):
            yield

    def never_ends(self) -> bool:
        """Whether somebody took the workshop's end away, so that the one in its file counts no more."""
        return (self.folder / _NEVER).is_file()

    def keep_never(self, *, never: bool) -> None:
        """Remember that the workshop has no end, or that it has one."""
        if never:
            self._write(_NEVER, "")
        else:
            (self.folder / _NEVER).unlink(missing_ok=True)

    def failed(self) -> dict[str, str]:
        """The labs that the last `up` left not ready, with the reasons."""
        return {str(lab): str(reason) for lab, reason in self._json(_FAILED).items()}

    def keep_failed(self, failed: Mapping[str, str]) -> None:
        """Remember which labs an `up` left not ready."""
        if failed or self.failed():
            self._write(_FAILED, json.dumps(failed, indent=1) + "\n")

    def forget(self) -> None:
        """Forget the last failures and the seeds, after the workshop was removed; its secret and numbers stay."""
        notes = [self.folder / name for name in (_FAILED, _PLACES, _NEVER)]
        for path in [*notes, *self.seeds.glob("*.seed")]:
            path.unlink(missing_ok=True)

    # -- files -----------------------------------------------------------------------------------------------

    def _bytes(self, text: str, name: str) -> bytes:
        """A secret or a seed out of its file. Raises LabctlError without anything of what is in it."""
        try:
            found = bytes.fromhex(text.strip())
            seat_secrets.seed_of(found, "")
        except ValueError:
            raise LabctlError(
                f"A secret of the workshop {self.workshop} in {self.folder / name} is damaged (it is not "
                f"{seat_secrets.SECRET_BYTES} bytes in hexadecimal): take your copy of the secret back with `labctl "
                "workshop secret --input FILE --force`, or remove the file; seats that exist keep what they have."
            ) from None
        return found

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(self._read(name) or "{}")
        except ValueError:
            # It only saves work: what exists is known from the labels.
            return {}
        return found if isinstance(found, dict) else {}

    def _read(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(error) from error

    def _write(self, name: str, text: str) -> None:
        """Write a file whole or not at all, readable by its owner only from its first byte on."""
        path = self.folder / name
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = path.with_name(f"{path.name}.{os.getpid()}.new")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
                file.write(text)
            new.replace(path)
        except OSError as error:
            raise self._unusable(error) from error

    @contextmanager
    def _locked(self, name: str = _LOCK) -> Iterator[None]:
        """Two commands at once must not make two secrets."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _unusable(self, error: Exception) -> LabctlError:
        reason = getattr(error, "strerror", None) or error
        return LabctlError(
            f"The workshop's register in {self.folder} cannot be used ({reason}): make that folder yours and writable, "
            "or name another state folder with XDG_STATE_HOME."
        )


def _seed_name(lab: str) -> str:
    return f"seats/{lab}.seed"
