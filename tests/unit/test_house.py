"""The shape of the house: arrows of imports run one way, and each door to the outside is one folder."""

from __future__ import annotations

import ast
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The link labctl/shared leads to what the plugins share with labctl.
LABCTL = sorted([*(ROOT / "labctl").rglob("*.py"), *(ROOT / "labctl" / "shared").glob("*.py")])
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
# Which room may import which stands in pyproject.toml, for import-linter. These have nothing but their arguments.
PURE = (
    "raft",
    "workshop/model",
    "experiments/chaos/checkers",
    "faults/cleanup.py",
    "faults/nftables.py",
    "faults/reachability.py",
    "faults/targets.py",
    "isolation/attempts.py",
    "isolation/connection_table.py",
    "isolation/hardening.py",
    "isolation/outcomes.py",
    "isolation/report.py",
    "isolation/targets.py",
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path, *, types_too: bool = False) -> set[str]:
    """The modules that a file imports, by their whole names; those of `if TYPE_CHECKING` only where asked for."""
    names: set[str] = set()

    class Visitor(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:
            only_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for child in node.orelse if only_types and not types_too else [*node.body, *node.orelse]:
                self.visit(child)

        def visit_Import(self, node: ast.Import) -> None:
            names.update(alias.name for alias in node.names)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            if node.level:
                # The only name that a neighbour has in both of the places where these files run.
                assert "shared" in path.parts or "plugins" in path.parts, f"{path} imports by a relative name"
                return
            names.update(f"{node.module}.{alias.name}" for alias in node.names)

    Visitor().visit(tree(path))
    return names


def folder_of(path: Path) -> str:
    """The folder of labctl that a file lives in, or the file itself."""
    return path.relative_to(ROOT / "labctl").with_suffix("").parts[0]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def in_folders(*folders: str) -> list[Path]:
    return [path for path in LABCTL if any(path.is_relative_to(ROOT / "labctl" / folder) for folder in folders)]


def test_every_room_has_its_layer() -> None:
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"][
        0
    ]
    said = {name.strip().removeprefix("labctl.") for line in layers["layers"] for name in line.split("|")}
    assert {folder_of(path) for path in LABCTL} - {"__init__", "__main__"} == said


@pytest.mark.parametrize("path", in_folders("shared", "errors.py"), ids=named)
def test_what_ansible_ships_alone_imports_the_standard_library_and_its_neighbours_only(path: Path) -> None:
    rooms = {name.split(".")[0] for name in imports(path, types_too=True)}
    assert rooms <= sys.stdlib_module_names


@pytest.mark.parametrize("path", in_folders(*PURE), ids=named)
def test_the_reading_of_logs_and_of_tries_has_no_docker_no_clock_and_no_network(path: Path) -> None:
    rooms = {name.split(".")[0] for name in imports(path)}
    assert not rooms & {"docker", "socket", "http", "urllib", "requests", "subprocess", "time", "threading", "asyncio"}


@pytest.mark.parametrize(("library", "doors"), [("ansible_runner", {"runner"}), ("docker", set())])
def test_each_library_has_one_door_or_none(library: str, doors: set[str]) -> None:
    users = {folder_of(path) for path in LABCTL for name in imports(path) if name.split(".")[0] == library}
    assert users == doors


@pytest.mark.parametrize("path", PLUGINS, ids=named)
def test_what_runs_on_a_docker_host_imports_neither_labctl_nor_a_docker_library(path: Path) -> None:
    rooms = {name.split(".")[0] for name in imports(path, types_too=True)}
    assert not rooms & {"labctl", "docker", "requests", "yaml", "ansible_collections"}
    assert rooms <= sys.stdlib_module_names | {"ansible"}


def test_what_runs_on_a_docker_host_asks_nothing_of_zip_that_python_3_9_has_not() -> None:
    strict = [
        f"{named(path)}:{node.lineno}"
        for path in PLUGINS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9)))
        if isinstance(node, ast.Call) and any(keyword.arg == "strict" for keyword in node.keywords)
        if isinstance(node.func, ast.Name) and node.func.id == "zip"
    ]
    assert strict == []


def test_modules_give_each_constant_a_line_of_its_own_because_ansible_doc_warns_of_others() -> None:
    several = [
        f"{named(path)}:{node.lineno}"
        for path in PLUGINS
        if path.parent.name not in {"shared", "module_utils"}
        for node in tree(path).body
        if isinstance(node, ast.Assign) and not all(isinstance(target, ast.Name) for target in node.targets)
    ]
    assert several == []


def test_what_builds_a_lab_stays_thin_because_playbooks_do_the_work() -> None:
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in in_folders("lab", "runner"))
    assert 1000 < lines < 2500


def test_the_first_lines_of_a_file_say_what_it_is_for() -> None:
    for path in [*LABCTL, *PLUGINS]:
        text = ast.get_docstring(tree(path))
        assert text, path
        first = text.splitlines()[0]
        assert first.endswith((".", ":", "?")), path
        assert len(first) > 10, path


def test_no_folder_is_called_utils() -> None:
    assert [path for path in [*LABCTL, *PLUGINS] if "util" in path.stem.lower()] == []


# -- what tests may reach for ------------------------------------------------------------------------------------

TESTS = sorted((ROOT / "tests").rglob("*.py"))
UNIT = [path for path in TESTS if path.is_relative_to(ROOT / "tests" / "unit")]
MOST_PATCHES = 30
"""What a test has to put in the place of something that a process, Ansible or a library has only one of."""
MOST_PRIVATE = 20
PATCH_METHODS = ("setattr", "patch", "object")


def private_names() -> set[str]:
    """Names that labctl and the plugins keep to themselves; what a named tuple has is nobody's secret."""
    names: set[str] = set()
    for node in (node for path in {*LABCTL, *PLUGINS} for node in ast.walk(tree(path))):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()):
                names.add(name)
    return {name for name in names if name.startswith("_") and not name.startswith("__")} - {"_replace", "_"}


@cache
def modules_of_ours(path: Path) -> set[str]:
    """The names by which a test knows modules of labctl and the plugins."""
    froms = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) and node.module]
    ours = [node for node in froms if str(node.module).split(".")[0] in {"labctl", "plugins"}]
    return {
        alias.asname or alias.name
        for node in ours
        for alias in node.names
        if ROOT.joinpath(*str(node.module).split("."), f"{alias.name}.py").exists()
    }


def test_tests_give_what_the_code_asks_for_and_hardly_ever_patch_it() -> None:
    patches = [
        f"{named(path)}:{node.lineno}"
        for path in UNIT
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PATCH_METHODS
        if ast.unparse(node.func).endswith((".setattr", "mock.patch", "patch.object"))
    ]
    assert len(patches) <= MOST_PATCHES, patches


def test_no_test_puts_anything_into_a_module_of_ours() -> None:
    wrong = [
        f"{named(path)}:{node.lineno}"
        for path in UNIT
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name)
        if node.value.id in modules_of_ours(path)
    ]
    assert wrong == []


def test_tests_know_hardly_anything_that_the_code_keeps_to_itself() -> None:
    private = private_names()
    used = [
        f"{named(path)}:{node.lineno}"
        for path in TESTS
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in private and ast.unparse(node.value) not in {"self", "cls"})
        or (isinstance(node, ast.alias) and node.name in private)
        # A name in a table of names, as that of the functions whose keys docs/reference/json.md has.
        or (isinstance(node, ast.Constant) and node.value in private)
    ]
    assert len(used) <= MOST_PRIVATE, used
