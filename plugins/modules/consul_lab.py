"""Ansible module: one lab as a Compose project on a Docker host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: consul_lab
short_description: Make a lab present, stopped, started, restarted or absent on a Docker host
description:
  - A lab is one Compose project with a network, fixed addresses and a data volume for each server.
  - The module chooses a free subnet, makes the lab's gossip key, writes C(compose.yaml) and C(.env), and runs
    C(docker compose up). Docker's labels are its only memory.
  - Safe to run again after it was interrupted or killed; a lock keeps two runs on one lab apart.
author: The labctl authors (@raft-labctl)
attributes:
  check_mode:
    support: full
    description: Says what would change, and changes nothing.
  diff_mode:
    support: full
    description: Shows the Compose project's files before and after.
  idempotent:
    support: full
    description: O(state=restarted) always changes; every other state changes nothing the second time.
options:
  name:
    description: The lab's name, C(a-z), C(0-9) and C(-), at most 63 characters.
    type: str
    required: true
  owner:
    description: Whose lab it is. A lab of another owner is refused.
    type: str
    required: true
  state:
    description: The desired state of the lab.
    type: str
    choices: [present, stopped, started, restarted, absent]
    default: present
  server:
    description: With O(state=stopped), V(started) or V(restarted), the one server that is meant; all where empty.
    type: str
    default: ""
  labels:
    description:
      - Labels by which others than labctl's lab commands find what is made before the servers, such as those of a
        workshop's seat. O(compose) has them for the servers.
    type: dict
    default: {}
  servers:
    description: How many servers the lab has.
    type: int
    choices: [1, 3, 5, 7]
    default: 3
  compose:
    description: The text of C(compose.yaml). Needed for O(state=present).
    type: str
    default: ""
  settings:
    description: Settings that this Consul version reads only from a configuration file.
    type: dict
    default: {}
  profile:
    description:
      - What the servers require of their clients.
      - V(open) is nothing, V(gossip) a gossip key, V(full) that, a token (default deny) and TLS for RPC and HTTP.
      - A lab that is there with another profile is refused.
    type: str
    choices: [open, gossip, full]
    default: gossip
  tokens:
    description:
      - This Consul version's names for the tokens of a lab with O(profile=full), and which it is, C(token) or
        C(recovery_token). Empty for a version that cannot do it, which is refused.
    type: dict
    default: {}
  seed:
    description:
      - 64 hex digits, from which the gossip key and the tokens of a new lab are made. Where empty, they are random. A
        lab that is there keeps its own.
    type: str
    default: ""
  seed_file:
    description:
      - A file on the controller that holds the O(seed). The action plugin beside this module reads it, so that the seed
        is in no task and in no event.
    type: path
    default: ""
  image:
    description: The image that carries the gossip key into its volume. Needed for O(state=present).
    type: str
    default: ""
  subnet:
    description: The lab's subnet. Where empty, a free /28 of O(subnet_pool).
    type: str
    default: ""
  subnet_pool:
    description:
      - Where subnets are taken from. Those that overlap no route of the Docker host come first; where there is none,
        those that are a part of a wider route are taken, and the answer says so.
    type: str
    default: 10.213.0.0/16
  http_port:
    description: Port of consul1 on the Docker host's loopback, the next servers follow; V(0) lets Docker choose.
    type: int
    default: 0
  directory:
    description: Folder on the Docker host for the Compose project's files.
    type: path
    required: true
  force:
    description: With O(state=absent), remove the lab also where it is another owner's; a warning says whose it was.
    type: bool
    default: false
  at_once:
    description: With O(state=present), how many labs of one user are started at the same time on a Docker host.
    type: int
    default: 10
  memory:
    description: Each server's memory limit in Docker's units, as O(compose) has it, to be counted by O(limits_file).
    type: str
    default: ""
  pids:
    description: How many processes and threads a server may have, as O(compose) has it.
    type: int
    default: 256
  lock_mark:
    description:
      - The mark of a lock on the lab that the caller holds already, as labctl does for a whole command. The
        action plugin beside this module fills it in.
    type: str
    default: ""
  limits_file:
    description:
      - File on the Docker host that says how many labs and servers, and how much memory, an owner may have. Where there
        is none, nothing is limited.
    type: path
    default: /etc/raft-labctl/limits.ini
"""

EXAMPLES = r"""
- name: Start a lab
  raft.labctl.consul_lab:
    name: ada
    owner: ada
    servers: 3
    image: raft-labctl/consul:1.8.7
    compose: "{{ lookup('ansible.builtin.template', 'compose.yaml.j2') }}"
    directory: ~/.local/state/raft-labctl/labs/ada

- name: Remove it
  raft.labctl.consul_lab:
    name: ada
    owner: ada
    state: absent
    directory: ~/.local/state/raft-labctl/labs/ada
"""

