"""The specification of a lab's servers, for Docker's labels, inventories and sentences about changes.

Each field of `LabSpec` has all its names in one place, so a new option of a server gets its label, its
variable, its option of `labctl up` and its key of a workshop's file from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from . import lab_names, label_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RAFT_MULTIPLIER: Mapping[str, int] = {"real": 1, "teach": 5}
"""A pace, and Consul's setting for it, which stretches Raft's 1 s timeouts; 5 is Consul's default."""
PACES = tuple(RAFT_MULTIPLIER)
AGAIN = "all servers are made again and keep their data and addresses"


class Setting(NamedTuple):
    """One field of LabSpec, by its names outside Python.

    Attributes:
        name: the field, the option and the key of a workshop's file.
        label: the end of the label of each server's container.
        variable: the roles' variable.
        default: the value for a new lab.
        read: parses a label's text; None for a text that labctl never writes.
        choices: the allowed words, if the values are words.
        help: what each choice means.
        change: the beginning of the sentence about a change.
    """

    name: str
    label: str
    variable: str
    default: Any
    read: Callable[[str], Any]
    choices: tuple[str, ...]
    help: str
    change: str


def _called(
    label: str, variable: str, read: Callable[[str], Any] = str, change: str = "", **choice: Any
) -> dict[str, Any]:
    """The `Setting` of a field of LabSpec."""
    return {"label": label, "variable": variable, "read": read, "change": change, **choice}


@dataclass(frozen=True)
class LabSpec:
    """A lab's servers. `http_port` is consul1's, 0 for one that Docker chooses; `version` is "" for the newest."""

    servers: int = field(default=3, metadata=_called("servers", "consul_lab_servers", label_values.size))
    pace: str = field(
        default="teach",
        metadata=_called(
            "pace",
            "consul_lab_pace",
            choices=PACES,
            help="real: Raft's timers as in production; teach: five times slower, to follow with the eye.",
            change="pace",
        ),
    )
    profile: str = field(
        default=lab_names.DEFAULT_PROFILE,
        metadata=_called(
            "profile",
            "consul_lab_profile",
            choices=lab_names.PROFILES,
            help="open: no gossip key; gossip: a key of its own; full: also a token and TLS.",
        ),
    )
    version: str = field(default="", metadata=_called("consul-version", "consul_image_version", change="Consul"))
    http_port: int = field(default=0, metadata=_called("http-port", "consul_lab_http_port", label_values.port))

    @classmethod
    def from_labels(cls, labels: Mapping[str, str], counted: int = 0) -> LabSpec:
        """The specification in the labels of a server's container.

        Args:
            labels: all of them.
            counted: how many servers exist, if no label has the size of the lab.
        """
        said = {
            setting.name: setting.read(labels.get(lab_names.LABEL_PREFIX + setting.label, "")) for setting in SETTINGS
        }
        known = {name: value for name, value in said.items() if value not in (None, "")}
        if counted:
            known.setdefault("servers", counted)
        return cls(**known)

    def to_labels(self) -> dict[str, str]:
        """The labels of each server's container."""
        return {lab_names.LABEL_PREFIX + setting.label: str(getattr(self, setting.name)) for setting in SETTINGS}

    def to_inventory(self) -> dict[str, Any]:
        """The roles' variables."""
        return {setting.variable: getattr(self, setting.name) for setting in SETTINGS}

    def with_given(self, given: Mapping[str, Any]) -> LabSpec:
        """The same with the given values; None leaves a value unchanged."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def differences(self, wanted: LabSpec) -> list[str]:
        """What changes from this to `wanted`, one sentence each without its full stop."""
        changes = []
        for setting in SETTINGS:
            old, new = getattr(self, setting.name), getattr(wanted, setting.name)
            # If no version was asked for, the lab keeps its own.
            if setting.change and new not in ("", old):
                changes.append(f"{setting.change} {old} becomes {new}: {AGAIN}")
        if wanted.http_port != self.http_port:
            changes.append(f"the HTTP port of consul1 becomes {wanted.http_port or 'one that Docker chooses'}: {AGAIN}")
        old_names, new_names = lab_names.server_names(self.servers), lab_names.server_names(wanted.servers)
        if more := new_names[len(old_names) :]:
            changes.append(f"{', '.join(more)} join, so {len(new_names)} servers vote: {AGAIN}")
        if fewer := old_names[len(new_names) :]:
            changes.append(
                f"{', '.join(fewer)} leave the cluster, and their data is removed: the others are made again"
            )
        return changes


def _settings() -> tuple[Setting, ...]:
    said = {"choices": (), "help": ""}
    return tuple(
        Setting(field_.name, default=field_.default, **{**said, **field_.metadata}) for field_ in fields(LabSpec)
    )


SETTINGS = _settings()


def choice_problem(setting: Setting, value: object) -> str | None:
    """One sentence that refuses a value that is not one of a setting's choices; None if it is one."""
    if not setting.choices or value in setting.choices:
        return None
    instead = " or ".join(setting.choices) if len(setting.choices) == 2 else f"one of {', '.join(setting.choices)}"  # noqa: PLR2004
    return f"{value!a:.60} is not a {setting.name.replace('_', ' ')}: choose {instead}."
