"""What `labctl up` is asked to do, and what that changes in a lab that is there. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from labctl.engine.labs import RAFT_MULTIPLIER
from labctl.errors import ExitCode, LabctlError
from labctl.shared import lab_names, label_values

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.engine.labs import Lab

DEFAULT_SERVERS = 3
DEFAULT_PACE = "teach"
PACES = tuple(RAFT_MULTIPLIER)
LARGEST_PORT = 65535
IMAGE_SOURCES = ("auto", "registry", "release", "binary", "debian")


@dataclass(frozen=True)
class UpOptions:
    """What the user asked for; None means: as the lab has it, else the default."""

    lab: str
    owner: str
    servers: int | None = None
    pace: str | None = None
    profile: str | None = None
    seed_file: str | None = None
    version: str | None = None
    image_source: str | None = None
    image_binary: str | None = None
    image_digest: str | None = None
    http_port: int | None = None
    subnet: str | None = None
    subnet_pool: str | None = None
    join: bool = True
    timeout: int = 120
    dry_run: bool = False
    watch: bool = False
    verbose: bool = False
    inventory: Path | None = None


@dataclass(frozen=True)
class Wanted:
    """What the lab shall be."""

    servers: int
    pace: str
    version: str | None
    http_port: int
    profile: str = lab_names.DEFAULT_PROFILE


def wanted_of(options: UpOptions, lab: Lab | None) -> Wanted:
    """What was asked for, completed from the lab that is there, else from the defaults.

    Who names a binary, or an image of a registry by its digest, gets the Consul that is in it.
    """
    names_one = options.image_binary or options.image_digest
    return Wanted(
        servers=options.servers or (lab.size if lab else DEFAULT_SERVERS),
        pace=options.pace or (lab.pace if lab and lab.pace else DEFAULT_PACE),
        version=options.version or (lab.version if lab and lab.version and not names_one else None),
        http_port=options.http_port if options.http_port is not None else (lab.http_port if lab else 0),
        profile=options.profile or (lab.profile if lab else lab_names.DEFAULT_PROFILE),
    )


def differences(lab: Lab, wanted: Wanted) -> list[str]:
    """What `up` would change in a lab that is there, one sentence each; empty where nothing."""
    found = []
    again = "all servers are made again and keep their data and addresses"
    if wanted.pace != lab.pace:
        found.append(f"pace {lab.pace} becomes {wanted.pace}: {again}")
    if wanted.version not in (None, lab.version):
        found.append(f"Consul {lab.version} becomes {wanted.version}: {again}")
    if wanted.http_port != lab.http_port:
        found.append(f"the HTTP port of consul1 becomes {wanted.http_port or 'one that Docker chooses'}: {again}")
    old, new = lab_names.server_names(lab.size), lab_names.server_names(wanted.servers)
    if len(new) > len(old):
        found.append(f"{', '.join(new[len(old) :])} join, so {len(new)} servers vote: {again}")
    if len(new) < len(old):
        found.append(
            f"{', '.join(old[len(new) :])} leave the cluster, and their data is removed: the others are made again"
        )
    found += [f"{name} is left of a change that was killed: it is put right" for name in lab.replacements]
    found += [f"{name} is gone: it is made again" for name in lab.missing]
    found += [f"{one.name} is {one.state}: it is started" for one in lab.servers if one.state != "running"]
    return found


# What a user's inventory may say about a lab, and which option says the same.
_OF_INVENTORY = {
    "servers": "consul_lab_servers",
    "pace": "consul_lab_pace",
    "profile": "consul_lab_profile",
    "seed_file": "consul_lab_seed_file",
    "http_port": "consul_lab_http_port",
    "version": "consul_image_version",
    "image_source": "consul_image_source",
    "subnet": "consul_lab_subnet",
    "subnet_pool": "consul_lab_subnet_pool",
}
_NUMBERS = ("servers", "http_port")
# What it may name of a source, where that source is demanded: the role looks at nothing else then.
_OF_SOURCE = {
    "binary": ("image_binary", "consul_image_binary"),
    "registry": ("image_digest", "consul_image_registry_digest"),
}


def completed(options: UpOptions, variables: dict[str, Any]) -> UpOptions:
    """What the user did not ask for by an option, taken from the inventory where it says it in plain words.

    Of what kind the values are, `refuse_options` looks at; Ansible takes the text "3" for a number, too.
    """
    found = {
        option: _number_of(variables[variable]) if option in _NUMBERS else variables[variable]
        for option, variable in _OF_INVENTORY.items()
        if getattr(options, option) is None and variables.get(variable) and "{{" not in str(variables[variable])
    }
    option, variable = _OF_SOURCE.get(str(found.get("image_source", options.image_source)), ("", ""))
    if option and getattr(options, option) is None and (named := str(variables.get(variable) or "")):
        found[option] = named if "{{" not in named else None
    return replace(options, **found)


def _number_of(given: object) -> Any:
    number = label_values.number(given)
    return given if number is None else number


def refuse_options(options: UpOptions) -> None:
    """Raise LabctlError (usage) for a name or a number that cannot be."""
    if problem := lab_names.name_problem(options.lab):
        raise LabctlError(lab_names.name_sentence(options.lab, problem), ExitCode.USAGE)
    _refuse_numbers(options)
    if options.pace not in (None, *PACES):
        raise LabctlError(f"{options.pace!a} is not a pace: choose {' or '.join(PACES)}.", ExitCode.USAGE)
    if options.profile not in (None, *lab_names.PROFILES):
        profiles = ", ".join(lab_names.PROFILES)
        raise LabctlError(f"{options.profile!a} is not a profile: choose one of {profiles}.", ExitCode.USAGE)
    if options.image_source not in (None, *IMAGE_SOURCES):
        sources = ", ".join(IMAGE_SOURCES)
        raise LabctlError(f"{options.image_source!a} is not an image source: choose one of {sources}.", ExitCode.USAGE)
    if options.image_binary and options.image_source != "binary":
        raise LabctlError(binary_sentence(options.image_source), ExitCode.USAGE)
    _refuse_version(options.version)
    refuse_subnet("--subnet (consul_lab_subnet)", options.subnet)
    refuse_subnet("--subnet-pool (consul_lab_subnet_pool)", options.subnet_pool)


def _refuse_numbers(options: UpOptions) -> None:
    if options.servers is not None:
        if type(options.servers) is not int or options.servers > LARGEST_PORT:
            _refuse_no_number("servers", options.servers)
        if sentence := lab_names.size_problem(options.servers):
            raise LabctlError(sentence, ExitCode.USAGE)
    if options.http_port is not None:
        _refuse_no_number("http_port", options.http_port)


def _refuse_version(version: str | None) -> None:
    if version is not None and label_values.version(str(version).removeprefix("v")) is None:
        raise LabctlError(f"{version!a:.60} is not a version of Consul: name all of it, as in 1.21.4.", ExitCode.USAGE)


def _refuse_no_number(setting: str, given: object) -> None:
    """Raise LabctlError (usage) for what an inventory may have in the place of a number."""
    if type(given) is not int or not 0 <= given <= LARGEST_PORT:
        raise LabctlError(
            f"Cannot use {given!a:.60} for {_OF_INVENTORY[setting]}: it is a whole number from 0 to {LARGEST_PORT}.",
            ExitCode.USAGE,
        )


def refuse_subnet(named_by: str, given: str | None) -> None:
    """Raise LabctlError (usage) for a subnet that no lab can have; None is one that is not given."""
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


def refuse_profile(lab: Lab | None, wanted: Wanted) -> None:
    """Raise LabctlError (refused) where the lab is there and has another profile."""
    sentence = lab_names.profile_sentence(lab.name, lab.profile, wanted.profile) if lab else None
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
