"""Bytes as a file that somebody was given: a log, a log in gzip, a bundle. One sentence at most, and bounded."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import zstandard

from labctl.errors import LabctlError
from labctl.story import log_files

LINE = b"2021-01-24T00:00:01Z [INFO]  agent.server.raft: election won: tally=2\n"
MOST_EVENTS = 1000
PACKED, AS_IT_IS = b"t", b"f"


def _tar(*members: tuple[str, bytes, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as made:
        for name, kind, content in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "logs/a.log"
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _zip(*members: tuple[str, bytes, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, _, content in members:
            made.writestr(name, content)
    return out.getvalue()


_LOG = ("logs/a.log", tarfile.REGTYPE, LINE * 3)
_MANIFEST = ("manifest.json", tarfile.REGTYPE, b'{"raft_multiplier": 5}')
_LINK = ("logs/a.log", tarfile.SYMTYPE, b"")
_LONG = (f"logs/{'b' * 200}é.log", tarfile.REGTYPE, LINE)
# The first byte says whether the rest is packed before it is read: hardly anything that gzip refuses gets further.
SEEDS = [
    PACKED + _tar(_MANIFEST, _LOG, _LONG),
    PACKED + _tar(_LOG, _LINK, form=tarfile.GNU_FORMAT),
    PACKED + _tar(_LONG, form=tarfile.GNU_FORMAT),
    PACKED + _tar(_LOG, ("pax", tarfile.XHDTYPE, b"3000000 a=" + b"A" * 2_999_989 + b"\n"), _LOG),
    PACKED + LINE * 3,
    AS_IT_IS + gzip.compress(LINE * 3, mtime=0),
    AS_IT_IS + gzip.compress(_tar(_MANIFEST, _LOG), mtime=0),
    AS_IT_IS + LINE * 3,
    AS_IT_IS + _tar(_MANIFEST, _LOG),
    AS_IT_IS + _zip(_LOG, _LONG),
    AS_IT_IS + _zip(("a.tgz", tarfile.REGTYPE, gzip.compress(_tar(_LOG), mtime=0))),
    PACKED + _zip(_LOG),
    AS_IT_IS + zstandard.ZstdCompressor().compress(LINE * 3),
    AS_IT_IS + bz2.compress(LINE * 3),
    AS_IT_IS + (LINE * 3).decode().encode("utf-16"),
]


def one_try(data: bytes) -> None:
    """Read a file with these bytes, as `labctl story` does."""
    with tempfile.TemporaryDirectory(prefix="labctl-fuzz-") as folder:
        path = Path(folder) / "a.tgz"
        rest = data[1:]
        path.write_bytes(gzip.compress(rest, 1) if data[:1] == PACKED else rest)
        with contextlib.suppress(LabctlError):
            recordings = log_files.find([str(path)])
            assert log_files.multiplier_of(recordings) in {None, *range(1, 11)}
            # Not everything: a few bytes of gzip may be a million empty lines, which take their time one by one.
            for _ in zip(range(MOST_EVENTS), log_files.events(recordings), strict=False):
                pass
        assert [path.name for path in Path(folder).iterdir()] == ["a.tgz"]
