"""Run commands in a server's container."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from labctl.engine.labs import Lab, Server


def run_in(lab: Lab, server: Server, words: list[str]) -> int:
    """Run `words` in a server, with this terminal, and return its exit code. Raises LabctlError."""
    docker = shutil.which("docker")
    if docker is None:
        raise LabctlError("The docker command is not installed: `labctl doctor --fix` installs it.")
    if server.state != "running":
        raise LabctlError(f"{server.name} of the lab {lab.name} is not running: `labctl start {lab.name}` starts it.")
    if not words:
        raise LabctlError("Nothing to run: give a command after `--`, as in `-- consul members`.", ExitCode.USAGE)
    terminal = ["--interactive", "--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else ["--interactive"]
    process = subprocess.run(
        [docker, "exec", *terminal, server.id, *words], check=False, env=server.place.environment()
    )
    return process.returncode