RETURN = r"""
actions:
  description: The actions, in order, each in a few words.
  type: list
  elements: str
  returned: always
ansible_facts:
  description: The lab's servers as facts; C(consul_cluster) joins them by these addresses.
  type: dict
  returned: always
  contains:
    consul_lab_members:
      description: One entry for each server.
      type: list
      elements: dict
      contains:
        name: {description: The server's name., type: str}
        container: {description: Its container's name., type: str}
        state: {description: Docker's word for its state., type: str}
        address: {description: Its fixed address., type: str}
        http_port: {description: Its HTTP port on the Docker host's loopback., type: int}
        profile: {description: The lab's profile., type: str}
subnet:
  description: The lab's subnet.
  type: str
  returned: when the lab exists
notes:
  description: Notes on the lab's new subnet, each one sentence, which is also a warning.
  type: list
  elements: str
  returned: when there is something to know, or something was left alone
owner:
  description: Whose lab it was.
  type: str
  returned: when O(state=absent) removed one
removed:
  description: Names of the removed parts.
  type: list
  elements: str
  returned: when O(state=absent)
"""

import contextlib
import dataclasses
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..module_utils import module_runner
from ..module_utils.docker_cli import Docker
from ..module_utils.lab_departure import Departure
from ..module_utils.lab_lock import LockRequest, locked
from ..module_utils.lab_machine import MACHINE, Machine
from ..module_utils.lab_parts import LabParts, find, refuse_foreign, refuse_profile
from ..module_utils.lab_project import (
    ALIVE,
    LabProject,
    address_error,
    address_is_held,
    image_error,
    is_still_busy,
    port_error,
    subnet_is_taken,
)
from ..module_utils.lab_secrets_volume import Configuration, SecretsRequest
from ..module_utils.quota_reservation import QuotaRequest, place_for
from ..module_utils.shared import derived_secrets, lab_names, label_values, parent_process
from ..module_utils.shared.answer_shapes import shown
from ..module_utils.shared.docker_api import DockerError, Engine
from ..module_utils.start_semaphore import turn

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Callable

PORTS = 65536
# More networks than any Docker host has.
MOST_AT_ONCE = 4096
# Consul itself has a dozen threads, and Linux allows no more than these.
LEAST_PIDS = 16
MOST_PIDS = 1 << 22
# The most runs of Compose in all.
TRIES = 3
# For a workshop's seat: the role's variable for each label, and its valid values.
SEAT_LABELS = {
    "raft-labctl.number": ("consul_lab_seat_number", f"1 to {label_values.MOST_SEATS}"),
    "raft-labctl.seat": ("consul_lab_seat", "the seat's name: lower-case letters, digits and dashes"),
    "raft-labctl.workshop": ("consul_lab_workshop", "the workshop's name, with which the lab's begins: WORKSHOP-SEAT"),
}
SEED_DIGITS = 2 * derived_secrets.SECRET_BYTES


def argument_spec() -> dict[str, dict[str, Any]]:
    """The module's arguments, as DOCUMENTATION has them."""
    return {
        "name": {"type": "str", "required": True},
        "owner": {"type": "str", "required": True},
        "state": {
            "type": "str",
            "choices": ["present", "stopped", "started", "restarted", "absent"],
            "default": "present",
        },
        "server": {"type": "str", "default": ""},
        "labels": {"type": "dict", "default": {}},
        "servers": {"type": "int", "choices": [1, 3, 5, 7], "default": 3},
        "compose": {"type": "str", "default": ""},
        "settings": {"type": "dict", "default": {}},
        "profile": {"type": "str", "choices": ["open", "gossip", "full"], "default": "gossip"},
        # The names of tokens, and no token.
        "tokens": {"type": "dict", "default": {}, "no_log": False},
        "seed": {"type": "str", "default": "", "no_log": True},
        "seed_file": {"type": "path", "default": ""},
        "image": {"type": "str", "default": ""},
        "subnet": {"type": "str", "default": ""},
        "subnet_pool": {"type": "str", "default": "10.213.0.0/16"},
        "http_port": {"type": "int", "default": 0},
        "directory": {"type": "path", "required": True},
        "force": {"type": "bool", "default": False},
        "at_once": {"type": "int", "default": 10},
        "memory": {"type": "str", "default": ""},
        "pids": {"type": "int", "default": 256},
        "lock_mark": {"type": "str", "default": ""},
        "limits_file": {"type": "path", "default": "/etc/raft-labctl/limits.ini"},
    }


