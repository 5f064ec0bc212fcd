"""Write the generated parts of the documentation: commands, roles, modules.

`python scripts/generate_docs.py` writes them; with `--check` it changes nothing, names the files that are stale, and
ends with 1 where there are any. Everything on the pages comes from the code: click's help, the roles'
argument specs, the modules' DOCUMENTATION.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from labctl.cli.main import labctl  # noqa: E402 - the script runs from a checkout, installed or not

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HELP_WIDTH = 100
WIDTH = 118
ROLES = (
    "docker_engine",
    "consul_image",
    "consul_image_copy",
    "consul_lab",
    "consul_cluster",
    "raft_logs",
    "consul_failover",
    "workshop_reaper",
)
WRITTEN = "<!-- Written by `make docs` from {source}; change it there. -->"
# Ansible's markup (docs.ansible.com, "Ansible markup"): code, option, value, environment, module, italics, bold.
_CODE = re.compile(r"\b[COVEM]\(((?:[^()\\]|\\.)*(?:\([^()]*\))?[^()]*)\)")
_PLAIN = re.compile(r"\b[IB]\(([^()]*)\)")


def markdown(text: Any) -> str:
    """A description in Ansible's markup, as one paragraph of Markdown."""
    parts = text if isinstance(text, list) else [text]
    words = " ".join(" ".join(str(part).split()) for part in parts)
    return _PLAIN.sub(r"\1", _CODE.sub(r"`\1`", words))


def _type(option: dict[str, Any]) -> str:
    kind = str(option.get("type", "str"))
    return f"{kind} of {option['elements']}" if "elements" in option else kind


def _default(option: dict[str, Any]) -> str:
    if option.get("required"):
        return "required"
    value = option.get("default")
    if isinstance(value, bool):
        return f"default `{str(value).lower()}`"
    return "empty by default" if value in (None, "", {}, []) else f"default `{value}`"


def wrapped(text: str, indent: str = "") -> list[str]:
    """A paragraph in short lines, all but the first one indented; code may go over a line's end, as Markdown allows."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _paragraphs(description: Any) -> list[str]:
    parts = description if isinstance(description, list) else [description]
    return [line for part in parts for line in (*wrapped(markdown(part)), "")]


def options_list(options: dict[str, Any]) -> list[str]:
    """Options or variables: name, type, default, meaning."""
    lines = []
    for name, option in options.items():
        text = f"- `{name}` ({_type(option)}, {_default(option)}): {markdown(option['description'])}"
        if "choices" in option:
            text += f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}."
        lines += wrapped(text, "  ")
    return lines


# -- commands ------------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its whole name (`labctl image build`), in the order of the overview."""

    def below(name: str, group: click.Group) -> Iterator[tuple[str, click.Command]]:
        context = click.Context(group, info_name=name)
        for word in group.list_commands(context):
            command = group.get_command(context, word)
            if isinstance(command, click.Group):
                yield f"{name} {word}", command
                yield from below(f"{name} {word}", command)
            elif command is not None:
                yield f"{name} {word}", command

    yield from below("labctl", labctl)


def help_of(name: str, command: click.Command) -> str:
    """The output of `NAME --help`."""
    context = click.Context(
        command,
        info_name=name,
        terminal_width=HELP_WIDTH,
        max_content_width=HELP_WIDTH,
        help_option_names=["-h", "--help"],
    )
    return command.get_help(context)


def commands_page() -> str:
    """docs/reference/commands.md."""
    lines = [
        "# Commands",
        "",
        WRITTEN.format(source="labctl's own help"),
        "",
        "What each command says with `--help`. What the JSON documents hold is in [JSON](json.md); what the exit codes",
        "mean is in [Troubleshooting](../troubleshooting.md#exit-codes).",
        "",
        "```text",
        help_of("labctl", labctl),
        "```",
    ]
    for name, command in commands():
        lines += ["", f"## {name}", "", "```text", help_of(name, command), "```"]
    return "\n".join(lines) + "\n"


# -- roles ---------------------------------------------------------------------------------------------------


