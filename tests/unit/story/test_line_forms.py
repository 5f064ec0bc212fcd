"""Logs of which a line is not a line: documents in all ways, escaped texts, lines under headings."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from labctl.story import line_forms
from tests.unit.story.election_logs import LOGS, ONE, essence, story, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADINGS = {
    "tail": "==> {}.log <==\n",
    "tail of a path": "==> ./{} <==\n",
    "ansible": "{} | CHANGED | rc=0 >>\n",
    "dashes": "--- {} ---\n",
    "dshbak": "----------------\n{}\n----------------\n",
}


def right(folder: Path) -> list[Any]:
    for name, lines in LOGS.items():
        (folder / f"{name}.log").write_text(text(lines), encoding="utf-8")
    return essence(story(*(folder / f"{name}.log" for name in LOGS))[0])


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_says_whose_the_lines_under_it_are(tmp_path: Path, heading: str) -> None:
    content = "".join(HEADINGS[heading].format(name) + text(lines) + "\n" for name, lines in LOGS.items())
    (tmp_path / "all.txt").write_text(content, encoding="utf-8")
    told, _ = story(tmp_path / "all.txt")
    # A line is shown as it came.
    assert {event.line for event in told.events} == {line for lines in LOGS.values() for line in lines}
    assert essence(told) == right(tmp_path)


def test_the_headings_of_tail_are_read_while_it_goes_on() -> None:
    content = "".join(f"==> {name}.log <==\n{text(lines)}\n" for name, lines in LOGS.items())
    code = "import sys; from labctl.cli.main import run; sys.exit(run(['story', '-f', '--json', '-']))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=content.encode(), capture_output=True, timeout=60, check=True
    )
    assert {json.loads(line)["server"] for line in done.stdout.splitlines()} == set(LOGS)


@pytest.mark.parametrize("line", ["--- snip ---", "==> Starting Consul agent...", "==> Log data will now stream in:"])
def test_what_only_looks_like_a_heading_names_nobody(tmp_path: Path, line: str) -> None:
    (tmp_path / "n1.log").write_text(text([ONE[0], line, *ONE[1:]]), encoding="utf-8")
    assert {event.server for event in story(tmp_path / "n1.log")[0].events} == {"n1"}


def documents() -> list[dict[str, Any]]:
    lines = sorted((line, name) for name, lines in LOGS.items() for line in lines)
    return [{"timestamp": line[:24], "pod": name, "message": line} for line, name in lines]


WRITTEN: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "one line": lambda events: "".join(map(json.dumps, events)),
    "two in a line": lambda events: "\n".join(
        " ".join(map(json.dumps, events[at : at + 2])) for at in range(0, len(events), 2)
    ),
    "an array in a line": json.dumps,
    "a dense array": lambda events: json.dumps(events, separators=(",", ":")),
    "a pretty array": lambda events: json.dumps(events, indent=2),
    "a pretty array with tabs": lambda events: json.dumps(events, indent="\t"),
    "a pretty array in a document": lambda events: json.dumps({"events": events, "nextToken": "x"}, indent=4),
    "an array of lines": lambda events: "[\n" + ",\n".join(map(json.dumps, events)) + "\n]\n",
    "pretty events": lambda events: "\n".join(json.dumps(event, indent=4) for event in events),
}


@pytest.mark.parametrize("size", [7, 1000, 1 << 20])
@pytest.mark.parametrize("written", WRITTEN)
def test_documents_are_read_however_they_stand(tmp_path: Path, written: str, size: int) -> None:
    (tmp_path / "all.json").write_text(WRITTEN[written](documents()), encoding="utf-8")
    told, notes = story(tmp_path / "all.json")
    assert essence(told) == right(tmp_path)
    assert [note for note in notes if "hold several" in note] == notes
    whole = (tmp_path / "all.json").read_bytes()
    assert in_pieces(whole, 1 << 16, size) == in_pieces(whole, len(whole), 1)


def in_pieces(whole: bytes, head: int, size: int) -> list[bytes]:
    """The lines of a log that comes in a beginning and then in pieces of a size."""
    pieces = [whole[:head], *(whole[at : at + size] for at in range(head, len(whole), size))]
    return b"".join(line_forms.as_lines(pieces)).split(b"\n")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_text_in_a_document_is_read_line_by_line(tmp_path: Path, end: str) -> None:
    body = f"It broke.{end}```{end}{end.join(ONE)}{end}```"
    (tmp_path / "n1.json").write_text(json.dumps({"url": "x", "body": body}), encoding="utf-8")
    told, _ = story(tmp_path / "n1.json")
    (tmp_path / "n1.log").write_text(text(ONE), encoding="utf-8")
    assert essence(told) == essence(story(tmp_path / "n1.log")[0])


def test_lines_that_end_as_an_old_mac_ended_them_are_read(tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text("\r".join(ONE), encoding="utf-8", newline="")
    assert len(story(tmp_path / "n1.log")[0].events) == len(ONE)


@pytest.mark.parametrize("form", [line_forms.unescaped, line_forms.apart])
@pytest.mark.parametrize("piece", [b"\\", b"{", b"}", b"x"])
def test_what_has_no_end_is_not_kept(form: Any, piece: bytes) -> None:
    kept = 0
    for block in form(iter([piece * 50_000] * 20)):
        kept = max(kept, len(block))
    assert kept < 200_000
