"""The lab's volume of configuration: its gossip key, and what old Consul versions read only from a file."""

from __future__ import annotations

import base64
import csv
import io
import json
import secrets
import tarfile
from typing import TYPE_CHECKING, Any

from ansible.module_utils import lab_names
from ansible.module_utils.docker_cli import DockerError

if TYPE_CHECKING:
    import subprocess

    from ansible.module_utils.docker_cli import Docker
    from ansible.module_utils.lab_found import Found

SERVER_UID = 8500
GOSSIP_KEY_BYTES = 32
CONFIG_FOLDER = "/consul/config"
GOSSIP_FILE = "gossip.json"


class Configuration:
    """The volume of one lab. `made_key` tells after `provide` whether a key was made."""

    def __init__(self, docker: Docker, lab: str, owner: str) -> None:
        self.docker = docker
        self.lab = lab
        self.labels = {lab_names.LABEL_LAB: lab, lab_names.LABEL_OWNER: owner}
        self.made_key = False

    def provide(self, found: Found, image: str, settings: dict[str, Any]) -> subprocess.Popen[bytes] | None:
        """Make the volume that holds the gossip key, and what old Consul versions read from a file.

        The key is made here, goes over a pipe into the volume and is nowhere else. A helper container that
        is never started carries it in; its removal is returned as a process, because Compose need not wait
        for it. Once servers exist the key is in use, and only settings are written.
        """
        volume = lab_names.config_volume_name(self.lab)
        in_use = bool(found.servers) and volume in found.volumes
        if in_use and not settings:
            return None
        words = [word for name, value in self.labels.items() for word in ("--label", f"{name}={value}")]
        helper = self.docker.run(
            "container", "create", *words, "--network", "none",
            "--mount", mount(volume, CONFIG_FOLDER, self.labels), image,
            doing=f"preparing the gossip key with the image {image}",
        ).strip()  # fmt: skip
        files = {"settings.json": (json.dumps(settings).encode(), 0o644)} if settings else {}
        if not (in_use or (volume in found.volumes and self._has_key(helper))):
            files[GOSSIP_FILE] = (gossip_configuration(), 0o600)
            self.made_key = True
        if files:
            self.docker.run(
                "cp", "-", f"{helper}:{CONFIG_FOLDER}", stdin=archive(files), doing="storing the gossip key"
            )
        return self.docker.start("container", "rm", "-f", helper)

    def _has_key(self, helper: str) -> bool:
        try:
            self.docker.run("cp", f"{helper}:{CONFIG_FOLDER}/{GOSSIP_FILE}", "-", doing="looking for the gossip key")
        except DockerError:
            return False
        return True


def gossip_configuration() -> bytes:
    """A new gossip key as a Consul configuration file."""
    key = base64.b64encode(secrets.token_bytes(GOSSIP_KEY_BYTES)).decode("ascii")
    return json.dumps({"encrypt": key}).encode("ascii")


def mount(volume: str, target: str, labels: dict[str, str]) -> str:
    """The value of docker's `--mount` for a volume that it makes with labels; the value is a line of CSV."""
    line = io.StringIO()
    fields = ["type=volume", f"src={volume}", f"dst={target}"]
    csv.writer(line, lineterminator="").writerow(
        fields + [f"volume-label={name}={value}" for name, value in labels.items()]
    )
    return line.getvalue()


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
