"""Stand-ins for the outside world: a `docker` program with objects of its own, and servers with Consul's HTTP API."""

from __future__ import annotations

import copy
import io
import json
import os
import socketserver
import tarfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tests.unit.docker_api_stand_in import FakeDockerApi
from tests.unit.engine_stand_in import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class ModuleRun(Protocol):
    """The fixture `module_run`."""

    def __call__(self, main: Callable[[], None], *, check: bool = False, **arguments: Any) -> dict[str, Any]: ...


class Terminal(io.StringIO):
    """A standard output that is a terminal, and keeps what was written."""

    def isatty(self) -> bool:
        return True


class Ascii(io.StringIO):
    """A standard output that can show ASCII alone."""

    encoding = "ascii"


class StreamChange(Protocol):
    """The fixtures `standard_input` and `standard_output`."""

    def __call__(self, stream: Any) -> None: ...


# The program hands its words to the test's own process over pipes: a second Python for each call would cost the
# suite most of its time.
PROGRAM = """#!/bin/sh
folder='{folder}'
mkfifo "$folder/$$"
[ "$1 $2" = "cp -" ] && cat > "$folder/$$.stdin"
words=$(printf '%s\\037' "$$" "$@")
printf '%s\\n' "$words" > "$folder/requests"
read -r code < "$folder/$$"
[ -s "$folder/$$.out" ] && cat "$folder/$$.out"
[ -s "$folder/$$.err" ] && cat "$folder/$$.err" >&2
exit "$code"
"""
_MISSING = {
    "container": "No such container: {}",
    "network": "network {} not found",
    "volume": "get {}: no such volume",
}
# When every container that is put there by hand had stopped, if it does not run.
FINISHED = "2026-11-23T14:11:21.878123456Z"
LAB, SERVER, SERVERS = "raft-labctl.lab", "raft-labctl.server", "raft-labctl.servers"


@dataclass
class _Answer:
    """The answer to calls with all these words, and how often it is given."""

    words: tuple[str, ...]
    out: str
    err: str
    code: int
    times: int


