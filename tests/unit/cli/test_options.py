"""Who the user is, and the lab that is named after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click
import pytest

from labctl.cli import main, options
from labctl.errors import ExitCode, LabctlError
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tests.unit.stand_ins import FakeDocker


def test_labctl_owner_goes_before_the_login_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")
    assert options.user() == "ada"
    monkeypatch.setenv("LABCTL_OWNER", "Class 3b")
    assert options.user() == "Class 3b"
    assert options.default_lab() == "class-3b"
    monkeypatch.setenv("LABCTL_LAB", "mine")
    assert options.default_lab() == "mine"


@pytest.mark.parametrize("owner", ["x" * 257, "\udcff"])
def test_an_owner_that_no_label_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch, owner: str) -> None:
    monkeypatch.setenv("LABCTL_OWNER", owner)
    with pytest.raises(LabctlError, match=r"Cannot use LABCTL_OWNER: .* UTF-8 of at most 256") as caught:
        options.user()
    assert caught.value.code is ExitCode.USAGE


@pytest.mark.parametrize("owner", ["x" * 10_000, "\udcff"])
def test_a_login_name_that_no_label_can_hold_is_refused_too(monkeypatch: pytest.MonkeyPatch, owner: str) -> None:
    monkeypatch.delenv("LABCTL_OWNER", raising=False)
    monkeypatch.setenv("USER", owner)
    with pytest.raises(LabctlError, match=r"Cannot use the login name \(USER\): .* Set LABCTL_OWNER") as caught:
        options.user()
    assert caught.value.code is ExitCode.USAGE
    assert options.viewer() == ""
    monkeypatch.setenv("USER", "")
    with pytest.raises(LabctlError, match="Set LABCTL_OWNER"):
        options.user(lambda: owner)
    assert options.user(lambda: "ada") == "ada"


@pytest.mark.parametrize("owner", ["a\nb", "\x1b[31mada", "{{ 7 * 7 }}", " "])
def test_an_odd_login_name_owns_labs_as_it_is(monkeypatch: pytest.MonkeyPatch, owner: str) -> None:
    monkeypatch.setenv("USER", owner)
    assert options.user() == owner


def test_a_process_without_a_user_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> NoReturn:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.delenv("USER", raising=False)
    with pytest.raises(LabctlError, match="set LABCTL_OWNER") as caught:
        options.user(nobody)
    assert caught.value.code is ExitCode.USAGE


def values(items: list[CompletionItem]) -> list[str]:
    return [item.value for item in items]


def test_a_shell_completes_labs(docker: FakeDocker) -> None:
    docker.beside().container_list = [*stand_in.lab("ada"), *stand_in.lab("eve")]
    context = click.Context(click.Command("x"))
    argument = click.Argument(["lab"])
    assert values(options.complete_lab(context, argument, "")) == ["ada", "eve"]
    assert values(options.complete_lab(context, argument, "e")) == ["eve"]


def test_without_an_engine_a_shell_completes_nothing() -> None:
    assert options.complete_lab(click.Context(click.Command("x")), click.Argument(["lab"]), "") == []


def test_a_shell_is_offered_no_name_that_is_none_and_no_words_that_it_would_obey(docker: FakeDocker) -> None:
    evil = "x\x1b[2J\n`id`"
    others = [{**container, "Id": f"other{number}"} for number, container in enumerate(stand_in.lab(evil))]
    docker.beside().container_list = [*stand_in.lab("ada", labels={"raft-labctl.owner": evil}), *others]
    (completion_item,) = options.complete_lab(click.Context(click.Command("x")), click.Argument(["lab"]), "")
    assert (completion_item.value, completion_item.help) == ("ada", "3 servers, of x\\x1b[2J\\n`id`")


# -- names of files ------------------------------------------------------------------------------------------


def file_options() -> list[tuple[str, ...]]:
    """Every option and argument of every command that takes a file's name, as it is called with an empty one."""
    options_: list[tuple[str, ...]] = []

    def look(words: tuple[str, ...], command: click.Command | None) -> None:
        assert command is not None
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                look((*words, name), command.get_command(context, name))
            return
        files = [parameter for parameter in command.params if isinstance(parameter.type, click.Path)]
        options_.extend((*words, file.opts[-1] if isinstance(file, click.Option) else "--") for file in files)

    look((), main.labctl)
    return options_


@pytest.mark.parametrize("words", file_options(), ids=" ".join)
@pytest.mark.parametrize(
    ("name", "says"),
    [("", "The name of the file is empty"), ("x" * 5000, "a name of 5000 bytes"), ("x/" * 3000, "of 6000 bytes")],
    ids=["empty", "long", "deep"],
)
def test_a_name_that_no_file_can_have_is_one_sentence(
    words: tuple[str, ...], name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*words, name]) == ExitCode.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_there_are_such_options() -> None:
    assert {
        ("up", "--inventory"),
        ("story", "--output"),
        ("workshop", "plan", "--file"),
        ("image", "load", "--"),
    } <= set(file_options())
