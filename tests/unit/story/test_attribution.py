"""Whose the lines of kept logs are: no two servers are one, and no one is two."""

from __future__ import annotations

import gzip
import itertools
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from labctl.errors import ExitCode, LabctlError
from labctl.story import source as flow
from labctl.story.log_names import servers_of
from tests.unit.story.election_logs import LOGS, ONE, THREE, TWO, essence, line, story, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("paths", "servers"),
    [
        (["server1/consul.log", "server2/consul.log"], ["server1", "server2"]),
        (["10.0.0.1.log", "10.0.0.2.log"], ["10.0.0.1", "10.0.0.2"]),
        (["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.2"]),
        (["consul.node1.log", "consul.node2.log"], ["consul.node1", "consul.node2"]),
        (["dc/prod-consul-01/consul.log", "dc/prod-consul-02/consul.log"], ["prod-consul-01", "prod-consul-02"]),
        (["a/logs/consul.log", "b/logs/consul.log"], ["a", "b"]),
        (["a/consul.log", "b/consul.log", "n3.log"], ["a", "b", "n3"]),
        (["a/x/consul.log", "a/y/consul.log", "b/x/consul.log"], ["a/x", "a/y", "b/x"]),
        (
            ["a/consul.log", "a/nomad.log", "b/consul.log", "b/nomad.log"],
            ["a/consul", "a/nomad", "b/consul", "b/nomad"],
        ),
        (["x.tgz/consul.log", "y.tgz/consul.log"], ["x", "y"]),
        (["a.log", "a.txt"], ["a.log", "a.txt"]),
        (["node.1", "node.2"], ["node.1", "node.2"]),
        (["consul-1.log", "consul-2.log"], ["consul-1", "consul-2"]),
        (["consul-server-0.log", "consul-server-1.log"], ["consul-server-0", "consul-server-1"]),
        (["/a", "/b/a"], ["a", "b"]),
        (["server1/consul.log"], ["consul"]),
        ([".log", ".txt"], [".log", ".txt"]),
    ],
)
def test_the_shortest_part_of_a_path_that_differs_is_the_servers_name(paths: list[str], servers: list[str]) -> None:
    assert servers_of(paths) == servers
    assert servers_of(paths[::-1]) == servers[::-1]


@pytest.mark.parametrize(
    "paths",
    [
        ["consul.log", "consul.log.1", "consul.log.2.gz"],
        ["consul-1704714140000000000.log", "consul-1704800540000000000.log"],
        ["consul.log", "consul-1704714140000000000.log"],
        ["syslog", "syslog.1", "syslog.2.gz"],
        ["consul", "consul.1", "consul.2"],
        ["consul.log", "consul.log-20240108", "consul.log-20240107.gz"],
        ["consul.log", "consul-2024-01-08.log", "consul-2024-01-08T11-42-24.000.log.gz"],
    ],
)
def test_what_was_rotated_is_one_servers(paths: list[str]) -> None:
    assert servers_of(paths) == ["syslog" if "syslog" in paths else "consul"] * len(paths)
    both = [f"{server}/{path}" for server in ("n1", "n2") for path in paths]
    assert servers_of(both) == ["n1"] * len(paths) + ["n2"] * len(paths)


def test_names_never_meet_however_paths_are_made() -> None:
    parts = ["a", "b", "consul", "consul.log", "n1.log", "n1", "log"]
    paths = ["/".join(permutation) for depth in (1, 2, 3) for permutation in itertools.permutations(parts, depth)]
    assert len(set(servers_of(paths))) >= len(paths) - len(servers_of([path for path in paths if path.endswith("log")]))
    for chosen in itertools.combinations(paths[:60], 3):
        assert len(set(servers_of(chosen))) == 3, chosen


