"""Find the image of Consul that is on a Docker host already."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: consul_image_info
short_description: Find the image of Consul that a Docker host already has
description:
  - Looks at the labels of the images of one repository, and returns the newest one that fits the request.
  - Says which sources can be tried where none fits, and what this host has to build with.
  - Runs no container and needs no network.
options:
  repository:
    description: The repository whose images are looked at. Images of other repositories are never ours.
    type: str
    required: true
  source:
    description: The source that the image has to come from, or V(auto) for any.
    type: str
    choices: [auto, registry, release, binary, debian]
    default: auto
  version:
    description:
      - The version that the image has to have, in full, with or without a leading C(v). Empty for any.
    type: str
    default: ""
  binary:
    description:
      - Absolute path of a consul binary on this host. With O(source=binary), only an image made of just this
        file fits.
      - A file that is no program for this host is refused before anything is made.
    type: str
    default: ""
  digest:
    description: With O(source=registry), only an image made of just this digest fits. Empty for any.
    type: str
    default: ""
  force:
    description: Find nothing, so that the image is rebuilt. The request is still checked.
    type: bool
    default: false
requirements:
  - the docker command
attributes:
  check_mode:
    description: Can run in check mode; it changes nothing.
    support: full
  diff_mode:
    description: Will return details on what has changed.
    support: none
    details: It changes nothing.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates
        no change.
    support: full
author:
  - The labctl authors (@raft-labctl)
"""

EXAMPLES = r"""
- name: Find any image of Consul 1.21.4
  raft.labctl.consul_image_info:
    repository: raft-labctl/consul
    version: 1.21.4
  register: found
"""

RETURN = r"""
found:
  description: Whether an image fits.
  type: bool
  returned: success
id:
  description: The image's identity. Empty where none fits.
  type: str
  returned: success
  sample: sha256:4a8bbf055d8a7a38a6877e0082a859a75b46b4718097bfcd0a5bc1a19b13257f
name:
  description: The image's name with its tag. Empty where none fits.
  type: str
  returned: success
  sample: raft-labctl/consul:1.8.7
version:
  description: The version of Consul in the image. Empty where none fits.
  type: str
  returned: success
  sample: 1.8.7
source:
  description: The source that the image came from. Empty where none fits.
  type: str
  returned: success
  sample: debian
wanted:
  description: The wanted version without a leading C(v). Empty where any will do.
  type: str
  returned: success
  sample: 1.21.4
sources:
  description: The sources to try where no image fits, in order.
  type: list
  elements: str
  returned: success
is_debian:
  description: Whether this host is Debian itself, so that an image can be built from its packages.
  type: bool
  returned: success
has_mmdebstrap:
  description: Whether mmdebstrap is installed on this host, and uidmap where this user is not root.
  type: bool
  returned: success
is_root:
  description: Whether this user is root on this host.
  type: bool
  returned: success
"""

import os
import re
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.docker_cli import Docker
from ..module_utils.image_choice import SOURCES, Image, ImageRequest, choose, image_of
from ..module_utils.image_rootfs import this_distribution
from ..module_utils.shared import consul_versions
from ..module_utils.shared.docker_api import DockerError
from ..module_utils.shared.image_binary import BinaryError, check_binary, origin_of
from ..module_utils.shared.image_labels import LAYOUT, LAYOUT_NOW

if TYPE_CHECKING:
    from collections.abc import Callable

ARGUMENTS = {
    "repository": {"type": "str", "required": True},
    "source": {"type": "str", "choices": ["auto", *SOURCES], "default": "auto"},
    "version": {"type": "str", "default": ""},
    "binary": {"type": "str", "default": ""},
    "digest": {"type": "str", "default": ""},
    "force": {"type": "bool", "default": False},
}
# Names that Docker accepts for a repository, as far as we need them: no tag, no digest.
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class UsageError(Exception):
    """The error in the request, as one sentence."""


def check_repository(name: str) -> None:
    """Refuse a NAME that cannot be an image's. Raises UsageError."""
    if not _REPOSITORY.fullmatch(name):
        raise UsageError(f"{name!r} is not a name for an image: write one like raft-labctl/consul.")


def wanted_of(source: str, version: str, binary: str, digest: str) -> ImageRequest:
    """Parse the request. Raises UsageError."""
    number = consul_versions.full(version) if version else ""
    if number is None:
        raise UsageError(f"{version!r} is not a version of Consul: write it in full, like 1.21.4 or 1.22.0-rc1.")
    if digest and not _DIGEST.fullmatch(digest):
        raise UsageError(f"{digest!r} is not an image's digest: write sha256: and 64 hexadecimal digits.")
    if source == "auto":
        return ImageRequest(version=number)
    if source == "binary":
        if not binary:
            raise UsageError("Source binary needs a binary: name the file on the Docker host in consul_image_binary.")
        try:
            return ImageRequest(source, number, origin_of(binary))
        except OSError:
            # Whether it can be read is reported when it is needed.
            return ImageRequest(source, number, f"unreadable {binary}")
    return ImageRequest(source, number, digest if source == "registry" else "")


def sources_for(source: str, binary: str) -> list[str]:
    """Return the sources to try, in order."""
    if source != "auto":
        return [source]
    return [each_source for each_source in SOURCES if each_source != "binary" or binary]


def has_mmdebstrap(*, is_root: bool, which: Callable[[str], str | None] = shutil.which) -> bool:
    """Return whether this user can run mmdebstrap: without root it needs uidmap's programs too."""
    needed = ["mmdebstrap"] if is_root else ["mmdebstrap", "newuidmap", "newgidmap"]
    return all(which(program) is not None for program in needed)


def images_there(docker: Docker, repository: str) -> list[Image]:
    """Return our finished images of REPOSITORY. Raises DockerError."""
    doing = "looking for images of Consul"
    layout = f"label={LAYOUT}={LAYOUT_NOW}"
    ids = docker.ids("image", layout, f"reference={repository}:*", doing=doing)
    inspected = docker.inspect("image", list(dict.fromkeys(ids)), doing=doing)
    return [image for container in inspected if (image := image_of(container, repository)) is not None]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    docker = Docker()
    is_root = os.geteuid() == 0
    try:
        check_repository(params["repository"])
        wanted = wanted_of(params["source"], params["version"], params["binary"], params["digest"])
        there = images_there(docker, params["repository"])
        image = None if params["force"] else choose(there, wanted)
        sources = sources_for(params["source"], params["binary"])
        if image is None and "binary" in sources:
            architecture = docker.run("version", "--format", "{{.Server.Arch}}", doing="asking for its architecture")
            check_binary(params["binary"], architecture.strip())
    except (UsageError, BinaryError) as error:
        module.fail_json(msg=str(error), failure="usage")
    except DockerError as error:
        module.fail_json(msg=error.sentence, failure=error.failure)
    module.exit_json(
        changed=False,
        found=image is not None,
        **{key: value for key, value in asdict(image or Image("", "", "", "", "", "")).items() if key != "created"},
        wanted=wanted.version,
        sources=sources,
        is_debian=this_distribution().get("ID") == "debian",
        has_mmdebstrap=has_mmdebstrap(is_root=is_root),
        is_root=is_root,
    )


if __name__ == "__main__":
    main()
