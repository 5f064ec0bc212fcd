"""What users see without Docker is what the golden files say: helps, stories of samples, what playbooks are given."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from labctl.cli.main import labctl, run
from tests.golden.files import as_json, must_be_golden, must_be_only

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.name for path in (ROOT / "labctl" / "samples").iterdir() if path.is_dir())
WHOLE_PAGES = ("2015", "lost-leader", "lost-quorum", "one-way")
"""Samples whose page and picture are golden files; of the others these are their checksums only, as they are long."""
VIEWS = {
    "txt": [],
    "all.txt": ["--all"],
    "summary.txt": ["--summary"],
    "lines.txt": ["--lines", "--election", "1"],
    "json": ["--json"],
    "mmd": ["--format", "mermaid"],
    "html": ["--format", "html"],
    "svg": ["--format", "svg"],
}


# -- the command line ----------------------------------------------------------------------------------------


def commands(command: click.Command = labctl, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each command, of groups before those in them."""
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*words, name))


COMMANDS = list(commands())


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(list(words)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(("labctl", *words)))
def test_the_help_of_each_command(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    must_be_golden(f"help/{'-'.join(('labctl', *words))}.txt", printed(capsys, *words, "--help"))


def test_no_command_is_gone() -> None:
    must_be_only("help", {f"{'-'.join(('labctl', *words))}.txt" for words in COMMANDS})


# -- the story -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_story_of_each_sample(
    sample: str, view: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    seen = printed(capsys, "story", "--sample", sample, *VIEWS[view])
    if view in ("html", "svg") and sample not in WHOLE_PAGES:
        seen = hashlib.sha256(seen.encode()).hexdigest() + "\n"
        view += ".sha256"
    must_be_golden(f"story/{sample}.{view}", seen)


# -- Ansible -------------------------------------------------------------------------------------------------


def names_in(folder: str) -> list[str]:
    return sorted(
        path.name for path in (ROOT / folder).iterdir() if not path.name.startswith((".", "__", "collections"))
    )


def test_the_names_of_playbooks_roles_and_modules() -> None:
    seen = {"playbooks": names_in("playbooks"), "roles": names_in("roles"), "modules": names_in("plugins/modules")}
    must_be_golden("ansible/names.json", as_json(seen))


def without_descriptions(arguments: Any) -> Any:
    """What a caller must keep to: names, types, defaults, choices; a better description breaks nobody."""
    if isinstance(arguments, dict):
        kept = {name: value for name, value in arguments.items() if name not in ("description", "short_description")}
        return {name: without_descriptions(value) for name, value in kept.items()}
    return arguments


@pytest.mark.parametrize("role", names_in("roles"))
def test_the_arguments_and_defaults_of_each_role(role: str) -> None:
    folder = ROOT / "roles" / role
    specs = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    # An option whose own name is `description` would be lost here: none has it.
    seen = {name: without_descriptions(spec.get("options", {})) for name, spec in specs.items()}
    defaults = folder / "defaults" / "main.yml"
    values = yaml.safe_load(defaults.read_text(encoding="utf-8")) if defaults.exists() else {}
    must_be_golden(f"ansible/role-{role}.json", as_json({"entry points": seen, "defaults": values}))


@pytest.mark.parametrize("module", [name.removesuffix(".py") for name in names_in("plugins/modules")])
def test_the_arguments_of_each_module(module: str) -> None:
    tree = ast.parse((ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8"))
    blocks = {
        target.id: yaml.safe_load(str(node.value.value))
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("DOCUMENTATION", "RETURN")
    }
    seen = {
        "options": without_descriptions(blocks["DOCUMENTATION"].get("options", {})),
        "returns": without_descriptions(blocks["RETURN"]),
    }
    must_be_golden(f"ansible/module-{module}.json", as_json(seen))
