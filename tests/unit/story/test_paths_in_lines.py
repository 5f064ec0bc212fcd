"""Servers that lines name by the path of a file: they are called as files of these paths would be."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.unit.story.election_logs import LOGS, ONE, essence, line, node, story, text
from tests.unit.story.test_line_forms import right

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.stand_ins import StreamChange

WRITTEN = {
    "tail": lambda path, lines: f"==> {path} <==\n{text(lines)}\n",
    "grep": lambda path, lines: "".join(f"{path}:{line}\n" for line in lines),
    "grep -n": lambda path, lines: "".join(f"{path}:{number}:{line}\n" for number, line in enumerate(lines, 1)),
}
PATHS = ["/var/log/{}/consul.log", "logs/{}.log", "./{}/var/log/consul.log", "/srv/{}/a/consul.log"]


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("through_a_pipe", [False, True])
def test_a_server_of_a_path_is_named_as_its_file_is(
    tmp_path: Path, written: str, path: str, through_a_pipe: bool, standard_input: StreamChange
) -> None:
    content = "".join(WRITTEN[written](path.format(name), lines) for name, lines in LOGS.items())
    (tmp_path / "all.txt").write_text(content, encoding="utf-8")
    if not through_a_pipe:
        assert essence(story(tmp_path / "all.txt")[0]) == right(tmp_path)
        return
    with (
        (tmp_path / "all.txt").open(encoding="utf-8") as plain,
        subprocess.Popen(["cat"], stdin=plain, stdout=subprocess.PIPE, text=True) as cat,
    ):
        standard_input(cat.stdout)
        told = essence(story("-")[0])
    assert told == right(tmp_path)


def test_servers_of_two_collections_are_told_apart_together(tmp_path: Path) -> None:
    for name, lines in LOGS.items():
        (tmp_path / f"of-{name}.txt").write_text(f"==> /var/log/{name}/consul.log <==\n{text(lines)}", encoding="utf-8")
    paths = [tmp_path / f"of-{name}.txt" for name in LOGS]
    assert {event.server for event in story(*paths)[0].events} == set(LOGS)


def test_a_path_does_not_get_the_name_of_another_server(tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text(text(ONE), encoding="utf-8")
    # Another cluster's n1, for all that is known.
    lines = [line("26.000", "INFO", f"entering candidate state: node={node(9, 'Candidate')} term=9")]
    (tmp_path / "all.txt").write_text(f"==> a/n1.log <==\n{text(lines)}==> b/n2.log <==\n{text(lines)}", "utf-8")
    told = {event.server for event in story(tmp_path / "n1.log", tmp_path / "all.txt")[0].events}
    assert told == {"n1", "a/n1", "n2"}


def test_a_server_far_behind_in_a_large_log_is_named_as_the_others(tmp_path: Path) -> None:
    filler = line("25.000", "INFO", "x" * 900)
    path = "/var/log/{}/consul.log"
    content = "".join(
        f"==> {path.format(name)} <==\n{text([*lines[:3], *[filler] * 700, *lines[3:]])}"
        for name, lines in LOGS.items()
    )
    (tmp_path / "all.txt").write_text(content, encoding="utf-8")
    assert os.stat(tmp_path / "all.txt").st_size > 1_500_000  # noqa: PTH116 - its size only
    assert {event.server for event in story(tmp_path / "all.txt")[0].events} == set(LOGS)


@pytest.mark.parametrize("front", ["2024-01-08T11:42:59Z {} consul[1]: ", "[pod/{}/consul] "])
def test_a_server_that_shows_only_far_behind_is_not_taken_for_the_first(tmp_path: Path, front: str) -> None:
    filler = line("25.000", "INFO", "x" * 900)
    content = "".join(
        front.format(name) + line + "\n"
        for name, lines in LOGS.items()
        for line in (*lines[:3], *[filler] * 700, *lines[3:])
    )
    (tmp_path / "all.txt").write_text(content, encoding="utf-8")
    assert {event.server for event in story(tmp_path / "all.txt")[0].events} == set(LOGS)
