"""Files that labctl writes: whole or not at all, with the mode that they should have, and never over what is read."""

from __future__ import annotations

import gzip
import os
import socket
import stat
import subprocess
import sys
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl import files, output_files
from labctl.cli.main import run
from labctl.errors import ExitCode, LabctlError
from tests.unit.pipes import lonely

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = Path(__file__).resolve().parents[2] / "labctl/samples/split-vote/consul1.log"


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(path: Path, text: str = "new", **how: bool) -> None:
    with files.write_text(path, **how) as file:
        file.write(text)


# -- whole or not at all ---------------------------------------------------------------------------------------


def test_a_file_that_could_not_be_written_whole_is_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), files.write_text(path) as file:  # noqa: PT012 - what is written first counts
        file.write("half")
        file.flush()
        raise KeyboardInterrupt
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.parametrize("form", ["text", "json", "svg"])
def test_a_full_disk_leaves_the_older_story(form: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old", encoding="utf-8")
    code = (
        "import resource, sys; from labctl.cli.main import run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)); sys.exit(run(sys.argv[1:]))"
    )
    words = ["story", str(LOG), "--format", form, "-o", str(path)]
    # With -B, or what Python keeps of the modules that it reads would be cut off as well, for whoever comes next.
    done = subprocess.run([sys.executable, "-B", "-c", code, *words], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "could not be written: File too large" in done.stderr
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [("out", "old")]


def test_a_log_that_breaks_off_leaves_the_older_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, path = tmp_path / "a.log", tmp_path / "out"
    log.write_bytes(gzip.compress(LOG.read_bytes() * 50)[:-100])
    path.write_text("old", encoding="utf-8")
    assert run(["story", str(log), "-o", str(path)]) == ExitCode.FAILED
    assert "could not be read to its end" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "old"


# -- modes and links -------------------------------------------------------------------------------------------


def test_a_new_file_has_the_mode_of_the_umask_and_a_private_one_is_private(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", private=True)
    write(tmp_path / "c", secret=True)
    assert [mode(tmp_path / name) for name in "abc"] == [0o640, 0o600, 0o600]


def test_a_file_that_is_replaced_keeps_its_mode_but_for_secrets(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o604)
    write(tmp_path / "a")
    write(tmp_path / "b", private=True)
    write(tmp_path / "c", secret=True)
    assert [mode(tmp_path / name) for name in "abc"] == [0o604, 0o604, 0o600]
    assert [(tmp_path / name).read_text(encoding="utf-8") for name in "abc"] == ["new"] * 3


def test_a_link_is_followed_and_stays_but_for_secrets(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "a").write_text("old", encoding="utf-8")
    (tmp_path / "link").symlink_to(there / "a")
    (tmp_path / "dangling").symlink_to(there / "b")
    write(tmp_path / "link")
    write(tmp_path / "dangling")
    assert (tmp_path / "link").is_symlink()
    assert sorted((path.name, path.read_text(encoding="utf-8")) for path in there.iterdir()) == [
        ("a", "new"),
        ("b", "new"),
    ]
    write(tmp_path / "link", "secret", secret=True)
    assert not (tmp_path / "link").is_symlink()
    assert (there / "a").read_text(encoding="utf-8") == "new"


def test_a_folder_or_a_path_through_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "gone" / "a", tmp_path / "file" / "a", tmp_path / ("x" * 300)):
        with pytest.raises(LabctlError, match=r"could not be written: .+\."):
            write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


# -- what is no regular file -----------------------------------------------------------------------------------


def test_a_pipe_is_written_straight_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    write(pipe)
    reader.join(10)
    assert heard == ["new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = lonely(tmp_path / "pipe")
    assert run(["story", str(LOG), "-o", str(pipe)]) == ExitCode.USAGE
    said = f"Cannot write to {pipe}: it is a pipe, and nobody reads from it. Start what reads from it first"
    assert said in capsys.readouterr().err
    with pytest.raises(LabctlError) as caught, files.write_at_once(pipe, patience=0.2):
        pass
    assert said in caught.value.sentence


def test_a_story_that_goes_on_is_in_its_file_as_it_comes(tmp_path: Path) -> None:
    for path in (tmp_path / "a", Path(os.devnull)):
        with files.write_at_once(path) as file:
            file.write("first\n")
            file.flush()
            assert path.read_text(encoding="utf-8") == ("" if path.name == "null" else "first\n")


def test_whoever_reads_a_pipe_may_come_a_moment_later(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Timer(0.3, lambda: heard.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    write(pipe, "x" * 1_000_000)
    reader.join(10)
    assert heard == ["x" * 1_000_000]


def test_a_disk_and_a_socket_are_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))
        for look in (write, output_files.refuse_unwritable):
            with pytest.raises(LabctlError, match=r"it is a socket\. Name a file\.") as caught:
                look(path)
            assert caught.value.code is ExitCode.USAGE
    with pytest.raises(LabctlError, match=r"Cannot write to /dev/sda: it is a disk\. Name a file\."):
        files.refuse_special(Path("/dev/sda"), stat.S_IFBLK | 0o660)


@pytest.mark.parametrize("words", [[], ["--json"]], ids=["text", "json"])
def test_what_is_written_to_dev_null_is_gone(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["story", str(LOG), "-o", os.devnull, *words]) == ExitCode.DONE
    assert capsys.readouterr().out == ""
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
@pytest.mark.parametrize("to_a_file", [False, True])
def test_standard_output_by_name_is_standard_output(name: str, to_a_file: bool, tmp_path: Path) -> None:
    code = "import sys; from labctl.cli.main import run; print('first'); sys.exit(run(sys.argv[1:])); "
    words = [sys.executable, "-c", code, "story", str(LOG), "-o", name]
    if to_a_file:
        with (tmp_path / "out").open("w", encoding="utf-8") as file:
            assert subprocess.run(words, check=False, stdout=file, cwd=tmp_path).returncode == 0
        shown = (tmp_path / "out").read_text(encoding="utf-8")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
    else:
        shown = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, cwd=tmp_path).stdout
        assert list(tmp_path.iterdir()) == []
    assert shown.startswith("first\n")
    assert "Leaders" in shown


def test_dev_null_stays_what_it_is() -> None:
    output_files.save("text", Path(os.devnull))
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


# -- never over what is read -----------------------------------------------------------------------------------


def packed(path: Path, log: Path) -> Path:
    with tarfile.open(path, "w:gz") as bundle:
        bundle.add(log, "logs/consul1.log")
    return path


@pytest.mark.parametrize("how", ["same", "other spelling", "link", "hard link", "in a folder", "bundle"])
def test_a_story_is_not_written_over_its_log(how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "a.log"
    log.write_bytes(LOG.read_bytes())
    read: Path = folder if how == "in a folder" else log
    output = log
    if how == "bundle":
        read = output = packed(tmp_path / "b.tgz", log)
    elif how == "other spelling":
        output = folder / ".." / "logs" / "a.log"
    elif how == "link":
        output = tmp_path / "link"
        output.symlink_to(log)
    elif how == "hard link":
        output = tmp_path / "link"
        output.hardlink_to(log)
    before = output.read_bytes()
    assert run(["story", str(read), "-o", str(output)]) == ExitCode.USAGE
    assert "it is a file that is read" in capsys.readouterr().err
    assert output.read_bytes() == before


@pytest.mark.parametrize("output", [["-o", "a.log"], ["-o", "-"], []])
def test_a_story_is_not_written_over_what_the_shell_has_opened(output: list[str], tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(LOG.read_bytes())
    code = "import sys; from labctl.cli.main import run; sys.exit(run(sys.argv[1:]))"
    with log.open("rb") as given, (log if output != ["-o", "a.log"] else tmp_path / "out").open("ab") as out:
        words = [sys.executable, "-c", code, "story", "-", *output]
        done = subprocess.run(words, check=False, stdin=given, stdout=out, stderr=subprocess.PIPE, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert log.read_bytes() == LOG.read_bytes()


@pytest.mark.parametrize(("first", "second"), [("F", "F"), ("F", "./F"), ("F", "link"), ("new", "new"), ("-", "-")])
def test_chaos_does_not_write_two_things_to_one_file(
    first: str, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "F").touch()
    (tmp_path / "link").symlink_to("F")
    assert run(["chaos", "-o", first, "--history", second]) == ExitCode.USAGE
    assert "Cannot write two things to" in capsys.readouterr().err


def test_two_things_may_go_to_where_nothing_is_kept() -> None:
    files.refuse_twice(Path(os.devnull), Path(os.devnull), None)


@pytest.mark.parametrize("words", [["cards"], ["secret"]])
def test_secrets_are_not_written_over_the_workshops_file(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "workshop.yml"
    file.write_text("workshop: w\nseats: 1\n", encoding="utf-8")
    given = ["workshop", *words, "-f", str(file), "--output", str(file), "--force"]
    assert run(given) == ExitCode.USAGE
    assert "it is a file that is read" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "workshop: w\nseats: 1\n"


@pytest.mark.parametrize("secret", [True, False])
def test_a_file_that_came_while_another_was_written_stays_where_nobody_forced_it(tmp_path: Path, secret: bool) -> None:
    path = tmp_path / "report"

    def write() -> None:
        with files.write_atomically(path, secret=secret, new=True) as file:
            file.write(b"mine")
            path.write_text("theirs", encoding="ascii")

    with pytest.raises(LabctlError, match=r"report exists already: name another file, or overwrite it with --f") as it:
        write()
    assert it.value.code is ExitCode.USAGE
    assert path.read_text(encoding="ascii") == "theirs"
    assert [file.name for file in tmp_path.iterdir()] == ["report"]


def test_of_two_commands_that_save_one_file_at_once_one_is_told(tmp_path: Path) -> None:
    path, told = tmp_path / "cards", []

    def save(number: int) -> None:
        try:
            output_files.save_secret(f"{number}" * 50_000, path, force=False)
        except LabctlError as error:
            told.append(error.sentence)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(8)))
    assert len(told) == 7
    assert {sentence.partition(" exists already")[0] for sentence in told} == {str(path)}
    assert len(set(path.read_text(encoding="ascii"))) == 1
