"""The script that ends a workshop: it removes all of it and at last itself, with nothing but nc and a shell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from plugins.modules import workshop_reaper

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
OWNER = "ada l"
SCRIPT = ROOT / "roles" / "workshop_reaper" / "files" / "reaper.sh"
# Hands a request to the test's own process, which plays the engine: another Python for each would take too long.
NC = r"""#!/bin/sh
read -r verb path rest
cat >/dev/null
mkfifo "$ENGINE/$$"
echo "$$ $verb $path" >"$ENGINE/asked"
cat "$ENGINE/$$"
"""


def key(number: int) -> str:
    """An ID as the engine gives one."""
    return f"{number:064x}"


class Engine:
    """Plays the engine, and runs the script against it.

    Attributes:
        things: by kind and by ID or name, the labels.
        requests: its requests, in order.
        down: so many requests are answered with `says` only.
        filters: whether it lists what was asked for alone, and not everything.
    """

    def __init__(self, folder: Path) -> None:
        self.things: dict[str, dict[str, dict[str, str]]] = {"containers": {}, "networks": {}, "volumes": {}}
        self.requests: list[str] = []
        self.down, self.says = 0, ""
        self.filters, self.owner = True, OWNER
        tools = folder / "bin"
        tools.mkdir()
        (tools / "nc").write_text(NC)
        (tools / "nc").chmod(0o755)
        (tools / "sleep").symlink_to(shutil.which("true") or "/bin/true")
        (tools / "hostname").write_text("#!/bin/sh\necho cafe01\n")
        (tools / "hostname").chmod(0o755)
        self.folder = folder
        self.env = {"PATH": f"{tools}:/usr/bin:/bin", "ENGINE": str(folder)}
        os.mkfifo(folder / "asked")
        # Opened for both, so that it never ends between two requests.
        self._asked = os.fdopen(os.open(folder / "asked", os.O_RDWR), "rb+", buffering=0)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._asked.write(b"\n")
        self._thread.join()
        self._asked.close()

    def _serve(self) -> None:
        for line in iter(self._asked.readline, b"\n"):
            call, verb, path = line.decode().split()
            self.requests.append(f"{verb} {path}")
            (self.folder / call).write_text(self._answer(verb, path), newline="")

    def _answer(self, verb: str, path: str) -> str:
        if self.down > 0:
            self.down -= 1
            return self.says
        where = urlsplit(path)
        _, kind, thing, *_ = [*where.path.split("/"), ""]
        if verb == "DELETE":
            self.things[kind].pop(thing, None)
            return "HTTP/1.0 204 No Content\r\n\r\n"
        called = "Name" if kind == "volumes" else "Id"
        if thing != "json" and thing:
            labels = self.things[kind].get(thing)
            if labels is None:
                return "HTTP/1.0 404 Not Found\r\n\r\n{}"
            # A network says who is on it, and a container its own settings.
            about = {"Labels": labels, called: thing, "Containers": {}}
            said = {called: thing, "Config": {"Labels": labels}} if kind == "containers" else about
            return f"HTTP/1.0 200 OK\r\n\r\n{_go(said)}\n"
        filters = json.loads(parse_qs(where.query)["filters"][0])
        listed = [
            {"Labels": labels, called: name}
            for name, labels in sorted(self.things[kind].items())
            if not self.filters or all(_has(labels, label) for label in filters["label"])
        ]
        answer = _go({"Volumes": listed} if kind == "volumes" else listed)
        return f"HTTP/1.0 200 OK\r\n\r\n{answer}\n"

    def put(self, lab: str, owner: str = OWNER, **parts: list[str]) -> None:
        """Add a seat as labctl makes it: servers, networks and volumes."""
        labels = {"raft-labctl.lab": lab, "raft-labctl.owner": owner, "raft-labctl.workshop": "raft101"}
        for kind, names in parts.items():
            for name in names:
                self.put_one(kind, name, labels | ({"raft-labctl.server": "consul1"} if kind == "containers" else {}))

    def put_one(self, kind: str, name: str, labels: dict[str, str]) -> None:
        self.things[kind][name] = labels

    def left(self) -> list[str]:
        return [name for things in self.things.values() for name in things]

    def run(self, end: float) -> str:
        words = ["sh", str(SCRIPT), *workshop_reaper.words("raft101", int(end), self.owner)]
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout


def _go(document: Any) -> str:
    """JSON as the engine writes it."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _has(labels: dict[str, str], condition: str) -> bool:
    name, is_said, wanted = condition.partition("=")
    return name in labels and (not is_said or labels[name] == wanted)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path)
    yield made
    made.close()


def test_everything_of_every_lab_goes_and_the_reaper_last(engine: Engine) -> None:
    servers, network, volume = [key(1), key(2)], key(3), "labctl-raft101-01-consul1"
    engine.put("raft101-01", containers=servers, networks=[network], volumes=[volume])
    engine.put("raft101-02", volumes=["labctl-raft101-02-config"])
    said = engine.run(time.time() - 5)
    assert engine.left() == []
    assert "removing raft101-01" in said
    requests = engine.requests
    assert requests[-1] == "DELETE /containers/cafe01?force=1&v=1"
    first = requests.index(f"DELETE /networks/{network}")
    assert all(requests.index(f"DELETE /containers/{server}?force=1&v=1") < first for server in servers)


