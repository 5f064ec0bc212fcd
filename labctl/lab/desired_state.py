"""The lab that `labctl up` is asked for, and how that differs from an existing one. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from labctl.errors import ExitCode, LabctlError
from labctl.shared import lab_names, label_values
from labctl.shared.lab_spec import SETTINGS, LabSpec, choice_problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from labctl.engine.labs import Lab
    from labctl.shared.lab_spec import Setting

LARGEST_PORT = 65535
IMAGE_SOURCES = ("auto", "registry", "release", "binary", "debian")


@dataclass(frozen=True)
class UpOptions:
    """The user's request; None means: as the lab has it, else the default.

    `given` are the settings of `LabSpec` that were asked for, by their names.
    """

    lab: str
    owner: str
    given: Mapping[str, Any] = field(default_factory=dict)
    seed_file: str | None = None
    image_source: str | None = None
    image_binary: str | None = None
    image_digest: str | None = None
    subnet: str | None = None
    subnet_pool: str | None = None
    join: bool = True
    timeout: int = 120
    dry_run: bool = False
    watch: bool = False
    verbose: bool = False
    inventory: Path | None = None

    @property
    def version(self) -> str | None:
        """The version of Consul that was asked for."""
        return self.given.get("version")


def wanted_of(options: UpOptions, lab: Lab | None) -> LabSpec:
    """The request, completed from the existing lab, else from the defaults.

    A binary, or a registry image by digest, gives the Consul that it contains.
    """
    there = lab.spec if lab else LabSpec()
    if options.image_binary or options.image_digest:
        there = replace(there, version="")
    return there.with_given(options.given)


def differences(lab: Lab, wanted: LabSpec) -> list[str]:
    """What `up` would change in an existing lab, one sentence each; empty if nothing."""
    changes = lab.spec.differences(wanted)
    changes += [f"{name} is left of a change that was killed: it is repaired" for name in lab.replacements]
    changes += [f"{name} is gone: it is made again" for name in lab.missing]
    changes += [
        f"{server.name} {_STATES.get(server.state, f'is {server.state}')}: it is started"
        for server in lab.servers
        if server.state != "running"
    ]
    return changes


_STATES = {"exited": "has exited", "created": "was never started"}
"""Docker's states that are no adjectives."""

# What a user's inventory may set besides, and the option for the same.
_OF_INVENTORY = {
    "seed_file": "consul_lab_seed_file",
    "image_source": "consul_image_source",
    "subnet": "consul_lab_subnet",
    "subnet_pool": "consul_lab_subnet_pool",
}
# What it may set for a source, where that source is required: the role reads nothing else then.
_OF_SOURCE = {
    "binary": ("image_binary", "consul_image_binary"),
    "registry": ("image_digest", "consul_image_registry_digest"),
}


def completed(options: UpOptions, variables: dict[str, Any]) -> UpOptions:
    """The settings that the user gave by no option, taken from the inventory where it has plain values.

    `refuse_options` checks the types of the values; Ansible takes the text "3" for a number, too.
    """

    def plain(variable: str) -> Any:
        said = variables.get(variable)
        return said if said and "{{" not in str(said) else None

    given = dict(options.given)
    for setting in SETTINGS:
        if given.get(setting.name) is None and (said := plain(setting.variable)) is not None:
            given[setting.name] = _number_of(said) if isinstance(setting.default, int) else said
    chosen = {
        option: said
        for option, variable in _OF_INVENTORY.items()
        if getattr(options, option) is None and (said := plain(variable)) is not None
    }
    option, variable = _OF_SOURCE.get(str(chosen.get("image_source", options.image_source)), ("", ""))
    if option and getattr(options, option) is None and (named := str(variables.get(variable) or "")):
        chosen[option] = named if "{{" not in named else None
    return replace(options, given=given, **chosen)


def _number_of(given: object) -> Any:
    number = label_values.number(given)
    return given if number is None else number


def refuse_options(options: UpOptions) -> None:
    """Raise LabctlError (usage) for an invalid name or number."""
    if problem := lab_names.name_problem(options.lab):
        raise LabctlError(lab_names.name_sentence(options.lab, problem), ExitCode.USAGE)
    for setting in SETTINGS:
        value = options.given.get(setting.name)
        if value is None:
            continue
        if isinstance(setting.default, int):
            _refuse_no_number(setting, value)
        if sentence := choice_problem(setting, value):
            raise LabctlError(sentence, ExitCode.USAGE)
    if options.image_source not in (None, *IMAGE_SOURCES):
        sources = ", ".join(IMAGE_SOURCES)
        raise LabctlError(f"{options.image_source!a} is not an image source: choose one of {sources}.", ExitCode.USAGE)
    if options.image_binary and options.image_source != "binary":
        raise LabctlError(binary_sentence(options.image_source), ExitCode.USAGE)
    _refuse_version(options.version)
    refuse_subnet("--subnet (consul_lab_subnet)", options.subnet)
    refuse_subnet("--subnet-pool (consul_lab_subnet_pool)", options.subnet_pool)


def _refuse_no_number(setting: Setting, given: Any) -> None:
    """Raise LabctlError (usage) for an invalid number, and for what an inventory may have in its place."""
    if setting.name == "servers" and type(given) is int and given <= LARGEST_PORT:
        sentence = lab_names.size_problem(given)
    else:
        is_one = type(given) is int and 0 <= given <= LARGEST_PORT
        what = f"{given!a:.60} for {setting.variable}"
        sentence = None if is_one else f"Cannot use {what}: it is a whole number from 0 to {LARGEST_PORT}."
    if sentence:
        raise LabctlError(sentence, ExitCode.USAGE)


def _refuse_version(version: str | None) -> None:
    if version is not None and label_values.version(str(version).removeprefix("v")) is None:
        raise LabctlError(f"{version!a:.60} is not a version of Consul: name all of it, as in 1.21.4.", ExitCode.USAGE)


def refuse_subnet(named_by: str, given: str | None) -> None:
    """Raise LabctlError (usage) for a subnet that no lab can have; None means that none was given."""
    if given is None:
        return
    from labctl.shared import subnets  # noqa: PLC0415 - most labs are given none

    try:
        subnets.parse(str(given))
    except ValueError as error:
        raise LabctlError(f"Cannot use the addresses of {named_by}: {error}.", ExitCode.USAGE) from None


def binary_sentence(source: str | None) -> str:
    """Why a binary cannot be named beside another source."""
    return (
        f"Cannot make an image of a binary from the source {source}. Leave `--image-source` or `--source` out, or the "
        "binary."
    )


def refuse_profile(lab: Lab | None, wanted: LabSpec) -> None:
    """Raise LabctlError (refused) where the lab exists with another profile."""
    sentence = lab_names.profile_sentence(lab.name, lab.spec.profile, wanted.profile) if lab else None
    if sentence:
        raise LabctlError(sentence, ExitCode.REFUSED)


def refuse_foreign(lab: Lab | None, owner: str) -> None:
    """Raise LabctlError (refused) where the lab is somebody else's."""
    if lab and lab.owner != owner:
        raise LabctlError(
            f"The lab {lab.name} on this Docker host belongs to {lab.owner}, not to {owner}, so nothing was changed: "
            f"choose another name, or set LABCTL_OWNER={lab.owner} if that is you.",
            ExitCode.REFUSED,
        )
