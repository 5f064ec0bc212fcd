"""How a bench runs labctl: as it is installed, timed as whole processes, and with nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LABCTL = str(Path(sysconfig.get_path("scripts")) / "labctl")
# pip compiles what it installs; a shell that forbids Python to write what it compiled makes every run compile it anew.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def timed(*words: str) -> float:
    """Run a command to its end and return its wall seconds. Ends the bench where it fails."""
    begun = time.monotonic()
    process = subprocess.run(words, check=False, capture_output=True, text=True, env=ENVIRONMENT)
    seconds = time.monotonic() - begun
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}: {process.stderr.strip()}")
    return seconds


def image() -> str:
    """The name of the image that labs get; it is made where there is none."""
    timed(LABCTL, "image", "build")
    listed = subprocess.run([LABCTL, "image", "ls", "--json"], check=True, capture_output=True, env=ENVIRONMENT).stdout
    return str(json.loads(listed)[0]["name"])


@dataclass(frozen=True)
class Workshop:
    """A workshop that a bench brings up; `name` is new each time."""

    name: str
    file: Path

    def up(self) -> float:
        """Bring it up and return the wall seconds."""
        return timed(LABCTL, "workshop", "up", "--file", str(self.file), "--json")


@contextlib.contextmanager
def workshop(**keys: str | int) -> Iterator[Workshop]:
    """A workshop's file with these keys; what was brought up is taken down at the end."""
    name = f"bench-{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "workshop.yml"
        file.write_text(json.dumps({"workshop": name, **keys}), encoding="utf-8")
        try:
            yield Workshop(name, file)
        finally:
            down = (LABCTL, "workshop", "down", "--file", str(file), "--json")
            subprocess.run(down, check=False, capture_output=True, env=ENVIRONMENT)
