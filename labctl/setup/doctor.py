"""`labctl doctor`: what a lab needs of this machine, what was found, and the command that fixes each problem."""

from __future__ import annotations

import io
import math
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labctl import state
from labctl.engine import client as engine
from labctl.engine import images
from labctl.engine.usage import used_by
from labctl.errors import LabctlError
from labctl.runner import galaxy_collections
from labctl.runner.deadlines import ENGINE
from labctl.runner.run import finishing
from labctl.setup import collection_download
from labctl.shared import plain_files, process_limits, quotas
from labctl.shared.constants import OLDEST_API
from labctl.shared.parallel import each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labctl.engine.client import Client
    from labctl.progress import Steps

OLDEST_PYTHON = (3, 11)
SAY_SECONDS = 20.0
FREE_BYTES = 2_000_000_000
FIX = "labctl doctor --fix"
OWN_ENGINE = "unset DOCKER_HOST DOCKER_CONTEXT; docker context use default"


@dataclass(frozen=True)
class Finding:
    """One check: what was found, and the command that fixes it (None where all is well)."""

    check: str
    ok: bool
    found: str
    fix: str | None = None


def _python() -> Finding:
    version = platform.python_version()
    ok = sys.version_info >= OLDEST_PYTHON
    return Finding("python", ok, version, None if ok else "install Python 3.11 or newer, then raft-labctl with it")


def _ansible() -> Finding:
    from importlib import metadata  # noqa: PLC0415 - only the doctor asks

    versions = f"ansible-core {metadata.version('ansible-core')}, ansible-runner {metadata.version('ansible-runner')}"
    try:
        missing = galaxy_collections.lacking(galaxy_collections.own_folder(), galaxy_collections.pins())
    except LabctlError as error:
        return Finding("ansible", ok=False, found=error.sentence, fix="pip install --force-reinstall raft-labctl")
    if missing:
        return Finding("ansible", ok=False, found=f"{versions}, no {' and no '.join(map(str, missing))}", fix=FIX)
    # The other collections are needed by this one.
    return Finding("ansible", ok=True, found=f"{versions}, {galaxy_collections.pins().collections[0]}")


def _docker_command() -> Finding:
    path = shutil.which("docker")
    if path:
        return Finding("docker command", ok=True, found=path)
    return Finding("docker command", ok=False, found="not on PATH", fix=FIX)


def engine_found(connect: Callable[[], Client] = engine.connect) -> Finding:
    """The engine that the docker command uses."""
    try:
        version = connect().version()
    except LabctlError as error:
        fix = "sudo usermod -aG docker $USER" if "permission to use" in error.sentence else _engine_fix()
        return Finding("engine", ok=False, found=error.sentence, fix=fix)
    api = tuple(int(part) for part in str(version["ApiVersion"]).split("."))
    description = f"Docker Engine {version['Version']}, API {version['ApiVersion']}, {engine.host_name()}"
    ok = api >= OLDEST_API
    return Finding("engine", ok, description, None if ok else "install Docker Engine 19.03 or newer")


def _engine_fix() -> str:
    """What brings an engine that answers; labctl replaces none that somebody chose on this machine or by TCP."""
    chosen = os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT", "default") != "default"
    where = engine.address()
    if where is None and not chosen:
        return FIX
    return FIX if (where or "").startswith(engine.SSH) else OWN_ENGINE


def _compose() -> Finding:
    said = _says(["docker", "compose", "version", "--short"])
    if said and said.lstrip("v").startswith(tuple("23456789")):
        return Finding("compose", ok=True, found=f"Docker Compose {said}")
    return Finding("compose", ok=False, found="no Compose v2", fix=FIX)


def _says(words: list[str]) -> str:
    """The output of a command; empty where it fails or does not exist."""
    try:
        done = process_limits.run(words, SAY_SECONDS)
    except (OSError, process_limits.NotEndedError):
        return ""
    return done.out.strip() if done.code == 0 else ""


def image_found() -> Finding:
    """The image that a lab would get."""
    try:
        image = images.find_image(engine.connect())
    except LabctlError:
        return Finding("image", ok=False, found="not known while no engine answers", fix=_engine_fix())
    if image is None:
        return Finding("image", ok=False, found="none yet; `labctl up` makes it too", fix="labctl image build")
    return Finding("image", ok=True, found=f"{image.name} from {image.source}")


def _state() -> Finding:
    fix = "export XDG_STATE_HOME=/a/writable/folder"
    try:
        folder = state.state_folder()
    except LabctlError:
        return Finding("state folder", ok=False, found="this process's user has no home", fix=fix)
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if os.access(existing, os.W_OK | os.X_OK) and existing.is_dir():
        return Finding("state folder", ok=True, found=str(folder))
    return Finding("state folder", ok=False, found=f"{existing} cannot be written", fix=fix)


