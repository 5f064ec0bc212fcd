"""The documentation, held against the code: it is fresh, what it says can be typed, and its links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import pytest

from labctl import results
from labctl.cli.main import labctl, run
from labctl.errors import ExitCode
from labctl.raft.incident import IncidentKind
from labctl.runner.inventory import labs_in
from labctl.setup import doctor
from labctl.setup.doctor import Finding
from labctl.story import json_view
from scripts import generate_docs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[2]
GUIDE = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
# A page that is made of all options proves nothing about the guide.
WRITTEN_BY_HAND = [page for page in GUIDE if page.name not in ("commands.md", "roles.md", "modules.md")]
PAGES = [*GUIDE, *sorted((ROOT / "roles").glob("*/README.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACEHOLDERS = ("...", "[", "COMMAND")


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    return FENCE.sub("", read(page))


def guide() -> str:
    return "\n".join(map(read, WRITTEN_BY_HAND))


# -- generated parts -----------------------------------------------------------------------------------------


def test_generated_pages_say_what_the_code_says() -> None:
    stale = [page_id(path) for path in generate_docs.stale()]
    assert stale == [], "`make docs` writes them"


def test_a_page_that_was_changed_by_hand_is_stale() -> None:
    pages = generate_docs.pages()
    path = ROOT / "docs" / "reference" / "roles.md"
    assert generate_docs.stale(pages | {path: pages[path] + "by hand\n"}) == [path]


def test_ansible_markup_becomes_markdown() -> None:
    text = ["With O(state=absent), V(true) or C(a(b)c);", "I(not) in M(consul_lab)."]
    assert generate_docs.markdown(text) == "With `state=absent`, `true` or `a(b)c`; not in `consul_lab`."


# -- commands and options ------------------------------------------------------------------------------------

COMMANDS = dict(generate_docs.commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_in_the_guide(name: str) -> None:
    assert re.search(rf"\b{name}\b", guide())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_is_in_the_guide(name: str) -> None:
    text = guide()
    for option in (param for param in COMMANDS[name].params if isinstance(param, click.Option)):
        for names in (option.opts, option.secondary_opts):
            missing = [name_ for name_ in names if re.search(rf"(?<![\w-]){name_}(?![\w-])", text)]
            assert missing or not names, f"{name} {' or '.join(names)}"


def command_lines() -> Iterator[tuple[str, str]]:
    """Every `labctl ...` that the guide tells somebody to type, with its page."""
    for page in PAGES:
        for language, block in FENCE.findall(read(page)):
            if language in ("sh", "console"):
                typed = re.findall(r"^(?:\$ |.*<\(|.*/bin/|)(labctl .*)", block, re.MULTILINE)
                yield from ((page_id(page), words) for words in typed)
        yield from ((page_id(page), words) for words in re.findall(r"`(labctl [^`]+)`", prose(page)))


def words(line: str) -> list[str]:
    """The words behind `labctl`, up to a comment, a pipe, a redirection or the end of a substitution."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|>;&()")
    lexer.whitespace_split = True
    lines: list[str] = []
    for word in lexer:
        if word[0] in "|>;&()":
            break
        lines.append(word)
    return lines[1:]


def parse(arguments: list[str]) -> None:
    """Let click parse a command line without running it. Raises click.UsageError."""
    try:
        command: click.Command = labctl
        context = command.make_context("labctl", arguments)
        while isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            name, subcommand, rest = command.resolve_command(context, rest)
            assert subcommand is not None
            command, context = subcommand, subcommand.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        return


LINES = sorted({(page, line) for page, line in command_lines() if not any(mark in line for mark in PLACEHOLDERS)})


def test_the_guide_has_command_lines() -> None:
    assert len({line for _, line in LINES}) > 40


@pytest.mark.parametrize("page", sorted({page for page, _ in LINES}))
def test_each_command_line_can_be_parsed(page: str) -> None:
    for line in [line for where, line in LINES if where == page]:
        try:
            parse(words(line))
        except click.MissingParameter:
            # Naming a command is no mistake; typing it without what it needs is.
            assert f"`{line}`" in prose(ROOT / page), line
        except click.UsageError as error:
            pytest.fail(f"{page}: `{line}`: {error.format_message()}")


def test_a_wrong_command_line_cannot_be_parsed() -> None:
    with pytest.raises(click.UsageError):
        parse(words("labctl up --pace slow  # a comment"))
    with pytest.raises(click.UsageError):
        parse(words("labctl upp | cat"))


# -- what else can be typed ----------------------------------------------------------------------------------


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))


def test_the_readme_has_the_two_commands_and_make_has_them_too() -> None:
    blocks = [block for _, block in FENCE.findall(read(ROOT / "README.md"))]
    assert "make demo\nmake test\n" in blocks
    assert {"demo", "test"} <= make_targets()


def test_each_make_target_of_the_guide_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z-]+)", read(page), re.MULTILINE)}
    assert {"docs", "molecule"} <= named <= make_targets()


