"""Keep an owner's labs within the limits of the Docker host's admin, also when several are started at once.

Without a file of limits, nothing is checked and nothing is made. With one, an owner's containers are
counted under a lock on the file itself, which every user of the Docker host shares; and before the lock is released, a
container that is never started reserves the new lab's share. So the next command counts it, while the labs
themselves start side by side. A reservation that a killed command leaves has the lab's label: the next `up` or `down`
removes it, like every helper.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .shared import file_lock, lab_names, label_values, lock_holder, quotas
from .shared.docker_api import DockerError
from .shared.quotas import Use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from .shared.docker_api import Engine

LOCK_SECONDS = 120.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class QuotaRequest:
    """A request for a lab; `memory` is of each server, in Docker's units, `labels` are those besides ours."""

    lab: str
    owner: str
    servers: int
    memory: str
    image: str
    labels: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def place_for(  # noqa: PLR0913 - what is asked for, and how the file is locked
    engine: Engine,
    asked: QuotaRequest,
    path: Path,
    *,
    dry: bool,
    say: Callable[[str], None] | None = None,
    try_to: Callable[[int], bool] = file_lock.try_to,
    seconds: float = LOCK_SECONDS,
) -> Iterator[None]:
    """Hold a reservation for a lab while it is made. Raises DockerError where it would exceed its owner's limits.

    With `dry` nothing is made: it only checks whether the lab would be allowed now. `say` receives who it waits for.
    `try_to` locks the file, which others may hold for up to `seconds`.
    """
    with _opened(path, say, try_to, seconds) as file:
        reserved = _reserve(engine, asked, path, file, dry=dry) if file is not None else ""
    try:
        yield
    finally:
        if reserved:
            _give_back(engine, reserved)


def _give_back(engine: Engine, reserved: str) -> None:
    try:
        engine.remove("container", [reserved], doing="removing the container that held the lab's place")
    except DockerError as error:
        # A lab that could not be started was removed with everything that carries its label, or is being removed.
        if not re.search(r"no such container|already in progress", error.said, re.IGNORECASE):
            raise


def _reserve(engine: Engine, asked: QuotaRequest, path: Path, file: int, *, dry: bool) -> str:
    """Count, and make the container with the reservation; returns its ID, or "" where none is needed."""
    limits = _limits(asked.owner, path, file)
    if all(math.isinf(limit.most) for limit in limits):
        return ""
    of_owner = {"label": f"{lab_names.LABEL_OWNER}={asked.owner}"}
    containers = engine.containers(of_owner, doing=f"counting what {asked.owner} has")
    have = quotas.uses(quotas.claims_in(label_values.fitting(containers), lab_names.LABEL_PREFIX))
    before = have.pop(asked.lab, Use())
    others = sum(have.values(), Use())
    each = _memory_of(asked, limits)
    after = quotas.use_of(asked.servers, each)
    broken = quotas.exceeded(limits, others, before, after)
    if broken:
        excess = quotas.excess_words(asked.owner, broken, others + before, others + after)
        raise DockerError(
            f"The lab {asked.lab} would be more than {asked.owner} may have on this Docker host, so nothing was "
            f"changed: {excess}; remove a lab of yours with `labctl down`, or ask the admin to raise the limits in "
            f"{path}.",
            "refused",
        )
    if dry:
        return ""
    # Even for a lab that does not grow: its present claim may be the reservation of a killed command, which goes next.
    labels = {
        **asked.labels,
        lab_names.LABEL_LAB: asked.lab,
        lab_names.LABEL_OWNER: asked.owner,
        lab_names.LABEL_PREFIX + quotas.RESERVED_SERVERS: str(asked.servers),
        lab_names.LABEL_PREFIX + quotas.RESERVED_MEMORY: "0" if math.isinf(each) else f"{each:.0f}",
    }
    body = {"Image": asked.image, "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
    return str(engine.create(body, doing=f"holding a place for the lab with the image {asked.image}"))


def _memory_of(asked: QuotaRequest, limits: list[quotas.Limit]) -> float:
    """The memory of one server in bytes; infinite where it has no limit."""
    try:
        return quotas.memory(asked.memory) or math.inf
    except ValueError as error:
        if all(math.isinf(limit.most) for limit in limits if limit.key == "memory"):
            # Not countable here; Compose reports whether it is valid.
            return math.inf
        raise DockerError(f"The lab {asked.lab} was not started: {error} (consul_lab_memory).", "usage") from error


def _limits(owner: str, path: Path, file: int) -> list[quotas.Limit]:
    """The limits of an owner. Raises DockerError where the file cannot be understood: then nobody may start a lab."""
    try:
        with os.fdopen(os.dup(file), encoding="utf-8-sig") as stream:
            stream.seek(0)
            return list(quotas.limits_of(owner, quotas.parse(stream.read(quotas.LONGEST_FILE + 1))))
    except UnicodeDecodeError as error:
        raise _not_understood(path, "it is not UTF-8") from error
    except quotas.LimitsError as error:
        raise _not_understood(path, str(error)) from error
    except OSError as error:
        # A stream that cannot be rewound raises an error without a number.
        raise _not_understood(path, error.strerror or "it is no plain file") from error


def _not_understood(path: Path, why: str) -> DockerError:
    return DockerError(
        f"The limits of this Docker host in {path} cannot be understood ({why}), so nothing was started: "
        "its admin must fix it."
    )


@contextlib.contextmanager
def _opened(
    path: Path, say: Callable[[str], None] | None, try_to: Callable[[int], bool], seconds: float
) -> Iterator[int | None]:
    """The file of limits with its lock held; None if there is no file. Raises DockerError."""
    patience = lock_holder.Patience(seconds, say)
    while True:
        try:
            # Without O_NONBLOCK, opening a pipe would wait.
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        except OSError as error:
            raise _not_understood(path, str(error.strerror)) from error
        try:
            _lock(file, path, patience, try_to)
            # Editors replace the file by a new one: make sure that ours is the one that others lock.
            if _is_at(path, file):
                yield file
                return
        finally:
            os.close(file)


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False


def _lock(file: int, path: Path, patience: lock_holder.Patience, try_to: Callable[[int], bool]) -> None:
    # The file's owner may not allow others to write into it: then no note names the holder.
    who = f"the holder of this Docker host's limits: `fuser -v {path}` shows it"
    try:
        while not try_to(file):
            patience.wait(lambda: who, POLL_SECONDS)
    except lock_holder.LockHeldError:
        raise DockerError(
            f"Somebody has held the limits of this Docker host for {patience.seconds:.0f} seconds, so nothing was "
            f"started: `fuser -v {path}` shows who. Wait until that has ended, then try again.",
            "refused",
        ) from None
    except OSError as error:
        raise _not_understood(path, f"it cannot be locked: {error.strerror}") from error
