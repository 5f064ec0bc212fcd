"""Bytes as what an engine answers: a refusal in one sentence, or what every reader of such answers can read."""

from __future__ import annotations

import json
from typing import Any

from labctl.engine import clock, images, labs, sidecar
from labctl.engine.docker_host import LOCAL_HOST
from labctl.isolation import hardening, targets
from labctl.shared import answer_shapes, docker_api, lab_names, lab_server, label_values

_LABELS = {
    "raft-labctl.lab": "ada", "raft-labctl.owner": "ada", "raft-labctl.server": "consul1", "raft-labctl.servers": "3",
}  # fmt: skip
_NETWORKS = {"labctl-ada": {"IPAddress": "10.0.0.2", "IPPrefixLen": 28, "Gateway": "10.0.0.1", "IPAMConfig": {}}}
_LISTED: dict[str, Any] = {
    "Id": "a1", "Names": ["/labctl-ada-consul1"], "Image": "i", "Created": 1, "State": "running", "Labels": _LABELS,
    "Ports": [{"PrivatePort": 8500, "PublicPort": 30_001}], "NetworkSettings": {"Networks": _NETWORKS},
    "HostConfig": {"NetworkMode": "container:x"},
}  # fmt: skip
_INSPECTED: dict[str, Any] = {
    "Id": "a1", "Name": "/labctl-ada-consul1", "Config": {"Labels": _LABELS, "User": "8500:8500", "Cmd": ["agent"]},
    "State": {"Status": "running", "Running": True, "StartedAt": "2026-11-30T00:00:00Z", "FinishedAt": ""},
    "NetworkSettings": {
        "Networks": _NETWORKS, "Ports": {"8500/tcp": [{"HostIp": "127.0.0.1", "HostPort": "30001"}], "8301/udp": None},
    },
    "HostConfig": {
        "NetworkMode": "bridge", "SecurityOpt": ["no-new-privileges"], "CapDrop": ["ALL"], "Memory": 1, "Ulimits": None,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Binds": None, "PidsLimit": 9, "Privileged": False,
    },
    "Mounts": [{"Type": "volume", "Name": "v", "Source": "/v", "Destination": "/data", "RW": True}],
}  # fmt: skip
_IMAGE = {"Id": "sha256:1", "RepoTags": ["raft-labctl/consul:1.8.7"], "Labels": {}, "Size": 1, "Created": 1}
_NETWORK = {"Id": "n", "Name": "labctl-ada", "Labels": _LABELS, "IPAM": {"Config": [{"Subnet": "10.0.0.0/28"}]}}
SEEDS = [
    json.dumps(answer).encode()
    for answer in (
        [_LISTED, {**_LISTED, "Id": "b2", "Ports": None, "NetworkSettings": {"Networks": {"x": None}}}],
        _INSPECTED, [_IMAGE], [_NETWORK], {"Volumes": [{"Name": "v", "Labels": None}]},
        {"SystemTime": "2026-11-30T00:00:00.5Z", "NCPU": 2, "SecurityOptions": ["name=seccomp"]}, {"message": "no"},
    )
]  # fmt: skip


LONGEST = 600


class Client:
    """An engine that has these images."""

    place = LOCAL_HOST

    def __init__(self, images_listed: list[dict[str, Any]]) -> None:
        self._found = images_listed

    def images(self, *, filters: dict[str, str] | None = None) -> list[dict[str, Any]]:  # noqa: ARG002
        return self._found


def _read(path: str, answer: Any) -> None:
    """Use an answer as commands and modules do."""
    if path == "/containers/json":
        for lab in labs.labs_from(answer, "local"):
            _ = lab.missing, lab.running, [server.url for server in lab.servers]
        for document in answer:
            sidecar.server_of(document)
            label_values.called(document)
    elif path == "/networks":
        for document in answer:
            docker_api.subnets_of(document)
    elif path == "/images/json":
        images.list_images(Client(answer))  # type: ignore[arg-type]
    elif path == "/info":
        clock.moment_of(answer.get("SystemTime"))
    elif path == "/containers/a/json":
        if lab_names.LABEL_SERVER in label_values.labels_of(answer):
            lab_server.server_inspected(answer)
        targets.place_of("ada", "local", [answer])
        hardening.judge("local", "ada", [hardening.Container(answer, answer.get("HostConfig") or {})])


def one_try(data: bytes) -> None:
    """Read an answer as that to each question."""
    docker_api.message_of(data)
    for path in (
        "/containers/json",
        "/containers/a/json",
        "/networks",
        "/volumes",
        "/images/json",
        "/info",
        "/version",
    ):
        sentence = ""
        try:
            answer = docker_api.read_answer(data, answer_shapes.shape_of(path), "looking")
        except docker_api.DockerError as error:
            sentence = error.sentence
        else:
            _read(path, answer)
        assert not sentence or (sentence.isprintable() and len(sentence) < LONGEST)
