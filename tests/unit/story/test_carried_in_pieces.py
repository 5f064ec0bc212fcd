"""Logs whose lines were cut, folded or packed into one document by who carried them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from labctl.story import line_forms, yaml_documents
from tests.unit.story.election_logs import LOGS, ONE, TWO, essence, story, text
from tests.unit.story.test_line_forms import in_pieces, right

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AT = "2024-01-08T11:42:59.123456789Z"


def cri(line: str, *cuts: int, stream: str = "stdout") -> list[str]:
    begins = [0, *cuts]
    ends = [*cuts, len(line)]
    tags = ["P"] * len(cuts) + ["F"]
    return [f"{AT} {stream} {tag} {line[a:b]}" for a, b, tag in zip(begins, ends, tags, strict=True)]


@pytest.mark.parametrize("cuts", [(40,), (60,), (110,), (30, 60, 110)])
def test_a_line_in_pieces_is_one(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    pieces = [piece for line in ONE for piece in cri(line, *(cut for cut in cuts if cut < len(line)))]
    (tmp_path / "cut.log").write_text(text(pieces), encoding="utf-8")
    told, _ = story(tmp_path / "cut.log")
    (tmp_path / "cut.log").write_text(text(ONE), encoding="utf-8")
    assert essence(told) == essence(story(tmp_path / "cut.log")[0])
    # The number is that of its last piece.
    assert told.events[0].line_no == len(cri(ONE[0], *(cut for cut in cuts if cut < len(ONE[0]))))


def test_pieces_of_two_streams_are_not_of_one_line(tmp_path: Path) -> None:
    out, error = cri(ONE[2], 100), cri(ONE[3], 50, stream="stderr")
    (tmp_path / "n1.log").write_text(text([out[0], error[0], out[1], error[1]]), encoding="utf-8")
    told, _ = story(tmp_path / "n1.log")
    assert [(event.event, event.term) for event in told.events] == [("candidate_entered", 7), ("election_won", 7)]


def test_pieces_of_two_files_are_not_of_one_line(tmp_path: Path) -> None:
    first, second = cri(ONE[2], 100), cri(TWO[2], 100)
    lines = ["==> n1.log <==", first[0], "==> n2.log <==", *second, "==> n1.log <==", first[1]]
    (tmp_path / "all.log").write_text(text(lines), encoding="utf-8")
    told, _ = story(tmp_path / "all.log")
    assert [(event.server, event.event, event.term) for event in told.events] == [
        ("n1", "candidate_entered", 7), ("n2", "candidate_entered", 8)
    ]  # fmt: skip


def test_half_a_line_says_nothing(tmp_path: Path) -> None:
    lines = [*cri(ONE[1]), cri(ONE[2], 100)[0], *cri(ONE[3], stream="stderr"), cri(ONE[4], 80)[0]]
    (tmp_path / "n1.log").write_text(text(lines), encoding="utf-8")
    told, _ = story(tmp_path / "n1.log")
    assert [event.event for event in told.events] == ["heartbeat_timeout", "election_won"]


def test_pieces_are_joined_while_they_come() -> None:
    content = text([piece for line in ONE for piece in cri(line, 70)])
    code = "import sys; from labctl.cli.main import run; sys.exit(run(['story', '-f', '--json', '-']))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=content.encode(), capture_output=True, timeout=60, check=True
    )
    terms = [json.loads(line).get("term") for line in done.stdout.splitlines()]
    assert 7 in terms


def test_a_line_that_docker_cut_is_one(tmp_path: Path) -> None:
    long = f'{ONE[2]} servers="{"x" * 40_000}"'
    pieces = [long[at : at + 16384] for at in range(0, len(long), 16384)]
    pieces[-1] += "\n"
    lines = [json.dumps({"log": piece, "stream": "stdout", "time": AT}, separators=(",", ":")) for piece in pieces]
    half = json.dumps({"log": ("y" * 16384), "stream": "stderr", "time": AT}, separators=(",", ":"))
    (tmp_path / "n1.log").write_text(text([half, *lines]), encoding="utf-8")
    told, _ = story(tmp_path / "n1.log")
    assert [(event.event, event.term, event.line_no) for event in told.events] == [
        ("candidate_entered", 7, len(lines) + 1)
    ]


def test_a_line_without_an_end_is_not_kept() -> None:
    pieces = [f"{AT} stdout P {'x' * 16_000}\n".encode() * 10] * 100
    kept = max(map(len, line_forms.as_lines([*pieces, f"{AT} stdout F x\n".encode()])))
    assert kept < 200_000


# -- YAML ------------------------------------------------------------------------------------------------------------


def quoted(line: str) -> str:
    words = line.replace("'", "''").replace(" term=", "\n  term=").replace(" last-", "\n  last-")
    return f"'{words}\n\n  '"


def escaped(line: str) -> str:
    body = json.dumps(line + "\n")
    return f"{body[:60]}\\\n  {chr(92)}{body[60:]}" if body[60] == " " else f"{body[:60]}\\\n  {body[60:]}"


SCALARS: dict[str, Callable[[str], str]] = {
    "in single quotes, folded": quoted,
    "in double quotes, folded": escaped,
    "in double quotes": json.dumps,
    "as it stands": lambda line: f"|-\n  {line}",
    "as it stands, with its end": lambda line: f"|\n  {line}\n",
    "folded": lambda line: ">-\n  " + line.replace(" term=", "\n  term=").replace(" last-", "\n  last-"),
    "plain, folded": lambda line: line.replace(" term=", "\n  term=").replace(" last-", "\n  last-"),
}


def entry(pod: str, payload: str) -> str:
    # gcloud writes the members by name.
    return (
        f"---\ninsertId: 1a2b\nlabels:\n  compute.googleapis.com/resource_name: gke-1\n  k8s-pod/app: consul\n"
        f"logName: projects/p/logs/stdout\nreceiveTimestamp: '{AT}'\nresource:\n  labels:\n"
        f"    container_name: consul\n    pod_name: {pod}\n  type: k8s_container\nseverity: INFO\n"
        f"{payload}\ntimestamp: '{AT}'\n"
    )


@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize("payload", ["textPayload", "jsonPayload"])
def test_documents_of_yaml_are_read(tmp_path: Path, scalar: str, payload: str) -> None:
    def written(line: str, name: str) -> str:
        said = SCALARS[scalar](line)
        if payload == "jsonPayload":
            return entry(name, f"jsonPayload:\n  message: {said}".replace("\n  ", "\n    ").replace(
                "\n    message", "\n  message"
            ))  # fmt: skip
        return entry(name, f"textPayload: {said}")

    lines = sorted((line, name) for name, lines in LOGS.items() for line in lines)
    (tmp_path / "all.yaml").write_text("".join(written(*line) for line in lines), encoding="utf-8")
    told, _ = story(tmp_path / "all.yaml")
    assert essence(told) == right(tmp_path)


def test_a_text_of_several_names_keeps_the_server_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        entry("consul-0", "textPayload: &a [*a, *a]") + entry("consul-1", f"textPayload: |\n  {ONE[2]}"),
        encoding="utf-8",
    )
    told, _ = story(tmp_path / "x.yaml")
    assert [(event.server, event.term) for event in told.events] == [("consul-1", 7)]


@pytest.mark.parametrize("line", [b"a:\n", b"a: 'x\n", b" a:\n", b"a: |\n", b"\n", b'a: "\\\n', b"a: b\n  c\n"])
def test_a_document_of_any_text_takes_time_in_proportion(line: bytes) -> None:
    document = line * ((1 << 16) // len(line))
    assert len(b"".join(yaml_documents.as_lines([document]))) < 1 << 18


# -- Loki ------------------------------------------------------------------------------------------------------------


def nanoseconds(line: str) -> str:
    return f"17047141{line[17:19]}{line[20:23]}000000"


def answer(label: str, *, backward: bool) -> dict[str, Any]:
    streams = [
        {
            "stream": {"container": "consul", "job": "x", label: name},
            "values": [[nanoseconds(line), f"{line}\n"] for line in (lines[::-1] if backward else lines)],
        }
        for name, lines in LOGS.items()
    ]
    return {"status": "success", "data": {"resultType": "streams", "result": streams, "stats": {"summary": {}}}}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("label", ["pod", "instance", "host"])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("size", [7, 1 << 20])
def test_what_loki_answers_is_read(tmp_path: Path, label: str, backward: bool, indent: int | None, size: int) -> None:
    (tmp_path / "loki.json").write_text(json.dumps(answer(label, backward=backward), indent=indent), encoding="utf-8")
    told, notes = story(tmp_path / "loki.json")
    assert essence(told) == right(tmp_path)
    assert any("hold several" in note for note in notes)
    whole = (tmp_path / "loki.json").read_bytes()
    assert in_pieces(whole, 1000, size) == in_pieces(whole, len(whole), 1)


def test_a_line_of_loki_without_a_stamp_has_that_of_loki(tmp_path: Path) -> None:
    answer = {"data": {"resultType": "streams", "result": [
        {"stream": {"pod": "consul-0"}, "values": [["1704714164101000000", ONE[2][25:], {"x": "y"}]]}
    ]}}  # fmt: skip
    (tmp_path / "loki.json").write_text(json.dumps(answer), encoding="utf-8")
    told, _ = story(tmp_path / "loki.json")
    assert [(event.server, str(event.time)) for event in told.events] == [
        ("consul-0", "2024-01-08 11:42:44.101000+00:00")
    ]