@pytest.mark.parametrize("part", ["helper", "fault", "probe", "reserved-servers"])
def test_containers_that_are_no_servers_go_too(engine: Engine, part: str) -> None:
    labels = {"raft-labctl.lab": "raft101-01", "raft-labctl.owner": OWNER, f"raft-labctl.{part}": "x"}
    engine.put_one("containers", key(1), labels)
    engine.put("raft101-01", volumes=["labctl-raft101-01-consul1"])
    engine.run(time.time() - 5)
    assert engine.left() == []


def test_labs_of_others_stay_whatever_they_say_of_themselves(engine: Engine) -> None:
    engine.put("raft101-01", containers=[key(1)])
    engine.put("raft101-02", owner="bob", containers=[key(2)], networks=[key(3)], volumes=["b3"])
    # Of the same owner, with the workshop's label, and yet no seat of it.
    engine.put("precious", volumes=["p1"])
    engine.run(time.time() - 5)
    assert sorted(engine.left()) == [key(2), key(3), "b3", "p1"]


def test_a_label_that_says_the_id_or_name_of_another_does_not_take_that_one_along(engine: Engine) -> None:
    ours = {"raft-labctl.lab": "raft101-01", "raft-labctl.owner": OWNER, "raft-labctl.workshop": "raft101"}
    for number, kind in enumerate(("containers", "networks")):
        engine.put_one(kind, key(number), {})
        forged = {"Id": key(number), "raft-labctl.server": "consul1"}
        engine.put_one(kind, key(number + 10), ours | forged)
    engine.put_one("volumes", "their.data", {})
    engine.put_one("volumes", "their-data", ours | {"Name": "their.data"})
    engine.run(time.time() - 5)
    assert sorted(engine.left()) == [key(0), key(1), "their.data"]


def test_an_engine_that_lists_everything_makes_nothing_of_others_ours(engine: Engine) -> None:
    ours = {"raft-labctl.lab": "raft101-01", "raft-labctl.owner": OWNER, "raft-labctl.workshop": "raft101"}
    engine.put("raft101-01", containers=[key(1)], networks=[key(2)], volumes=["ours"])
    for number, labels in enumerate(({}, ours | {"raft-labctl.owner": "bob"}, ours | {"raft-labctl.lab": "precious"})):
        engine.put_one("containers", key(10 + number), labels | {"raft-labctl.server": "consul1"})
        engine.put_one("networks", key(20 + number), labels)
        engine.put_one("volumes", f"theirs{number}", labels)
    engine.put_one("containers", key(30), ours)
    engine.filters = False
    # What is left then is named by such an engine for ever, and nothing more is removed.
    words = ["sh", str(SCRIPT), *workshop_reaper.words("raft101", int(time.time()) - 5, OWNER)]
    script = subprocess.Popen(
        words, env=engine.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            script.wait(timeout=5)
    finally:
        # With the stand-in of nc that it waits for.
        os.killpg(script.pid, signal.SIGKILL)
        script.wait()
    left = {container for container in engine.left() if container != "cafe01"}
    numbers = [*range(10, 13), *range(20, 23), 30]
    assert left == {*map(key, numbers), "theirs0", "theirs1", "theirs2"}


@pytest.mark.parametrize("owner", ["zoë", 'a"b\\c', "<&>", "50%", "a'b $(x) *", "日本"])
def test_an_owner_of_any_text_is_known_again(engine: Engine, owner: str) -> None:
    engine.owner = owner
    engine.put("raft101-01", owner, containers=[key(1)], networks=[key(2)], volumes=["v"])
    engine.put("raft101-02", "bob", volumes=["theirs"])
    engine.run(time.time() - 5)
    assert engine.left() == ["theirs"]


def test_a_container_that_is_no_part_of_a_lab_stays(engine: Engine) -> None:
    engine.put("raft101-01", containers=[key(1)])
    theirs = {"raft-labctl.lab": "raft101-01", "raft-labctl.owner": OWNER, "raft-labctl.workshop": "raft101"}
    engine.put_one("containers", key(2), theirs)
    engine.run(time.time() - 5)
    assert engine.left() == [key(2)]


@pytest.mark.parametrize(
    ("requests", "says"),
    [
        (1, ""),
        (3, ""),
        (3, "HTTP/1.0 500 Internal Server Error\r\n\r\n{}"),
        (3, 'HTTP/1.0 200 OK\r\n\r\n[{"Id":"a'),
        (3, "HTTP/1.0 200 OK\r\n\r\n"),
    ],
)
def test_an_engine_that_is_away_is_asked_again(engine: Engine, requests: int, says: str) -> None:
    engine.down, engine.says = requests, says
    engine.put("raft101-01", containers=[key(1)])
    engine.run(time.time() - 5)
    assert engine.left() == []
    assert engine.requests[-1] == "DELETE /containers/cafe01?force=1&v=1"


def test_nothing_goes_before_the_end(engine: Engine) -> None:
    engine.put("raft101-01", containers=[key(1)])
    words = ["sh", str(SCRIPT), *workshop_reaper.words("raft101", int(time.time()) + 600, OWNER)]
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(words, env=engine.env, capture_output=True, timeout=0.5, check=False)
    assert engine.left() == [key(1)]
    assert engine.requests == []
