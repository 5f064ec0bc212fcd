"""Make the image of Consul from one source, or leave nothing behind."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: consul_image_build
short_description: Make the image of Consul from one source
description:
  - Builds a candidate, runs it without network and rights, asks the binary for its version and looks
    whether all is there that a server needs. Only then the candidate gets its labels and its name.
  - A source that fails, and a run that is interrupted, leave no image, no container and no temporary file. What
    a killed run left is removed by the next one. Two runs of one user on one host wait for each other.
  - Always makes an image; M(raft.labctl.consul_image_info) says whether that is needed.
options:
  repository:
    description: The repository of the image. Its tag is the version, with a dash for a plus sign.
    type: str
    required: true
  source:
    description:
      - V(registry) builds on O(base), which has consul in it and is on this host already.
      - V(release) downloads HashiCorp's zip and checks it.
      - V(binary) takes the file O(binary).
      - V(debian) takes Debian's package consul.
    type: str
    choices: [registry, release, binary, debian]
    required: true
  version:
    description:
      - The version, in full, that the source must have. Empty for whichever it has.
      - Needed with O(source=release).
    type: str
    default: ""
  origin:
    description: The value of the label C(raft-labctl.image-origin) with O(source=registry).
    type: str
    default: ""
  base:
    description:
      - The image to build on, with C(apk) or C(apt-get) where it lacks nftables, iproute2 or OpenBSD's netcat.
      - Empty for a root file system of Debian packages, which needs mmdebstrap and a Debian host.
    type: str
    default: ""
  binary:
    description: Absolute path of a consul binary on this host.
    type: str
    default: ""
  release_url:
    description: The address above the releases' directories, each named by its version.
    type: str
    default: https://releases.hashicorp.com/consul
  ca_file:
    description: A file of certificates, on this host, that vouch for O(release_url). Empty for the host's.
    type: str
    default: ""
  suite:
    description: Debian's release that the packages come from.
    type: str
    default: bullseye
  mirror:
    description: Debian's archive. Empty for the one in this host's own apt sources.
    type: str
    default: ""
  tmp_directory:
    description: Where the image is made, in a directory that is gone afterwards. It takes about 600 MB.
    type: str
    default: /var/tmp
  timeout:
    description: How long a server may be silent, in seconds. A whole download, and all of mmdebstrap, may take
      ten times as long.
    type: int
    default: 60
  dockerfile:
    description: The text of the Dockerfile that turns O(base) into an image of ours.
    type: str
    required: true
  layout:
    description: The text of a shell script that makes the user and the directories below its first argument.
    type: str
    required: true
  rootfs:
    description: The text of a shell script that finishes a tree of Debian packages, its first argument.
    type: str
    required: true
requirements:
  - the docker command
  - mmdebstrap, where O(base) is empty
attributes:
  check_mode:
    description: Can run in check mode and return what would change; nothing is downloaded or built.
    support: full
  diff_mode:
    description: Will return details on what has changed (or would change in check mode).
    support: full
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates
        no change.
    support: none
    details: It always makes an image. M(raft.labctl.consul_image_info) says whether that is needed.
author:
  - The labctl authors (@raft-labctl)
"""

EXAMPLES = r"""
- name: Make the image from Debian's package
  raft.labctl.consul_image_build:
    repository: raft-labctl/consul
    source: debian
    dockerfile: "{{ lookup('ansible.builtin.template', 'Dockerfile.j2') }}"
    layout: "{{ lookup('ansible.builtin.file', 'layout.sh') }}"
    rootfs: "{{ lookup('ansible.builtin.file', 'rootfs.sh') }}"
"""

