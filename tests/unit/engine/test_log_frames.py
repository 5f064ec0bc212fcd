"""What the engine sends of a log: cut into pieces, and an answer that broke is none."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
import requests
import urllib3
from docker.errors import NotFound

from labctl.engine.log_frames import BrokenLogError, frames, log_so_far


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


class Answer:
    """What `requests` hands out."""

    def __init__(self, raw: Any, status: int = 200) -> None:
        self.raw, self.status, self.closed = raw, status, False

    def raise_for_status(self) -> None:
        if self.status != 200:
            answer = requests.Response()
            answer.status_code, answer._content = self.status, b'{"message": "No such container: x"}'
            raise requests.exceptions.HTTPError(response=answer)

    def close(self) -> None:
        self.closed = True


class Library:
    """Docker's library, as far as a log needs it."""

    base_url, api_version = "http+docker://localhost", "1.41"

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def get(self, address: str, **more: Any) -> Answer:
        self.asked.append((address, more))
        return self.answer


def read(answer: Answer, **more: Any) -> tuple[Library, bytes]:
    library = Library(answer)
    words = {"tail": "all", "since": None, "timeout": 20} | more
    return library, b"".join(log_so_far(library, "abc", **words))  # type: ignore[arg-type]


def test_a_log_is_asked_for_with_its_times_and_a_deadline() -> None:
    library, text = read(Answer(io.BytesIO(frame(b"a\n"))), tail=9, since=1.5)
    assert text == b"a\n"
    ((address, more),) = library.asked
    assert address == "http+docker://localhost/v1.41/containers/abc/logs"
    assert more["params"] == {
        "stdout": 1, "stderr": 1, "timestamps": 1, "follow": 0, "tail": 9, "since": "1.500000000"
    }  # fmt: skip
    assert (more["stream"], more["timeout"]) == (True, 20)
    assert library.answer.closed


def test_a_container_that_is_gone_is_what_the_library_says() -> None:
    with pytest.raises(NotFound, match="No such container"):
        read(Answer(io.BytesIO(), 404))


class Breaking:
    """An answer that ends with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, _: int) -> bytes:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (urllib3.exceptions.ReadTimeoutError(None, "", "late"), requests.exceptions.ReadTimeout),  # type: ignore[arg-type]
        (urllib3.exceptions.ProtocolError("broken"), requests.exceptions.ConnectionError),
        (BrokenLogError("cut"), requests.exceptions.ConnectionError),
    ],
)
def test_an_engine_that_says_nothing_more_is_an_error(error: Exception, kind: type[Exception]) -> None:
    answer = Answer(Breaking(error))
    with pytest.raises(kind):
        read(answer)
    assert answer.closed
