"""Foreign text stays text, wherever it may be written: it runs nothing, removes nothing and ends nothing.

The strangers' things are on a Docker host of this test's own, so that no other test meets them. The instructor uses it
as their own machine, and over SSH from another one.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from labctl.shared.docker_api import Engine
from scripts import generate_docs
from tests.integration.docker_hosts import DockerHosts
from tests.integration.harness import IMAGE, ROOT, SCRIPTS, SERIES, VERSION, Person, Result, ended, new_name, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.docker_hosts import DockerHost

OWNED = "/tmp/labctl-owned"  # noqa: S108 - where nothing may be written
DOING = "putting what a stranger wrote"
MOST_SECONDS = 90.0
# A label that made labctl hold what it says in memory would need much more.
MOST_BYTES = 3 << 30
RAFT_LINE = "    2026/11/29 10:00:00 [INFO]  raft: entering leader state: "
UNKNOWN = "Unexpected error"
# Control characters (C0 but for tab and line feed, C1), and marks that turn a line around.
OBEYED = {*map(chr, range(9)), *map(chr, range(11, 32)), *map(chr, range(127, 160))}
TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def texts(canary: Path) -> dict[str, str]:
    """Hostile text of each kind; what runs touches the canary."""
    return {
        "expression": f"{{{{ lookup('pipe', 'touch {canary}') }}}}",
        # No blank, comma or colon: it goes through --limit.
        "pattern": f"{{{{lookup(*'pipe@touch {canary}'.split('@'))}}}}".replace("touch ", "touch${IFS}"),
        "statement": f"{{% set x = lookup('pipe', 'touch {canary}') %}}{{# x #}}",
        "header": "#jinja2: variable_start_string:'[%', variable_end_string:'%]'\n"
        f"[% lookup('pipe', 'touch {canary}') %]",
        "shell": f"$(touch {canary})`touch {canary}`;touch {canary};'\"$HOME ${{PATH}}\n--help",
        "terminal": "\x1b]0;pwn\x07\x1b[2J\x1b[8m\x9b2J\r\n\u202e\u2066error: [red]x",
        "path": f"../../../../../../../..{OWNED}",
        "number": "9" * 5000,
        "long": "x" * 10_000,
    }


@dataclass
class Scene:
    """The Docker host, the instructor there and over SSH, and all that strangers put there.

    Attributes:
        here: the instructor on the Docker host itself.
        far: the same instructor on this machine, with a workshop's file that names the host.
        lab: a lab of theirs, `joined` another one whose members are strangers, too, and `workshop` a workshop's name.
        strange: what strangers made, as (kind, name), which nobody may remove.
        taken: the subnet of a network with a hostile name.
    """

    host: DockerHost
    here: Person
    far: Person
    lab: str
    joined: str
    workshop: str
    canary: Path
    strange: list[tuple[str, str]] = field(default_factory=list)
    taken: str = ""

    @property
    def engine(self) -> Engine:
        return Engine(path=self.host.host.removeprefix("unix://"))

    # -- what strangers do -----------------------------------------------------------------------------------

    def put(self, kind: str, labels: dict[str, str], name: str = "", **more: Any) -> str:
        """Make a container, a volume or a network with these labels, and `more` of the engine's API. Returns its ID."""
        name = name or f"strange-{len(self.strange)}"
        body: dict[str, Any] = {"Labels": labels, **more}
        if kind == "container":
            made = self.engine.create({"Image": IMAGE, **body}, doing=DOING, name=name)
        else:
            if kind == "network":
                body |= {"IPAM": {"Config": [{"Subnet": self.subnet()}]}}
            asked = self.engine.ask("POST", f"/{kind}s/create", body={"Name": name, **body}, doing=DOING)
            made = json.loads(asked).get("Id", name)
        self.strange.append((kind, name))
        return str(made)

    def subnet(self) -> str:
        """Where the next network is."""
        return f"10.99.{len(self.strange) % 256}.0/28"

    def put_image(self, version: str, labels: dict[str, str]) -> None:
        """Make an image with these labels."""
        made = self.engine.create({"Image": IMAGE, "Labels": labels}, doing=DOING)
        query = {"container": made, "repo": "raft-labctl/consul", "tag": version}
        self.engine.ask("POST", "/commit", query, body={"Labels": labels}, doing=DOING)
        self.engine.remove("container", [made], doing=DOING)
        self.strange.append(("image", f"raft-labctl/consul:{version}"))

    def gone(self) -> list[tuple[str, str]]:
        """The strangers' things that are gone."""
        there = {
            ("container", container_["Names"][0].lstrip("/"))
            for container_ in self.engine.get("/containers/json", all=1, doing=DOING)
        }
        there |= {("network", network["Name"]) for network in self.engine.networks({}, doing=DOING)}
        there |= {("volume", volume["Name"]) for volume in self.engine.volumes({}, doing=DOING)}
        there |= {
            ("image", tag) for image in self.engine.get("/images/json", doing=DOING) for tag in image["RepoTags"] or []
        }
        return [thing for thing in self.strange if thing not in there]

    # -- what the instructor does ----------------------------------------------------------------------------

    def sees(self, result: Result, what: str, codes: tuple[int, ...], most: float = MOST_SECONDS) -> Result:
        """Hold a command's result against all that hostile text must not do."""
        said = f"{what} ended with {result.code}:\n{result.out[-3000:]!a}\n{result.err[-3000:]!a}"
        assert not self.canary.exists(), said
        assert result.code in codes, said
        both = result.out + result.err
        assert not set(both) & OBEYED, said
        # JSON is for programs, which may have any character.
        shown = both if result.out[:1] not in {"[", "{"} else result.err
        turned = [line for line in shown.splitlines() if set(line) & TURNING]
        assert turned == [], f"{turned!a}: {said}"
        assert "Traceback" not in both, said
        assert UNKNOWN not in both, said
        assert sum(line.startswith("error: ") for line in result.err.splitlines()) <= 1, said
        assert result.seconds < most, f"{result.seconds} s: {said}"
        return result

    def labctl(self, *words: str, codes: tuple[int, ...] = (0,), who: Person | None = None, **env: str) -> Result:
        """Run labctl with as much memory as it may want."""
        who = who or self.here
        limited = ["prlimit", f"--as={MOST_BYTES}", *who.words(*words)]
        what = f"labctl {shlex.join(words)[:200]}"
        result = self.sees(ended(limited, who.env | env, who.home), what, codes)
        # Three strangers are named, and the rest is counted; Ansible warns of each.
        assert len(result.err) < 6000, f"{what} said {len(result.err)} characters: {result.err[:3000]!a}"
        return result

    def ansible(
        self, *playbooks: str, codes: tuple[int, ...] = (0,), inventory: Path | None = None, lab: str = "", **given: str
    ) -> Result:
        """Run some of labctl's playbooks on the Docker host, as somebody without labctl does."""
        if inventory is None:
            inventory = self.here.home / "hosts.yml"
            local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
            described = {"labs": {"hosts": {lab or self.lab: {}}, "vars": local}}
            inventory.write_text(yaml.safe_dump(described), encoding="utf-8")
        program = [*self.here.before, str(SCRIPTS / "ansible-playbook"), "-i", str(inventory)]
        env = self.here.env | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
        words = [str(ROOT / "playbooks" / playbook) for playbook in playbooks] + ["-e", json.dumps(given)]
        done = ended([*program, *words], env, self.here.home)
        return self.sees(done, f"ansible-playbook {' '.join(playbooks)}", codes, MOST_SECONDS * len(playbooks))