def usage_problem(params: dict[str, Any]) -> str | None:  # noqa: PLR0911 - one per reason
    """The error in the arguments, as a sentence, before anything is touched."""
    problem = lab_names.name_problem(params["name"])
    if problem:
        return lab_names.name_sentence(params["name"], problem)
    if label_values.owner(params["owner"]) is None:
        most = label_values.LONGEST_OWNER
        return f"The lab needs an owner of 1 to {most} characters: set consul_lab_owner to a login name."
    if params["state"] == "present" and not (params["compose"] and params["image"]):
        return "A lab with the state present needs the arguments `compose` and `image`."
    if params["force"] and params["state"] != "absent":
        return "Only the removal of a lab can be forced: leave out consul_lab_force, or set consul_lab_state to absent."
    if params["profile"] == "full" and params["state"] == "present" and not params["tokens"]:
        return (
            f"The Consul of the image {params['image']} cannot have the profile full, because `consul tls` is there "
            "since Consul 1.4.1: choose a newer version, or the profile gossip."
        )
    if params["seed"] and not re.fullmatch(f"[0-9a-fA-F]{{{SEED_DIGITS}}}", params["seed"]):
        return f"The seed of the lab {params['name']} must have {SEED_DIGITS} hex digits, and this one has not."
    if params["seed_file"]:
        return "The seed file is read on the controller by the action plugin consul_lab: keep it beside this module."
    if params["state"] == "present" and (problem := label_problem(params)):
        return problem
    return number_problem(params)


def number_problem(params: dict[str, Any]) -> str | None:
    """The error in the numbers, as a sentence."""
    if not 1 <= params["at_once"] <= MOST_AT_ONCE:
        return f"Cannot start {params['at_once']} labs at a time: set consul_lab_at_once to 1 to {MOST_AT_ONCE}."
    if not LEAST_PIDS <= params["pids"] <= MOST_PIDS:
        return f"Cannot give a server {params['pids']} processes: set consul_lab_pids to {LEAST_PIDS} to {MOST_PIDS}."
    if params["http_port"] and not 1 <= params["http_port"] <= PORTS - params["servers"]:
        return f"{params['http_port']} cannot be the first HTTP port: choose 1 to {PORTS - params['servers']}, or 0."
    return None


def label_problem(params: dict[str, Any]) -> str | None:
    """The error in the labels, as a sentence: a lab with an invalid label would belong to nobody."""
    labels = {name: str(value) for name, value in params["labels"].items()}
    wrong = label_values.misfit({**labels, lab_names.LABEL_LAB: params["name"], lab_names.LABEL_OWNER: params["owner"]})
    if wrong is None:
        return None
    variable, rule = SEAT_LABELS.get(wrong, (f"the label {wrong}", "what labctl itself would write"))
    return (
        f"Cannot make the lab {params['name']} with {wrong}={shown(labels.get(wrong, ''))}: labctl would not know it "
        f"as its own. Set {variable} to {rule}."
    )


def present(project: LabProject, params: dict[str, Any], parts: LabParts, *, dry: bool) -> None:
    """Bring the lab to what the Compose text describes. Raises DockerError."""
    servers = params["servers"]
    subnets = project.plan(parts, params["subnet_pool"], params["subnet"])
    project.refuse_taken_names(parts, servers)
    departure = Departure(project.engine, project.lab, parts, servers, keep=project.keep, machine=project.machine)
    departure.check()
    if dry:
        preview(project, params, parts, subnets[0])
        return
    project.keep()
    # A lasting fault keeps its helper, which is its record and removes its rules in the end.
    if left := [helper for helper in parts.helpers if helper not in parts.lasting]:
        project.remove("container", left)
    project.outcome.actions += departure.leave()
    try:
        project.keep()
        configuration = Configuration(project.engine, project.lab, project.owner, params["labels"])
        configuration.provide(parts, params["image"], params["settings"], secrecy(params))
        project.outcome.actions += configuration.made
        project.wake(parts.servers)
        up(project, params, parts, subnets)
    except DockerError:
        # A new lab leaves nothing behind; an existing one keeps its data.
        if parts.empty:
            project.absent(project.parts())
            project.remove_files()
        raise


def secrecy(params: dict[str, Any]) -> SecretsRequest:
    """The seed for the secrets of a new lab."""
    seed = bytes.fromhex(params["seed"]) or derived_secrets.new_secret()
    return SecretsRequest(params["profile"], seed, params["tokens"])


