"""An answer that comes byte by byte exceeds no deadline, and a log that cannot be followed is reported."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest

from labctl.cli.main import run
from labctl.engine import client
from labctl.errors import ExitCode
from labctl.shared.docker_api import Allowance, DockerError, Engine
from tests.unit import engine_stand_in as stand_in
from tests.unit.faulty_engine import FaultyEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from labctl.engine.client import Client

LINE = b"2026-11-30T00:00:01.0Z 2026-11-30T00:00:01.0Z [INFO] agent: hello\n"
PIECE = struct.pack(">BxxxL", 1, len(LINE)) + LINE


RUNS = {"Status": "running", "Running": True, "StartedAt": ""}


class Log(FaultyEngine):
    """An engine with a log; followers are answered `follow`, with a status."""

    def __init__(self) -> None:
        super().__init__()
        self.follow = 200, b""

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if path.endswith("/logs"):
            return self.follow if query.get("follow") == "1" else (200, PIECE)
        return super().answer(method, path, query, body)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    made = Log()
    made.containers = stand_in.lab("ada", port=None)
    monkeypatch.setenv("DOCKER_HOST", made.host)
    monkeypatch.setenv("LABCTL_OWNER", "ada")
    yield made
    made.close()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    "ask",
    [
        lambda asked: asked.log_so_far("a"),
        lambda asked: asked.saved_image("a"),
        lambda asked: [asked.version()],
        lambda asked: [asked.archive("a", "/x")],
        lambda asked: asked.inspected(["a"]),
    ],
    ids=["log", "image", "version", "archive", "inspect"],
)
def test_an_answer_byte_by_byte_ends_with_the_time_of_the_command(
    engine: Log, ask: Callable[[Client], Iterable[object]], *, chunked: bool
) -> None:
    long = b'{"Id": "' + b"x" * 400 + b'"}'
    engine.says = {f"GET {path}": long for path in ("/images/a/get", "/version", "/containers/a/archive")}
    engine.says["GET /containers/a/json"] = long
    engine.drip, engine.chunked = 0.03, chunked
    asked = client.connect().hurried(0.5)
    begun = time.monotonic()
    with pytest.raises(Exception, match=r"did not answer within 0\.5\d? seconds"):
        list(ask(asked))
    assert time.monotonic() - begun < 1.5


def test_what_goes_on_byte_by_byte_is_given_up_also_where_a_command_has_no_time_of_its_own(engine: Log) -> None:
    engine.says["GET /x"] = b"x" * 300
    engine.drip = 0.02
    with Engine(0.4).open("/x", doing="reading") as answer, pytest.raises(DockerError, match=r"within 0\.4\d? seconds"):
        answer.read()


def test_who_reads_slowly_is_not_the_engine(engine: Log) -> None:
    engine.says["GET /x"] = b"x" * 100_000
    with Engine(0.3).open("/x", doing="reading") as answer:
        piece = answer.read(10)
        time.sleep(0.5)
        assert len(piece + answer.read()) == 100_000


def test_an_answer_that_is_cut_short_is_not_its_end(engine: Log) -> None:
    engine.follow = 200, PIECE[:-5]
    with pytest.raises(DockerError, match=r"Cannot finish following a server's log: .* broke off"):
        list(client.connect().log_to_come("a"))


def test_of_a_command_that_was_busy_itself_only_the_wait_for_the_engine_is_told(engine: Log) -> None:
    shared = Allowance(0.6)
    asked = Engine(5, allowance=shared)
    asked.get("/info", doing="looking")
    time.sleep(0.4)
    engine.late = 1
    with pytest.raises(DockerError, match=r"did not answer within 0\.[12]\d? seconds while looking"):
        asked.get("/info", doing="looking")
    with pytest.raises(DockerError, match=r"Cannot go on with looking: the time of this command is over, and not by"):
        asked.get("/info", doing="looking")
    shared.give(0.3)
    with pytest.raises(DockerError, match=r"within 0\.3\d? seconds while looking"):
        asked.get("/info", doing="looking")
    with pytest.raises(DockerError, match=r"within 0\.3\d? seconds while looking"):
        asked.get("/info", doing="looking")


@pytest.mark.parametrize(
    ("follow", "says"),
    [
        ((500, b'{"message": "too many open files"}'), "too many open files"),
        ((200, PIECE[:-5]), "broke off"),
    ],
)
def test_logs_that_the_engine_does_not_let_be_followed_fail_in_a_sentence(
    engine: Log, capsys: pytest.CaptureFixture[str], follow: tuple[int, bytes], says: str
) -> None:
    engine.follow = follow
    engine.says |= {
        f"GET /containers/{container['Id']}/json": {
            "Id": container["Id"],
            "Name": "/x",
            "Config": {},
            "State": RUNS,
            "NetworkSettings": {},
        }
        for container in engine.containers
    }
    assert run(["logs", "ada", "-f", "--no-prefix"]) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert out.count("agent: hello") == 3
    (line,) = err.splitlines()
    assert says in line


def test_following_a_lab_that_goes_down_meanwhile_ends_well(engine: Log, capsys: pytest.CaptureFixture[str]) -> None:
    # No server is there any more when it is looked for.
    gone = b'{"message": "No such container: x"}'
    engine.follow = 404, gone
    for container in engine.containers:
        path = f"GET /containers/{container['Id']}/json"
        engine.says[path], engine.status[path] = gone, 404
    assert run(["logs", "ada", "-f", "--no-prefix"]) == ExitCode.DONE
    assert capsys.readouterr().err == ""
