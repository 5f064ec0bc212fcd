"""The command line and the settings of a Consul server, per version."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from labctl.shared import credentials
from labctl.shared.lab_spec import RAFT_MULTIPLIER, LabSpec
from plugins.filter.consul_agent import (
    FilterModule,
    agent_arguments,
    agent_environment,
    agent_settings,
    agent_tokens,
    parse_version,
)
from plugins.module_utils.shared.consul_versions import KNOWN, Row, knows

VERSIONS = [
    *["0.5.2", "0.6.0", "0.6.4", "0.7.0", "0.7.4", "0.7.5", "0.8.0", "0.8.1", "0.8.4", "0.8.5", "0.9.4"],
    *["1.0.0-rc1", "1.0.0", "1.8.7", "1.9.0", "1.21.4", "1.21.4+ent", "2.0.3", "9.9.9"],
]
NODE_ID = "8d1b6c0e-0000-4000-8000-000000000001"


def arguments(version: str, **changed: Any) -> list[str]:
    options = {
        "node": "consul1",
        "servers": 3,
        "bind": "${CONSUL1_ADDRESS}",
        "datacenter": "ada",
        "node_id": NODE_ID,
    }
    return agent_arguments(version, **{**options, **changed})


def spec(version: str) -> dict[str, Any]:
    """What the role hands to the filters."""
    return asdict(LabSpec(version=version))


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def hcl(words: list[str]) -> list[str]:
    return [after for word, after in itertools.pairwise(words) if word == "-hcl"]


def test_consul_1_21_is_started_with_exactly_these_words() -> None:
    assert arguments("1.21.4") == [
        *["agent", "-server", "-bootstrap-expect", "3"],
        *["-data-dir", "/consul/data", "-config-dir", "/consul/config"],
        *["-node", "consul1", "-bind", "${CONSUL1_ADDRESS}", "-client", "0.0.0.0"],  # noqa: S104 - inside a lab's own network
        *["-datacenter", "ada", "-log-level", "debug", "-ui"],
        *["-hcl", "leave_on_terminate = false", "-hcl", "skip_leave_on_interrupt = true"],
        *["-hcl", "disable_update_check = true", "-hcl", "performance { raft_multiplier = 1 }"],
        *["-hcl", "autopilot { cleanup_dead_servers = false }"],
    ]
    assert agent_settings("1.21.4") == {}


def test_consul_0_5_2_the_version_of_the_old_demo_is_started_with_exactly_these_words() -> None:
    assert arguments("0.5.2") == [
        *["agent", "-server", "-bootstrap-expect", "3"],
        *["-data-dir", "/consul/data", "-config-dir", "/consul/config"],
        *["-node", "consul1", "-bind", "${CONSUL1_ADDRESS}", "-client", "0.0.0.0"],  # noqa: S104 - inside a lab's own network
        *["-dc", "ada", "-log-level", "debug"],
    ]
    assert agent_settings("0.5.2", pace="teach") == {
        "leave_on_terminate": False,
        "skip_leave_on_interrupt": True,
        "disable_update_check": True,
    }


@pytest.mark.parametrize(
    ("flag", "first", "last"),
    [
        ("-dc", "0.5.2", "0.9.4"),
        ("-datacenter", "1.0.0-rc1", "9.9.9"),
        ("-ui", "0.6.0", "9.9.9"),
        ("-node-id", "0.7.5", "0.8.0"),
        ("-disable-host-node-id", "0.8.1", "0.8.4"),
        ("-hcl", "1.0.0-rc1", "9.9.9"),
    ],
)
def test_a_flag_is_given_to_the_versions_that_know_it_and_to_no_other(flag: str, first: str, last: str) -> None:
    given_to = [version for version in VERSIONS if flag in arguments(version)]
    assert given_to == VERSIONS[VERSIONS.index(first) : VERSIONS.index(last) + 1]


@pytest.mark.parametrize(("block", "first"), [("performance", "0.7.0"), ("autopilot", "0.8.0")])
def test_before_1_0_a_block_stands_in_the_file_of_the_versions_that_know_it(block: str, first: str) -> None:
    in_file = [version for version in VERSIONS if block in agent_settings(version)]
    assert in_file == VERSIONS[VERSIONS.index(first) : VERSIONS.index("0.9.4") + 1]


@pytest.mark.parametrize("pace", RAFT_MULTIPLIER)
def test_the_pace_is_consuls_raft_multiplier_wherever_it_can_be_set(pace: str) -> None:
    multiplier = {"real": 1, "teach": 5}[pace]
    assert agent_settings("0.7.0", pace=pace)["performance"] == {"raft_multiplier": multiplier}
    assert f"performance {{ raft_multiplier = {multiplier} }}" in hcl(arguments("1.8.7", pace=pace))
    assert arguments("0.6.4", pace=pace) == arguments("0.6.4")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_told_once_to_keep_dead_servers_where_it_would_remove_them(version: str) -> None:
    in_words = "autopilot { cleanup_dead_servers = false }" in hcl(arguments(version))
    in_file = agent_settings(version).get("autopilot") == {"cleanup_dead_servers": False}
    assert (in_words + in_file) == (parse_version(version) >= (0, 8, 0))


def test_the_node_id_is_the_one_given_and_otherwise_its_own_for_each_server_of_each_lab() -> None:
    assert option(arguments("0.8.0"), "-node-id") == NODE_ID
    derived = {
        option(arguments("0.8.0", node_id=None, node=node, datacenter=datacenter), "-node-id")
        for node in ("consul1", "consul2")
        for datacenter in ("ada", "ben")
    }
    assert len(derived) == 4
    assert arguments("0.7.5", node_id=None) == arguments("0.7.5", node_id=None)


def test_a_single_server_expects_itself_alone() -> None:
    assert option(arguments("1.8.7", servers=1), "-bootstrap-expect") == "1"


def test_a_newer_version_than_any_works_as_the_newest_known() -> None:
    assert arguments("99.0.0") == arguments("2.0.3") == arguments("1.21.4+ent")


def test_a_release_candidate_knows_what_its_release_knows() -> None:
    assert arguments("1.0.0-rc1") == arguments("1.0.0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "1.8",
        "1.8.7.1",
        "1.8.7 ",
        "1.8.7\n",
        "-1.8.7",
        "1.8.x",
        "\u0661.\u0668.\u0667",
        "1.8.7-",
        "v",
        "../x",
        "1" * 5000,
    ],
)
def test_what_is_not_a_version_is_refused_in_one_short_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a version of Consul: .* such as 1\.21\.4\.$") as refused:
        arguments(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_number_that_yaml_made_of_a_version_is_refused_as_well() -> None:
    with pytest.raises(ValueError, match=r"^1\.9 is not a version"):
        agent_settings(1.9)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["0.5.1", "0.4.0", "0.0.0"])
def test_a_version_older_than_the_old_demos_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"too old for a lab: give 0\.5\.2 or newer"):
        arguments(text)


@pytest.mark.parametrize("servers", [0, -3, "3", True, 2.5, None])
def test_a_size_that_is_not_a_positive_whole_number_is_refused(servers: Any) -> None:
    with pytest.raises(ValueError, match="is not a number of servers"):
        arguments("1.8.7", servers=servers)


@pytest.mark.parametrize("version", ["0.5.2", "0.9.4", "1.8.7"])
def test_an_unknown_pace_is_refused_by_every_version(version: str) -> None:
    with pytest.raises(ValueError, match="'fast' is not a pace: choose one of real, teach"):
        arguments(version, pace="fast")
    with pytest.raises(ValueError, match="'fast' is not a pace"):
        agent_settings(version, pace="fast")


def test_ansible_gets_the_sentence_as_a_filter_error() -> None:
    filters = FilterModule().filters()
    with pytest.raises(AnsibleFilterError, match="'latest' is not a version of Consul"):
        filters["consul_agent_arguments"](spec("latest"), node="consul1", bind="10.0.0.2", datacenter="ada")
    with pytest.raises(AnsibleFilterError, match="'latest' is not a version of Consul"):
        filters["consul_agent_settings"](spec("latest"))
    assert filters["consul_agent_settings"](spec("0.7.0"))["performance"] == {"raft_multiplier": 5}
    words = filters["consul_agent_arguments"](spec("1.8.7"), node="consul1", bind="10.0.0.2", datacenter="ada")
    assert words == arguments("1.8.7", bind="10.0.0.2", pace="teach")


def test_the_table_never_knows_a_thing_twice_at_one_version() -> None:
    def overlap(row: Row, other: Row) -> bool:
        return knows(max(row.since, other.since), row.what) and (other.until is None or row.since < other.until)

    for position, row in enumerate(KNOWN):
        assert row.until is None or row.since < row.until
        assert not any(other.what == row.what and overlap(row, other) for other in KNOWN[position + 1 :])


versions = st.tuples(*[st.integers(0, 30)] * 3).filter(lambda version: version >= (0, 5, 2))


@given(
    version=versions,
    pace=st.sampled_from(sorted(RAFT_MULTIPLIER)),
    suffix=st.sampled_from(["", "+ent", "-rc1"]),
)
def test_every_version_gets_words_that_say_each_thing_once(
    version: tuple[int, int, int], pace: str, suffix: str
) -> None:
    text = ".".join(map(str, version)) + suffix
    words = arguments(text, pace=pace)
    flags = [word for word in words if word.startswith("-") and word != "-hcl"]
    assert len(flags) == len(set(flags))
    assert ("-dc" in words) != ("-datacenter" in words)
    assert all(isinstance(word, str) and word for word in words)
    settings = agent_settings(text, pace=pace)
    assert bool(settings) != bool(hcl(words))
    assert json.loads(json.dumps(settings)) == settings


@given(text=st.text())
def test_any_text_is_a_version_or_a_value_error(text: str) -> None:
    try:
        version = parse_version(text)
    except ValueError as error:
        assert str(error).endswith("such as 1.21.4.")  # noqa: PT017 - most texts end here, some do not
    else:
        assert version >= (0, 5, 2)


# -- profiles ------------------------------------------------------------------------------------------------


def test_the_folder_is_the_one_that_labctl_and_the_modules_know() -> None:
    environment = agent_environment("1.21.4", datacenter="ada", profile="full")
    assert environment["CONSUL_CACERT"] == "/consul/config/access/ca.pem"
    assert environment["CONSUL_HTTP_TOKEN_FILE"] == f"{credentials.FOLDER}/token"


@pytest.mark.parametrize("version", VERSIONS)
def test_open_and_gossip_differ_in_a_file_only(version: str) -> None:
    assert arguments(version, profile="open") == arguments(version, profile="gossip") == arguments(version)
    assert agent_tokens(version, profile="gossip") == agent_tokens(version, profile="open") == {}
    assert agent_environment(version, profile="gossip", datacenter="ada") == {}


def added_by_full(version: str) -> list[str]:
    plain, full = hcl(arguments(version)), hcl(arguments(version, profile="full"))
    assert full[: len(plain)] == plain
    return full[len(plain) :]


FILES = (
    'ca_file = "/consul/config/access/ca.pem"',
    'cert_file = "/consul/config/access/server.pem"',
    'key_file = "/consul/config/access/server-key.pem"',
    "verify_outgoing = true",
)
PORTS_AND_ACL = ["ports { http = -1 https = 8501 }", 'acl { enabled = true default_policy = "deny" }']


@pytest.mark.parametrize("version", ["1.4.1", "1.8.7", "1.11.0", "1.11.11"])
def test_before_1_12_full_is_these_settings(version: str) -> None:
    assert added_by_full(version) == [
        *PORTS_AND_ACL,
        *FILES,
        "verify_incoming_rpc = true",
        "verify_server_hostname = true",
    ]


@pytest.mark.parametrize("version", ["1.12.0", "1.21.4", "2.0.3"])
def test_from_1_12_on_full_has_the_stanza_tls(version: str) -> None:
    rpc = "internal_rpc { verify_incoming = true verify_server_hostname = true }"
    assert added_by_full(version) == [*PORTS_AND_ACL, f"tls {{ defaults {{ {' '.join(FILES)} }} {rpc} }}"]


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("1.4.1", {"master": "token", "agent": "token", "agent_master": "recovery_token"}),
        ("1.10.12", {"master": "token", "agent": "token", "agent_master": "recovery_token"}),
        ("1.11.0", {"initial_management": "token", "agent": "token", "agent_recovery": "recovery_token"}),
        ("1.21.4", {"initial_management": "token", "agent": "token", "agent_recovery": "recovery_token"}),
    ],
)
def test_a_token_has_the_name_that_its_version_gives_it(version: str, names: dict[str, str]) -> None:
    assert agent_tokens(version, profile="full") == names


@pytest.mark.parametrize("version", ["0.5.2", "1.3.1", "1.4.0"])
def test_a_version_without_consul_tls_cannot_be_full_and_says_so_by_having_no_token(version: str) -> None:
    assert agent_tokens(version, profile="full") == {}
    assert agent_environment(version, profile="full", datacenter="ada") == {}
    assert arguments(version, profile="full") == arguments(version)


def test_consul_finds_its_agent_by_paths_and_names_alone() -> None:
    assert agent_environment("1.8.7", profile="full", datacenter="ada") == {
        "CONSUL_HTTP_ADDR": "https://127.0.0.1:8501",
        "CONSUL_CACERT": f"{credentials.FOLDER}/{credentials.AUTHORITY}",
        "CONSUL_TLS_SERVER_NAME": credentials.server_name("ada"),
        "CONSUL_HTTP_TOKEN_FILE": f"{credentials.FOLDER}/{credentials.TOKEN}",
        "GODEBUG": "http2client=0",
    }


def test_what_is_no_profile_is_refused() -> None:
    for function in (agent_tokens, lambda version, profile: arguments(version, profile=profile)):
        with pytest.raises(ValueError, match="'half' is not a profile: choose one of open, gossip, full"):
            function("1.8.7", profile="half")