def test_each_playbook_of_the_guide_exists_and_each_that_exists_is_in_the_guide() -> None:
    there = {path.name for path in (ROOT / "playbooks").glob("*.yml")}
    assert set(re.findall(r"playbooks/([a-z]+\.yml)", guide())) <= there
    assert there <= set(re.findall(r"`([a-z]+\.yml)`", read(ROOT / "docs" / "ansible.md")))


def test_the_example_inventory_has_labs_on_two_hosts() -> None:
    assert set(labs_in(ROOT / "inventory" / "examples" / "several-hosts.yml")) == {
        "lab-01",
        "lab-02",
        "lab-03",
        "lab-04",
    }


# -- links and form ------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_each_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        where = (page.parent / path).resolve() if path else page
        assert where.exists(), target
        assert not anchor or anchor in anchors(where), target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_line_of_prose_is_longer_than_120_characters(page: Path) -> None:
    # A row of a table cannot be broken.
    lines = (line for line in prose(page).splitlines() if not line.startswith("| "))
    assert [line for line in lines if len(line) > 120] == []


def test_the_guide_shows_every_check_of_the_doctor() -> None:
    shown = re.findall(r"^✓ (.{16})", read(ROOT / "docs/getting-started.md"), re.MULTILINE)
    assert [check.rstrip() for check in shown] == [finding.check for finding in doctor.examine("ada")]


@pytest.mark.parametrize("page", ["README.md", "docs/troubleshooting.md"])
def test_each_exit_code_is_explained(page: str) -> None:
    table = [int(code) for code in re.findall(r"^\| (\d+) \|", read(ROOT / page), re.MULTILINE)]
    assert table == [int(code) for code in ExitCode]


# -- errors --------------------------------------------------------------------------------------------------


def sentences() -> str:
    """Every text in the code that can become an error: of labctl, of our modules, and of the roles."""
    texts = [" ".join(read(path).split()) for path in sorted((ROOT / "roles").glob("*/tasks/*.yml"))]
    for path in [*sorted((ROOT / "labctl").rglob("*.py")), *sorted((ROOT / "plugins").rglob("*.py"))]:
        for node in ast.walk(ast.parse(read(path))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(value.value) if isinstance(value, ast.Constant) else "..." for value in node.values)
                )
    return "\n".join(texts)


def test_each_error_that_troubleshooting_explains_is_one_that_the_code_gives() -> None:
    code = sentences()
    heads = re.findall(r"^\*\*(.+?)\*\*", read(ROOT / "docs" / "troubleshooting.md"), re.MULTILINE | re.DOTALL)
    # What stands in the place of a value is an example: a number, a version, a server's name.
    parts = [
        part for head in heads for part in re.split(r"\.\.\.|\b\d[\d.]*\b|consul2|debian|\|", " ".join(head.split()))
    ]
    fragments = {part.strip(" .:,") for part in parts}
    assert len(fragments) > 20
    assert {fragment for fragment in fragments if fragment not in code} == set()


# -- the house -----------------------------------------------------------------------------------------------