def preview(project: LabProject, params: dict[str, Any], parts: LabParts, subnet: ipaddress.IPv4Network) -> None:
    """Fill in the planned changes, for check mode."""
    project.subnet = str(subnet)
    environment = project.environment(subnet, params["servers"], params["http_port"])
    for name, text in (("compose.yaml", params["compose"]), (".env", environment)):
        path = project.folder / name
        project.outcome.before += path.read_text(encoding="utf-8") if path.exists() else ""
        project.outcome.after += text
    have = {server.name: server for server in parts.servers}
    for name in lab_names.server_names(params["servers"]):
        if name not in have:
            project.outcome.actions.append(f"would make and start {name}")
        elif have[name].state != "running":
            project.outcome.actions.append(f"would start {name}")
    for name in have:
        if name not in lab_names.server_names(params["servers"]):
            project.outcome.actions.append(f"would remove {name}")
    if project.outcome.before and project.outcome.before != project.outcome.after:
        project.outcome.actions.append("would make the servers again with other settings, keeping their data")


def up(project: LabProject, params: dict[str, Any], parts: LabParts, subnets: list[ipaddress.IPv4Network]) -> None:
    """Run Compose; a subnet that was taken meanwhile is replaced by the next one. Raises DockerError."""
    for number, subnet in enumerate(subnets):
        project.outcome.before = project.outcome.after = ""
        project.subnet = str(subnet)
        project.write(params["compose"], project.environment(subnet, params["servers"], params["http_port"]))
        try:
            compose_up(project, parts, params["servers"])
        except DockerError as error:
            if subnet_is_taken(error) and number + 1 < len(subnets):
                continue
            known = port_error(error) or address_error(error, project.lab) or image_error(error, params["image"])
            raise known or error from error
        return


def compose_up(project: LabProject, parts: LabParts, servers: int) -> None:
    """Run Compose, and again if its obstacle is over, or can be removed. Raises DockerError."""
    for left in reversed(range(TRIES)):
        try:
            project.compose_up()
        except DockerError as error:
            if not left or not repaired(project, parts, servers, error):
                raise
        else:
            return


def repaired(project: LabProject, parts: LabParts, servers: int, error: DockerError) -> bool:
    """Whether Compose is worth another run. Raises DockerError where somebody else has one of the lab's names."""
    if is_still_busy(error):
        project.machine.sleep(project.machine.busy)
        now = project.parts()
        project.refuse_taken_names(now, servers)
        project.settle(now)
        return True
    return address_is_held(error) and project.forget_addresses(parts)


def change(project: LabProject, params: dict[str, Any], parts: LabParts, *, dry: bool) -> list[str]:
    """Stop, start or restart; returns nothing removed. Raises DockerError."""
    state = params["state"]
    chosen = project.choose(parts, params["server"])
    missing = set(lab_names.server_names(parts.size)) - {server.name for server in parts.servers}
    if missing and state != "stopped":
        raise DockerError(
            f"The lab {project.lab} has lost {', '.join(sorted(missing))}: `labctl up {project.lab}` makes it again."
        )
    if dry:
        verb = {"stopped": "stop", "started": "start", "restarted": "restart"}[state]
        project.outcome.actions = [
            f"would {verb} {each_server.name}"
            for each_server in chosen
            if state == "restarted"
            or (state == "stopped" and each_server.state in ALIVE)
            or (state == "started" and each_server.state != "running")
        ]
        return []
    if state in ("stopped", "restarted"):
        project.stop(chosen)
    if state in ("started", "restarted"):
        now = project.parts()
        names = {each_server.name for each_server in chosen}
        project.start([each_server for each_server in now.servers if each_server.name in names])
    return []


def absent(project: LabProject, parts: LabParts, *, dry: bool) -> list[str]:
    """Remove the lab; returns the names of what was removed. Raises DockerError."""
    names = parts.names()
    if dry:
        project.outcome.actions = [f"would remove {name}" for name in names]
        return names
    project.absent(parts)
    project.remove_files()
    project.outcome.actions = [f"removed {name}" for name in names]
    return names


def whose(params: dict[str, Any], parts: LabParts, *, dry: bool) -> dict[str, Any]:
    """The owner of the removed lab, with a warning where it was another's."""
    others = sorted(parts.owners - {params["owner"]})
    if not others:
        return {"owner": params["owner"]}
    removed = "would be removed" if dry else "was removed"
    said = f"The lab {params['name']} belongs to {', '.join(others)}, and {removed} because consul_lab_force is set."
    return {"owner": others[0], "warnings": [said, *parts.strangers]}


