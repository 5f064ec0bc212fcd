"""A lab's logs in one file, with what is needed to understand them, to be read anywhere and without Docker."""

from __future__ import annotations

import io
import json
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl import __version__, files
from labctl.engine import client as engine
from labctl.engine import logs
from labctl.engine.labs import choose_lab
from labctl.errors import ExitCode, LabctlError
from labctl.flows import story as flow
from labctl.flows.recordings import MANIFEST
from labctl.show import story_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab
    from labctl.engine.logs import LogLine

STORY = "story.json"


def save(name: str | None, path: Path | None, *, force: bool, owner: str = "") -> dict[str, Any]:
    """Write the bundle of a lab, whole or not at all; where it has no name, that of `owner`'s only one.

    Returns what `labctl bundle save --json` prints.
    """
    client = engine.connect()
    lab = choose_lab(client, name, owner)
    path = path or Path(f"{lab.name}.tgz")
    if path.exists() and not force:
        raise LabctlError(
            f"{path} exists already: name another file with -o, or overwrite it with --force.", ExitCode.USAGE
        )
    lines = logs.read(client, list(lab.servers))
    bundle = io.BytesIO()
    _write(bundle, client, lab, lines)
    # Logs hold addresses and the paths of requests.
    with files.write_atomically(path, private=True) as file:
        size = file.write(bundle.getbuffer())
    return saved(lab.name, path, size, len(lines))


def saved(lab: str, path: Path, size: int, lines: int) -> dict[str, Any]:
    """The JSON shape of `labctl bundle save`; `size` in bytes."""
    return {"lab": lab, "file": str(path), "size": size, "lines": lines}


def _write(file: Any, client: Client, lab: Lab, lines: list[LogLine]) -> None:
    with tarfile.open(fileobj=file, mode="w:gz") as bundle:
        _add(bundle, MANIFEST, json.dumps(manifest(client, lab), indent=2) + "\n")
        for server in lab.servers:
            own = (f"{line.taken} {line.text}\n" for line in lines if line.server == server.name)
            _add(bundle, f"logs/{server.name}.log", "".join(own))
        _add(bundle, STORY, _story(lab, lines))


def _add(bundle: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode("utf-8", "replace")
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o644
    bundle.addfile(entry, io.BytesIO(content))


def _story(lab: Lab, lines: Sequence[LogLine]) -> str:
    out = io.StringIO()
    source = replace(flow.of_lines(lab, lines), reached=lambda: lines[-1].when if lines else None)
    story, events = flow.of_everything(source)
    story_json.write_document(story, events, out)
    return out.getvalue()


def manifest(client: Client, lab: Lab) -> dict[str, Any]:
    """What the lab is: versions, settings, each server's command line. Its gossip key is in none of them."""
    version = client.version()
    return {
        "labctl": __version__,
        "lab": lab.name,
        "consul": lab.version,
        "image": lab.image,
        "pace": lab.pace,
        "raft_multiplier": lab.raft_multiplier,
        "created": lab.created.isoformat(),
        "docker": {"version": version.get("Version"), "api": version.get("ApiVersion"), "os": version.get("Os")},
        "servers": [
            {
                "name": server.name,
                "address": server.address,
                "state": server.state,
                "command": client.inspect_container(server.id)["Config"].get("Cmd"),
            }
            for server in lab.servers
        ],
    }
