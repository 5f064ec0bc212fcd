"""The lab's volume of configuration: its secrets, and settings that old Consul versions read only from a file."""

from __future__ import annotations

import io
import json
import re
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .shared import credentials, derived_secrets, lab_names
from .shared.constants import SERVER_UID
from .shared.docker_api import DockerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .lab_parts import LabParts
    from .shared.docker_api import Engine

ACCESS = credentials.FOLDER.rpartition("/")[2]
GOSSIP_FILE = "gossip.json"
ACL_FILE = "acl.json"
CERTIFICATE_DAYS = 1825
HELPER_SECONDS = 120
HELPER_MEMORY_BYTES = 128 << 20
HELPER_PROCESSES = 64
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\n[^-]+-----END \1-----\n")

# $1 is the datacenter. The authority's key stays in the helper's memory, and is gone with it.
_CERTIFY = f"""set -e
cd /tmp
consul tls ca create -days {CERTIFICATE_DAYS} >ca.out 2>&1 || {{ cat ca.out; exit 1; }}
consul tls cert create -server -dc "$1" -days {CERTIFICATE_DAYS} >cert.out 2>&1 || {{ cat cert.out; exit 1; }}
cat consul-agent-ca.pem "$1-server-consul-0.pem" "$1-server-consul-0-key.pem"
"""


@dataclass(frozen=True)
class SecretsRequest:
    """The secrets of a lab.

    Attributes:
        profile: `open`, `gossip` or `full`.
        seed: what they are made from.
        tokens: this version's names for each token of a `full` lab, and which of the lab's two it is.
    """

    profile: str
    seed: bytes = field(repr=False)
    tokens: Mapping[str, str] = field(default_factory=dict)


class Configuration:
    """The volume of one lab. After `provide`, `made` lists the secrets that were made, each in a few words."""

    def __init__(self, engine: Engine, lab: str, owner: str, labels: Mapping[str, str] | None = None) -> None:
        self.engine = engine
        self.lab = lab
        self.labels = {**(labels or {}), lab_names.LABEL_LAB: lab, lab_names.LABEL_OWNER: owner}
        self.made: list[str] = []

    def provide(self, parts: LabParts, image: str, settings: dict[str, Any], secrecy: SecretsRequest) -> None:
        """Make the volume with the lab's secrets, and the settings that old Consul versions read from a file.

        The secrets are made here, go over the engine's socket into the volume and are nowhere else. A helper
        container carries them in, which is started only where it has to make certificates; one that a killed run
        leaves has the lab's label, so the next run, and `down`, remove it. Once servers exist the secrets are in use,
        and only files that another version of Consul reads differently are written.
        """
        volume = lab_names.config_volume_name(self.lab)
        in_use = bool(parts.servers) and volume in parts.volumes
        full = secrecy.profile == "full"
        if in_use and not settings and not full:
            return
        helper = self._helper(image, volume, secrecy)
        complete = volume in parts.volumes and self._is_complete(helper, secrecy.profile)
        if not in_use and not complete and volume in parts.volumes and parts.seed != _seed_label(secrecy):
            # A killed run left it, and its label tells of another seed than the one that its secrets will be made from.
            self.engine.remove("container", [helper], doing="removing the helper container")
            self.engine.remove("volume", [volume], doing="removing a volume without its secrets")
            helper = self._helper(image, volume, secrecy)
        files = {"settings.json": (json.dumps(settings).encode(), 0o644)} if settings else {}
        if in_use or complete:
            files.update(self._other_words(helper, secrecy) if full else {})
        else:
            files.update(self._secrets(helper, secrecy))
        if files:
            self.engine.put_files(helper, credentials.CONFIG_FOLDER, archive(files), doing="storing the gossip key")
        self.engine.remove("container", [helper], doing="removing the helper container")

    def _helper(self, image: str, volume: str, secrecy: SecretsRequest) -> str:
        """Make the helper container, and the volume where it is not there. Returns the container's ID."""
        labels = {**self.labels, lab_names.LABEL_PROFILE: secrecy.profile}
        seed = _seed_label(secrecy)
        helper = helper_container(image, volume, {**labels, lab_names.LABEL_SEED: seed} if seed else labels)
        helper["Labels"] = {**labels, lab_names.LABEL_HELPER: "configuration"}
        if secrecy.profile == "full":
            helper = certifying(helper)
        return self.engine.create(helper, doing=f"preparing the gossip key with the image {image}")

    def _is_complete(self, helper: str, profile: str) -> bool:
        """Whether the volume is complete; the gossip key is written last."""
        return profile == "open" or self.engine.has_file(
            helper, f"{credentials.CONFIG_FOLDER}/{GOSSIP_FILE}", doing="looking for the gossip key"
        )

    def _secrets(self, helper: str, secrecy: SecretsRequest) -> dict[str, tuple[bytes, int]]:
        files: dict[str, tuple[bytes, int]] = {}
        if secrecy.profile == "full":
            token, recovery = derived_secrets.token(secrecy.seed), derived_secrets.recovery_token(secrecy.seed)
            files = {
                **self._certificates(helper),
                f"{ACCESS}/{credentials.TOKEN}": (token.encode(), 0o600),
                f"{ACCESS}/{credentials.RECOVERY_TOKEN}": (recovery.encode(), 0o600),
                ACL_FILE: (acl_configuration(secrecy.tokens, token, recovery), 0o600),
            }
            self.made.append("made certificates and a token")
        if secrecy.profile != "open":
            files[GOSSIP_FILE] = (gossip_configuration(secrecy.seed), 0o600)
            self.made.append("made a gossip key")
        return files

    def _certificates(self, helper: str) -> dict[str, tuple[bytes, int]]:
        """A certificate for all servers of the lab and its authority's, made by Consul's own commands."""
        doing = "making the lab's certificates"
        self.engine.change("start", [helper], doing=doing)
        said = self.engine.execute(helper, ["/bin/sh", "-c", _CERTIFY, "certify", self.lab], doing=doing)
        blocks = [match.group(0).encode("ascii") for match in _PEM.finditer(said)]
        kinds = [match.group(1) for match in _PEM.finditer(said)]
        if len(blocks) != 3 or kinds[:2] != ["CERTIFICATE"] * 2 or not kinds[2].endswith("PRIVATE KEY"):  # noqa: PLR2004
            raise DockerError("`consul tls` in the lab's image made no certificates: make the image again.")
        names = (credentials.AUTHORITY, credentials.CERTIFICATE, credentials.KEY)
        return {f"{ACCESS}/{name}": (block, 0o600) for name, block in zip(names, blocks)}

    def _other_words(self, helper: str, secrecy: SecretsRequest) -> dict[str, tuple[bytes, int]]:
        """The tokens under another version's names for them; nothing where the names are the same."""
        doing = "reading the lab's token"
        try:
            access = credentials.access_from(self.engine.get_files(helper, credentials.FOLDER, doing=doing), self.lab)
            had = self.engine.get_files(helper, f"{credentials.CONFIG_FOLDER}/{ACL_FILE}", doing=doing)
        except (OSError, DockerError) as error:
            if isinstance(error, DockerError) and not error.is_no_such_file:
                raise
            raise DockerError(
                f"The volume of the lab {self.lab} has lost its token ({error}): `labctl down {self.lab}` removes the "
                "lab with its data, then start it again."
            ) from error
        wanted = acl_configuration(secrecy.tokens, access.token, access.recovery_token)
        return {} if wanted in had else {ACL_FILE: (wanted, 0o600)}