def fingerprint(parts: LabParts) -> list[tuple[str, str, str]]:
    """The state that must be the same for `nothing changed` to be true."""
    return [(server.id, server.started, server.state) for server in parts.servers]


def answer(
    params: dict[str, Any],
    *,
    check_mode: bool,
    say: Callable[[str], None] | None = None,
    machine: Machine = MACHINE,
) -> dict[str, Any]:
    """Run the module and return its result; `say` receives who it waits for.

    Raises DockerError with one sentence.
    """
    problem = usage_problem(params)
    if problem:
        raise DockerError(problem, "usage")
    folder, lab, state = Path(params["directory"]), params["name"], params["state"]
    removed: list[str] = []
    # Check mode must not even make the folder that the lock is in.
    work = LockRequest(lab, params["owner"], state, params["labels"], say, params["lock_mark"])
    lock = contextlib.nullcontext(None) if check_mode else locked(Engine(), folder, work)
    waits = state == "present" and not check_mode
    # The turn comes first: waiting for it with the lab's lock held would keep others from the lab.
    with turn(params["at_once"], say) if waits else contextlib.nullcontext(), lock as held:
        if waits and parent_process.is_gone():
            # A holder of the lock may meanwhile have removed the lab, and reported that nothing is left.
            raise DockerError(f"The lab {lab} was not started, because the labctl that wanted it was ended.")
        project = LabProject(Docker(held.handles if held else ()), lab, params["owner"], folder, machine=machine)
        project.force = params["force"]
        if held:
            project.keep = held.hold.keep
        parts = look(project, params, dry=check_mode)
        if state == "present":
            refuse_profile(lab, params["profile"], parts)
            asked = QuotaRequest(
                lab, params["owner"], params["servers"], params["memory"], params["image"], params["labels"]
            )
            with place_for(project.engine, asked, Path(params["limits_file"]), dry=check_mode, say=say):
                present(project, params, parts, dry=check_mode)
        elif state == "absent":
            removed = absent(project, parts, dry=check_mode)
        else:
            change(project, params, parts, dry=check_mode)
        after = parts if check_mode else look_again(project, params, parts)
        # Somebody who held the lab meanwhile may have changed what is reported here.
        project.keep()
    outcome = project.outcome
    changed = bool(outcome.actions) or fingerprint(parts) != fingerprint(after)
    result = {
        "changed": changed or (state == "present" and outcome.before != outcome.after),
        "actions": outcome.actions,
        "subnet": after.subnet,
        "removed": removed,
        "ansible_facts": {"consul_lab_members": [server.fact() for server in after.servers]},
    }
    notes = project.notes(parts)
    if parts.strangers or notes:
        result |= {"warnings": [*parts.strangers, *notes], "notes": notes}
    if removed:
        result |= whose(params, parts, dry=check_mode)
    if state == "present":
        result["diff"] = {
            "before": outcome.before,
            "after": outcome.after,
            "before_header": f"{folder} (before)",
            "after_header": f"{folder} (after)",
        }
    return result


def look(project: LabProject, params: dict[str, Any], *, dry: bool) -> LabParts:
    """The parts at the beginning, once leftovers of a killed change are repaired. Raises DockerError."""
    removing = params["state"] == "absent"
    parts = find(project.engine, project.lab)
    if not params["force"]:
        refuse_foreign(project.lab, params["owner"], parts, removing=removing)
    if removing or dry or not project.settle(parts):
        return parts
    return project.parts()


def look_again(project: LabProject, params: dict[str, Any], parts: LabParts) -> LabParts:
    """The parts now. Raises DockerError."""
    if params["state"] != "present":
        return find(project.engine, project.lab)
    # LabParts were complete at the beginning, and Compose succeeded: only the servers can be new.
    servers = project.servers_now(params["servers"])
    if len(servers) < params["servers"]:
        # The engine meanwhile finished a request of a killed command.
        project.settle(project.parts())
        servers = project.servers_now(params["servers"])
    if lost := set(lab_names.server_names(params["servers"])) - {lab_server.name for lab_server in servers}:
        raise DockerError(
            f"The lab {project.lab} has lost {', '.join(sorted(lost))} while it was started: run the same command "
            "again, which makes it again."
        )
    after = dataclasses.replace(parts, servers=servers, subnet=project.subnet)
    if over := [helper for helper in parts.lasting if helper not in after.lasting]:
        # Their servers were recreated, or are gone.
        project.remove("container", over)
    return after


def main(machine: Machine = MACHINE) -> None:
    """Run the module."""
    module_runner.run(argument_spec(), functools.partial(answer, machine=machine))


if __name__ == "__main__":
    main()
