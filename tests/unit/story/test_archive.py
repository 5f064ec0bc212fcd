"""Logs however they are packed: gzip, zstd, tar, zip, in each other, in folders, in UTF-16, on standard input."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING

import pytest
import zstandard

from labctl.cli.main import run
from labctl.errors import ExitCode, LabctlError
from labctl.story import archive, log_files
from labctl.story.text_encoding import in_utf8

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINE = "2021-01-24T00:00:0{}Z [INFO]  agent.server.raft: election won: tally=2\n"
LOG = "".join(map(LINE.format, (1, 2))).encode()
NOISE = b"2021-01-24T00:00:00Z [DEBUG] agent: noise\n"


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def tar(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files:
            made.writestr(name, data)
    return out.getvalue()


def told(*names: str) -> list[tuple[str | None, int]]:
    return [(event.file, event.line_no) for event in log_files.events(log_files.find(names))]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip of gzip": lambda data: gzip.compress(gzip.compress(data)),
    "gzip behind gzip": lambda data: gzip.compress(data[:30]) + gzip.compress(data[30:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "xz behind xz": lambda data: lzma.compress(data[:30]) + b"\0" * 8 + lzma.compress(data[30:]) + b"\0" * 4,
    "zstd": zstd,
    "zstd behind zstd": lambda data: zstd(data[:30]) + zstd(data[30:]),
    "gzip of zstd": lambda data: gzip.compress(zstd(data)),
    "UTF-16 with a mark": lambda data: data.decode().encode("utf-16"),
    "UTF-16": lambda data: data.decode().encode("utf-16-le"),
    "UTF-16 of the other order": lambda data: data.decode().encode("utf-16-be"),
    "UTF-8 with a mark": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16 in gzip": lambda data: gzip.compress(data.decode().replace("\n", "\r\n").encode("utf-16")),
}
ARCHIVES: dict[str, Callable[..., bytes]] = {
    "tar": tar,
    "tar in gzip": lambda *files: gzip.compress(tar(*files)),
    "tar in xz": lambda *files: lzma.compress(tar(*files)),
    "tar in zstd": lambda *files: zstd(tar(*files)),
    "tar in gzip in gzip": lambda *files: gzip.compress(gzip.compress(tar(*files))),
    "zip": zipped,
    "zip in gzip": lambda *files: gzip.compress(zipped(*files)),
}


@pytest.mark.parametrize("packed", PACKED)
def test_a_log_is_read_however_it_is_packed(tmp_path: Path, packed: str) -> None:
    (tmp_path / "a.log").write_bytes(PACKED[packed](LOG))
    assert told(str(tmp_path / "a.log")) == [(str(tmp_path / "a.log"), 1), (str(tmp_path / "a.log"), 2)]


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("kind", ARCHIVES)
def test_each_log_in_an_archive_is_one_of_its_own(tmp_path: Path, kind: str, packed: str) -> None:
    path = tmp_path / "a"
    first, second = (
        PACKED[packed](NOISE + LINE.format(1).encode()),
        PACKED[packed](NOISE * 9000 + LINE.format(2).encode()),
    )
    path.write_bytes(
        ARCHIVES[kind](("s1/consul.log", first), ("s2/consul.log", second), ("raft.db", b"raft: \0\1" * 500))
    )
    assert told(str(path)) == [(f"{path}:s1/consul.log", 2), (f"{path}:s2/consul.log", 9001)]


@pytest.mark.parametrize("outer", ARCHIVES)
@pytest.mark.parametrize("inner", ARCHIVES)
def test_an_archive_in_an_archive_is_like_a_folder(tmp_path: Path, outer: str, inner: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(ARCHIVES[outer](("x/one.tgz", ARCHIVES[inner](("a.log", LOG))), ("b.log", LOG)))
    names = sorted({name or "" for name, _ in told(str(path))})
    assert names == [f"{path}:b.log", f"{path}:x/one.tgz/a.log"]


def test_folders_in_folders_are_read_and_nothing_is_followed_out_of_them(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / "logs" / f"server{number}" / "log"
        folder.mkdir(parents=True)
        (folder / "consul.log").write_text(LINE.format(number), encoding="utf-8")
    (tmp_path / "logs" / "server1" / "raft.db").write_bytes(b"\0raft: " * 100)
    (tmp_path / "logs" / "old.zip").write_bytes(zipped(("c.log", LINE.format(3).encode())))
    (tmp_path / "logs" / ".git").mkdir()
    (tmp_path / "logs" / ".git" / "x.log").write_bytes(LOG)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.log").write_bytes(LOG)
    (tmp_path / "logs" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "logs" / "round").symlink_to(tmp_path / "logs")
    os.mkfifo(tmp_path / "logs" / "pipe")
    names = [name.removeprefix(str(tmp_path)) for name, _ in told(str(tmp_path / "logs")) if name]
    assert names == ["/logs/server1/log/consul.log", "/logs/server2/log/consul.log", "/logs/old.zip:c.log"]


def story(data: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    code = "import sys; from labctl.cli.main import run; sys.exit(run(['story', *sys.argv[1:]]))"
    return subprocess.run(
        [sys.executable, "-c", code, *words], input=data, capture_output=True, check=False, timeout=60
    )


@pytest.mark.parametrize("packed", ["gzip of gzip", "zstd", "UTF-16"])
def test_standard_input_is_unpacked_too(packed: str) -> None:
    done = story(PACKED[packed](LOG), "-")
    assert done.returncode == ExitCode.DONE
    assert done.stdout.count(b"won the election") == 2


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_on_standard_input_is_read_from_a_file_and_from_a_pipe(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(ARCHIVES[kind](("a.log", LOG), ("b.log", LOG)))
    code = "import sys; from labctl.cli.main import run; sys.exit(run(['story', '-']))"
    with path.open("rb") as file:
        done = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, check=False, timeout=60)
    assert done.returncode == ExitCode.DONE
    assert done.stdout.count(b"won the election") == 4
    piped = story(path.read_bytes(), "-")
    assert piped.returncode == ExitCode.DONE
    assert piped.stdout == done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["a.tgz"]


def test_an_archive_in_a_named_pipe_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(tar(("a.log", LOG)),))
    writer.start()
    assert "archive in a pipe" in refused(tmp_path / "pipe", capsys)
    writer.join()


@pytest.mark.parametrize(
    "content",
    [zipped(), zipped((".a.log", LOG)), zipped(("a.bin", b"\0" * 9)), tar((".a.log", LOG)), gzip.compress(zipped())],
    ids=["empty", "hidden", "binary", "tar", "packed"],
)
def test_an_archive_without_a_log_is_told_as_that(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.x"
    path.write_bytes(content)
    assert "no log is in this archive" in refused(path, capsys)
    assert b"no log is in this archive" in story(content, "-").stderr
    code = "import sys; from labctl.cli.main import run; sys.exit(run(['story', '-']))"
    with path.open("rb") as file:
        done = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, check=False, timeout=60)
    assert (done.returncode, b"no log is in this archive" in done.stderr) == (ExitCode.FAILED, True)
    # In a folder, it keeps nobody from the logs beside it.
    (tmp_path / "b.log").write_bytes(LOG)
    assert run(["story", str(tmp_path)]) == ExitCode.DONE


# -- made to break what reads it -------------------------------------------------------------------------------


def refused(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["story", str(path)]) == ExitCode.FAILED
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


def test_an_encrypted_file_in_a_zip_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(zipped(("a.log", LOG)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    assert "'a.log' in it is encrypted" in refused(tmp_path / "a.zip", capsys)


def test_links_and_devices_in_archives_are_no_logs(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for kind in (tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE):
            entry = tarfile.TarInfo(f"{kind!r}.log")
            entry.type, entry.linkname = kind, "/etc/passwd"
            made.addfile(entry)
        entry = tarfile.TarInfo("a.log")
        entry.size = len(LOG)
        made.addfile(entry, io.BytesIO(LOG))
    (tmp_path / "a.tar").write_bytes(out.getvalue())
    assert [member.name for member in archive.members_of(tmp_path / "a.tar")] == ["a.log"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zip_file:
        link = zipfile.ZipInfo("link.log")
        link.external_attr = 0o120777 << 16
        zip_file.writestr(link, "/etc/passwd")
        zip_file.writestr("../../a.log", LOG)
    assert [member.name for member in archive.members_of(tmp_path / "a.zip")] == ["../../a.log"]


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_was_cut_off_is_one_sentence(
    tmp_path: Path, kind: str, cut: float, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = os.urandom(60_000).hex().encode()
    data = ARCHIVES[kind](("a.log", LOG + noise), ("b.log", LOG + noise))
    (tmp_path / "a").write_bytes(data[: int(len(data) * cut)])
    assert str(tmp_path / "a") in refused(tmp_path / "a", capsys)


@pytest.mark.parametrize(
    ("head", "how"), [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "rar"), (b"\x04\x22\x4d\x18", "lz4")]
)
def test_what_is_packed_otherwise_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], head: bytes, how: str
) -> None:
    (tmp_path / "a").write_bytes(head + os.urandom(2000))
    assert f"it is packed with {how}. Unpack it first." in refused(tmp_path / "a", capsys)


@pytest.mark.parametrize("end", [b"xyz", b"\0\0\0\0xyz"])
def test_what_stands_behind_a_packed_log_and_is_none_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], end: bytes
) -> None:
    (tmp_path / "a.xz").write_bytes(lzma.compress(LOG) + end)
    assert str(tmp_path / "a.xz") in refused(tmp_path / "a.xz", capsys)


def test_a_packed_log_that_asks_for_much_memory_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    window = {"id": lzma.FILTER_LZMA2, "dict_size": 2 * archive.MOST_WINDOW, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3}
    (tmp_path / "a.xz").write_bytes(lzma.compress(LOG, filters=[window]))
    assert "Memory usage limit exceeded" in refused(tmp_path / "a.xz", capsys)


def test_a_bomb_is_a_long_log_and_no_memory(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as made, made.open("a.log", "w") as out:
        for _ in range(200):
            out.write(b"x" * (1 << 20))
        out.write(b"\n" + LOG)
    code = (
        "import sys; from labctl.cli.main import run; code = run(['story', sys.argv[1]])\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.zip")], capture_output=True, check=True, timeout=60
    )
    assert int(done.stdout.split()[-1]) < 120_000
    assert b"won the election" in done.stdout


def test_more_archives_in_each_other_than_anybody_makes_are_no_logs(tmp_path: Path) -> None:
    data = LOG
    for _ in range(12):
        data = tar(("a.tar", data))
    (tmp_path / "a.tar").write_bytes(data)
    assert len(list(archive.members_of(tmp_path / "a.tar"))) <= 1


def test_a_zip_of_too_many_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(*((f"{number}.log", LOG) for number in range(1001))))
    with pytest.raises(LabctlError, match="more than 1000 files"):
        log_files.find([str(tmp_path / "a.zip")])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("packed", ["plain", "UTF-16", "UTF-16 with a mark", "UTF-8 with a mark"])
def test_how_a_text_is_cut_changes_nothing(packed: str, size: int) -> None:
    data = PACKED[packed](LOG + "é😀\n".encode())
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert b"".join(in_utf8(pieces)) == LOG + "é😀\n".encode()