@pytest.fixture(scope="module")
def scene(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("hostile")
    owner = f"ada-{new_name()}"
    with DockerHosts(1, image) as hosts:
        host = hosts.hosts[0]
        here = Person(owner, folder / "here", host.inside, {"DOCKER_HOST": "unix:///var/run/docker.sock"})
        far = Person(owner, folder / "far", settings=hosts.settings())
        made = Scene(host, here, far, new_name(), new_name(), new_name(), folder / "CANARY")
        hosts_key = {"address": host.address, "name": "far", "user": "root", "key": str(hosts.key)}
        file_content = {"workshop": made.workshop, "seats": ["ada"], "servers": 1, "pace": "real", "http_port": 0}
        file_content |= {"consul_version": VERSION}
        (here.home / "workshop.yml").write_text(yaml.safe_dump(file_content), encoding="utf-8")
        over_ssh = file_content | {"hosts": [hosts_key | {"known_hosts": str(hosts.known_hosts)}]}
        (far.home / "workshop.yml").write_text(yaml.safe_dump(over_ssh), encoding="utf-8")
        here.done("up", made.lab, "--servers", "1", "--pace", "real")
        fill(made)
        yield made
        here.end_processes()
        far.end_processes()
    assert hosts.left() == []


LABELS = (
    "lab", "owner", "workshop", "seat", "number", "server", "servers", "pace", "profile", "consul-version", "http-port",
    "fault", "fault-words", "fault-target", "fault-until", "reserved-servers", "reserved-memory", "lock", "holder",
)  # fmt: skip


# What these say may be anything, so a thing with one would be the lab's own: it gets a lab and an owner of its own.
FREE = ("fault-words", "fault-until", "reserved-memory", "lock", "holder")


def fill(scene: Scene) -> None:
    """Put each text into each label of each kind of thing, beside labels that make it look like the instructor's."""
    owner = scene.here.owner
    single = {"lab": scene.lab, "owner": owner, "server": "consul2", "servers": "3", "consul-version": VERSION}
    seat = single | {"lab": f"{scene.workshop}-eve", "workshop": scene.workshop, "seat": "eve", "number": "7"}
    for label in LABELS:
        for count, text in enumerate(texts(scene.canary).values()):
            for like in (seat, single) if count % 2 else (seat,):
                scene.put("container", marked(labelled(like, label, text)))
    scene.put("container", marked(single | {"servers": "20000000"}))
    # A lab of the instructor's that is no seat: the workshop's end must not take it along.
    scene.put("volume", marked({"lab": scene.lab, "owner": owner, "workshop": scene.workshop}))
    fill_the_rest(scene, seat)
    fill_names(scene, single)


def fill_names(scene: Scene, single: dict[str, str]) -> None:
    """Put each text where Docker takes it beside labels of ours: names, commands, environments and options."""
    for number, text in enumerate(texts(scene.canary).values()):
        scene.taken = scene.subnet()
        scene.put("network", {}, name=text)
        # With a label that labctl never writes, so that the name is told.
        scene.put("network", marked(single | {"lab": text}), name=f"{text}.")
        scene.put("container", {text: text}, Cmd=[text], Env=[f"X={text}"], Hostname=f"strange{number}", WorkingDir="/")
        options = {"type": "tmpfs", "device": "tmpfs", "o": text[:1000]}
        scene.put("volume", {text: text, "Name": text}, Driver="local", DriverOpts=options)
    # By its name, one that looks like what a killed `down` of the instructor's left is another one.
    theirs = scene.put("network", {"Id": "0" * 64})
    scene.put("network", marked(single | {"lab": new_name(), "server": "", "servers": ""}), name=theirs)
    # It may go, and the other one may not.
    scene.strange.pop()


def labelled(like: dict[str, str], label: str, text: str) -> dict[str, str]:
    """Labels of a thing that looks like that one, but for one."""
    labels = like | ({"fault": "abcdef"} if label.startswith("fault-") else {}) | {label: text}
    if label.startswith(("fault", "reserved", "lock", "holder")):
        # Helpers have neither, and take no room from the workshop.
        del labels["server"], labels["servers"]
    if label == "owner" or label in FREE:
        labels |= {"lab": new_name(), "workshop": "", **({"owner": new_name()} if label in FREE else {})}
    return labels


def fill_the_rest(scene: Scene, seat: dict[str, str]) -> None:
    """Volumes, networks, ends of the workshop, images, and lines of a server's log."""
    hostile = texts(scene.canary)
    for label in ("lab", "owner", "workshop", "number"):
        for kind in ("volume", "network"):
            for name in ("expression", "terminal", "number"):
                scene.put(kind, marked(labelled(seat, label, hostile[name])))
    ending = {"reaper": scene.workshop, "owner": scene.here.owner, "expires": "2026-13-45T99:99:99Z"}
    scene.put("container", marked(ending))
    finished = {"image-source": "debian", "image-layout": "1", "image-tools": "ip nc nft", "image-state": "checked"}
    for number, text in enumerate(hostile.values()):
        scene.put("container", marked(ending | {"expires": text}))
        scene.put("container", marked(ending | {"expires": "2030-01-01T00:00:00Z", "reaper": text}))
        scene.put_image(f"9.9.{number}", marked(finished | {"consul-version": text, "image-origin": text}))
    scene.put_image("9.8.1", marked(finished | {"consul-version": "9.8.1", "image-source": hostile["terminal"]}))
    # Any client of a server can put words into its log.
    line = "".join(hostile[name] for name in ("expression", "shell", "terminal"))
    words = ["/bin/sh", "-c", 'printf "\\n%s\\n%s%s\\n" "$0" "$1" "$0" > /proc/1/fd/1', line, RAFT_LINE]
    scene.engine.execute(f"labctl-{scene.lab}-consul1", words, doing=DOING)


def marked(labels: dict[str, str]) -> dict[str, str]:
    """Labels with labctl's prefix; an empty one is left out."""
    return {f"raft-labctl.{name}": text for name, text in labels.items() if text}


# -- looking -------------------------------------------------------------------------------------------------

LOOKS = [
    "ls", "ls --json", "status LAB", "status LAB --json", "members LAB", "logs LAB", "logs LAB --json",
    "logs LAB --raft", "story LAB", "story LAB --json", "story LAB --format svg", "bundle save LAB -o FILE --force",
    "story FILE", "fault ls LAB", "fault ls LAB --json", "image ls", "image ls --json", "doctor", "verify LAB",
    "exec --lab LAB consul1 -- consul members", "down --all --dry-run", "up LAB --dry-run", "up LAB", "stop LAB",
    "start LAB", "image build", "image save IMAGE --force", "image load IMAGE",
]  # fmt: skip


@pytest.mark.parametrize("words", LOOKS)
def test_every_command_of_a_lab_reads_it_as_text(scene: Scene, words: str) -> None:
    codes = (0, 1) if words.split(maxsplit=1)[0] in {"doctor", "verify"} else (0,)
    scene.labctl(*meant(scene, words), codes=codes)
    assert scene.gone() == []


def meant(scene: Scene, words: str) -> list[str]:
    """The words of a command, with what their capitals stand for."""
    home = scene.here.home
    named = {"LAB": scene.lab, "JOINED": scene.joined, "FILE": str(home / "logs.tar.gz"), "IMAGE": str(home / "image")}
    named |= {"PAGE": str(home / "page.html")}
    return [named.get(word, word) for word in words.split()]


def test_a_network_that_has_the_subnet_is_named_in_one_sentence(scene: Scene) -> None:
    refused = scene.labctl("up", new_name(), "--subnet", scene.taken, codes=(4,))
    assert scene.taken in refused.err
    assert scene.gone() == []


def test_completion_reads_it_as_text(scene: Scene) -> None:
    done = scene.labctl(_LABCTL_COMPLETE="bash_complete", COMP_WORDS="labctl status ", COMP_CWORD="2")
    assert scene.lab in done.out
    assert done.err == ""


def test_strangers_are_named_and_counted_in_sentences(scene: Scene) -> None:
    said = scene.labctl("ls").err.splitlines()
    assert len(said) == 4
    assert all(line.startswith("The container strange-") and "left alone" in line for line in said[:3])
    assert said[3].endswith("more have such labels: left alone too.")


# -- a workshop, here and over SSH ---------------------------------------------------------------------------

WORKSHOP = [
    "plan", "plan --json", "plan --fix", "up", "status", "status --json", "inventory", "inventory --json",
    "cards --format csv --output -", "cards --format html --output -", "secret --output -", "fault pause any --all",
    "fault resume any --all", "fault heal --all", "expire 2h", "extend 1h", "verify", "reset ada", "down",
]  # fmt: skip
# For the rest, one place is enough: what strikes and what it tells is the same.
STRIKES = ["fault kill any --all", "fault start any --all --json", "fault stop any --all --json", "fault start any ada"]


@pytest.mark.parametrize("where", ["here", "far"])
def test_every_command_of_a_workshop_reads_it_as_text(scene: Scene, where: str) -> None:
    who = getattr(scene, where)
    file = str(who.home / "workshop.yml")
    begun = WORKSHOP.index("fault heal --all")
    for words in WORKSHOP[:begun] + (STRIKES if where == "far" else []) + WORKSHOP[begun:]:
        codes = (0, 1) if words == "verify" else (0,)
        done = scene.labctl("workshop", *words.split(), "--file", file, who=who, codes=codes)
        assert scene.gone() == [], words
        if (where, words) == ("here", "inventory"):
            inventory = who.home / "workshop-hosts.yml"
            inventory.write_text(done.out, encoding="utf-8")
            scene.ansible("expiry.yml", inventory=inventory)


@pytest.mark.parametrize("name", ["expression", "statement", "shell", "terminal", "long"])
def test_a_workshops_file_is_refused_or_read_as_text(scene: Scene, name: str) -> None:
    text = texts(scene.canary)[name]
    file = scene.here.home / "evil.yml"
    far = {"address": "127.0.0.1", "port": 1, "name": "far"}
    for key in ("key", "known_hosts"):
        given = {"workshop": "evil", "seats": 1, "hosts": [far | {key: text}]}
        file.write_text(yaml.safe_dump(given), encoding="utf-8")
        scene.labctl("workshop", "plan", "--fix", "--file", str(file), codes=(1, 2, 4))
    every = ("workshop", "seats", "pace", "servers", "consul_version", "image_source", "profile", "expires", "network")
    changes: list[dict[str, Any]] = [{key: text} for key in (*every, "http_port", text)]
    changes += [{"seats": [text]}, {"hosts": [text]}]
    changes += [{"hosts": [far | {key: text}]} for key in ("address", "user", "name")]
    for change in changes:
        file.write_text(yaml.safe_dump({"workshop": "evil", "seats": 1} | change), encoding="utf-8")
        refused = scene.labctl("workshop", "plan", "--file", str(file), codes=(2,))
        assert refused.err.startswith("error: ")


# -- words and variables of the user's own -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["expression", "shell", "terminal", "path", "long"])
def test_names_that_cannot_be_are_refused_in_one_sentence(scene: Scene, name: str) -> None:
    text = texts(scene.canary)[name]
    for words in ("up", "status", "down", "logs", "fault ls"):
        scene.labctl(*words.split(), text, codes=(2,))
    scene.labctl("up", codes=(2,), LABCTL_LAB=text)


def test_an_owner_may_be_called_anything_and_has_their_lab(scene: Scene) -> None:
    hostile = texts(scene.canary)
    whose = (hostile["expression"] + hostile["shell"] + hostile["terminal"] + "host$pc 😀")[:256]
    lab = new_name()
    for words in (f"up {lab} --no-join --servers 1", f"up {lab} --no-join", f"stop {lab}", "ls", f"down {lab}"):
        scene.labctl(*words.split(), LABCTL_OWNER=whose)
    scene.labctl("ls", codes=(0, 2), LABCTL_OWNER="x" * 10_000)
    assert scene.gone() == []


# -- a lab with members that nobody asked for -----------------------------------------------------------------

# In a stranger's container on the lab's network: a client of each name, and at last a server.
MEMBERS = r"""
join() {
    consul agent -data-dir "/tmp/$1" -config-file /consul/config/gossip.json -datacenter "$2" -retry-join consul1:8301 \
        -node "$3" -node-meta "strange:$(printf %.500s "$3")" -serf-lan-port "$((20000 + $1))" \
        -hcl 'disable_update_check = true' -hcl "$4" &
}
lab=$1
server=$2
shift 2
number=0
for name; do
    number=$((number + 2))
    join "$number" "$lab" "$name" "ports { http = -1 dns = -1 grpc = -1 server = $((20001 + number)) }"
done
while [ ! -e /tmp/go ]; do sleep 0.2; done
join 1 "$lab" "$server" 'server = true ports { serf_wan = -1 }'
wait
"""
# Since Consul 1.11 an agent writes its name into the text of a policy, and ends where that cannot be read.
OF_NO_AGENT = set('"\n') if SERIES >= (1, 11) else set()
# Each text also names and describes a service, and an event.
SPOKEN = r"""
for one; do
    short=$(printf %.200s "$one")
    consul services register -name="$short" -id="$short" -tag="$short" -address="$short" -meta="x=$short"
    consul event -name="$short" "$short" >/dev/null
    printf %s "$one" | consul kv put raft-labctl/"$short" - >/dev/null
done
exit 0
"""
STRUCK = [
    "members JOINED", "members JOINED --json", "status JOINED", "join JOINED", "up JOINED", "logs JOINED --raft",
    "story JOINED --format html -o PAGE", "story JOINED --format mermaid", "bundle save JOINED -o FILE --force",
    "fault kill consul2 --lab JOINED", "fault start consul2 --lab JOINED",
    "fault pause consul3 --lab JOINED", "fault resume consul3 --lab JOINED",
    "fault isolate consul2 --lab JOINED", "fault partition consul1,consul2 / consul3 --lab JOINED",
    "fault one-way consul1 consul3 --lab JOINED", "fault loss 5 consul1 --lab JOINED",
    "fault rate 900 consul2 --lab JOINED",
    "fault delay 5 consul3 --lab JOINED", "fault ls JOINED", "fault heal --lab JOINED", "status JOINED --json",
    "fault transfer-leader --lab JOINED", "fault stop consul3 --lab JOINED", "restart JOINED",
    "chaos JOINED --for 10s --seed 1 --mix loss --format html -o PAGE", "measure failover JOINED --times 1",
    "verify JOINED",
]  # fmt: skip
# Where it depends on the machine: whether the kernel can delay, Consul hand leadership over, the lab elect in a moment.
MAY = {"verify": (0, 1), "chaos": (0, 3), "status": (0, 3), "fault delay": (0, 1), "fault transfer": (0, 4)}
# With a server that nobody asked for, there is one voter more than servers: what waits for a lab that is ready ends.
VOTED = ["status JOINED", "status JOINED --json", "members JOINED", "logs JOINED --raft", "story JOINED",
    "up JOINED --timeout 3", "verify JOINED",
]  # fmt: skip


@pytest.fixture(scope="module")
def members(scene: Scene) -> str:
    """The lab, and a stranger's container with its other members; its ID."""
    scene.labctl("up", scene.joined, "--servers", "3", "--pace", "real")
    hostile = list(texts(scene.canary).values())
    agents = ["".join(char for char in text if char not in OF_NO_AGENT) for text in hostile]
    config = {"Type": "volume", "Source": f"labctl-{scene.joined}-config", "Target": "/consul/config", "ReadOnly": True}
    made = scene.put(
        "container",
        {},
        Entrypoint=["sh", "-c", MEMBERS, "sh"],
        Cmd=[scene.joined, "".join(agents)[:200], *agents],
        HostConfig={"NetworkMode": f"labctl-{scene.joined}", "Mounts": [config]},
    )
    scene.engine.change("start", [made], doing=DOING)
    scene.engine.execute(f"labctl-{scene.joined}-consul1", ["sh", "-c", SPOKEN, "sh", *hostile], doing=DOING)
    wait_until(lambda: set(agents) <= names(scene), MOST_SECONDS, "the hostile members")
    return made


def names(scene: Scene) -> set[str]:
    return {member["name"] for member in scene.labctl("members", scene.joined, "--json").json}


@pytest.mark.usefixtures("members")
def test_every_command_of_a_lab_with_hostile_members_reads_them_as_text(scene: Scene) -> None:
    for words in STRUCK:
        scene.labctl(
            *meant(scene, words), codes=next((may for verb, may in MAY.items() if words.startswith(verb)), (0,))
        )
        assert scene.gone() == [], words
    # The servers have all been started again, and hear of others by gossip, which takes up to half a minute each time.
    wait_until(lambda: "pwn" in scene.labctl("members", scene.joined).out, MOST_SECONDS, "the hostile members again")


# Those that they import run, too. Several in one run, because each start of Ansible takes seconds.
BOOKS_OF_THREE = ("demo.yml", "failover.yml")
BOOKS = ("stop.yml", "resume.yml", "restart.yml")


@pytest.mark.usefixtures("members")
def test_every_playbook_reads_them_as_text(scene: Scene) -> None:
    folder = str(scene.here.home / "demo-logs")
    scene.ansible(*BOOKS_OF_THREE, lab=scene.joined, consul_lab_pace="real", raft_logs_directory=folder)
    assert scene.gone() == []
    scene.ansible(*BOOKS)
    assert scene.gone() == []


def test_a_server_that_nobody_asked_for_is_told_and_removed_by_nobody(scene: Scene, members: str) -> None:
    before = len(names(scene))
    scene.engine.execute(members, ["sh", "-c", ": >/tmp/go"], doing=DOING)
    wait_until(lambda: len(names(scene)) > before, MOST_SECONDS, "the hostile server")
    wait_until(
        lambda: scene.labctl("status", scene.joined, codes=(0, 3)).code == 3, MOST_SECONDS, "the hostile server's vote"
    )
    for words in VOTED:
        codes = {"verify": (0, 1), "status": (3,), "up": (3,)}.get(words.split(maxsplit=1)[0], (0,))
        scene.labctl(*meant(scene, words), codes=codes)
        assert scene.gone() == [], words
    # Docker removes no network in which somebody else's container is.
    left = scene.ansible("down.yml", lab=scene.joined, codes=(2,))
    assert "could not be removed whole" in left.out
    assert scene.gone() == []
    scene.engine.remove("container", [members], doing=DOING)
    scene.strange = [thing for thing in scene.strange if thing not in scene.gone()]
    scene.ansible("down.yml", lab=scene.joined)
    assert scene.joined not in scene.labctl("ls").out


# -- Ansible alone -------------------------------------------------------------------------------------------


def test_logs_go_to_no_other_path(scene: Scene) -> None:
    folder = scene.here.home / "raft-logs"
    scene.ansible("logs.yml", raft_logs_directory=str(folder))
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["consul1.log"]
    assert not Path(f"{OWNED}.log").exists()


# -- nothing is forgotten ------------------------------------------------------------------------------------

# These read nothing that a stranger could have written.
READ_NOTHING = {"completion", "workshop example", "workshop schema"}
ELSEWHERE = {"down"}


def test_every_command_that_reads_is_run_here() -> None:
    """Hold the lists of this file against the parser: a command that is new has to be in one of them."""
    commands = {
        name.removeprefix("labctl ")
        for name, command in generate_docs.commands()
        if not isinstance(command, click.Group)
    }
    lines = [*LOOKS, *STRUCK, *VOTED, *(f"workshop {words}" for words in WORKSHOP + STRIKES)]
    run = ELSEWHERE | {command for command in commands if any(f"{line} ".startswith(f"{command} ") for line in lines)}
    assert commands - run == READ_NOTHING


def test_every_playbook_is_run_here() -> None:
    run = {"logs.yml", "expiry.yml", "down.yml", *BOOKS, *BOOKS_OF_THREE}
    waiting = list(run)
    while waiting:
        plays = yaml.safe_load((ROOT / "playbooks" / waiting.pop()).read_text(encoding="utf-8"))
        new = {play["import_playbook"] for play in plays if "import_playbook" in play} - run
        run |= new
        waiting += new
    assert {path.name for path in (ROOT / "playbooks").glob("*.yml")} == run


# -- the end -------------------------------------------------------------------------------------------------


def test_the_end_of_the_day_removes_what_is_the_instructors_and_nothing_else(scene: Scene) -> None:
    removed = scene.labctl("down", "--all", "--json").json
    assert scene.lab in {lab_["lab"] for lab_ in removed}
    assert scene.gone() == []
    assert [
        load["lab"] for load in json.loads(scene.labctl("ls", "--json").out) if load["owner"] == scene.here.owner
    ] == []