LAYOUTS = {
    "folders": "{}/consul.log",
    "folders in folders": "dc1/{}/var/log/consul.log",
    "dots": "consul.{}.log",
    "plain": "{}.log",
    "no ending": "{}",
    "gzip": "{}.log.gz",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_three_servers_are_three_however_their_files_are_called(tmp_path: Path, layout: str) -> None:
    paths = []
    for name, lines in LOGS.items():
        path = tmp_path / LAYOUTS[layout].format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = text(lines).encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        paths.append(path)
    told, notes = story(*paths)
    assert [name.removeprefix("consul.") for name in told.servers] == ["n1", "n2", "n3"]
    assert [(election.candidate[-2:], election.term, election.outcome) for election in told.elections] == [
        ("n1", 7, "won"),
        ("n2", 8, "won"),
    ]
    assert [leadership.server[-2:] for leadership in told.leaders] == ["n1", "n2"]
    assert notes == []
    assert essence(story(*reversed(paths))[0]) == essence(told)


def test_a_server_whose_files_were_rotated_leads_through_all_of_them(tmp_path: Path) -> None:
    for name, lines in (("consul-1704714140000000000.log", ONE[:5]), ("consul-1704800540000000000.log", ONE[5:])):
        (tmp_path / name).write_text(text(lines), encoding="utf-8")
    told, notes = story(tmp_path)
    assert [(leadership.server, leadership.ended_by) for leadership in told.leaders] == [("consul", "quorum_lost")]
    assert notes == []


@pytest.mark.parametrize("names", [("s.log.1", "s.log"), ("s.log", "s.log.1"), ("s.log-20240108", "s.log")])
def test_the_pieces_of_a_log_are_told_in_order_of_time_whatever_their_names_say(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    for name, lines in zip(names, (ONE[:4], ONE[4:]), strict=True):
        (tmp_path / name).write_text(text(lines), encoding="utf-8")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "s.log").write_text(text(ONE), encoding="utf-8")
    paths = [tmp_path / name for name in names]
    assert essence(story(*paths)[0]) == essence(story(tmp_path / "whole")[0])


def test_files_that_only_look_as_if_they_were_rotated_are_servers_of_their_own(tmp_path: Path) -> None:
    for number, lines in enumerate((ONE, TWO, THREE), 1):
        (tmp_path / f"consul.log.{number}").write_text(text(lines), encoding="utf-8")
    told, _ = story(tmp_path)
    assert told.servers == ["consul.log.1", "consul.log.2", "consul.log.3"]


def test_the_same_file_twice_is_one_log(tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text(text(ONE), encoding="utf-8")
    told, _ = story(tmp_path, tmp_path / "n1.log", f"{tmp_path}/./n1.log")
    assert len(told.events) == len(ONE)


def test_two_logs_of_one_address_one_behind_the_other_are_one_servers(tmp_path: Path) -> None:
    for name, lines in (("monday.txt", ONE[:5]), ("tuesday.txt", ONE[5:])):
        (tmp_path / name).write_text(text(lines), encoding="utf-8")
    told, notes = story(tmp_path)
    assert told.servers == ["monday"]
    assert "are of one server, 10.0.0.1:8300, one behind the other" in notes[0]


def test_two_logs_of_one_address_at_the_same_time_are_told_as_such(tmp_path: Path) -> None:
    for name, lines in (("a.txt", ONE), ("b.txt", [said.replace("Z [", "9Z [") for said in ONE])):
        (tmp_path / name).write_text(text(lines), encoding="utf-8")
    _, notes = story(tmp_path)
    assert "are both of 10.0.0.1:8300, at the same time" in notes[0]


def test_the_user_says_whose_a_log_is(tmp_path: Path) -> None:
    for number, lines in enumerate((ONE, TWO, THREE)):
        (tmp_path / f"{number}.log").write_text(text(lines), encoding="utf-8")
    called = {"0.log": "anna", str(tmp_path / "1.log"): "bert"}
    assert story(tmp_path, called=called)[0].servers == ["2", "anna", "bert"]


def test_two_files_of_one_name_that_the_user_gave_are_one_servers(tmp_path: Path) -> None:
    for name, lines in (("x.log", ONE[4:]), ("y.log", ONE[:4])):
        (tmp_path / name).write_text(text(lines), encoding="utf-8")
    told, _ = story(tmp_path, called={"x.log": "anna", "y.log": "anna"})
    assert told.servers == ["anna"]
    assert [election.outcome for election in told.elections] == ["won"]


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["n1.log"], "names no server"),
        (["n1.log="], "names no server"),
        (["=anna"], "names no server"),
        (["n1.log=an\x1bna"], "names no server"),
        (["n1.log=anna", "n1.log=bert"], "cannot be both anna and bert"),
        (["gone.log=anna"], "no log of that name is read. There are .*n1.log"),
        (["consul.log=anna"], "2 logs have that name"),
    ],
)
def test_a_name_for_what_is_not_there_is_wrong_usage(tmp_path: Path, pairs: list[str], words: str) -> None:
    for name in ("n1.log", "a/consul.log", "b/consul.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text(ONE), encoding="utf-8")
    paths = [tmp_path / name for name in ("n1.log", "a/consul.log", "b/consul.log")]
    with pytest.raises(LabctlError, match=words) as caught:
        story(*paths, called=flow.called(pairs))
    assert caught.value.code is ExitCode.USAGE


def of_container(name: str, lines: list[str]) -> list[str]:
    return [f"{name}  | {line}" for line in lines]


def test_containers_of_two_machines_that_are_called_alike_are_two_servers(tmp_path: Path) -> None:
    for host, lines in (("hosta", ONE), ("hostb", TWO)):
        (tmp_path / f"{host}.txt").write_text(text(of_container("consul_1", lines)), encoding="utf-8")
    assert story(tmp_path)[0].servers == ["hosta", "hostb"]


def of_machine(name: str, lines: list[str]) -> list[str]:
    return [f"Jan 08 {line[11:19]} {name} consul[812]: {line}" for line in lines]


def test_the_log_of_one_machine_is_called_after_it(tmp_path: Path) -> None:
    for number, lines in enumerate((ONE, TWO), 1):
        (tmp_path / f"jc-{number}.txt").write_text(text(of_machine(f"ip-10-0-1-{number}", lines)), encoding="utf-8")
    assert story(tmp_path)[0].servers == ["ip-10-0-1-1", "ip-10-0-1-2"]


@pytest.mark.parametrize("host", ["localhost", "f0e1d2c3b4a5"])
def test_a_machine_without_a_name_of_its_own_is_called_after_its_file(tmp_path: Path, host: str) -> None:
    (tmp_path / "consul1.log").write_text(text(of_machine(host, ONE)), encoding="utf-8")
    assert story(tmp_path)[0].servers == ["consul1"]


def mixed() -> list[str]:
    return sorted([*ONE, *TWO])


def test_a_log_of_two_servers_without_names_is_told_apart_where_its_lines_say_so(tmp_path: Path) -> None:
    (tmp_path / "two.log").write_text(text(mixed()), encoding="utf-8")
    told, notes = story(tmp_path / "two.log")
    assert told.servers == ["10.0.0.1:8300", "10.0.0.2:8300"]
    assert [(event.server, event.event) for event in told.events if event.event == "candidate_entered"] == [
        ("10.0.0.1:8300", "candidate_entered"), ("10.0.0.2:8300", "candidate_entered"),
    ]  # fmt: skip
    assert not any(event.event == "heartbeat_timeout" for event in told.events)
    assert notes == [
        (
            f"{tmp_path / 'two.log'} is of 2 servers (10.0.0.1:8300, 10.0.0.2:8300) and does not say whose a line is. "
            "Only the lines in which a server names itself are told of it: give each server a file of its own."
        )
    ]


RESTART = [
    "2024-01-08T11:43:00.000Z [INFO]  agent.server.raft: initial configuration: index=1 servers=[]",
    (
        '2024-01-08T11:43:00.001Z [INFO]  agent.server.raft: entering follower state: follower="Node at 10.0.0.9:8300 '
        '[Follower]" leader-address= leader-id='
    ),
    (
        '2024-01-08T11:43:10.001Z [INFO]  agent.server.raft: entering candidate state: node="Node at 10.0.0.9:8300 '
        '[Candidate]" term=9'
    ),
]


def test_a_log_in_which_a_server_refuses_itself_is_of_two(tmp_path: Path) -> None:
    refuses = "rejecting vote request since we have a leader: from=10.0.0.1:8300 leader=10.0.0.2:8300"
    (tmp_path / "b1.log").write_text(text([*ONE[1:3], line("25.000", "WARN", refuses)]), encoding="utf-8")
    told, notes = story(tmp_path / "b1.log")
    assert all(event.event != "vote_rejected_by_me" for event in told.events)
    assert "b1.log is of 10.0.0.1:8300 and of another server, and does not say whose a line is. Only" in notes[0]


def test_a_server_that_has_another_address_after_a_restart_is_one_server(tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text(text([*ONE, *RESTART]), encoding="utf-8")
    told, notes = story(tmp_path / "n1.log")
    assert (told.servers, notes) == (["n1"], [])
    (tmp_path / "n1.log").write_text(text([*ONE, *RESTART[1:]]), encoding="utf-8")
    assert "is of 2 servers (10.0.0.1:8300, 10.0.0.9:8300)" in story(tmp_path / "n1.log")[1][0]


def test_two_servers_that_are_started_again_one_after_the_other_are_two(tmp_path: Path) -> None:
    back = [line.replace("T11:43", "T11:44").replace("0.9:8300", "0.1:8300") for line in RESTART]
    (tmp_path / "all.log").write_text(text([*ONE, *RESTART, *back]), encoding="utf-8")
    told, notes = story(tmp_path / "all.log")
    assert told.servers == ["10.0.0.1:8300", "10.0.0.9:8300"]
    assert "is of 2 servers (10.0.0.1:8300, 10.0.0.9:8300)" in notes[0]


def test_logs_that_were_put_one_behind_the_other_are_not_one_servers(tmp_path: Path) -> None:
    begins = [
        f"{lines[0][:24]} [INFO]  agent.server.raft: initial configuration: index=1 servers=[]" for lines in (ONE, TWO)
    ]
    (tmp_path / "cat.txt").write_text(text([begins[0], *ONE, begins[1], *TWO]), encoding="utf-8")
    told, notes = story(tmp_path / "cat.txt")
    assert told.servers == ["10.0.0.1:8300", "10.0.0.2:8300"]
    assert any("is of 2 servers (10.0.0.1:8300, 10.0.0.2:8300)" in note for note in notes)


def test_newest_first_a_server_that_has_another_address_after_a_restart_is_one_too(tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text(text([*ONE, *RESTART][::-1]), encoding="utf-8")
    told, notes = story(tmp_path / "n1.log")
    assert told.servers == ["n1"]
    assert [note for note in notes if "servers" in note] == []


def test_members_of_an_archive_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    path = tmp_path / "lab.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, lines in LOGS.items():
            (tmp_path / f"{name}.log").write_text(text(lines), encoding="utf-8")
            archive.add(tmp_path / f"{name}.log", f"logs/{name}.log")
    assert story(path)[0].servers == ["n1", "n2", "n3"]


TAGGED = {
    "fluentd": "2024-01-08 11:42:59.000000000 +0000 {}: {}",
    "fluent-bit": "[0] {}: [[1704714179.123456, {{}}], {}]",
    "an older fluent-bit": "[0] {}: [1704714179.123456, {}]",
}


def tagged(form: str, tag: str, lines: list[str]) -> list[str]:
    return [TAGGED[form].format(tag, json.dumps({"log": f"{line}\n", "stream": "stdout"})) for line in lines]


@pytest.mark.parametrize("form", TAGGED)
@pytest.mark.parametrize("tag", ["kube.consul", "docker.abc", "consul.log"])
def test_a_tag_that_all_lines_have_names_no_server(tmp_path: Path, form: str, tag: str) -> None:
    (tmp_path / "n1.log").write_text(text(tagged(form, tag, ONE)), encoding="utf-8")
    assert {event.server for event in story(tmp_path / "n1.log")[0].events} == {"n1"}


@pytest.mark.parametrize("form", TAGGED)
def test_tags_that_tell_servers_apart_name_them(tmp_path: Path, form: str) -> None:
    content = "".join(text(tagged(form, f"kube.{name}", lines)) for name, lines in LOGS.items())
    (tmp_path / "all.log").write_text(content, encoding="utf-8")
    assert {event.server for event in story(tmp_path / "all.log")[0].events} == {"kube.n1", "kube.n2", "kube.n3"}


@pytest.mark.parametrize("form", TAGGED)
def test_tags_by_level_make_no_servers_of_one(tmp_path: Path, form: str) -> None:
    first = ONE[0].replace("[INFO]", "[WARN]")
    lines = [
        tagged_line
        for line in (first, *ONE)
        for tagged_line in tagged(form, "consul.warn" if "[WARN]" in line else "consul", [line])
    ]
    (tmp_path / "n1.log").write_text(text(lines), encoding="utf-8")
    assert {event.server for event in story(tmp_path / "n1.log")[0].events} == {"n1"}


@pytest.mark.parametrize("form", TAGGED)
def test_one_tag_of_several_servers_tells_only_those_that_name_themselves(tmp_path: Path, form: str) -> None:
    content = "".join(text(tagged(form, "kube.x", sorted(line for lines in LOGS.values() for line in lines))))
    (tmp_path / "all.log").write_text(content, encoding="utf-8")
    told, notes = story(tmp_path / "all.log")
    assert {event.server for event in told.events} == {f"10.0.0.{number}:8300" for number in (1, 2, 3)}
    assert any("does not say whose a line is" in note for note in notes)


def test_of_a_server_whose_lines_are_told_in_part_nobody_knows_that_it_fell_silent(tmp_path: Path) -> None:
    # No line says whose it is, so that of who gives up is not told.
    lines = [*ONE[:6], TWO[2], *TWO[4:]]
    (tmp_path / "all.log").write_text(text(lines), encoding="utf-8")
    told, _ = story(tmp_path / "all.log")
    assert [(leadership.server, leadership.ended_by, leadership.until) for leadership in told.leaders] == [
        ("10.0.0.1:8300", "unknown", None),
        ("10.0.0.2:8300", None, None),
    ]


COPIES: dict[str, Callable[[bytes], bytes]] = {
    "the same": lambda content: content,
    "packed": gzip.compress,
    "an older one": lambda content: content[: len(content) // 2 + 7],
    "an older one, packed": lambda content: gzip.compress(content[: len(content) // 2 + 7]),
}


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("name", ["a-copy.log", "n1.log.orig", "backup/n1.log", "zzz"])
def test_a_copy_of_a_log_is_no_server(tmp_path: Path, copied: str, name: str) -> None:
    for server, lines in LOGS.items():
        (tmp_path / f"{server}.log").write_text(text(lines), encoding="utf-8")
    right = essence(story(tmp_path)[0])
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(COPIES[copied](text(ONE).encode()))
    told, notes = story(tmp_path)
    assert essence(told) == right
    assert len([note for note in notes if "left out" in note]) == 1


def test_two_logs_that_begin_alike_and_go_on_differently_are_two(tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text(text(ONE), encoding="utf-8")
    (tmp_path / "other.log").write_text(text([*ONE[:4], ONE[6].replace("44.502", "24.300")]), encoding="utf-8")
    told, notes = story(tmp_path)
    assert {event.server for event in told.events} == {"n1", "other"}
    assert any("both of 10.0.0.1:8300" in note for note in notes)


def test_two_servers_that_say_the_same_are_two_where_neither_names_itself(tmp_path: Path) -> None:
    for name in ("n2", "n3"):
        (tmp_path / f"{name}.log").write_text(f"{THREE[1]}\n", encoding="utf-8")
    assert {event.server for event in story(tmp_path)[0].events} == {"n2", "n3"}
