"""The quick look at a log's bytes: it loses no event, counts lines right, and does not care how the bytes come."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.raft.event import OTHER
from labctl.raft.log_line import LONGEST
from labctl.raft.prefilter import SIGNS, is_likely, likely_lines, may_name
from labctl.raft.reader import read_line
from labctl.raft.server_names import Names
from tests.unit.raft.logs import POSTED, SAMPLES, WORDINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LOGS = [*SAMPLES.glob("*/*.log"), *POSTED]
NOISE = b"2021-01-24T00:00:00Z [DEBUG] agent.http: Request finished: method=GET url=/v1/status from=127.0.0.1:4242\n"
# Pieces from which a log with all that matters here is built: signs, halves of signs, line ends, bytes.
PIECES = st.one_of(st.sampled_from([b"\n", b"\r\n", b"raft", b"ra", b"ft", b"RAFT", *SIGNS]), st.binary(max_size=6))


def pieces_of(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    begin = 0
    for cut in sorted(cuts):
        yield data[begin:cut]
        begin = max(begin, cut)
    yield data[begin:]


def test_no_wording_of_an_event_is_lost() -> None:
    lines = [f"2021-01-24T00:00:00Z [INFO] {wording}\n".encode() for wording in WORDINGS]
    assert [line for line in lines if len(list(likely_lines([line]))) != 1] == []
    assert [line for line in lines if not is_likely(line.decode())] == []


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_no_event_of_a_real_log_is_lost(path: Path) -> None:
    data = path.read_bytes()

    def events(*, everything: bool) -> list[tuple[int, str]]:
        generator = (
            read_line(line.decode("utf-8", "replace"), server="", line_no=number)
            for number, line in likely_lines([data], everything=everything)
        )
        return [(event.line_no, event.event) for event in generator if event is not None and event.event != OTHER]

    assert events(everything=False) == events(everything=True)


def learned(lines: Iterable[str]) -> dict[str, object]:
    """What the lines of a server of a lab say of who is who."""
    names = Names()
    names.add("n1", "192.0.2.1")
    for line in lines:
        if (event := read_line(line, server="n1", line_no=1)) is not None:
            names.learn(event)
    return {name: value for name, value in vars(names).items() if name not in {"_read", "_known"}}


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_no_line_that_says_who_is_who_is_lost(path: Path) -> None:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()

    assert learned(filter(may_name, lines)) == learned(lines)


def test_no_wording_that_says_who_is_who_is_lost() -> None:
    lines = [f"2021-01-24T00:00:00Z [INFO] {wording}" for wording in WORDINGS]
    assert [line for line in lines if not may_name(line) and learned([line]) != learned([])] == []


def test_lines_keep_their_numbers() -> None:
    data = NOISE * 3 + b"[INFO] raft: a\n" + NOISE * 4 + b"[INFO] raft: b\r\n\n" + b"[INFO] raft: c"
    assert list(likely_lines([data])) == [(4, b"[INFO] raft: a"), (9, b"[INFO] raft: b\r"), (11, b"[INFO] raft: c")]
    assert len(list(likely_lines([data], everything=True))) == 11


@given(st.lists(PIECES, max_size=60).map(b"".join), st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_how_the_bytes_are_cut_changes_nothing(data: bytes, cuts: list[int], everything: bool) -> None:
    assert list(likely_lines(pieces_of(data, cuts), everything=everything)) == list(
        likely_lines([data], everything=everything)
    )


@given(st.lists(PIECES, max_size=60).map(b"".join))
def test_every_line_is_kept_or_has_no_sign(data: bytes) -> None:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    kept = dict(likely_lines([data]))
    assert dict(likely_lines([data], everything=True)) == dict(enumerate(lines, 1))
    for number, line in enumerate(lines, 1):
        assert (number in kept) == any(sign in line.lower() for sign in SIGNS)


def test_a_line_without_end_takes_no_memory() -> None:
    def endless() -> Iterator[bytes]:
        yield b"[INFO] raft: election won. Tally: 2 "
        for _ in range(400):
            yield b"x" * 65_536
        yield b"\n[INFO] raft: after\n"

    tracemalloc.start()
    first, second = likely_lines(endless())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first[0] == 1
    assert len(first[1]) == LONGEST
    assert second == (2, b"[INFO] raft: after")
    assert peak < 4_000_000