def test_the_architecture_page_shows_the_layers_that_are_checked() -> None:
    contract = tomllib.loads(read(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"][0]
    layers = "".join(f"{line.replace('labctl.', '')}\n" for line in contract["layers"])
    page = read(ROOT / "docs" / "architecture.md")
    assert f"```text\n{layers}```" in page
    rooms = set(re.findall(r"^\| `(\w+)` \|", page.partition("## What Ansible runs")[0], re.MULTILINE))
    assert rooms == {path.parent.name for path in (ROOT / "labctl").glob("*/__init__.py")}


def test_the_walks_through_the_code_pass_files_that_are_there() -> None:
    walks = (
        read(ROOT / "docs" / "architecture.md").partition("## Five walks through the code\n")[2].partition("\n## ")[0]
    )
    named = re.findall(r"`([a-z_/]+\.(?:py|yml))`", walks)
    assert len(named) > 30
    assert [name for name in named if not any((root / name).is_file() for root in (ROOT, ROOT / "labctl"))] == []


# -- JSON ----------------------------------------------------------------------------------------------------

# What each document is made of, result types and functions, by the heading of docs/reference/json.md that describes it.
SHAPES: dict[str, tuple[type | str, ...]] = {
    "Errors": ("complain",),
    "up and join": (results.UpResult, results.UpPreview, results.ServerRole, "_seconds"),
    "down": (results.DownResult,),
    "stop, start and restart": (results.ChangeResult, results.ChangePreview),
    "ls": ("ls_row",),
    "status": ("status_document", "server_row", "active_row"),
    "members": ("Member.row",),
    "logs": ("line_row", "meaning_row"),
    "bundle save": (results.BundleResult,),
    "fault": (
        results.FaultResult,
        results.ForecastResult,
        results.HealResult,
        "faults_document",
        "active_row",
    ),
    "chaos": (
        "chaos_document",
        "check_row",
        "totals",
        "reads_row",
        "disturbance_row",
        "slice_row",
        "operation_row",
        "schedule_document",
    ),
    "measure failover": ("measurement_document", "phase_row", "round_row", "distribution_row", "timeouts_row"),
    "verify": ("verify_document", "proof_row", "try_row", "join_row", "hardening_row"),
    "story": (
        "incident_row",
        "quorum_row",
        "tries_row",
        "event_row",
        "election_row",
        "pre_vote_row",
        "refusal_row",
        "evidence_rows",
        "leader_row",
        "outage_row",
        "fault_row",
        "timeouts_row",
        "frame",
        "Coverages.unread",
    ),
    "workshop plan": ("plan_document", "host_row"),
    "workshop up and reset": ("outcomes_document",),
    "workshop fault": ("seat_faults_document",),
    "workshop extend and expire": (results.ExpiryResult,),
    "workshop status": ("seats_document", "seat_row"),
    "workshop down": ("removed_document",),
    "workshop cards": ("cards_document", "card_row"),
    "workshop secret": ("exported", "kept", "taken"),
    "image build, save and load": (results.ImageResult, results.ImageFile, results.LoadedImage),
    "doctor": (Finding,),
}


@cache
def functions() -> list[tuple[str, ast.FunctionDef]]:
    """Every function of labctl by its name, a method also by `Class.name`."""
    return list(_functions())


def _functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted((ROOT / "labctl").rglob("*.py")):
        for node in ast.walk(ast.parse(read(path))):
            if isinstance(node, ast.FunctionDef):
                yield node.name, node
            elif isinstance(node, ast.ClassDef):
                yield from (
                    (f"{node.name}.{member.name}", member)
                    for member in node.body
                    if isinstance(member, ast.FunctionDef)
                )


def texts(nodes: Iterable[ast.expr | None]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def keys_that_are_printed(function: ast.FunctionDef) -> set[str]:
    """The keys of dictionaries that a function returns or dumps, and the names that it makes a dictionary of."""
    texts_: set[str] = set()
    for node in ast.walk(function):
        dumps = isinstance(node, ast.Call) and ast.unparse(node.func) == "json.dumps"
        if isinstance(node, ast.Return) or dumps:
            texts_ |= texts(key for child in ast.walk(node) if isinstance(child, ast.Dict) for key in child.keys)
        if isinstance(node, ast.DictComp) and isinstance(node.generators[0].iter, ast.Tuple):
            texts_ |= texts(node.generators[0].iter.elts)
    return texts_


def keys_of(document: Any) -> set[str]:
    if isinstance(document, list):
        return {key for part in document for key in keys_of(part)}
    if isinstance(document, dict):
        return set(document) | {key for part in document.values() for key in keys_of(part)}
    return set()


@pytest.mark.parametrize("heading", SHAPES)
def test_the_json_reference_has_the_keys_that_are_printed_and_no_others(heading: str) -> None:
    made: dict[type | str, set[str]] = {
        shape: set() if isinstance(shape, str) else {field.name for field in fields(shape)} for shape in SHAPES[heading]
    }
    for name, function in functions():
        if name in made:
            made[name] |= keys_that_are_printed(function)
    assert all(made.values()), f"a function is gone or prints nothing: {made}"
    section = re.split(r"^## ", read(ROOT / "docs" / "reference" / "json.md"), flags=re.MULTILINE)
    text = next(page_section for page_section in section if page_section.startswith(f"{heading}\n"))
    described = {
        key for language, block in FENCE.findall(text) if language == "json" for key in keys_of(json.loads(block))
    }
    lists = {"events", *json_view.ROWS} if heading == "story" else set()
    assert described == set().union(lists, *made.values())


def test_the_json_reference_names_every_kind_of_incident() -> None:
    text = read(ROOT / "docs" / "reference" / "json.md").partition("- `incidents`: ")[2].partition("\n- ")[0]
    assert [kind for kind in get_args(IncidentKind) if f"`{kind}`" not in text] == []


# -- what the guide shows ------------------------------------------------------------------------------------

PAGES_WITH_STORIES = ("story.md", "break-it.md", "no-leader.md")
SHOWN = re.compile(r"^```sh\nlabctl (story --sample [^\n]+)\n```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("words", "shown"),
    [each for page in PAGES_WITH_STORIES for each in SHOWN.findall(read(ROOT / "docs" / page))],
    ids=lambda words: words.split("\n")[0][:60],
)
def test_what_the_guide_shows_of_a_story_is_what_labctl_prints(
    words: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert run(words.split()) == 0
    out = capsys.readouterr().out
    # "..." stands for what the page leaves out.
    *parts, last = re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE)
    for part in parts:
        assert part in out
        out = out[out.index(part) + len(part) :]
    assert out.endswith(last)


def test_the_guide_shows_several_stories() -> None:
    assert all(len(SHOWN.findall(read(ROOT / "docs" / page))) >= 3 for page in PAGES_WITH_STORIES)


def test_the_picture_of_a_split_vote_is_what_labctl_draws(capsys: pytest.CaptureFixture[str]) -> None:
    words = "story --sample split-vote --election 2 --format svg"
    assert run(words.split()) == 0
    shown = read(ROOT / "docs" / "img" / "split-vote.svg")
    assert capsys.readouterr().out == shown, f"`labctl {words} -o docs/img/split-vote.svg` draws it anew"
