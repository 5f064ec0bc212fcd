"""What the engine sends of a log: cut into pieces, and an answer that broke is none."""

from __future__ import annotations

import io
import struct

import pytest

from labctl.engine.log_frames import BrokenLogError, frames


def frame(text: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxL", stream, len(text)) + text


def test_pieces_of_both_streams_come_without_their_headers() -> None:
    sent = io.BytesIO(frame(b"a\n") + frame(b"") + frame(b"b\n", 2))
    assert b"".join(frames(sent)) == b"a\nb\n"
    assert list(frames(io.BytesIO())) == []


@pytest.mark.parametrize("cut", [1, 2, 3, 9])
def test_an_answer_that_breaks_off_is_not_the_end_of_the_log(cut: int) -> None:
    sent = frame(b"a\n") + frame(b"b\n")
    whole = frames(io.BytesIO(sent[: len(sent) - cut]))
    with pytest.raises(BrokenLogError):
        for _ in whole:
            pass


def test_what_is_no_piece_is_not_believed() -> None:
    huge = struct.pack(">BxxxL", 1, 1 << 30)
    with pytest.raises(BrokenLogError):
        list(frames(io.BytesIO(frame(b"a") + huge)))


def test_a_container_with_a_terminal_has_no_pieces() -> None:
    text = b"2026-01-02T03:04:05Z [INFO] raft\r\n" * 5000
    assert b"".join(frames(io.BytesIO(text))) == text
    assert b"".join(frames(io.BytesIO(b"short"))) == b"short"