class FakeDocker:
    """A `docker` program in a folder of its own, and its engine's API at `host`; `calls` are the words, in order.

    Its objects are what `docker inspect` says. A compose.yaml is JSON here: {"lab", "owner", "servers": [...], ...}.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[list[str]] = []
        self._objects: dict[str, dict[str, Any]] = {"container": {}, "network": {}, "volume": {}}
        self._answers: list[_Answer] = []
        self._stuck: dict[str, str] = {}
        self._made = 0
        folder.mkdir()
        program = folder / "docker"
        program.write_text(PROGRAM.format(folder=folder), encoding="utf-8")
        program.chmod(0o755)
        os.mkfifo(folder / "requests")
        # Opened for both, so that it never ends between two calls.
        self._requests = os.fdopen(os.open(folder / "requests", os.O_RDWR), "rb+", buffering=0)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._lock = threading.RLock()
        self._api = FakeDockerApi(self._do, self._objects.__getitem__)
        self.host = f"unix://{self._api.socket}"

    def over_tcp(self) -> AbstractContextManager[str]:
        """Its engine's API on loopback, too; yields the address."""
        return self._api.over_tcp()

    def beside(self) -> FakeEngine:
        """An engine whose labs and images are there, too, as its lists give them."""
        self._api.beside = FakeEngine()
        return self._api.beside

    # -- for tests: change and inspect -----------------------------------------------------------------------

    def objects(self, kind: str) -> dict[str, Any]:
        """A copy of all containers, networks or volumes, by ID or name."""
        with self._lock:
            return copy.deepcopy(self._objects[kind])

    def everything(self) -> dict[str, dict[str, Any]]:
        """A copy of all objects."""
        return copy.deepcopy(self._objects)

    def put(self, kind: str, key: str, document: dict[str, Any]) -> None:
        with self._lock:
            self._objects[kind][key] = document

    def put_container(self, name: str, *, labels: dict[str, str] | None = None, state: str = "running") -> str:
        """Add a container that Compose did not make; returns its ID."""
        key = f"{name}-id"
        document = {
            "Id": key,
            "Name": f"/{name}",
            "Config": {"Labels": labels},
            "State": {"Status": state, "Running": state == "running", "StartedAt": "", "FinishedAt": FINISHED},
            "NetworkSettings": {"Networks": {}, "Ports": {}},
        }
        self.put("container", key, document)
        return key

    def put_network(self, name: str, subnet: str, labels: dict[str, str] | None = None) -> None:
        ipam = {"Config": [{"Subnet": subnet}]}
        self.put("network", name, {"Id": name, "Name": name, "Driver": "bridge", "Labels": labels, "IPAM": ipam})

    def container(self, name: str) -> dict[str, Any]:
        """The container of that name itself, to change it."""
        document: dict[str, Any] = next(
            container for container in self._objects["container"].values() if container["Name"] == f"/{name}"
        )
        return document

    def lose(self, name: str) -> None:
        """Remove a container, as `docker rm -f` by hand does."""
        del self._objects["container"][self.container(name)["Id"]]

    def lose_volume(self, name: str) -> None:
        """Remove a volume, as `docker volume prune` does."""
        with self._lock:
            del self._objects["volume"][name]

    def lose_network(self, name: str) -> None:
        """Remove a network."""
        del self._objects["network"][name]

    def answer(self, *words: str, out: str = "", err: str = "", code: int = 0, times: int = 1) -> None:
        """Answer the next `times` calls that hold all the words with this, and do nothing."""
        self._answers.append(_Answer(words, out, err, code, times))

    def stick(self, thing: str, said: str) -> None:
        """Make the removal of a thing fail, always."""
        self._stuck[thing] = said

    def called(self, *words: str) -> list[list[str]]:
        """The calls that hold all these words."""
        return [call for call in self.calls if set(words) <= set(call)]

    def close(self) -> None:
        self._api.close()
        self._requests.write(b"\n")
        self._thread.join()
        self._requests.close()

    # -- what docker does ------------------------------------------------------------------------------------

    def _serve(self) -> None:
        for line in iter(self._requests.readline, b"\n"):
            call, *words = line.decode().rstrip("\n").split("\x1f")[:-1]
            try:
                out, err, code = self._do(words, self.folder / f"{call}.stdin")
            except Exception as error:  # noqa: BLE001 - the caller shall see it and not wait for ever
                out, err, code = "", f"the stand-in failed: {error!r}", 70
            (self.folder / f"{call}.out").write_text(out, encoding="utf-8")
            (self.folder / f"{call}.err").write_text(err, encoding="utf-8")
            (self.folder / call).write_text(f"{code}\n", encoding="utf-8")

    def _do(self, words: list[str], stdin: Path) -> tuple[str, str, int]:
        with self._lock:
            return self._work(words, stdin)

    def _work(self, words: list[str], stdin: Path) -> tuple[str, str, int]:  # noqa: PLR0911 - one for each command
        self.calls.append(words)
        # A filter by a label of Compose's is no call of Compose.
        text = " ".join(word for word in words if not word.startswith("label=com.docker.compose."))
        for answer in self._answers:
            if answer.times > 0 and all(word in text for word in answer.words):
                answer.times -= 1
                return answer.out, answer.err, answer.code
        kind, verb = words[0], words[1] if len(words) > 1 else ""
        if verb == "ls":
            return self._ls(kind, words), "", 0
        if verb == "inspect":
            return self._inspect(kind, words[2:])
        if verb == "rm":
            return self._rm(kind, [word for word in words[2:] if not word.startswith("-")])
        if verb == "create":
            return self._create(words) if kind == "container" else self._create_volume(words), "", 0
        if kind == "container":
            self._change(verb, words[2:])
        if kind == "cp":
            return self._cp(words[1], words[2], stdin)
        if kind == "compose":
            return self._compose(words)
        return "", "", 0

    def _labels(self, kind: str, object_: dict[str, Any]) -> dict[str, str]:
        return (object_["Config"] if kind == "container" else object_).get("Labels") or {}

    def _fits(self, kind: str, object_: dict[str, Any], condition: str) -> bool:
        what, _, value = condition.partition("=")
        if what == "label":
            name, _, wanted = value.partition("=")
            return self._labels(kind, object_).get(name) == wanted
        return value in str(object_["Name"] if what == "name" else object_["Driver"])

    def _ls(self, kind: str, words: list[str]) -> str:
        fit = {
            key: object_
            for key, object_ in self._objects[kind].items()
            if all(self._fits(kind, object_, condition) for condition in _values(words, "--filter"))
        }
        names = [object_["Name"].lstrip("/") for object_ in fit.values()]
        return "".join(f"{name}\n" for name in (names if "--format" in words else fit))

    def _inspect(self, kind: str, wanted: list[str]) -> tuple[str, str, int]:
        by_name = {object_.get("Name", key).lstrip("/"): key for key, object_ in self._objects[kind].items()}
        keys = [by_name.get(name, name) for name in wanted]
        missing = [key for key in keys if key not in self._objects[kind]]
        said = "".join(f"Error response from daemon: {_MISSING[kind].format(name)}\n" for name in missing)
        documents = [self._objects[kind][key] for key in keys if key not in missing]
        if kind == "container":
            documents = [_inspected(object_) for object_ in documents]
        return json.dumps(documents), said, 1 if missing else 0

    def _rm(self, kind: str, keys: list[str]) -> tuple[str, str, int]:
        for key in keys:
            if key in self._stuck:
                return "", f"Error response from daemon: {self._stuck[key]}\n", 1
            self._objects[kind].pop(key, None)
        return "", "", 0

    def _new_id(self) -> str:
        self._made += 1
        return f"{self._made:064x}"

    def _create(self, words: list[str]) -> str:
        key, wanted = self._new_id(), json.loads(words[2])
        volume = ""
        for mount in wanted["HostConfig"].get("Mounts", []):
            volume, labels = mount["Source"], mount["VolumeOptions"]["Labels"]
            self._objects["volume"].setdefault(volume, {"Name": volume, "Labels": labels, "Files": {}})
        self.put(
            "container",
            key,
            {
                "Id": key,
                "Name": "/helper",
                "Config": {"Labels": wanted["Labels"]},
                "State": {"Status": "created", "StartedAt": ""},
                "NetworkSettings": {},
                "Volume": volume,
            },
        )
        return f"{key}\n"

    def _create_volume(self, words: list[str]) -> str:
        wanted = json.loads(words[2])
        name = wanted["Name"]
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        document = {"Name": name, "Labels": wanted["Labels"], "CreatedAt": made, "Files": {}}
        self._objects["volume"].setdefault(name, document)
        return f"{name}\n"

    def _cp(self, source: str, target: str, stdin: Path) -> tuple[str, str, int]:
        key = (target if source == "-" else source).split(":")[0]
        files = self._objects["volume"][self._objects["container"][key]["Volume"]]["Files"]
        if source != "-":
            there = source.rsplit("/", 1)[1] in files
            return "", "" if there else "Could not find the file in container\n", 0 if there else 1
        with tarfile.open(stdin) as tar:
            for entry in tar:
                content = tar.extractfile(entry)
                files[entry.name] = {
                    "content": content.read().decode() if content else None,
                    "mode": entry.mode,
                    "uid": entry.uid,
                    "gid": entry.gid,
                }
        return "", "", 0

    def _change(self, verb: str, keys: list[str]) -> None:
        if verb == "rename":
            self._objects["container"][keys[0]]["Name"] = f"/{keys[1]}"
            return
        for key in keys:
            if key in self._objects["container"]:
                state = self._objects["container"][key]["State"]
                state["Status"] = "exited" if verb == "stop" else "running"
                state["StartedAt"] += "+"

    def _compose(self, words: list[str]) -> tuple[str, str, int]:
        if "--progress" in words:  # Compose 2.0 to 2.18
            return "", "unknown flag: --progress\n", 16
        folder = Path(_values(words, "--project-directory")[0])
        text = (folder / "compose.yaml").read_text(encoding="utf-8")
        lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
        environment = dict(line.split("=", 1) for line in lines)
        project = json.loads(text)
        labels = {LAB: project["lab"], "raft-labctl.owner": project["owner"], SERVERS: str(len(project["servers"]))}
        network = f"labctl-{project['lab']}"
        if network not in self._objects["network"]:
            self.put_network(network, environment["LAB_SUBNET"], labels)
        have = {
            self._labels("container", container)[SERVER]: key
            for key, container in self._objects["container"].items()
            if self._labels("container", container).get(LAB) == project["lab"]
            and SERVER in self._labels("container", container)
        }
        for server in set(have) - set(project["servers"]) if "--remove-orphans" in words else ():
            del self._objects["container"][have[server]]
        for server in project["servers"]:
            old = self._objects["container"].get(have.get(server, ""))
            if old and old["Made"] == text:
                if old["State"]["Status"] == "paused":
                    said = "Error response from daemon: cannot start a paused container, try unpause instead\n"
                    return "", said, 1
                if old["State"]["Status"] != "running":
                    self._change("start", [old["Id"]])
                continue
            if old:
                del self._objects["container"][old["Id"]]
            key, name = self._new_id(), f"{network}-{server}"
            port = environment[f"{server.upper()}_HTTP_PORT"] or str(30_000 + self._made)
            document = {
                "Id": key,
                "Name": f"/{name}",
                "Made": text,
                "Config": {"Labels": {**labels, SERVER: server}},
                "HostConfig": {"Memory": project.get("memory", 0)},
                "State": {"Status": "running", "StartedAt": "first"},
                "NetworkSettings": {
                    "Networks": {network: {"IPAddress": environment[f"{server.upper()}_ADDRESS"]}},
                    "Ports": {"8500/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]},
                },
            }
            self.put("container", key, document)
            self._objects["volume"].setdefault(name, {"Name": name, "Labels": labels, "Files": {}})
        return "", "", 0


def _inspected(container: dict[str, Any]) -> dict[str, Any]:
    """A container with all that engines say of every one."""
    state = {"Status": "created", "StartedAt": "", **container.get("State", {})}
    state.setdefault("Running", state["Status"] in {"running", "paused"})
    return {"NetworkSettings": {}, **container, "State": state}


def _values(words: list[str], option: str) -> list[str]:
    return [words[number + 1] for number, word in enumerate(words) if word == option]


@dataclass
class FakeServer:
    """One server's side of a cluster; `broken` answers HTTP 500, `deaf` applies no write."""

    name: str
    address: str
    http_port: int
    broken: bool = False
    deaf: bool = False
    legacy: int = 0  # this many answers say that its access control is in legacy mode
    applied: int = 10

    def member(self) -> dict[str, Any]:
        """As the fact consul_lab_members has it."""
        return {
            "name": self.name,
            "container": f"labctl-ada-{self.name}",
            "state": "running",
            "address": self.address,
            "http_port": self.http_port,
        }


class _Api(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@dataclass
class FakeCluster:
    """Servers whose HTTP APIs answer on loopback as Consul's does; change the attributes to change the answers."""

    size: int = 3
    joined: Callable[[], bool] = field(default=lambda: True)
    leader: int | None = 0
    term: int = 2
    old: bool = False
    servers: list[FakeServer] = field(default_factory=list)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    _apis: list[_Api] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number in range(self.size):
            api = _Api(("127.0.0.1", 0), self._handler(number))
            threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True).start()
            self._apis.append(api)
            self.servers.append(FakeServer(f"consul{number + 1}", f"10.213.0.{number + 2}", int(api.server_address[1])))

    def members(self) -> list[dict[str, Any]]:
        """As the fact consul_lab_members has them."""
        return [server.member() for server in self.servers]

    def close(self) -> None:
        for api in self._apis:
            api.shutdown()
            api.server_close()

    def agent(self, number: int) -> dict[str, Any]:
        """The answer of /v1/agent/self."""
        joined = self.joined()
        leads = joined and self.leader is not None
        raft = {
            "state": "Leader" if leads and number == self.leader else "Follower",
            "term": str(self.term if joined else 0),
            "applied_index": str(self.servers[number].applied if joined else 0),
            "commit_index": str(self.servers[number].applied if joined else 0),
            "last_contact": "12.5ms" if leads else "never",
        }
        if not self.old:
            voters = self.servers if joined else []
            raft["latest_configuration"] = (
                "["
                + " ".join(
                    f"{{Suffrage:Voter ID:node-{voter.name.removeprefix('consul')} Address:{voter.address}:8300}}"
                    for voter in voters
                )
                + "]"
            )
        leader = f"{self.servers[self.leader].address}:8300" if leads and self.leader is not None else ""
        legacy = self.servers[number].legacy > 0
        self.servers[number].legacy -= legacy
        return {
            "Member": {"Tags": {"acls": "2" if legacy else "1"}},
            "Config": {"NodeID": f"node-{number + 1}", "Version": "1.8.7"},
            "Stats": {
                "raft": raft,
                "consul": {"leader_addr": leader},
                "serf_lan": {"members": str(self.size if joined else 1)},
            },
        }

    def answer(self, number: int, method: str, path: str) -> tuple[int, Any]:
        """Status and document for a request to a server."""
        if self.servers[number].broken:
            return 500, "No cluster leader"
        if path == "/v1/agent/self":
            return 200, self.agent(number)
        if path == "/v1/status/peers":
            return 200, [f"{fake_server.address}:8300" for fake_server in self.servers] if self.joined() else []
        if path == "/v1/status/leader":
            return 200, "" if self.leader is None or not self.joined() else f"{self.servers[self.leader].address}:8300"
        if path.startswith("/v1/kv/") and method in ("PUT", "DELETE"):
            for server in self.servers:
                server.applied += 0 if server.deaf else 1
            return 200, True
        return 404, "no such path"

    def _handler(self, number: int) -> type[BaseHTTPRequestHandler]:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                cluster.requests.append((cluster.servers[number].name, self.command, self.path))
                status, document = cluster.answer(number, self.command, self.path)
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's names

            def log_message(self, *_words: object) -> None:
                pass

        return Handler