RETURN = r"""
id:
  description: The image's identity. Empty in check mode.
  type: str
  returned: success
  sample: sha256:4a8bbf055d8a7a38a6877e0082a859a75b46b4718097bfcd0a5bc1a19b13257f
name:
  description: The image's name with its tag. In check mode without a tag where the version is not known yet.
  type: str
  returned: success
  sample: raft-labctl/consul:1.8.7
version:
  description: The version that the binary said. In check mode the one that was asked for, or empty.
  type: str
  returned: success
  sample: 1.8.7
source:
  description: The source.
  type: str
  returned: success
  sample: debian
failure:
  description: The kind of failure, for labctl's exit code.
  type: str
  returned: failure
  sample: failed
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.docker_cli import Docker
from ..module_utils.image_candidate import Candidate, CandidateError, FinishedImage, sweep_after_interrupt
from ..module_utils.image_release import Release, ReleaseError, fetch
from ..module_utils.image_rootfs import Recipe, RootfsError, make_rootfs, no_space
from ..module_utils.image_version import tag_of
from ..module_utils.image_workspace import (
    InterruptedRun,
    Workspace,
    WorkspaceError,
    stoppable,
    workspace,
)
from ..module_utils.shared import durations
from ..module_utils.shared.docker_api import DockerError
from ..module_utils.shared.image_binary import BinaryError, check_binary, origin_of

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable

ARGUMENTS = {
    "repository": {"type": "str", "required": True},
    "source": {"type": "str", "choices": ["registry", "release", "binary", "debian"], "required": True},
    "version": {"type": "str", "default": ""},
    "origin": {"type": "str", "default": ""},
    "base": {"type": "str", "default": ""},
    "binary": {"type": "str", "default": ""},
    "release_url": {"type": "str", "default": "https://releases.hashicorp.com/consul"},
    "ca_file": {"type": "str", "default": ""},
    "suite": {"type": "str", "default": "bullseye"},
    "mirror": {"type": "str", "default": ""},
    "tmp_directory": {"type": "str", "default": "/var/tmp"},  # noqa: S108 - a locked directory in it
    "timeout": {"type": "int", "default": 60},
    "dockerfile": {"type": "str", "required": True},
    "layout": {"type": "str", "required": True},
    "rootfs": {"type": "str", "required": True},
}
NEEDED = [
    ("source", "registry", ["base"]),
    ("source", "release", ["version"]),
    ("source", "binary", ["binary"]),
]
# The whole of mmdebstrap may take this many times the longest silence of a server.
_MMDEBSTRAP_TIMES = 10
_KNOWN = (BinaryError, CandidateError, DockerError, ReleaseError, RootfsError, WorkspaceError)


def obtain(params: dict[str, Any], place: Workspace) -> tuple[Path | None, str]:
    """Return the binary to put into the image, if the source is one, and the label of its origin."""
    source = params["source"]
    if source == "registry":
        return None, params["origin"] or params["base"]
    if source == "debian":
        return None, f"debian {params['suite']}"
    doing = "asking for its architecture"
    architecture = Docker().run("version", "--format", "{{.Server.Arch}}", doing=doing).strip()
    if source == "release":
        release = Release(params["release_url"], params["version"], architecture, params["ca_file"], params["timeout"])
        archive = fetch(release, place.directory("release"))
        check_binary(str(archive), architecture)
        return archive, release.url(release.file)
    check_binary(params["binary"], architecture)
    # A copy of our own: the file that is checked is the one that goes into the image.
    copy = place.directory("binary") / "consul"
    shutil.copyfile(params["binary"], copy)
    return copy, origin_of(str(copy))


def build(params: dict[str, Any], place: Workspace, candidate: Candidate) -> FinishedImage:
    """Make the image."""
    binary, origin = obtain(params, place)
    if params["base"]:
        context = place.directory("context")
        (context / "layout.sh").write_text(params["layout"], encoding="utf-8")
        if binary is not None:
            binary.rename(context / "consul")
        dockerfile = place.path / "Dockerfile"
        dockerfile.write_text(params["dockerfile"], encoding="utf-8")
        candidate.from_image(params["base"], dockerfile, context)
    else:
        recipe = Recipe(
            suite=params["suite"],
            mirror=params["mirror"],
            packages=() if binary is not None else ("consul",),
            binary="" if binary is None else str(binary),
            scripts=(params["rootfs"], params["layout"]),
        )
        candidate.from_rootfs(make_rootfs(recipe, place, params["timeout"] * _MMDEBSTRAP_TIMES))
    version = candidate.check(params["version"], params["source"])
    return candidate.finish(version, params["source"], origin)


def make(params: dict[str, Any]) -> FinishedImage:
    """Make the image in a workspace, and sweep it whatever happens."""
    with workspace(params["tmp_directory"], params["repository"]) as place:
        candidate = Candidate(place, params["repository"])
        # Remove what a killed run left.
        candidate.sweep()
        try:
            return build(params, place, candidate)
        except InterruptedRun:
            sweep_after_interrupt(candidate)
            raise
        finally:
            candidate.sweep()


def predicted(params: dict[str, Any]) -> FinishedImage:
    """Return what is known about the image beforehand."""
    version = params["version"]
    name = f"{params['repository']}:{tag_of(version)}" if version else params["repository"]
    return FinishedImage(id="", name=name, version=version)


def main(during: Callable[[], contextlib.AbstractContextManager[None]] = stoppable) -> None:
    """Run the module; `during` makes it interruptible."""
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=NEEDED, supports_check_mode=True)
    params = module.params
    if problem := durations.wait_problem(params["timeout"], "consul_image_timeout"):
        module.fail_json(msg=problem, failure="usage")
    try:
        with during():
            done = predicted(params) if module.check_mode else make(params)
    except InterruptedRun:
        module.fail_json(msg="Making the image was interrupted; nothing of it is left.", failure="failed")
    except _KNOWN as error:
        kind = "usage" if isinstance(error, BinaryError) and params["source"] == "binary" else "failed"
        module.fail_json(msg=str(error), failure=getattr(error, "failure", kind))
    except OSError as error:
        said = no_space(Path(params["tmp_directory"]) / "x") if error.errno in (28, 122) else str(error)
        module.fail_json(msg=said, failure="failed")
    after = {"name": done.name, "version": done.version, "source": params["source"]}
    module.exit_json(changed=True, id=done.id, **after, diff={"before": {}, "after": after})


if __name__ == "__main__":
    main()
