"""Run playbooks/image.yml as a user does, and check what it left on the Docker host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CALLBACKS = Path(__file__).with_name("callbacks")
INVENTORY = """
labs:
  hosts:
    lab:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""


@dataclass(frozen=True)
class Outcome:
    """The output of one run of the playbook."""

    code: int
    tasks: list[tuple[str, dict[str, Any]]]
    stats: dict[str, int]

    @property
    def image(self) -> dict[str, Any]:
        """The output of the task for labctl."""
        reports = [result["msg"] for name, result in self.tasks if name.endswith("Report the image")]
        assert reports, self.tasks
        report: dict[str, Any] = reports[-1]
        return report

    @property
    def failure(self) -> dict[str, Any]:
        """The result that ended the run."""
        assert self.code != 0, self.tasks
        return [result for _, result in self.tasks if result.get("failed")][-1]

    @property
    def sentence(self) -> str:
        """Why the run failed."""
        return str(self.failure["msg"])


class Play:
    """The playbook, for images of one name that is the test's own, in a temporary directory of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self.inventory = folder / "inventory.yml"
        self.inventory.write_text(INVENTORY, encoding="utf-8")

    def words(self, variables: dict[str, Any], *options: str) -> list[str]:
        """The command line. Nothing is out of reach by accident: without a word, no source leaves this machine."""
        base = {
            "consul_image_name": self.name,
            "consul_image_tmp_directory": str(self.tmp),
            "consul_image_registry": "127.0.0.1:1/consul",
            "consul_image_release_url": "https://127.0.0.1:1",
        }
        playbook = Path(sys.executable).with_name("ansible-playbook")
        extra = ["--extra-vars", json.dumps(base | variables)]
        return [str(playbook), "--inventory", str(self.inventory), *extra, *options, "playbooks/image.yml"]

    def start(self, variables: dict[str, Any], *options: str) -> subprocess.Popen[str]:
        """Start the playbook."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        told = {"ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS), "ANSIBLE_STDOUT_CALLBACK": "tasks_json"}
        environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", **told}
        return subprocess.Popen(
            self.words(variables, *options),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str, **variables: Any) -> Outcome:
        """Run the playbook to its end; variables are written without the role's prefix."""
        process = self.start({f"consul_image_{key}": value for key, value in variables.items()}, *options)
        out, err = process.communicate(timeout=240)
        assert out.strip().startswith("{"), f"{out}\n{err}"
        said = json.loads(out[out.index("{") : out.rindex("}") + 1])
        tasks = [(task["name"], task["hosts"]["lab"]) for task in said["tasks"] if "lab" in task["hosts"]]
        return Outcome(process.returncode, tasks, said["stats"]["lab"])

    def images(self) -> list[str]:
        """Every image of this name, candidates too."""
        return sorted(docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", self.name).split())

    def left(self) -> list[str]:
        """Leftovers of a run that is over: temporary files, candidates, containers that looked at one."""
        files = [str(path) for path in self.tmp.iterdir()]
        mine = f"raft-labctl.image-state=candidate of {os.uname().nodename} {self.tmp}/"
        marks = '{{index .Config.Labels "raft-labctl.image-state"}}'
        images = docker("image", "ls", "--quiet", "--filter", "label=raft-labctl.image-state").split()
        built = [image for image in images if docker("image", "inspect", "--format", marks, image).startswith(mine)]
        label = '{{.ID}} {{.Label "raft-labctl.image-state"}}'
        containers = docker("container", "ls", "--all", "--format", label).splitlines()
        return files + built + [container for container in containers if mine in container]


def docker(*words: str) -> str:
    """Run docker and return what it printed."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {words}: {done.stderr}"
    return done.stdout


def inspect(image: str) -> dict[str, Any]:
    """Return docker's description of an image."""
    document: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]
    return document


def remove_images(prefix: str) -> None:
    """Remove every image whose name starts with PREFIX, whatever became of it."""
    listed = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    for image in listed:
        if image.startswith(prefix):
            subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True, check=False)


def descendants(pid: int) -> list[int]:
    """Every living process below PID, itself included, parents first."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    processes, todo = [], [pid]
    while todo:
        process = todo.pop()
        processes.append(process)
        todo += children.get(process, [])
    return processes
