"""The command line: arguments in, exit code out, errors as one sentence."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from labctl import __version__
from labctl.cli import main
from labctl.cli.main import run
from labctl.errors import ExitCode, LabctlError
from labctl.lab.lifecycle import Plays
from labctl.terminal import progress
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.engine_stand_in import FakeEngine
    from tests.unit.stand_ins import FakeCluster, FakeDocker


UNKNOWN = (
    "Unexpected error (ZeroDivisionError: by zero): please report it. Set LABCTL_DEBUG=1 and run it again to see where."
)


def leaves() -> dict[str, click.Command]:
    """Every command that does something, by the words that call it."""
    context = click.Context(main.labctl)
    commands: dict[str, click.Command] = {}

    def add(name: str, command: click.Command | None) -> None:
        assert command is not None
        if isinstance(command, click.Group):
            for below, subcommand in command.commands.items():
                add(f"{name} {below}", subcommand)
        else:
            commands[name] = command

    for name in main.COMMANDS:
        add(name, main.labctl.get_command(context, name))
    return commands


@pytest.mark.parametrize("words", [["up", "x", "-n"], ["story", "--sample"], ["chaos", "--seed"], ["no"]], ids=str)
def test_a_word_without_an_end_is_not_told_whole(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("9" * 10_000, "x" * 10_000):
        given = [*words, word] if words != ["no"] else [word]
        assert run(given) == ExitCode.USAGE
        assert len(capsys.readouterr().err) < 500


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def engine(docker: FakeDocker) -> FakeEngine:
    return docker.beside()


def failing(do: Callable[[], object]) -> Callable[[list[str]], int]:
    """Runs labctl with commands that all do that, and never end by themselves."""
    options = [click.Option(["--json"], is_flag=True), click.Argument(["words"], nargs=-1)]
    command = click.Command("labctl", params=options, callback=lambda **_: do())
    return lambda words: run(words, command=command)


def fails_with(error: BaseException) -> Callable[[list[str]], int]:
    """Runs labctl where every command fails with an error."""

    def fail() -> None:
        raise error

    return failing(fail)


def python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], text=True, check=False, capture_output=True, **options)


# -- help ----------------------------------------------------------------------------------------------------


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in main.COMMANDS)


@pytest.mark.parametrize("words", leaves())
def test_every_command_explains_itself_and_each_of_its_options(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: labctl {words} ")
    options = [parameter for parameter in leaves()[words].params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []
    assert [option.name for option in options if not all(name in text for name in option.opts)] == []


@pytest.mark.parametrize("words", leaves())
def test_every_command_can_speak_json_but_those_that_print_what_is_not_ours(words: str) -> None:
    has_json = any("--json" in parameter.opts for parameter in leaves()[words].params)
    assert has_json is (words not in ("exec", "completion", "workshop example", "workshop schema"))


def test_an_image_of_a_binary_needs_one_by_the_commands_own_name_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["image", "build", "--source", "binary"]) == ExitCode.USAGE
    assert "name it with `--binary FILE`." in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["image"]])
def test_without_a_command_the_help_is_shown_as_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert shown.err.startswith("Usage: labctl")
    assert shown.out == ""


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"labctl {__version__}\n"


def loaded(words: list[str], *names: str) -> list[str]:
    """Which of the modules labctl has loaded after a command."""
    code = (
        "import sys; from labctl.cli.main import run; "
        f"run({words!r}); print([name for name in {names!r} if name in sys.modules])"
    )
    modules: list[str] = ast.literal_eval(python(code).stdout.splitlines()[-1])
    return modules


def test_help_loads_nothing_heavy() -> None:
    heavy = ("docker", "requests", "ansible", "ansible_runner", "rich", "yaml", "labctl.cli.up")
    assert loaded(["--help"], *heavy) == []


def test_a_look_at_labs_loads_neither_dockers_library_nor_ansible() -> None:
    assert loaded(["ls"], "docker", "ansible_runner", "rich") == []


def test_a_story_of_files_loads_neither_dockers_library_nor_a_table() -> None:
    assert loaded(["story", "--sample", "2015"], "docker", "requests", "urllib3", "rich") == []


@pytest.mark.parametrize("words", [["up", "ada", "--dry-run"], ["down", "ada"], ["ls"]], ids=" ".join)
def test_a_lab_is_made_listed_and_removed_without_any_room_above_it(words: list[str], docker: FakeDocker) -> None:
    docker.beside().image_list = [stand_in.image("1.8.7")]
    code = f"import sys; from labctl.cli.main import run; code = run({words!r}); print(code, sorted(sys.modules))"
    code, modules = python(code).stdout.splitlines()[-1].split(" ", 1)
    assert code == "0"
    above = ("web", "exercises", "api", "pytest_plugin", "plugin", "workshop", "experiments", "isolation")
    rooms = {f"labctl.{room}" for room in above}
    users = [
        name
        for name in ast.literal_eval(modules)
        if name in rooms or name.startswith(tuple(f"{room}." for room in rooms))
    ]
    assert users == []
    assert "labctl.lab.up" in modules or words[0] != "up"


# -- wrong usage ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stauts"], "There is no command 'stauts'. Did you mean `labctl status`?"),
        (["xyzzy"], "There is no command 'xyzzy'. `labctl --help` lists the commands."),
        (["--wrong"], "No such option"),
        (["up", "--wrong"], "(`labctl up --help` shows the usage)"),
        (["up", "--pace", "warp"], "'warp' is not one of"),
        (["up", "--servers", "three"], "is not a valid integer"),
        (["up", "--timeout", "0"], "1<=x<=3600"),
        (["up", "--http-port", "70000"], "0<=x<=65535"),
        (["up", "a", "b"], "unexpected extra argument"),
        (["down", "ada", "--all"], "Give either a lab or --all"),
        (["logs", "--tail", "-1"], "x>=0"),
        (["image", "save"], "Missing argument 'FILE'"),
        (["completion", "csh"], "'csh' is not one of"),
        (["exec"], "Missing argument 'SERVER'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_code_2(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.startswith("error: ")
    assert shown.out == ""


@pytest.mark.parametrize("name", ["../x", "", "x" * 64, "-x", "a b", "🚀", "a\x1b[2J"])
@pytest.mark.parametrize("command", ["up", "down", "status", "join", "stop", "members", "logs"])
@pytest.mark.usefixtures("engine")
def test_a_name_that_cannot_be_is_refused_by_every_command(
    command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--", name]) == ExitCode.USAGE
    shown = capsys.readouterr().err
    assert "cannot be the name of a lab" in shown
    assert shown.count("\n") == 1
    assert "\x1b" not in shown


@pytest.mark.parametrize("servers", ["0", "2", "9", "-1"])
@pytest.mark.usefixtures("engine")
def test_a_number_of_servers_that_cannot_be_is_refused(servers: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["up", "ada", f"--servers={servers}"]) == ExitCode.USAGE
    assert f"A lab cannot have {servers} servers" in capsys.readouterr().err


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (LabctlError("It is so."), 1, "It is so."),
        (LabctlError("Not yours.", ExitCode.REFUSED), 4, "Not yours."),
        (LabctlError("Too late.", ExitCode.NOT_READY), 3, "Too late."),
        (KeyboardInterrupt("Interrupted: 2 of 3 run."), 130, "Interrupted: 2 of 3 run."),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (click.ClickException("A file."), 1, "A file."),
        (
            ZeroDivisionError("by zero"),
            1,
            UNKNOWN,
        ),
    ],
)
def test_an_error_is_its_sentence_and_its_code(
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    says: str,
) -> None:
    ends = fails_with(error)
    assert ends(["ls"]) == code
    assert capsys.readouterr() == ("", f"{says}\n" if code == 130 else f"error: {says}\n")
    assert ends(["ls", "--json"]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert json.loads(shown.err) == {"error": says, "code": code}


def test_wrong_usage_is_json_too_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["up", "--json", "--pace", "warp"]) == 2
    assert json.loads(capsys.readouterr().err)["code"] == 2


def test_the_json_of_a_command_behind_the_dashes_is_not_ours(capsys: pytest.CaptureFixture[str]) -> None:
    fails_with(LabctlError("no"))(["exec", "consul1", "--", "consul", "--json"])
    assert capsys.readouterr().err == "error: no\n"


def test_a_sentence_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    fails_with(LabctlError("a\x1b[2J"))(["ls"])
    assert capsys.readouterr().err == "error: a\\x1b[2J\n"


EVIL = "a\x1b]0;pwn\x07\x9b2J\u202e\r\nerror: forged"


@pytest.mark.parametrize("kind", [LabctlError, click.ClickException, click.UsageError, ValueError, KeyboardInterrupt])
def test_whatever_an_error_holds_it_is_one_line(
    kind: Callable[[str], BaseException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    fails_with(kind(EVIL))(["ls"])
    shown = capsys.readouterr().err
    assert r"a\x1b]0;pwn\x07\x9b2J\u202e\x0d\nerror: forged" in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    "words", [[EVIL], ["up", f"--{EVIL}"], ["up", "--pace", EVIL], ["up", "a", EVIL], ["ls", EVIL]]
)
def test_wrong_words_are_harmless_in_what_is_said_of_them(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == ExitCode.USAGE
    shown = capsys.readouterr().err
    assert "forged" in shown
    assert shown.isascii()
    assert shown.count("\n") == 1


def test_owners_of_other_labs_are_harmless_where_all_of_mine_are_removed(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.container_list = stand_in.lab("ada", labels={"raft-labctl.owner": EVIL})
    assert run(["down", "--all", "--dry-run"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert shown.startswith(r"The lab ada belongs to a\x1b]0;pwn")
    assert shown.count("\n") == 2
    assert shown.isascii()


def test_what_libraries_log_is_harmless_too() -> None:
    code = (
        "import logging, os; os.environ['LABCTL_DEBUG'] = '1'\n"
        "from labctl.cli.main import run\n"
        "run(['--version']); logging.getLogger('docker').debug('label %s', 'a\\x1b[2J\\nb\\x9b')"
    )
    assert python(code).stderr == "DEBUG:docker:label a\\x1b[2J\nb\\x9b\n"


def test_a_step_that_an_error_cut_short_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def look(*_: object) -> None:
        shown = progress.steps_for(json=False)
        shown.begin("One")
        shown.done("One")
        shown.begin("Two")
        raise LabctlError("no")

    assert failing(look)(["ls"]) == 1
    assert capsys.readouterr().out.splitlines()[1:] == ["✗ Two"]
    assert fails_with(LabctlError("no"))(["ls"]) == 1
    assert capsys.readouterr().out == ""


def test_an_output_that_cannot_write_a_character_gets_its_number() -> None:
    code = (
        "from labctl.cli.main import run; from labctl.cli.output import say; from labctl.cli import ls\n"
        "ls.ls_command.callback = lambda **_: say('日本')\n"
        "raise SystemExit(run(['ls']))"
    )
    process = python(code, env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"})
    assert (process.returncode, process.stdout) == (0, "\\u65e5\\u672c\n")


def test_termination_is_an_interrupt() -> None:
    code = (
        "import os, signal, sys, time; from labctl.engine import client; from labctl.cli.main import run\n"
        "def connect():\n    os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        "client.connect = connect\n"
        "sys.exit(run(['ls']))"
    )
    process = python(code)
    assert (process.returncode, process.stderr) == (130, "Interrupted.\n")


@pytest.mark.parametrize("words", [["--help"], ["completion", "bash"]])
def test_a_reader_that_has_enough_is_no_failure(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        process = subprocess.run(
            [sys.executable, "-m", "labctl", *words], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (process.returncode, process.stderr) == (0, b"")


# -- commands ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("words", [["ls"], ["image", "ls"]])
def test_nothing_to_list_is_an_empty_list(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "`labctl " in shown.err
    assert run([*words, "--json"]) == 0
    assert capsys.readouterr() == ("[]\n", "")


def use(engine: FakeEngine, cluster: FakeCluster) -> None:
    engine.container_list = [
        stand_in.container("ada", fake_server.name, port=fake_server.http_port) for fake_server in cluster.servers
    ]


def test_status_says_by_its_code_whether_the_lab_is_ready(
    engine: FakeEngine, clusters: Callable[..., FakeCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = clusters(3)
    use(engine, cluster)
    assert run(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ready"] is True
    cluster.leader = None
    assert run(["status"]) == ExitCode.NOT_READY
    assert "not ready" in capsys.readouterr().out


def test_ls_lists_labs(
    engine: FakeEngine, clusters: Callable[..., FakeCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    use(engine, clusters(3))
    assert run(["ls", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["lab"], row["leader"]) == ("ada", "consul1")


def test_down_all_that_could_not_remove_a_lab_tells_what_it_removed_and_fails(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def play(_playbook: str, lab: str, *_: object) -> list[dict[str, Any]]:
        if lab == "x":
            raise LabctlError("Docker is busy.")
        return [{"removed": ["labctl-ada-consul1"]}]

    monkeypatch.setenv("LABCTL_OWNER", "ada")
    engine.container_list = [*stand_in.lab("ada"), *stand_in.lab("x")]
    assert run(["down", "--all", "--json"], Plays(play)) == ExitCode.FAILED
    told = capsys.readouterr()
    done = {"lab": "ada", "owner": "ada", "changed": True, "removed": ["labctl-ada-consul1"]}
    assert json.loads(told.out) == [done]
    assert json.loads(told.err)["error"].startswith("Cannot remove every lab of yours (x: Docker is busy).")


def test_what_is_not_ours_is_told_once_on_stderr(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    odd = stand_in.container("ada", "consul1", labels={"raft-labctl.lab": "\x1b]0;pwn\x07\u202e"}, Names=["/mine"])
    engine.container_list = [odd]
    for words in (["ls"], ["ls", "--json"], ["down", "--all", "--dry-run"]):
        assert main.run(words) == 0
        told = capsys.readouterr()
        assert told.err.count("The container mine has the label raft-labctl.lab with ") == 1
        assert "\x1b" not in told.err + told.out
        assert "\u202e" not in told.err + told.out
    assert main.run(["ls", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == []
    assert json.loads(told.err)["note"].startswith("The container mine")


def test_logs_are_merged_and_filtered(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.container_list = stand_in.lab("ada")
    first, second, third = (f"2026/01/02 03:04:05 [INFO] {text}" for text in ("raft: a", "raft: b", "serf: c"))
    engine.streams = {
        "ada-consul1": [(0, f"2026-01-02T03:04:06Z {second}\n".encode())],
        "ada-consul2": [(0, f"2026-01-02T03:04:05Z {first}\n2026-01-02T03:04:07Z {third}\n".encode())],
        "ada-consul3": [],
    }
    assert run(["logs", "--raft", "--no-prefix"]) == 0
    assert capsys.readouterr().out.splitlines() == [first, second]
    assert run(["logs", "ada", "--server", "consul2", "--json", "--tail", "9"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["server"] for document in documents] == ["consul2", "consul2"]
    assert engine.tails[-1] == 9
    assert run(["logs", "--lines"]) == ExitCode.USAGE
    assert "--lines belongs to --raft" in capsys.readouterr().err


def test_raft_is_told_in_words_and_its_lines_only_where_they_are_asked_for(
    engine: FakeEngine, clusters: Callable[..., FakeCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = clusters(3)
    use(engine, cluster)
    line = "2026/01/02 03:04:05 [INFO] raft: Node at 10.213.0.2:8300 [Leader] entering Leader state"
    engine.streams = {
        "ada-consul1": [(0, f"2026-01-02T03:04:05Z {line}\n".encode())], "ada-consul2": [], "ada-consul3": []
    }  # fmt: skip
    assert run(["logs", "--raft"]) == 0
    words = "03:04:05.000 consul1 │ is the leader"
    assert capsys.readouterr().out.splitlines() == [words]
    assert run(["logs", "--raft", "--lines"]) == 0
    assert capsys.readouterr().out.splitlines() == [words, f"03:04:05.000 consul1 │ {line}"]


def test_exec_hands_on_the_words_behind_the_dashes_and_the_code(
    engine: FakeEngine, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_OWNER", "ada")
    engine.container_list = stand_in.lab("ada")
    docker.answer("exec", code=5)
    assert run(["exec", "--lab", "ada", "consul2", "--", "consul", "members", "--json", "-h"]) == 5
    assert docker.called("exec")[0][-5:] == ["ada-consul2", "consul", "members", "--json", "-h"]


def test_exec_in_a_lab_of_somebody_else_is_refused(
    engine: FakeEngine, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABCTL_OWNER", "bob")
    engine.container_list = stand_in.lab("ada")
    assert run(["exec", "consul2", "--", "consul", "leave"]) == ExitCode.REFUSED
    assert "belongs to ada, not to bob" in capsys.readouterr().err
    assert docker.called("exec") == []


@pytest.mark.parametrize(
    ("words", "says"), [(["--all", "--force"], "--all removes only labs of yours"), (["--force"], "needs the name")]
)
def test_force_is_for_one_lab_that_is_named(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["down", *words]) == ExitCode.USAGE
    assert says in capsys.readouterr().err


def test_down_of_nothing_is_json_without_a_word_more(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert engine.container_list == []
    assert run(["down", "ada", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"lab": "ada", "owner": None, "changed": False, "removed": []}
    assert shown.err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_LABCTL_COMPLETE" in capsys.readouterr().out


def test_a_shell_completes_commands() -> None:
    environment = os.environ | {"_LABCTL_COMPLETE": "bash_complete", "COMP_WORDS": "labctl st", "COMP_CWORD": "1"}
    process = subprocess.run(
        [sys.executable, "-m", "labctl"], env=environment, capture_output=True, text=True, check=False
    )
    assert process.stdout.split() == ["plain,stop", "plain,start", "plain,status", "plain,story"]


# -- a user without a home ---------------------------------------------------------------------------------------

NOBODY = """
import os, pathlib, sys
os.environ.pop("HOME", None); os.environ.pop("XDG_STATE_HOME", None); os.environ.pop("DOCKER_HOST", None)
os.environ["LABCTL_OWNER"] = "nobody"
pathlib.Path.home = classmethod(lambda _: (_ for _ in ()).throw(RuntimeError("Could not determine home directory.")))
os.path.expanduser = lambda path: path
from labctl.engine import client
from labctl.shared import docker_api
docker_api.DEFAULT_SOCKET = client.DEFAULT_SOCKET = "/nothing/docker.sock"
from labctl.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "words",
    [
        ["ls"], ["status"], ["up"], ["down"], ["logs"], ["doctor"], ["image", "ls"], ["bundle", "save"],
        ["fault", "kill", "leader"], ["chaos"], ["measure", "failover"], ["verify"], ["story"], ["members"],
        ["workshop", "plan"], ["workshop", "up"], ["workshop", "down"], ["workshop", "status"], ["workshop", "cards"],
        ["workshop", "secret", "--output", "copy"], ["workshop", "inventory"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_user_without_a_home_is_told_what_to_set_or_needs_none(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "workshop.yml"
    file.write_text("workshop: w\nseats: 1\n", encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-c", NOBODY, *words], text=True, check=False, capture_output=True, cwd=tmp_path, timeout=60
    )
    assert "Unexpected error" not in process.stderr
    assert "Traceback" not in process.stderr
    assert process.returncode in {0, 1, 2, 3}
    assert len(process.stderr.splitlines()) <= 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_fault_of_labctl(closed: str) -> None:
    words = [sys.executable, "-m", "labctl", "story", "--sample", "split-vote"]
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_behind_standard_output_is_one_sentence() -> None:
    words = [sys.executable, "-m", "labctl", "story", "--sample", "split-vote"]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: Cannot write all of it: no space is left. Make room, and run it again.\n"


def test_a_log_whose_name_is_no_text_is_told_whole(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xfe.log"
    sample = Path(__file__).parents[3] / "labctl/samples/split-vote/consul1.log"
    Path(os.fsdecode(path)).write_bytes(sample.read_bytes())
    words = [sys.executable, "-m", "labctl", "story", os.fsdecode(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Elections" in done.stdout


def test_an_error_that_nobody_can_be_told_keeps_its_exit_code() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        for words in (["nothing"], ["ls", "--nothing"], ["ls", "--nothing", "--json"]):
            done = subprocess.run([sys.executable, "-m", "labctl", *words], stderr=full, check=False)
            assert done.returncode == ExitCode.USAGE
