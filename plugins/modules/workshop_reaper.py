"""Ansible module: a workshop's end on a Docker host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workshop_reaper
short_description: Write a workshop's end down on a Docker host, so that the host keeps it
description:
  - Makes a container that waits until the end and then removes the workshop's labs from this Docker host, and itself.
  - The end is the container's label. Another end makes a new container before the old one goes, so that there is no
    moment without one.
author: The labctl authors (@raft-labctl)
attributes:
  check_mode:
    support: full
    description: Says what would change, and changes nothing.
  diff_mode:
    support: none
    description: Its changes are in no file.
  idempotent:
    support: full
    description: An end that is recorded already is left as it is.
options:
  workshop:
    description: The workshop.
    type: str
    required: true
  owner:
    description:
      - Whose it is. Labs of other owners stay, and so does the end of another owner's workshop with the same name.
      - It is refused where that end would remove labs of any owner, as those of an older labctl do.
    type: str
    required: true
  end:
    description: When it ends, in seconds since 1970; V(0) for never, which removes the container.
    type: int
    required: true
  image:
    description: The image of the container, with a shell and OpenBSD's nc.
    type: str
    default: ""
  script:
    description: The shell script that waits and removes.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: End the workshop at six
  raft.labctl.workshop_reaper:
    workshop: raft101
    owner: teacher
    end: 1795539600
    image: raft-labctl/consul:1.8.7
    script: "{{ lookup('ansible.builtin.file', 'reaper.sh') }}"
"""

RETURN = r"""
end:
  description: When the workshop ends on this host, in seconds since 1970; 0 for never.
  type: int
  returned: always
"""

import calendar
import json
import os
import re
import urllib.parse
import zlib
from typing import TYPE_CHECKING, Any

from ..module_utils import module_runner
from ..module_utils.shared import lab_names, label_values
from ..module_utils.shared.constants import SERVER_UID
from ..module_utils.shared.docker_api import DEFAULT_SOCKET, DockerError, Engine, plain_socket

if TYPE_CHECKING:
    from collections.abc import Callable

LATEST = calendar.timegm((9999, 12, 31, 23, 59, 59))
"""The last second that a label can have."""
SOCKET_INSIDE = "/run/docker.sock"


def argument_spec() -> dict[str, dict[str, Any]]:
    """The module's arguments, as DOCUMENTATION has them."""
    return {
        "workshop": {"type": "str", "required": True},
        "owner": {"type": "str", "required": True},
        "end": {"type": "int", "required": True},
        "image": {"type": "str", "default": ""},
        "script": {"type": "str", "default": ""},
    }


def answer(params: dict[str, Any], *, check_mode: bool, engine: Engine | None = None) -> dict[str, Any]:
    """Run the module and return its result. Raises DockerError with one sentence.

    `engine` is by default the docker command's.
    """
    workshop, owner, end = params["workshop"], params["owner"], params["end"]
    if problem := lab_names.name_problem(workshop):
        raise DockerError(f"{workshop!a} cannot be the name of a workshop: {problem}.", "usage")
    if not 0 <= end <= LATEST:
        raise DockerError(
            f"Cannot end the workshop {workshop} at {end} seconds since 1970: set workshop_reaper_end to at most "
            f"{LATEST}, or to 0 for never.",
            "usage",
        )
    if end and not (params["image"] and params["script"]):
        raise DockerError("A workshop with an end needs the arguments `image` and `script`.", "usage")
    engine = engine or Engine()
    ours, strangers = looked(engine, workshop, owner, ending=bool(end))
    right = [our for our in ours if is_right(our, end)]
    wrong = [our["Id"] for our in ours if our not in right[:1]]
    result: dict[str, Any] = {"changed": bool(wrong) or bool(end and not right), "end": end}
    if strangers:
        result["warnings"] = strangers
    if check_mode:
        return result
    if end and not right:
        # A stopped one ends nothing, and may block the name.
        still = [our["Id"] for our in ours if not our["State"]["Running"]]
        remove(engine, still, doing=f"removing an end of the workshop {workshop} that does not run")
        wrong = [container for container in wrong if container not in still]
        write_down(engine, params)
    remove(engine, wrong, doing=f"removing the old end of the workshop {workshop}")
    return result


def remove(engine: Engine, containers: list[str], *, doing: str) -> None:
    """Remove containers, one of which may be about to remove itself. Raises DockerError."""
    for container in containers:
        try:
            engine.remove("container", [container], doing=doing)
        except DockerError as error:
            if not re.search(r"no such container|already in progress", error.said, re.IGNORECASE):
                raise


