"""The image's two modules, in front of a stand-in for docker: what they ask it, what they say, what they leave."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from plugins.modules import consul_image_build, consul_image_info

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.stand_ins import ModuleRun

# Knows images by what the test wrote down; a build or an import makes one, everything else does nothing.
# The shell starts it, because the path of the Python may hold a blank, which a first line cannot.
PROGRAM = """#!/bin/sh
'exec' '{python}' '-IS' "$0" "$@"
import json, sys
words = sys.argv[1:]
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(words) + "\\n")
with open({state!r}) as file:
    state = json.load(file)
said = " ".join(words)
for sign, code in state["failing"].items():
    if sign in said:
        sys.exit(sign + " failed: " + code)
if words[0] == "version":
    print("amd64")
elif words[0] == "run":
    print(state["answers"])
elif words[:2] == ["image", "ls"]:
    print("\\n".join(state["images"]) if "--quiet" in words or "-q" in words else "")
elif words[:2] == ["image", "inspect"]:
    found = [state["images"][one] for one in words[2:] if one in state["images"]]
    if len(found) < len(words[2:]):
        sys.exit("Error: No such image: x")
    print(json.dumps(found))
elif words[0] in ("import", "build"):
    name = words[words.index("--tag") + 1] if words[0] == "build" else words[-1]
    state["images"][name] = {{"Id": "sha256:" + "b" * 64, "RepoTags": [name], "Config": {{"Labels": {{}}}}}}
    with open({state!r}, "w") as file:
        json.dump(state, file)
