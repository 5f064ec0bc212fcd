"""What a lab may be called, and what its parts are called."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.shared import lab_names

GOOD = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize("name", ["ada", "a", "0", "raft-101", "a--b", "x" * 63])
def test_these_can_be_names(name: str) -> None:
    assert lab_names.name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        ("x" * 64, "64 characters"),
        ("../x", "a-z"),
        ("-x", "begin"),
        ("x-", "end"),
        ("a b", "a-z"),
        ("Ada", "a-z"),
        ("ada\n", "a-z"),
        ("a.b", "a-z"),
        ("🚀", "a-z"),
        ("٣", "a-z"),
    ],
)
def test_these_cannot_and_the_reason_is_said(name: str, says: str) -> None:
    problem = lab_names.name_problem(name)
    assert problem is not None
    assert says in problem


def test_a_refused_name_is_shown_without_what_a_terminal_would_obey() -> None:
    sentence = lab_names.name_sentence("a\x1b[2Jb\n🚀", "it is odd")
    assert sentence.isascii()
    assert sentence.isprintable()
    assert r"\x1b[2Jb\n\U0001f680" in sentence


def test_a_refused_name_that_is_long_is_cut() -> None:
    assert len(lab_names.name_sentence("x" * 10_000, "it is long")) < 200


@given(st.text(max_size=80))
def test_a_name_is_good_exactly_where_compose_dns_and_docker_agree(name: str) -> None:
    label = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
    assert (lab_names.name_problem(name) is None) == bool(label.fullmatch(name))


@given(st.text(max_size=120))
def test_every_login_name_gives_a_good_name(user: str) -> None:
    assert lab_names.name_problem(lab_names.name_from_user(user)) is None


@pytest.mark.parametrize(
    ("user", "name"), [("ada", "ada"), ("Ada.Lovelace", "ada-lovelace"), ("_www", "www"), ("", "lab"), ("日本", "lab")]
)
def test_a_lab_is_named_after_its_user(user: str, name: str) -> None:
    assert lab_names.name_from_user(user) == name


def test_a_login_name_that_is_too_long_is_cut_without_a_dash_at_its_end() -> None:
    assert lab_names.name_from_user("a" * 62 + "-bcd") == "a" * 62


@given(st.lists(GOOD, min_size=2, max_size=6, unique=True))
def test_two_labs_never_share_a_container_a_volume_or_a_network(labs: list[str]) -> None:
    containers = [lab_names.container_name(lab, server) for lab in labs for server in lab_names.server_names(7)]
    # Data volumes are named as the containers.
    volumes = containers + [lab_names.config_volume_name(lab) for lab in labs]
    networks = [lab_names.project_name(lab) for lab in labs]
    for names in (volumes, networks):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("servers", [1, 3, 5, 7])
def test_a_lab_has_an_odd_number_of_servers(servers: int) -> None:
    assert lab_names.size_problem(servers) is None
    assert len(lab_names.server_names(servers)) == servers


@pytest.mark.parametrize("servers", [-1, 0, 2, 4, 6, 8, 9])
def test_other_sizes_are_refused_by_name(servers: int) -> None:
    assert f"{servers} servers" in str(lab_names.size_problem(servers))


def test_servers_are_numbered_from_one() -> None:
    assert lab_names.server_names(3) == ["consul1", "consul2", "consul3"]


def test_the_names_that_other_programs_rely_on() -> None:
    assert lab_names.project_name("ada") == "labctl-ada"
    assert lab_names.container_name("ada", "consul1") == "labctl-ada-consul1"
    assert lab_names.config_volume_name("ada") == "labctl-ada-config"
