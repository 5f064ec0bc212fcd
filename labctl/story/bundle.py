"""A lab's logs in one file, with what is needed to understand them, to be read anywhere and without Docker."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from labctl import __version__, files
from labctl.engine import client as engine
from labctl.engine import logs
from labctl.engine.labs import choose_lab
from labctl.results import BundleResult
from labctl.story import container_acts, json_view
from labctl.story import source as flow
from labctl.story.log_files import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab
    from labctl.engine.logs import LineFile

STORY = "story.json"


def save(
    name: str | None,
    path: Path | None,
    *,
    force: bool,
    owner: str = "",
    connect: Callable[[], Client] = engine.connect,
) -> BundleResult:
    """Write the bundle of a lab, whole or not at all; where it has no name, that of `owner`'s only one.

    Returns what `labctl bundle save --json` prints.
    """
    client = connect()
    lab = choose_lab(client, name, owner)
    path = path or Path(f"{lab.name}.tgz")
    if path.exists() and not force:
        raise files.exists_already(path)
    acts = container_acts.so_far(client, lab)
    # What happened to the containers is in the bundle's logs, as if the servers had written it.
    lines = logs.LineFile(container_acts.beside(logs.read(client, lab.servers), acts, lab.servers))
    with tempfile.TemporaryFile() as bundle:
        with logs.no_room():
            _write(bundle, client, lab, lines)
            size = bundle.tell()
            bundle.seek(0)
        # Logs hold addresses and the paths of requests.
        with files.write_atomically(path, private=True, new=not force) as file:
            shutil.copyfileobj(bundle, file)
    return BundleResult(lab.name, str(path), size, lines.count, lab.missing)


def _write(file: IO[bytes], client: Client, lab: Lab, lines: LineFile) -> None:
    with tarfile.open(fileobj=file, mode="w:gz") as bundle:
        about = (json.dumps(manifest(client, lab), indent=2) + "\n").encode()
        _add(bundle, MANIFEST, io.BytesIO(about), len(about))
        for server in lab.servers:
            _add(bundle, f"logs/{server.name}.log", *lines.file(server.name))
        with tempfile.TemporaryFile() as story:
            _write_story(story, lab, lines)
            size = story.tell()
            story.seek(0)
            _add(bundle, STORY, story, size)


def _add(bundle: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, int(time.time()), 0o644
    bundle.addfile(entry, content)


def _write_story(file: IO[bytes], lab: Lab, lines: LineFile) -> None:
    out = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
    source = replace(flow.of_lines(lab, lines), reached=lambda: lines.last.when if lines.last else None)
    json_view.write_document(source.records(), out, source.timers)
    out.flush()
    out.detach()


def manifest(client: Client, lab: Lab) -> dict[str, Any]:
    """The lab: versions, settings, each server's command line. None of it holds the gossip key."""
    version = client.version()
    with engine.explained(client.place):
        commands = {
            container["Id"]: container["Config"].get("Cmd")
            for container in client.inspected(container.id for container in lab.servers)
        }
    return {
        "labctl": __version__,
        "lab": lab.name,
        "consul": lab.spec.version,
        "image": lab.image,
        "pace": lab.spec.pace,
        "raft_multiplier": lab.raft_multiplier,
        "created": lab.created.isoformat(),
        "docker": {"version": version.get("Version"), "api": version.get("ApiVersion"), "os": version.get("Os")},
        "servers": [
            {
                "name": server.name,
                "address": server.address,
                "state": server.state,
                "command": commands.get(server.id),
            }
            for server in lab.servers
        ],
    }
