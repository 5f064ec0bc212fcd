"""The results of commands that change something: their `--json`, field by field (docs/reference/json.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerRole:
    """A server of a lab; `role` is None where it is not known."""

    name: str
    address: str
    role: str | None


@dataclass(frozen=True)
class UpResult:
    """`labctl up` and `labctl join`; for a lab that waits to be joined, `leader` and `term` are None.

    `seconds` has the duration of each step: `image`, `start`, `join`, `election` and `total`.
    """

    lab: str
    changed: bool
    servers: tuple[ServerRole, ...]
    leader: str | None
    term: int | None
    voters: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class UpPreview:
    """`labctl up --dry-run`: `would` has one sentence for each step that it would take."""

    lab: str
    changed: bool
    would: tuple[str, ...]


@dataclass(frozen=True)
class DownResult:
    """`labctl down`: the parts of a lab that were removed; `lab` is None where there was none."""

    lab: str | None
    owner: str | None = None
    changed: bool = False
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChangePreview:
    """`labctl stop`, `start` and `restart` with `--dry-run`."""

    lab: str
    changed: bool
    actions: tuple[str, ...]


@dataclass(frozen=True)
class ChangeResult:
    """`labctl stop`, `start` and `restart`; `leader` is the leader afterwards, where the command waited for one."""

    lab: str
    changed: bool
    actions: tuple[str, ...]
    leader: str | None


@dataclass(frozen=True)
class ImageResult:
    """`labctl image build`: the image that exists now; `size` in bytes."""

    id: str
    name: str
    version: str
    source: str
    size: int
    created: str


@dataclass(frozen=True)
class ImageFile(ImageResult):
    """`labctl image save`: where it was saved to; `file_size` in bytes."""

    file: str
    file_size: int
    text: str


@dataclass(frozen=True)
class LoadedImage(ImageResult):
    """`labctl image load`."""

    text: str


@dataclass(frozen=True)
class ForecastResult:
    """The consequences of a fault: how many servers stay together, whether there is a leader and writes succeed.

    `seconds_without_leader` are the usual least and most; None where none can be predicted, or none will lead.
    """

    together: int
    voters: int
    quorum: int
    leader: str
    seconds_without_leader: tuple[int, int] | None
    writes: bool | None
    sentence: str


@dataclass(frozen=True)
class FaultResult:
    """`labctl fault VERB`: `fault` is its name, None where it has none; `seconds` is None where nothing ends it."""

    lab: str
    changed: bool
    fault: str | None
    what: str
    servers: tuple[str, ...]
    seconds: float | None
    forecast: ForecastResult | None


@dataclass(frozen=True)
class HealResult:
    """`labctl fault heal`: the faults that were lifted, and the servers that run again."""

    lab: str
    changed: bool
    healed: tuple[str, ...]
    started: tuple[str, ...]


@dataclass(frozen=True)
class ExpiryResult:
    """`labctl workshop expire` and `extend`: when it ends now (UTC), None for never, and which hosts know it."""

    workshop: str
    changed: bool
    expires: str | None
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class BundleResult:
    """`labctl bundle save`; `size` in bytes, `missing` are servers of which no container is left, so no log."""

    lab: str
    file: str
    size: int
    lines: int
    missing: list[str]
