"""A request for `labctl up`, and how it changes an existing lab."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labctl.engine import labs
from labctl.errors import ExitCode, LabctlError
from labctl.lab.desired_state import (
    UpOptions,
    completed,
    differences,
    refuse_foreign,
    refuse_options,
    refuse_profile,
    wanted_of,
)
from labctl.shared.lab_spec import LabSpec
from tests.unit import engine_stand_in as stand_in

LAB = labs.labs_from(stand_in.lab("ada", labels={"raft-labctl.http-port": "18500"}), "local")[0]
AS_IT_IS = LabSpec(servers=3, pace="teach", version="1.8.7", http_port=18500)
ASKED = UpOptions("ada", "ada")


def test_a_new_lab_gets_the_defaults() -> None:
    assert wanted_of(ASKED, None) == LabSpec(servers=3, pace="teach", version="", http_port=0)


def test_what_is_not_said_stays_as_the_lab_has_it() -> None:
    assert wanted_of(ASKED, LAB) == AS_IT_IS
    assert differences(LAB, wanted_of(ASKED, LAB)) == []


def test_what_is_said_counts() -> None:
    asked = replace(ASKED, given={"servers": 5, "pace": "real", "version": "1.21.4", "http_port": 0})
    assert wanted_of(asked, LAB) == LabSpec(servers=5, pace="real", version="1.21.4", http_port=0)
    assert wanted_of(asked, None) == LabSpec(servers=5, pace="real", version="1.21.4", http_port=0)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (replace(AS_IT_IS, pace="real"), "pace teach becomes real: all servers are made again"),
        (replace(AS_IT_IS, version="1.21.4"), "Consul 1.8.7 becomes 1.21.4"),
        (replace(AS_IT_IS, http_port=9500), "HTTP port of consul1 becomes 9500"),
        (replace(AS_IT_IS, http_port=0), "becomes one that Docker chooses"),
        (replace(AS_IT_IS, servers=7), "consul4, consul5, consul6, consul7 join, so 7 servers vote"),
        (replace(AS_IT_IS, servers=1), "consul2, consul3 leave the cluster, and their data is removed"),
    ],
)
def test_each_change_is_one_sentence(wanted: LabSpec, says: str) -> None:
    (sentence,) = differences(LAB, wanted)
    assert says in sentence


def test_no_version_is_no_change() -> None:
    assert differences(LAB, replace(AS_IT_IS, version="")) == []


def test_servers_that_are_gone_or_stopped_are_changes() -> None:
    first, _, third = LAB.servers
    lab = replace(LAB, servers=(first, replace(third, state="exited")))
    assert differences(lab, AS_IT_IS) == [
        "consul2 is gone: it is made again",
        "consul3 has exited: it is started",
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (replace(ASKED, lab="../x"), "name of a lab"),
        *((replace(ASKED, given={"servers": number}), f"{number} servers") for number in (-1, 0, 2, 4, 9)),
    ],
)
def test_what_cannot_be_is_wrong_usage(options: UpOptions, says: str) -> None:
    with pytest.raises(LabctlError, match=says) as caught:
        refuse_options(options)
    assert caught.value.code is ExitCode.USAGE


@pytest.mark.parametrize(
    "subnet",
    [
        *("0.0.0.0/0", "224.0.0.0/28", "127.0.0.0/8", "169.254.0.0/16", "240.0.0.0/4", "8.8.8.0/24", "::/0"),
        *("fd00::/64", "", "ten", "10.213.7.1/28", "10.213.7.0/29", "9" * 10_000),
    ],
)
@pytest.mark.parametrize("option", ["subnet", "subnet_pool"])
def test_addresses_that_no_lab_can_have_are_wrong_usage(option: str, subnet: str) -> None:
    asked: dict[str, Any] = {option: subnet}
    with pytest.raises(LabctlError, match=f"Cannot use the addresses of --{option.replace('_', '-')} ") as caught:
        refuse_options(replace(ASKED, **asked))
    assert caught.value.code is ExitCode.USAGE
    assert len(caught.value.sentence) < 250


@pytest.mark.parametrize("version", ["", "1.21", "newest", "1.21.4 ", "9" * 10_000, 1.21, ["1.21.4"]])
def test_what_is_no_version_is_wrong_usage(version: Any) -> None:
    with pytest.raises(LabctlError, match="is not a version of Consul") as caught:
        refuse_options(replace(ASKED, given={"version": version}))
    assert caught.value.code is ExitCode.USAGE
    assert len(caught.value.sentence) < 150
    refuse_options(replace(ASKED, given={"version": "1.22.0-rc1+ent"}))
    refuse_options(replace(ASKED, given={"version": "v1.8.7"}))


@pytest.mark.parametrize("option", ["subnet", "subnet_pool"])
def test_private_addresses_are_not_refused(option: str) -> None:
    for subnet in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "10.213.7.16/28"):
        asked: dict[str, Any] = {option: subnet}
        refuse_options(replace(ASKED, **asked))


@pytest.mark.parametrize("given", ["x", [1], {"a": 1}, True, 1.5, -1, 65536, 16**3000])
def test_what_an_inventory_has_in_the_place_of_a_number_is_wrong_usage(given: object) -> None:
    for option in ("servers", "http_port"):
        with pytest.raises(LabctlError, match=r"consul_lab_(servers|http_port)|cannot have") as caught:
            refuse_options(completed(ASKED, {f"consul_lab_{option}": given}))
        assert caught.value.code is ExitCode.USAGE
        assert len(caught.value.sentence) < 300


def test_a_number_that_an_inventory_writes_as_a_text_is_one() -> None:
    up_options = completed(ASKED, {"consul_lab_servers": "3", "consul_lab_http_port": "21000"})
    refuse_options(up_options)
    assert up_options.given == {"servers": 3, "http_port": 21000}


def test_what_can_be_is_not_refused() -> None:
    for servers in (None, 1, 3, 5, 7):
        refuse_options(replace(ASKED, given={"servers": servers}))


def test_a_lab_of_somebody_else_is_refused() -> None:
    with pytest.raises(LabctlError, match="belongs to ada, not to bob, so nothing was changed") as caught:
        refuse_foreign(LAB, "bob")
    assert caught.value.code is ExitCode.REFUSED
    refuse_foreign(LAB, "ada")
    refuse_foreign(None, "bob")


def test_what_the_user_did_not_ask_for_is_taken_from_the_inventory() -> None:
    variables = {
        "consul_lab_servers": 5,
        "consul_lab_pace": "real",
        "consul_lab_http_port": 9500,
        "consul_image_version": "1.21.4",
        "consul_image_source": "registry",
        "consul_lab_subnet": "10.213.7.0/28",
        "consul_lab_subnet_pool": "10.214.0.0/16",
        "consul_lab_owner": "somebody",
    }
    up_options = completed(replace(ASKED, given={"servers": 7}), variables)
    assert up_options == replace(
        ASKED,
        given={"servers": 7, "pace": "real", "http_port": 9500, "version": "1.21.4"},
        image_source="registry",
        subnet="10.213.7.0/28",
        subnet_pool="10.214.0.0/16",
    )


def test_what_an_inventory_leaves_to_ansible_is_not_guessed() -> None:
    assert completed(ASKED, {"consul_image_version": "{{ other }}", "consul_lab_pace": ""}) == ASKED


def test_an_inventory_cannot_bring_a_pace_or_a_source_that_does_not_exist() -> None:
    for wrong in (replace(ASKED, given={"pace": "warp"}), replace(ASKED, image_source="the shop")):
        with pytest.raises(LabctlError, match=r"is not (a pace|an image source): choose") as caught:
            refuse_options(wrong)
        assert caught.value.code is ExitCode.USAGE


# -- profiles ------------------------------------------------------------------------------------------------


def test_a_lab_keeps_its_profile_and_a_new_one_has_a_gossip_key() -> None:
    assert wanted_of(ASKED, None).profile == "gossip"
    assert wanted_of(ASKED, replace(LAB, spec=replace(LAB.spec, profile="full"))).profile == "full"
    assert wanted_of(replace(ASKED, given={"profile": "open"}), None).profile == "open"


def test_another_profile_is_refused_with_what_to_do() -> None:
    lab = replace(LAB, spec=replace(LAB.spec, profile="full"))
    refuse_profile(None, replace(AS_IT_IS, profile="open"))
    refuse_profile(lab, replace(AS_IT_IS, profile="full"))
    with pytest.raises(
        LabctlError, match=r"has the profile full and keeps it.*`labctl down ada`.*profile open"
    ) as caught:
        refuse_profile(lab, replace(AS_IT_IS, profile="open"))
    assert caught.value.code == ExitCode.REFUSED


def test_what_is_no_profile_is_refused() -> None:
    with pytest.raises(LabctlError, match="'half' is not a profile: choose one of open, gossip, full"):
        refuse_options(replace(ASKED, given={"profile": "half"}))