"""
GOOD = """consul Consul v1.8.7
nft nftables v0.9.8 (E.D.S.)
ip ip utility, iproute2-5.9.0
nc OpenBSD netcat (Debian patchlevel 1.217-3)
data 700 8500:8500
config /consul/config
user 8500"""
ELF = b"\x7fELF\x02\x01" + b"\0" * 12 + b"\x3e\x00" + b"\0" * 64


class StandIn:
    """The docker in front of PATH."""

    def __init__(self, folder: Path) -> None:
        self.state_file, self.calls_file = folder / "state.json", folder / "calls"
        program = folder / "docker"
        program.write_text(
            PROGRAM.format(python=sys.executable, calls=str(self.calls_file), state=str(self.state_file))
        )
        program.chmod(0o755)
        self.state: dict[str, Any] = {"images": {}, "failing": {}, "answers": GOOD}
        self.write()

    def write(self) -> None:
        self.state_file.write_text(json.dumps(self.state))

    def calls(self, *start: str) -> list[list[str]]:
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [words for words in map(json.loads, lines) if words[: len(start)] == list(start)]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_BUILDKIT", "")
    monkeypatch.setenv("BUILDX_BUILDER", "")
    return StandIn(folder)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def _ours(version: str, source: str, origin: str = "") -> dict[str, Any]:
    labels = {
        "raft-labctl.consul-version": version, "raft-labctl.image-source": source, "raft-labctl.image-layout": "1",
        "raft-labctl.image-state": "checked", "raft-labctl.image-origin": origin,
        "raft-labctl.image-tools": "ip nc nft",
    }  # fmt: skip
    return {"Id": f"id-{version}", "RepoTags": [f"ours:{version}"], "Created": "1", "Config": {"Labels": labels}}


def test_an_image_that_is_there_is_found(docker: StandIn, module_run: ModuleRun) -> None:
    docker.state["images"] = {"a": _ours("1.8.7", "debian"), "b": _ours("1.21.4", "registry")}
    docker.write()
    result = module_run(consul_image_info.main, repository="ours")
    assert (result["found"], result["id"], result["version"], result["source"]) == (
        True,
        "id-1.21.4",
        "1.21.4",
        "registry",
    )
    result = module_run(consul_image_info.main, repository="ours", version="v1.8.7", source="debian", check=True)
    assert (result["found"], result["name"], result["changed"]) == (True, "ours:1.8.7", False)
    assert docker.calls("run") == []


@pytest.mark.parametrize("seconds", [-1, 0, 86401, 10**18])
def test_a_server_may_be_silent_for_a_time_that_ends(module_run: ModuleRun, seconds: int) -> None:
    words: dict[str, Any] = {"dockerfile": "x", "layout": "x", "rootfs": "x"}
    result = module_run(consul_image_build.main, repository="ours", source="debian", timeout=seconds, **words)
    assert result["failure"] == "usage"
    assert result["msg"] == f"Cannot wait for {seconds:g} seconds: set consul_image_timeout to 1 to 86400."


def test_what_does_not_fit_is_not_found(docker: StandIn, module_run: ModuleRun) -> None:
    docker.state["images"] = {"a": _ours("1.8.7", "debian")}
    docker.write()
    missing = {"found": False, "id": "", "name": "", "version": ""}
    for wanted in ({"version": "1.21.4"}, {"source": "registry"}, {"force": True}):
        result = module_run(consul_image_info.main, repository="ours", **wanted)
        assert {key: result[key] for key in missing} == missing


def test_only_the_repositorys_own_images_are_asked_for(docker: StandIn, module_run: ModuleRun) -> None:
    module_run(consul_image_info.main, repository="ours")
    (words,) = docker.calls("image", "ls")
    assert "reference=ours:*" in words
    assert "label=raft-labctl.image-layout=1" in words


def test_auto_tries_a_binary_only_where_one_is_named(docker: StandIn, module_run: ModuleRun, work: Path) -> None:
    assert docker.calls() == []
    result = module_run(consul_image_info.main, repository="ours")
    assert result["sources"] == ["registry", "release", "debian"]
    (work / "consul").write_bytes(ELF)
    result = module_run(consul_image_info.main, repository="ours", binary=str(work / "consul"))
    assert result["sources"] == ["registry", "release", "binary", "debian"]
    assert module_run(consul_image_info.main, repository="ours", source="debian")["sources"] == ["debian"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"version": "latest"}, "'latest' is not a version of Consul"),
        ({"version": "1.2.3;id"}, "is not a version of Consul"),
        ({"digest": "sha256:short", "source": "registry"}, "is not an image's digest"),
        ({"source": "binary"}, "Source binary needs a binary"),
        ({"source": "binary", "binary": "/nowhere/consul"}, "cannot be read"),
        ({"source": "binary", "binary": "consul"}, "is not an absolute path"),
        ({"binary": "/etc/hostname"}, "is not a program"),
        ({"repository": "Ours"}, "is not a name for an image"),
        ({"repository": "ours:tag@x"}, "is not a name for an image"),
        ({"repository": "--help"}, "is not a name for an image"),
    ],
)
def test_what_cannot_be_is_refused_as_usage(
    docker: StandIn, module_run: ModuleRun, arguments: dict[str, Any], words: str
) -> None:
    result = module_run(consul_image_info.main, **({"repository": "ours"} | arguments))
    assert words in result["msg"]
    assert result["failure"] == "usage"
    assert docker.calls("build") == []


def test_an_image_of_the_same_binary_is_found_and_of_another_one_is_not(
    docker: StandIn, module_run: ModuleRun, work: Path
) -> None:
    file = work / "consul"
    file.write_bytes(ELF)
    origin = consul_image_info.wanted_of("binary", "", str(file), "").origin
    docker.state["images"] = {"a": _ours("1.8.7", "binary", origin)}
    docker.write()
    assert module_run(consul_image_info.main, repository="ours", source="binary", binary=str(file))["found"] is True
    file.write_bytes(ELF + b"x")
    assert module_run(consul_image_info.main, repository="ours", source="binary", binary=str(file))["found"] is False


def _build(module_run: ModuleRun, work: Path, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    binary = work.parent / "consul"
    binary.write_bytes(ELF)
    given = {
        "repository": "ours", "source": "binary", "binary": str(binary), "base": "base:1", "tmp_directory": str(work),
        "dockerfile": "FROM x", "layout": "true", "rootfs": "true",
    }  # fmt: skip
    return module_run(partial(consul_image_build.main, contextlib.nullcontext), check=check, **(given | arguments))


def test_a_checked_candidate_gets_its_name_and_labels(docker: StandIn, module_run: ModuleRun, work: Path) -> None:
    done = _build(module_run, work)
    assert (done["changed"], done["name"], done["version"], done["source"]) == (True, "ours:1.8.7", "1.8.7", "binary")
    assert done["diff"]["after"] == {"name": "ours:1.8.7", "version": "1.8.7", "source": "binary"}
    first, last = docker.calls("build")
    candidate = first[first.index("--tag") + 1]
    assert candidate.startswith("ours:candidate-")
    assert "base=base:1" in first
    assert "raft-labctl.consul-version=1.8.7" in last
    assert "raft-labctl.image-state=checked" in last
    assert [candidate] in [words[2:] for words in docker.calls("image", "rm")]
    assert list(work.iterdir()) == []


def test_a_candidate_is_looked_at_without_network_and_rights(
    docker: StandIn, module_run: ModuleRun, work: Path
) -> None:
    _build(module_run, work)
    (words,) = docker.calls("run")
    said = " ".join(words)
    for limit in ("--network none", "--read-only", "--cap-drop ALL", "no-new-privileges", "--user 8500:8500"):
        assert limit in said


def test_check_mode_predicts_and_asks_docker_nothing(docker: StandIn, module_run: ModuleRun, work: Path) -> None:
    done = _build(module_run, work, check=True, version="1.21.4+ent")
    assert (done["changed"], done["id"], done["name"]) == (True, "", "ours:1.21.4-ent")
    assert docker.calls() == []
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Consul v1.8.7", "hello", "The program of source binary said no version but: hello"),
        ("Consul v1.8.7", "Consul v1.9.0", "Source binary has Consul 1.9.0, and 1.8.7 was asked for"),
        ("nft nftables", "nft sh: not found", "The image of source binary has no nft that runs"),
        ("ip ip utility", "ip BusyBox", "The image of source binary has no ip that runs"),
        ("nc OpenBSD netcat", "nc BusyBox v1.30.1", "The image of source binary has no nc that runs"),
        ("700 8500:8500", "755 8500:8500", "has no /consul/data of 8500:8500 with mode 700"),
        ("700 8500:8500", "700 0:0", "has no /consul/data of 8500:8500 with mode 700"),
        ("config /consul/config", "config ls: no", "or no /consul/config"),
    ],
)
def test_a_candidate_that_lacks_something_is_refused_and_removed(  # noqa: PLR0913, PLR0917 - fixtures and a table
    docker: StandIn, module_run: ModuleRun, work: Path, old: str, new: str, words: str
) -> None:
    assert old in GOOD
    docker.state["answers"] = GOOD.replace(old, new)
    docker.write()
    done = _build(module_run, work, version="1.8.7")
    assert words in done["msg"]
    assert len(docker.calls("build")) == 1
    assert list(work.iterdir()) == []


def test_a_build_that_fails_says_why_and_leaves_nothing(docker: StandIn, module_run: ModuleRun, work: Path) -> None:
    docker.state["failing"] = {"build --force-rm": "pull access denied"}
    docker.write()
    done = _build(module_run, work)
    assert (
        done["msg"] == "Docker failed while building on the image base:1: build --force-rm failed: pull access denied"
    )
    assert done["failure"] == "failed"
    assert list(work.iterdir()) == []


def test_a_full_disk_of_the_engine_is_its_own_sentence(docker: StandIn, module_run: ModuleRun, work: Path) -> None:
    docker.state["failing"] = {"build --force-rm": "write /x: no space left on device"}
    docker.write()
    assert "disk is full" in _build(module_run, work)["msg"]


def test_the_engines_own_builder_is_taken_where_there_is_no_buildx(
    docker: StandIn, module_run: ModuleRun, work: Path
) -> None:
    docker.state["failing"] = {"buildx version": "unknown command"}
    docker.write()
    _build(module_run, work)
    assert os.environ["DOCKER_BUILDKIT"] == "0"


def test_leftovers_of_a_killed_run_are_swept_first(docker: StandIn, module_run: ModuleRun, work: Path) -> None:
    _build(module_run, work)
    words = [" ".join(call) for call in docker.calls()]
    sweep = next(index for index, call in enumerate(words) if call.startswith("container ls"))
    assert sweep < next(index for index, call in enumerate(words) if call.startswith("build "))
    assert f"candidate of {os.uname().nodename} {work}" in words[sweep]


@pytest.mark.parametrize(
    ("there", "is_root", "enough"),
    [
        ({"mmdebstrap"}, True, True),
        ({"mmdebstrap"}, False, False),
        ({"mmdebstrap", "newuidmap", "newgidmap"}, False, True),
        ({"newuidmap", "newgidmap"}, False, False),
    ],
)
def test_mmdebstrap_needs_uidmap_without_root(there: set[str], *, is_root: bool, enough: bool) -> None:
    answer = consul_image_info.has_mmdebstrap(is_root=is_root, which=lambda name: name if name in there else None)
    assert answer is enough
