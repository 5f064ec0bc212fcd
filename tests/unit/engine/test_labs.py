"""Labs are found by their labels: the only state there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from labctl.engine import foreign_labels, labs, status
from labctl.errors import ExitCode, LabctlError
from labctl.lab.desired_state import differences
from labctl.shared.consul_client import ConsulClient
from labctl.shared.docker_api import DockerError
from labctl.shared.lab_spec import LabSpec
from tests.unit import engine_stand_in as stand_in
from tests.unit.engine_stand_in import FakeEngine
from tests.unit.shared.test_credentials import FILES, packed

if TYPE_CHECKING:
    from labctl.engine.client import Client


def client(engine: FakeEngine) -> Client:
    return cast("Client", engine)


def test_containers_are_grouped_into_labs_in_order_of_name() -> None:
    parts = [*stand_in.lab("eve"), *reversed(stand_in.lab("ada")), {"Labels": None}, {"Labels": {"x": "y"}}]
    labs_found = labs.labs_from(parts, "local")
    assert [lab.name for lab in labs_found] == ["ada", "eve"]
    ada = labs_found[0]
    assert [server.name for server in ada.servers] == ["consul1", "consul2", "consul3"]
    assert (ada.owner, ada.spec, ada.host) == ("ada", LabSpec(3, "teach", "gossip", "1.8.7", 0), "local")
    assert (ada.workshop, ada.expires) == ("", None)
    assert ada.created.isoformat() == "2023-11-14T22:13:21+00:00"


def test_a_seat_ends_with_its_workshop() -> None:
    def waiting(workshop: str, expires: str, owner: str = "ada", state: str = "running") -> dict[str, Any]:
        own = {"raft-labctl.reaper": workshop, "raft-labctl.owner": owner, "raft-labctl.expires": expires}
        return {"Labels": own, "State": state}

    parts = [part for name in ("w-01", "x-01") for part in stand_in.lab(name, labels={"raft-labctl.workshop": name[0]})]
    ends = [
        waiting("w", "2026-11-24T18:00:00Z"),
        waiting("w", "2026-11-24T19:00:00Z"),
        waiting("y", "2026"),
        # None of these ends the labs of ada.
        waiting("w", "2026-11-24T20:00:00Z", owner="bob"),
        waiting("x", "2026-11-24T20:00:00Z", owner="bob"),
        waiting("w", "2026-11-24T20:00:00Z", state="exited"),
    ]
    engine = FakeEngine(container_list=[*parts, *stand_in.lab("ada"), *ends])
    assert [(lab.name, lab.expires) for lab in labs.list_labs(client(engine))] == [
        ("ada", None),
        ("w-01", "2026-11-24T19:00:00Z"),
        ("x-01", None),
    ]


def test_a_helper_of_a_lab_is_no_server() -> None:
    helper = stand_in.container("ada", "consul9")
    del helper["Labels"]["raft-labctl.server"]
    assert labs.labs_from([helper], "local") == []


def test_a_server_is_asked_at_its_published_port() -> None:
    (lab,) = labs.labs_from([stand_in.container("ada", "consul1", port=18500)], "local")
    assert lab.servers[0].member.api == ConsulClient(18500)
    assert lab.servers[0].address == "10.213.0.2"


def test_a_server_that_does_not_run_is_not_asked() -> None:
    settings = {"Networks": {"labctl-ada": {"IPAddress": "", "IPAMConfig": {"IPv4Address": "10.213.0.2"}}}}
    container_ = stand_in.container("ada", "consul1", State="exited", port=0, NetworkSettings=settings)
    (lab,) = labs.labs_from([container_], "local")
    assert (lab.servers[0].http_port, lab.servers[0].member.api) == (None, None)
    assert lab.servers[0].address == "10.213.0.2"
    paused = stand_in.container("ada", "consul1", State="paused")
    assert labs.labs_from([paused], "local")[0].servers[0].member.api is None


def test_a_container_without_a_network_has_no_address() -> None:
    container_ = stand_in.container("ada", "consul1", NetworkSettings={"Networks": None}, Ports=None)
    assert labs.labs_from([container_], "local")[0].servers[0].address == ""


def test_what_the_newest_container_says_counts() -> None:
    old = stand_in.container("ada", "consul1", labels={"raft-labctl.pace": "teach"}, Created=1)
    new = stand_in.container("ada", "consul2", labels={"raft-labctl.pace": "real"}, Created=2)
    (lab,) = labs.labs_from([new, old], "local")
    assert lab.spec.pace == "real"
    assert lab.created.timestamp() == 1


def test_what_was_to_replace_a_server_is_none_where_that_is_there_still_and_else_is_the_server() -> None:
    beside, instead = (f"{number:012x}_labctl-ada-consul{number}" for number in (1, 2))
    parts = [
        stand_in.container("ada", "consul1"),
        stand_in.container(
            "ada", "consul1", Names=[f"/{beside}"], State="created", labels={"raft-labctl.pace": "real"}
        ),
        stand_in.container("ada", "consul2", Names=[f"/{instead}"], State="created"),
        stand_in.container("ada", "consul3"),
    ]
    (lab,) = labs.labs_from(parts, "local")
    assert [(server.name, server.container) for server in lab.servers] == [
        ("consul1", "labctl-ada-consul1"),
        ("consul2", instead),
        ("consul3", "labctl-ada-consul3"),
    ]
    assert lab.replacements == (beside, instead)
    # The killed change had got no further than that.
    assert lab.spec.pace == "teach"
    wanted = LabSpec(version="1.8.7")
    assert differences(lab, wanted) == [
        f"{beside} is left of a change that was killed: it is repaired",
        f"{instead} is left of a change that was killed: it is repaired",
        "consul2 was never started: it is started",
    ]


def test_a_lab_that_does_not_say_its_size_is_as_large_as_it_is() -> None:
    parts = stand_in.lab("ada", labels={"raft-labctl.servers": ""})
    assert labs.labs_from(parts, "local")[0].spec.servers == 3


@pytest.mark.parametrize("size", ["three", "²", "20000000", "1" * 5000])
def test_a_container_whose_labels_labctl_never_writes_is_no_server_and_is_told(size: str) -> None:
    odd = stand_in.container("ada", "consul3", Names=["/mine"], labels={"raft-labctl.servers": size})
    (lab,) = labs.labs_from([stand_in.container("ada", "consul1"), odd], "local")
    assert [server.name for server in lab.servers] == ["consul1"]
    assert lab.missing == ["consul2", "consul3"]
    (told,) = foreign_labels.sentences()
    assert told.startswith("The container mine has the label raft-labctl.servers with ")
    assert foreign_labels.sentences() == []


def test_a_server_is_called_consul1_to_consul7_or_is_none() -> None:
    odd = stand_in.container("ada", "consul1", labels={"raft-labctl.server": "../../../../tmp/owned"})
    assert labs.labs_from([odd], "local") == []
    assert "raft-labctl.server with '../../../../tmp/owned'" in foreign_labels.sentences()[0]


def test_only_the_first_strangers_are_named() -> None:
    odd = [stand_in.container("ada", "consul1", Names=[f"/x{n}"], labels={"raft-labctl.pace": "no"}) for n in range(9)]
    labs.labs_from(odd, "local")
    told = foreign_labels.sentences()
    assert len(told) == 4
    assert told[-1].startswith("6 more have such labels")


def test_a_container_that_is_going_may_have_no_name() -> None:
    (lab,) = labs.labs_from([stand_in.container("ada", "consul1", Names=[])], "local")
    assert lab.servers[0].container == "ada-consul1"


def test_missing_and_running_servers_are_told_apart() -> None:
    parts = [stand_in.container("ada", "consul1"), stand_in.container("ada", "consul3", State="exited")]
    (lab,) = labs.labs_from(parts, "local")
    assert lab.missing == ["consul2"]
    assert [server.name for server in lab.running] == ["consul1"]


def test_a_server_that_the_lab_does_not_have_is_wrong_usage() -> None:
    (lab,) = labs.labs_from(stand_in.lab("ada"), "local")
    assert lab.server("consul2").container == "labctl-ada-consul2"
    with pytest.raises(LabctlError, match="no server 'x': it has consul1, consul2, consul3") as caught:
        lab.server("x")
    assert caught.value.code is ExitCode.USAGE


# -- choosing ------------------------------------------------------------------------------------------------


def test_the_only_lab_may_be_left_out() -> None:
    engine = FakeEngine(stand_in.lab("ada"))
    assert labs.choose_lab(client(engine), None).name == "ada"


def test_none_says_how_to_start_one() -> None:
    with pytest.raises(LabctlError, match="`labctl up` starts one") as caught:
        labs.choose_lab(client(FakeEngine()), None)
    assert caught.value.code is ExitCode.FAILED


def test_several_are_listed() -> None:
    engine = FakeEngine([*stand_in.lab("ada"), *stand_in.lab("eve")])
    with pytest.raises(LabctlError, match="ada, eve") as caught:
        labs.choose_lab(client(engine), None)
    assert caught.value.code is ExitCode.USAGE
    assert labs.choose_lab(client(engine), "eve").name == "eve"


def test_the_only_lab_of_mine_may_be_left_out_beside_those_of_others() -> None:
    engine = FakeEngine([*stand_in.lab("ada"), *stand_in.lab("b", labels={"raft-labctl.owner": "bob"})])
    assert labs.choose_lab(client(engine), None, "bob").name == "b"
    assert labs.choose_lab(client(engine), None, "ada").name == "ada"
    # Who has no name has no labs of their own either.
    with pytest.raises(LabctlError, match=r"name the one you mean: ada of ada, b of bob\."):
        labs.choose_lab(client(engine), None)


def test_who_has_no_lab_is_told_so_before_those_of_others() -> None:
    engine = FakeEngine([*stand_in.lab("ada"), *stand_in.lab("b", labels={"raft-labctl.owner": "bob"})])
    with pytest.raises(LabctlError) as caught:
        labs.choose_lab(client(engine), None, "eve")
    assert caught.value.sentence == (
        "You have no lab on this Docker host: `labctl up` starts one. The 2 labs that are there belong to others: "
        "`labctl ls` lists them, and you may name one of them."
    )
    assert caught.value.code is ExitCode.FAILED


def test_the_only_lab_is_shown_also_where_it_is_somebody_elses() -> None:
    assert labs.choose_lab(client(FakeEngine(stand_in.lab("ada"))), None, "bob").name == "ada"


def test_several_of_mine_are_listed_without_those_of_others() -> None:
    others = stand_in.lab("b", labels={"raft-labctl.owner": "bob"})
    engine = FakeEngine([*stand_in.lab("ada"), *stand_in.lab("ada-2"), *others])
    with pytest.raises(LabctlError, match=r"name the one you mean: ada, ada-2\."):
        labs.choose_lab(client(engine), None, "ada")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("consul1", r"no lab consul1 on .*a server is named with --server NAME"),
        ("raft-11", r"did you mean raft-1\? `labctl up raft-11` starts a new one"),
        ("other", r"no lab other on this Docker host: `labctl up other` starts it"),
    ],
)
def test_a_mistyped_lab_is_told_with_what_may_be_meant(name: str, sentence: str) -> None:
    with pytest.raises(LabctlError, match=sentence):
        labs.choose_lab(client(FakeEngine(stand_in.lab("raft-1"))), name)


def test_a_lab_that_is_not_there_says_how_to_start_it() -> None:
    engine = FakeEngine(stand_in.lab("ada"))
    with pytest.raises(LabctlError, match=r"no lab ad on .*`labctl up ad`"):
        labs.choose_lab(client(engine), "ad")


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 64])
def test_a_name_that_cannot_be_is_wrong_usage(name: str) -> None:
    with pytest.raises(LabctlError, match="cannot be the name of a lab") as caught:
        labs.choose_lab(client(FakeEngine(error=AssertionError("asked"))), name)
    assert caught.value.code is ExitCode.USAGE


def test_stopped_labs_are_found_too() -> None:
    engine = FakeEngine(stand_in.lab("ada", State="exited"))
    assert labs.find_lab(client(engine), "ada") is not None
    assert labs.find_lab(client(engine), "eve") is None


def test_an_engine_that_fails_is_one_sentence() -> None:
    with pytest.raises(LabctlError, match="odd"):
        labs.list_labs(client(FakeEngine(error=DockerError("odd"))))


def test_what_a_killed_down_left_is_found_with_its_owner() -> None:
    engine = FakeEngine(
        network_list=[{"Labels": {"raft-labctl.lab": "ada", "raft-labctl.owner": "bob"}}, {"Labels": {}}],
        # What has no owner was never ours, and makes no lab.
        volume_list=[{"Name": "v", "Labels": {"raft-labctl.lab": "eve"}}, {"Labels": None}],
    )
    assert labs.leftovers(client(engine)) == {"ada": "bob"}
    (told,) = foreign_labels.sentences()
    assert told == (
        "The volume v has the label raft-labctl.lab with 'eve' and no raft-labctl.owner, which labctl always writes: "
        "it is left alone. Remove it with `docker volume rm v` if it is yours."
    )


@pytest.mark.parametrize("name", ["0123456789ab_labctl-ada-consul2", "mine"])
def test_a_container_with_the_labels_of_a_server_that_another_one_is_is_no_server(name: str) -> None:
    double = stand_in.container("ada", "consul1", Id="double", Names=[f"/{name}"])
    (lab,) = labs.labs_from([double, *stand_in.lab("ada")], "local")
    assert [server.name for server in lab.servers] == ["consul1", "consul2", "consul3"]
    assert [server.id for server in lab.servers] == ["ada-consul1", "ada-consul2", "ada-consul3"]
    # Where no other one is, it is the server under whatever name.
    (lab,) = labs.labs_from([double, *stand_in.lab("ada")[1:]], "local")
    assert [server.id for server in lab.servers] == ["double", "ada-consul2", "ada-consul3"]


def test_a_lock_alone_is_left_over_too_and_makes_nobody_a_labs_owner() -> None:
    lock = {"Labels": {"raft-labctl.lab": "ada", "raft-labctl.owner": "admin", "raft-labctl.lock": "ada"}}
    config = {"Labels": {"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"}}
    assert labs.leftovers(client(FakeEngine(volume_list=[lock]))) == {"ada": "admin"}
    assert labs.leftovers(client(FakeEngine(volume_list=[config, lock]))) == {"ada": "ada"}


def test_a_helper_alone_is_left_over_too() -> None:
    helper = stand_in.container("ada", "consul1")
    del helper["Labels"]["raft-labctl.server"]
    assert labs.leftovers(client(FakeEngine([helper]))) == {"ada": "ada"}


def test_an_engine_without_volumes_has_no_leftovers() -> None:
    assert labs.leftovers(client(FakeEngine())) == {}


# -- profiles ------------------------------------------------------------------------------------------------

FULL = {"raft-labctl.profile": "full"}


def full_lab() -> list[dict[str, Any]]:
    """Servers with HTTPS, one of which does not run."""
    parts = stand_in.lab("ada", labels=FULL)
    for number, part in enumerate(parts):
        part["Ports"] = [{"PrivatePort": 8501, "PublicPort": 32_000 + number}, {"PrivatePort": 8500}]
    parts[2] |= {"State": "exited", "Ports": []}
    return parts


def test_a_lab_has_the_profile_of_its_label_and_before_there_were_any_the_default() -> None:
    assert labs.labs_from(stand_in.lab("ada"), "local")[0].spec.profile == "gossip"
    (lab,) = labs.labs_from(full_lab(), "local")
    assert lab.spec.profile == "full"
    assert [server.http_port for server in lab.servers] == [32_000, 32_001, None]


def test_the_token_of_a_full_lab_is_read_once_for_each_command_and_only_when_a_server_is_asked() -> None:
    engine = FakeEngine(container_list=full_lab(), files={"ada-consul2": packed(FILES)})
    lab = labs.choose_lab(client(engine), "ada")
    assert engine.asked == []
    assert [server.url for server in lab.servers] == ["https://127.0.0.1:32000", "https://127.0.0.1:32001", None]
    api = lab.servers[1].api
    assert api is not None
    assert api.keys is not None
    assert api.keys().headers("/v1/kv/x") == {"X-Consul-Token": "t"}
    # consul1 could not tell, consul2 did; and nobody is asked again.
    assert [container for container, _ in engine.asked] == ["ada-consul1", "ada-consul2"]
    again = labs.choose_lab(client(engine), "ada").servers[0].api
    assert again is not None
    assert again.keys is not None
    assert again.keys() is api.keys()
    assert len(engine.asked) == 2
    assert "'t'" not in repr(lab)


def test_a_full_lab_whose_token_is_lost_is_one_whose_servers_do_not_answer() -> None:
    engine = FakeEngine(container_list=full_lab())
    now = status.ask(labs.choose_lab(client(engine), "ada"))
    assert now.ready is False
    problem = now.views[0].problem or ""
    assert "the token of the lab ada cannot be read from its volume: No such container" in problem


def test_the_token_of_every_other_lab_is_not_looked_for() -> None:
    engine = FakeEngine(container_list=[*stand_in.lab("ada"), *stand_in.lab("eve", labels={"x": "y"})])
    for lab in labs.list_labs(client(engine)):
        api = lab.servers[0].api
        assert api is not None
        assert api.keys is None
    assert engine.asked == []