def _playbooks_of(role: str) -> list[str]:
    """The playbooks that name the role themselves."""
    return [
        path.name
        for path in sorted((ROOT / "playbooks").glob("*.yml"))
        if re.search(rf"(?:role|name): raft\.labctl\.{role}$", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def role_body(role: str) -> list[str]:
    """A role's description and variables, from its argument specs."""
    path = ROOT / "roles" / role / "meta" / "argument_specs.yml"
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]
    summary = markdown(spec["short_description"]).rstrip(".")
    lines = [f"{summary}.", "", *_paragraphs(spec["description"])]
    names = [f"`playbooks/{name}`" for name in _playbooks_of(role)]
    joined = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return [*lines, *wrapped(f"Run by {joined}."), "", "Variables:", "", *options_list(spec["options"])]


def role_readme(role: str) -> str:
    """roles/ROLE/README.md."""
    lines = [
        f"# {role}",
        "",
        WRITTEN.format(source="meta/argument_specs.yml"),
        "",
        *role_body(role),
        "",
        "How the roles work together: [Ansible](../../docs/ansible.md).",
    ]
    return "\n".join(lines) + "\n"


def roles_page() -> str:
    """docs/reference/roles.md."""
    lines = [
        "# Roles",
        "",
        WRITTEN.format(source="the roles' meta/argument_specs.yml"),
        "",
        "In the order in which `playbooks/demo.yml` runs them; the last one is of `playbooks/failover.yml`. How they",
        "are used is in [Ansible](../ansible.md).",
    ]
    for role in ROLES:
        lines += ["", f"## {role}", "", *role_body(role)]
    return "\n".join(lines) + "\n"


# -- modules and filters -------------------------------------------------------------------------------------


def _constants(path: Path) -> dict[str, str]:
    """The texts that a Python file assigns to names, without running it."""
    constants = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                value = ast.literal_eval(node.value)
            except ValueError:
                continue
            if isinstance(value, str):
                constants[node.targets[0].id] = value
    return constants


def _returned(values: dict[str, Any], depth: int = 0) -> Iterator[str]:
    for name, value in values.items():
        indent = "  " * depth
        yield from wrapped(f"{indent}- `{name}` ({_type(value)}): {markdown(value['description'])}", f"{indent}  ")
        yield from _returned(value.get("contains") or {}, depth + 1)


def module_body(path: Path) -> list[str]:
    """One module, from its DOCUMENTATION, EXAMPLES and RETURN."""
    texts = _constants(path)
    documentation, returned = yaml.safe_load(texts["DOCUMENTATION"]), yaml.safe_load(texts["RETURN"])
    lines = ["", f"## {path.stem}", "", f"{markdown(documentation['short_description']).rstrip('.')}.", ""]
    lines += _paragraphs(documentation["description"])
    lines += ["Options:", "", *options_list(documentation["options"])]
    attributes = documentation["attributes"]
    support = [f"{name.replace('_', ' ')}: {value['support']}" for name, value in attributes.items()]
    lines += ["", f"Support: {', '.join(support)}.", "", "Returns:", "", *_returned(returned)]
    return [*lines, "", "```yaml", texts["EXAMPLES"].strip(), "```"]


def modules_page() -> str:
    """docs/reference/modules.md."""
    lines = [
        "# Modules",
        "",
        WRITTEN.format(source="the modules' DOCUMENTATION"),
        "",
        "The modules of ours that the roles use, in `plugins/modules`. A module that fails gives one sentence in `msg`",
        "and the kind of failure in `failure`: `failed`, `usage`, `not_ready` or `refused`.",
    ]
    for path in sorted((ROOT / "plugins" / "modules").glob("*.py")):
        lines += module_body(path)
    return "\n".join(lines) + "\n"


# -- all -----------------------------------------------------------------------------------------------------


def pages() -> dict[Path, str]:
    """Every generated file with its content."""
    reference = ROOT / "docs" / "reference"
    return {
        reference / "commands.md": commands_page(),
        reference / "modules.md": modules_page(),
        reference / "roles.md": roles_page(),
        **{ROOT / "roles" / role / "README.md": role_readme(role) for role in ROLES},
    }


def stale(expected: Mapping[Path, str] | None = None) -> list[Path]:
    """The generated files that are missing or out of date."""
    return [
        path
        for path, text in (pages() if expected is None else expected).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say which files are stale")
    check = parser.parse_args().check
    old = stale()
    for path in old:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages()[path], encoding="utf-8")
        print(f"{path.relative_to(ROOT)} {'is stale: `make docs` writes it' if check else 'written'}")
    sys.exit(1 if check and old else 0)


if __name__ == "__main__":
    main()
