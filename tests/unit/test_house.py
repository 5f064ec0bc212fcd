"""The shape of the house: arrows of imports run one way, and each door to the outside is one folder."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LABCTL = sorted((ROOT / "labctl").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
# Whom each folder may import when it runs. Everybody may import what only holds words (labctl, errors, portable), and
# how a user's file is written.
WORDS = {"errors", "files", "portable"}
MAY: dict[str, set[str]] = {
    "__main__": {"cli"},
    "errors": set(),
    "files": set(),
    "portable": set(),
    "raft": set(),
    "isolation": set(),
    "show": {"raft", "chaos", "isolation", "workshop"},
    "faults": set(),
    "chaos": {"raft"},
    "engine": {"faults", "isolation"},
    "provision": set(),
    "story": {"engine", "show", "raft"},
    "flows": {"story", "engine", "provision", "faults", "chaos", "isolation", "show", "raft", "workshop"},
    "workshop": set(),
    "web": {"engine", "flows", "story", "show", "raft", "workshop"},
    "cli": {"flows", "story", "engine", "provision", "show", "raft", "workshop", "web"},
}
# Views are made of what the engine found; they need its shapes and not its door.
ONLY_TYPES = {"show": {"engine"}, "cli": {"chaos"}}


@cache
def imports(path: Path, *, types_too: bool = False) -> set[str]:
    """The modules that a file imports, by their whole names; those of `if TYPE_CHECKING` only where asked for."""
    found: set[str] = set()

    class Visitor(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:
            only_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for child in node.orelse if only_types and not types_too else [*node.body, *node.orelse]:
                self.visit(child)

        def visit_Import(self, node: ast.Import) -> None:
            found.update(alias.name for alias in node.names)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            if node.level == 1 and folder_of(path) == "portable":
                # The only name that a neighbour has in both of the places where these files run.
                assert path.with_name(f"{node.module}.py") in LABCTL
                return
            assert node.level == 0, f"{path} imports by a relative name"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)

    Visitor().visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def folder_of(path: Path) -> str:
    """The folder of labctl that a file lives in, or the file itself."""
    return path.relative_to(ROOT / "labctl").with_suffix("").parts[0]


def ours(path: Path, *, types_too: bool = False) -> set[str]:
    """The folders of labctl that a file imports."""
    found = {tuple(name.split(".")) for name in imports(path, types_too=types_too)}
    return {parts[1] for parts in found if parts[0] == "labctl" and len(parts) > 1} - {"__version__"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_folder_has_its_arrows() -> None:
    assert {folder_of(path) for path in LABCTL if path.parent.name != "labctl"} <= set(MAY)


@pytest.mark.parametrize("folder", MAY)
def test_arrows_run_one_way(folder: str) -> None:
    allowed = MAY[folder] | WORDS | {folder}
    for path in in_folders(folder):
        assert ours(path) <= allowed, path
        assert ours(path, types_too=True) <= allowed | ONLY_TYPES.get(folder, set()), path


def in_folders(*folders: str) -> list[Path]:
    return [path for path in LABCTL if folder_of(path) in folders]


@pytest.mark.parametrize("path", in_folders("raft", "portable", "errors"), ids=named)
def test_what_is_pure_knows_nobody_else_of_the_house(path: Path) -> None:
    assert ours(path, types_too=True) <= {folder_of(path)}


@pytest.mark.parametrize("path", in_folders("portable"), ids=named)
def test_what_ansible_ships_alone_imports_the_standard_library_and_its_neighbours_only(path: Path) -> None:
    found = {name.split(".")[0] for name in imports(path, types_too=True)}
    assert found <= sys.stdlib_module_names
    assert not ours(path, types_too=True)


@pytest.mark.parametrize("path", in_folders("raft", "isolation"), ids=named)
def test_the_reading_of_logs_and_of_tries_has_no_docker_no_clock_and_no_network(path: Path) -> None:
    found = {name.split(".")[0] for name in imports(path)}
    assert not found & {"docker", "socket", "http", "urllib", "requests", "subprocess", "time", "threading", "asyncio"}


@pytest.mark.parametrize(("library", "door"), [("ansible_runner", "provision"), ("docker", "engine")])
def test_each_library_has_one_door(library: str, door: str) -> None:
    users = {folder_of(path) for path in LABCTL for name in imports(path) if name.split(".")[0] == library}
    assert users == {door}


def test_the_engine_and_ansible_do_not_know_each_other() -> None:
    for folder, other in (("engine", "provision"), ("provision", "engine")):
        for path in in_folders(folder):
            assert other not in ours(path, types_too=True), path


@pytest.mark.parametrize("path", PLUGINS, ids=named)
def test_what_runs_on_a_docker_host_imports_neither_labctl_nor_a_docker_library(path: Path) -> None:
    found = {name.split(".")[0] for name in imports(path, types_too=True)}
    assert not found & {"labctl", "docker", "requests", "yaml", "ansible_collections"}
    assert found <= sys.stdlib_module_names | {"ansible"}


def test_what_runs_on_a_docker_host_asks_nothing_of_zip_that_python_3_9_has_not() -> None:
    strict = [
        f"{named(path)}:{node.lineno}"
        for path in [*in_folders("portable"), *PLUGINS]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9)))
        if isinstance(node, ast.Call) and any(keyword.arg == "strict" for keyword in node.keywords)
        if isinstance(node.func, ast.Name) and node.func.id == "zip"
    ]
    assert strict == []


def test_the_first_lines_of_a_file_say_what_it_is_for() -> None:
    for path in [*LABCTL, *PLUGINS]:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text, path
        first = text.splitlines()[0]
        assert first.endswith((".", ":", "?")), path
        assert len(first) > 10, path


def test_no_folder_is_called_utils() -> None:
    assert [path for path in [*LABCTL, *PLUGINS] if "util" in path.stem.lower()] == []
