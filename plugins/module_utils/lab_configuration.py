"""The lab's volume of configuration: its gossip key, and what old Consul versions read only from a file."""

from __future__ import annotations

import base64
import io
import json
import secrets
import tarfile
from typing import TYPE_CHECKING, Any

from ansible.module_utils import lab_names

if TYPE_CHECKING:
    from ansible.module_utils.docker_api import Engine
    from ansible.module_utils.lab_found import Found

SERVER_UID = 8500
GOSSIP_KEY_BYTES = 32
CONFIG_FOLDER = "/consul/config"
GOSSIP_FILE = "gossip.json"


class Configuration:
    """The volume of one lab. `made_key` tells after `provide` whether a key was made."""

    def __init__(self, engine: Engine, lab: str, owner: str) -> None:
        self.engine = engine
        self.lab = lab
        self.labels = {lab_names.LABEL_LAB: lab, lab_names.LABEL_OWNER: owner}
        self.made_key = False

    def provide(self, found: Found, image: str, settings: dict[str, Any]) -> None:
        """Make the volume that holds the gossip key, and what old Consul versions read from a file.

        The key is made here, goes over the engine's socket into the volume and is nowhere else. A helper
        container that is never started carries it in; one that a killed run leaves has the lab's label, so the
        next run, and `down`, remove it. Once servers exist the key is in use, and only settings are written.
        """
        volume = lab_names.config_volume_name(self.lab)
        in_use = bool(found.servers) and volume in found.volumes
        if in_use and not settings:
            return
        helper = self.engine.create(
            helper_container(image, volume, self.labels), doing=f"preparing the gossip key with the image {image}"
        )
        files = {"settings.json": (json.dumps(settings).encode(), 0o644)} if settings else {}
        if not (in_use or (volume in found.volumes and self._has_key(helper))):
            files[GOSSIP_FILE] = (gossip_configuration(), 0o600)
            self.made_key = True
        if files:
            self.engine.put_files(helper, CONFIG_FOLDER, archive(files), doing="storing the gossip key")
        self.engine.remove("container", [helper], doing="removing the helper container")

    def _has_key(self, helper: str) -> bool:
        return self.engine.has_file(helper, f"{CONFIG_FOLDER}/{GOSSIP_FILE}", doing="looking for the gossip key")


def gossip_configuration() -> bytes:
    """A new gossip key as a Consul configuration file."""
    key = base64.b64encode(secrets.token_bytes(GOSSIP_KEY_BYTES)).decode("ascii")
    return json.dumps({"encrypt": key}).encode("ascii")


def helper_container(image: str, volume: str, labels: dict[str, str]) -> dict[str, Any]:
    """A container without a network that has the volume; Docker makes the volume with the labels."""
    mount = {"Type": "volume", "Source": volume, "Target": CONFIG_FOLDER, "VolumeOptions": {"Labels": labels}}
    return {"Image": image, "Labels": labels, "HostConfig": {"NetworkMode": "none", "Mounts": [mount]}}


def archive(files: dict[str, tuple[bytes, int]]) -> bytes:
    """A tar of files that belong to the image's user; `files` maps a name to content and mode."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            entry.uid = entry.gid = SERVER_UID
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