def _seed_label(secrecy: SecretsRequest) -> str:
    """The fingerprint that the volume carries; none where it has no secrets."""
    return "" if secrecy.profile == "open" else derived_secrets.fingerprint(secrecy.seed)


def gossip_configuration(seed: bytes) -> bytes:
    """The gossip key of a seed as a Consul configuration file."""
    return json.dumps({"encrypt": derived_secrets.gossip_key(seed)}).encode("ascii")


def acl_configuration(tokens: Mapping[str, str], token: str, recovery_token: str) -> bytes:
    """A lab's tokens as a Consul configuration file, under its version's names for them."""
    values = {"token": token, "recovery_token": recovery_token}
    named = {name: values[which] for name, which in sorted(tokens.items())}
    return json.dumps({"acl": {"tokens": named}}).encode("ascii")


def helper_container(image: str, volume: str, labels: dict[str, str]) -> dict[str, Any]:
    """A container without a network that has the volume; Docker makes the volume with the labels."""
    mount = {
        "Type": "volume",
        "Source": volume,
        "Target": credentials.CONFIG_FOLDER,
        "VolumeOptions": {"Labels": labels},
    }
    return {"Image": image, "Labels": labels, "HostConfig": {"NetworkMode": "none", "Mounts": [mount]}}


def certifying(helper: dict[str, Any]) -> dict[str, Any]:
    """The helper, with memory to make certificates in, and no other rights."""
    return {
        **helper,
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": [f"sleep {HELPER_SECONDS}"],
        "User": f"{SERVER_UID}:{SERVER_UID}",
        "HostConfig": {
            **helper["HostConfig"],
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": "size=1m,mode=1777,noexec,nosuid,nodev"},  # noqa: S108 - in a container of its own
            "Memory": HELPER_MEMORY_BYTES,
            "PidsLimit": HELPER_PROCESSES,
        },
    }


def archive(files: dict[str, tuple[bytes, int]]) -> bytes:
    """A tar of files that belong to the image's user; `files` maps a name to content and mode.

    A name may have one folder in front, which only that user may enter.
    """
    stream = io.BytesIO()
    folders: set[str] = set()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, (content, mode) in files.items():
            folder = name.rpartition("/")[0]
            if folder and folder not in folders:
                folders.add(folder)
                inner = tarfile.TarInfo(folder)
                inner.type, inner.mode = tarfile.DIRTYPE, 0o700
                inner.uid = inner.gid = SERVER_UID
                tar.addfile(inner)
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            entry.uid = entry.gid = SERVER_UID
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