def looked(engine: Engine, workshop: str, owner: str, *, ending: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """The ends of this owner's workshop, and sentences about containers that only look like one.

    Raises DockerError where an end is wanted, and another owner's end would remove these labs.
    """
    carrying = engine.containers(
        {"label": f"{lab_names.LABEL_REAPER}={workshop}"}, doing=f"looking for the end of the workshop {workshop}"
    )
    # Before any is removed, check that it is such an end.
    servers = [
        container
        for container in label_values.fitting(carrying)
        if labels_of(container).get(lab_names.LABEL_REAPER) == workshop
    ]
    ours = [container for container in servers if labels_of(container).get(lab_names.LABEL_OWNER) == owner]
    if ending:
        refuse_threat(workshop, owner, [container for container in servers if container not in ours])
    return ours, label_values.strangers("container", carrying)


def write_down(engine: Engine, params: dict[str, Any]) -> None:
    """Make the container that waits for the end. Raises DockerError."""
    workshop, owner, end = params["workshop"], params["owner"], params["end"]
    labels = {
        lab_names.LABEL_REAPER: workshop,
        lab_names.LABEL_OWNER: owner,
        lab_names.LABEL_EXPIRES: lab_names.stamp(end),
        lab_names.LABEL_REMOVES: lab_names.OWNED,
    }
    doing = f"writing down the end of the workshop {workshop}"
    # The name is for people who list containers. Two ends exist side by side for a moment, so it contains the end, and
    # two owners may have workshops of one name.
    name = f"labctl-{workshop}-until-{end}-{zlib.crc32(owner.encode('utf-8', 'surrogateescape')):08x}"
    try:
        made = engine.create(reaper(params, labels), doing=doing, name=name)
    except DockerError as error:
        # Another command of this owner may have been as quick, and have recorded the same end.
        ours, _sentences = looked(engine, workshop, owner, ending=True)
        same = [our["Id"] for our in ours if ends_at(our) == end and lab_names.LABEL_REMOVES in labels_of(our)]
        if "already in use" not in error.said or not same:
            raise
        made = same[0]
    engine.change("start", [made], doing=doing)


def refuse_threat(workshop: str, owner: str, others: list[dict[str, Any]]) -> None:
    """Raise DockerError where the end of another owner's workshop of that name removes labs of any owner."""
    threats = [
        labels_of(other).get(lab_names.LABEL_OWNER, "")
        for other in others
        if lab_names.LABEL_REMOVES not in labels_of(other)
    ]
    if threats:
        raise DockerError(
            f"The workshop {workshop} on this Docker host belongs to {min(threats)}, not to {owner}: choose another "
            f"name, or set LABCTL_OWNER={min(threats)} if that is you.",
            "refused",
        )


def labels_of(container: dict[str, Any]) -> dict[str, str]:
    """The labels of a container."""
    labels: dict[str, str] = container["Config"].get("Labels") or {}
    return labels


def is_right(container: dict[str, Any], end: int) -> bool:
    """Whether a container waits for that end, and will remove labs of its owner only."""
    return (
        ends_at(container) == end and container["State"]["Running"] and lab_names.LABEL_REMOVES in labels_of(container)
    )


def ends_at(container: dict[str, Any]) -> int:
    """The end that a container waits for; -1 where its label has none."""
    end = label_values.moment(labels_of(container).get(lab_names.LABEL_EXPIRES))
    return -1 if end is None else end


def reaper(params: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """The container in the engine's API. It may use the engine's socket, and nothing else."""
    socket = plain_socket() or DEFAULT_SOCKET
    return {
        "Image": params["image"],
        "Labels": labels,
        "User": user_of(socket),
        "Entrypoint": ["sh", "-c", params["script"], "reaper"],
        "Cmd": words(params["workshop"], params["end"], params["owner"]),
        "HostConfig": {
            "NetworkMode": "none",
            # Otherwise a restart of the host would lose the end. It removes itself when its work is done.
            "RestartPolicy": {"Name": "unless-stopped"},
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Memory": 32 << 20,
            "PidsLimit": 32,
            "Mounts": [{"Type": "bind", "Source": socket, "Target": SOCKET_INSIDE}],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        },
    }


def words(workshop: str, end: int, owner: str) -> list[str]:
    """The input of the script.

    The owner in two forms: in a request to the engine, as JSON within a URL, and in an answer:
    the engine writes JSON as Go does.
    """
    asked = urllib.parse.quote(json.dumps(owner)[1:-1], safe="")
    answered = json.dumps(owner, ensure_ascii=False)[1:-1]
    for sign in "&<>\u2028\u2029":
        answered = answered.replace(sign, f"\\u{ord(sign):04x}")
    return [workshop, str(end), asked, answered]


def user_of(socket: str, stat: Callable[[str], os.stat_result] = os.stat) -> str:
    """The user for the socket: our own user in the socket's group; where that is root's, root without capabilities."""
    try:
        group = stat(socket).st_gid
    except OSError:
        group = 0
    return f"{SERVER_UID}:{group}" if group else "0:0"


def main() -> None:
    """Run the module."""
    module_runner.run(argument_spec(), answer)


if __name__ == "__main__":
    main()
