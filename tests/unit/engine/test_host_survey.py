"""A Docker host's facts: from the engine, and from a script whose output is not to be trusted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from labctl.engine import foreign_labels, host_survey
from labctl.engine.client import connect
from labctl.engine.docker_host import LOCAL_HOST, DockerHost
from labctl.errors import LabctlError
from tests.unit import engine_stand_in as stand_in
from tests.unit.engine_stand_in import FakeEngine
from tests.unit.faulty_engine import FaultyEngine

if TYPE_CHECKING:
    from labctl.engine.client import Client

SAID = """\
cores 4
MemTotal: 32768000
MemAvailable: 30000000
disk 1000000
compose v2.26.1
route Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
route eth0 00000000 010011AC 0003 0 0 0 00000000 0 0 0
route eth0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0
port 0100007F:5208
port 00000000000000000000000000000000:0016
clock 1795500000
"""


class Host(FakeEngine):
    """An engine on a host whose script says what a test wants."""

    def info(self) -> dict[str, Any]:
        return {"DockerRootDir": "/var/lib/docker", "NCPU": 2}

    def version(self) -> dict[str, Any]:
        return {"Version": "28.2.2", "ApiVersion": "1.51"}


class Saying(DockerHost):
    """A Docker host whose shell says that."""

    def __init__(self, said: str) -> None:
        self.said = said

    def script(self, text: str, seconds: float = 1.0, most: int = 1) -> str:
        assert text
        assert (seconds, most) == (1.0, 1), "it has as long as a host may take"
        return self.said


def read(said: str = SAID, host: FakeEngine | None = None) -> dict[str, Any]:
    host = host or Host()
    host.place = Saying(said)
    return host_survey.read(cast("Client", host))


def test_what_a_host_says_of_itself() -> None:
    facts = read()
    assert (facts["cores"], facts["compose"], facts["engine"], facts["api"]) == (4, "2.26.1", "28.2.2", "1.51")
    assert facts["memory"] == {"total": 32768000 * 1024, "free": 30000000 * 1024}
    assert (facts["disk_free"], facts["clock"], facts["ports"]) == (1000000 * 1024, 1795500000.0, [22, 21000])
    assert facts["routes"] == ["172.17.0.0/16"]


@pytest.mark.parametrize("said", ["", "cores are hot\nclock tower\nport authority\ndisk jockey\nMemTotal: much\n"])
def test_a_host_that_says_nothing_or_nonsense_is_no_failure(said: str) -> None:
    facts = read(said)
    assert (facts["cores"], facts["ports"]) == (2, [])
    assert (facts["memory"]["free"], facts["disk_free"], facts["clock"]) == (None, None, None)


def test_a_full_disk_is_not_one_of_which_nothing_is_known() -> None:
    facts = read("disk 0\nMemAvailable: 0\n")
    assert (facts["disk_free"], facts["memory"]["free"]) == (0, 0)


def test_labs_are_found_by_their_labels_also_where_only_a_network_is_left() -> None:
    labels = {"raft-labctl.workshop": "w", "raft-labctl.seat": "01", "raft-labctl.number": "1"}
    network = {
        "Name": "labctl-w-02",
        "Driver": "bridge",
        "Labels": {"raft-labctl.lab": "w-02", "raft-labctl.owner": "ada", "raft-labctl.workshop": "w"},
        "IPAM": {"Config": [{"Subnet": "10.216.0.16/28"}, {}, {"Subnet": "fd00::/64"}]},
    }
    host = Host(container_list=stand_in.lab("w-01", labels=labels), network_list=[network])
    running, removed = read(host=host)["labs"]
    assert (running["lab"], running["workshop"], running["seat"], running["number"], running["running"]) == (
        "w-01",
        "w",
        "01",
        "1",
        3,
    )
    assert removed == {"lab": "w-02", "running": 0, "owner": "ada", "workshop": "w"}


def test_the_fingerprint_of_a_labs_seed_is_read_from_the_volume_with_its_secrets_only() -> None:
    def volume(name: str, seed: str) -> dict[str, Any]:
        labels = {"raft-labctl.lab": "w-01", "raft-labctl.owner": "ada", "raft-labctl.seed": seed}
        return {"Name": name, "Labels": labels}

    volumes = [volume("labctl-w-01-consul1", "1" * 16), volume("labctl-w-01-config", "2" * 16), volume("x", "3" * 16)]
    labelled = stand_in.lab("w-01", labels={"raft-labctl.seed": "4" * 16})
    (lab,) = read(host=Host(container_list=labelled, volume_list=volumes))["labs"]
    assert lab["seed"] == "2" * 16
    for seed in ("", "2" * 15, "x" * 16):
        (lab,) = read(host=Host(container_list=labelled, volume_list=[volume("labctl-w-01-config", seed)]))["labs"]
        assert not lab.get("seed")


def test_images_are_those_that_a_lab_can_name() -> None:
    # Removed by force while a container had it, an image keeps its labels and loses its name.
    nameless = stand_in.image("1.21.4", RepoTags=None)
    assert read(host=Host(image_list=[nameless, stand_in.image("1.8.7")]))["images"] == ["1.8.7"]


def test_a_script_that_fails_is_a_sentence() -> None:
    with pytest.raises(LabctlError, match="Could not inspect the Docker host"):
        LOCAL_HOST.script("echo no >&2; exit 3")


def test_a_host_that_talks_without_an_end_is_a_sentence() -> None:
    with pytest.raises(LabctlError, match=r"Could not inspect the Docker host: it printed more than 1 MiB"):
        LOCAL_HOST.script("yes", most=1 << 20)


def test_a_script_that_does_not_end_is_a_sentence() -> None:
    with pytest.raises(LabctlError, match=r"Could not inspect the Docker host: it did not end within 0 sec"):
        LOCAL_HOST.script("sleep 1000", seconds=0.3)


def test_the_script_runs_here() -> None:
    said = host_survey.answer_of(LOCAL_HOST.script(host_survey.survey_script("/")))
    assert int(said["cores"]) >= 1
    assert int(said["disk"]) > 0
    assert int(said["clock"]) > 1_700_000_000


def test_what_has_labels_that_labctl_never_writes_is_left_out_and_told() -> None:
    label = "{{ lookup('pipe', 'touch CANARY') }}"
    odd = stand_in.container("ada", "consul1", Names=["/mine"], labels={"raft-labctl.lab": label})
    volume = {"Name": "v", "Labels": {"raft-labctl.lab": label, "raft-labctl.workshop": "w"}}
    reaper = {"Names": ["/r"], "State": "running", "Labels": {"raft-labctl.reaper": label}}
    facts = read(host=Host(container_list=[odd, reaper], volume_list=[volume]))
    assert (facts["labs"], facts["reapers"]) == ([], [])
    assert [sentence.split(" has ")[0] for sentence in foreign_labels.sentences()] == [
        "The container mine",
        "The volume v",
        "The container r",
    ]


def test_a_number_of_thousands_of_digits_is_none() -> None:
    assert read(f"cores {'9' * 5000}\n")["cores"] == 2


def test_a_host_that_answers_each_question_late_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FaultyEngine()
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.says = {"GET /version": {"ApiVersion": "1.41"}, "GET /v1.41/info": {}, "GET /v1.41/version": {}}
    engine.late, begun = 0.3, time.monotonic()
    with pytest.raises(LabctlError, match=r"did not answer within 0\.5\d? seconds"):
        host_survey.read(connect(), 0.5)
    assert time.monotonic() - begun < 3
    engine.close()