def disk_space() -> Finding:
    """The free space where the engine keeps images and volumes."""
    if engine.is_elsewhere():
        return Finding("disk", ok=True, found="of another machine")
    root = _says(["docker", "info", "--format", "{{.DockerRootDir}}"]) or "/"
    try:
        free = shutil.disk_usage(root).free
    except OSError:
        # An engine's disk in a virtual machine cannot be measured from here.
        return Finding("disk", ok=True, found="of another machine")
    space = f"{free / 1e9:.1f} GB free at {root}"
    return Finding("disk", free >= FREE_BYTES, space, None if free >= FREE_BYTES else "docker image prune")


CHECKS: tuple[Callable[[], Finding], ...] = (
    _python,
    _ansible,
    _docker_command,
    engine_found,
    _compose,
    image_found,
    _state,
    disk_space,
)


def examine(owner: str, checks: Sequence[Callable[[], Finding]] = CHECKS) -> list[Finding]:
    """Run all checks at once: a hanging engine is waited for once. None changes anything.

    The limits of `owner` are shown after all `checks`.
    """
    everything = (*checks, lambda: limits_of(owner))

    def make(check: Callable[[], Finding]) -> Finding:
        return check()

    return each(make, everything, len(everything))


def limits_of(owner: str, path: Path = Path(quotas.LIMITS_FILE)) -> Finding:
    """The Docker host's limits for an owner, and how much of them is used."""
    if engine.is_elsewhere():
        return Finding("limits", ok=True, found="of another machine")
    try:
        with io.TextIOWrapper(plain_files.opened(path, sys.maxsize), encoding="utf-8-sig") as file:
            sections = quotas.parse(file.read(quotas.LONGEST_FILE + 1))
    except (FileNotFoundError, NotADirectoryError):
        return Finding("limits", ok=True, found=f"none, because there is no {path}")
    except (OSError, ValueError) as error:
        why = _why(error)
        problem = f"{path} cannot be understood ({why}), so no lab can be started or made larger"
        return Finding("limits", ok=False, found=problem, fix=f"sudoedit {path}")
    limits = [limit for limit in quotas.limits_of(owner, sections) if not math.isinf(limit.most)]
    if not limits:
        return Finding("limits", ok=True, found=f"none for {owner} in {path}")
    try:
        use = used_by(owner)
    except LabctlError:
        told = ", ".join(quotas.words(limit.key, limit.most) for limit in limits)
        return Finding("limits", ok=True, found=f"{owner} may have {told}, by {path}")
    told = ", ".join(
        f"{quotas.words(limit.key, limit.most)} (has {quotas.bare(limit.key, use.of(limit.key))})" for limit in limits
    )
    return Finding("limits", ok=True, found=f"{owner} may have {told}, by {path}")


def _why(error: OSError | ValueError) -> str:
    """Why a file of limits cannot be read, as a part of a sentence."""
    if isinstance(error, OSError):
        return str(error.strerror)
    return str(error) if isinstance(error, quotas.LimitsError) else "it is not UTF-8"


def fix_findings(findings: list[Finding], steps: Steps) -> None:
    """Fix the findings that labctl can fix: collections, engine, Compose, image. Raises LabctlError."""
    from labctl.lab.image import ImageOptions, build  # noqa: PLC0415 - only with --fix
    from labctl.runner import inventory  # noqa: PLC0415
    from labctl.runner.playbook_run import PlaybookRun  # noqa: PLC0415

    broken = {finding.check for finding in findings if not finding.ok}
    if "ansible" in broken:
        steps.begin("Ansible's collections")
        try:
            brought = collection_download.bring(lambda text: steps.note(f"  {text}"))
        except LabctlError:
            steps.fail()
            raise
        steps.done(f"Ansible has {' and '.join(map(str, brought))}")
    if broken & {"docker command", "engine", "compose"}:
        steps.begin("Docker Engine and Compose: installing and starting what is missing")
        run = PlaybookRun("engine.yml", inventory.of_this_machine("engine", {}), seconds=ENGINE)
        with finishing(run, steps):
            for item in run.progress():
                message = (item.result or {}).get("msg") if item else None
                # The role announces its changes before it makes them; the user should see that.
                if item and item.role == "docker_engine" and isinstance(message, str) and message:
                    steps.note(f"  {message}")
        steps.done("Docker Engine answers, with Compose")
    if "image" in broken:
        build(ImageOptions("auto", "", "", force=False, verbose=False), steps)
