"""A workshop's file: what is wrong in it is said in one sentence with its line, and never anything else."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from labctl.errors import ExitCode, LabctlError
from labctl.shared.lab_spec import SETTINGS, LabSpec
from labctl.workshop.model import file
from labctl.workshop.model.file import SCHEMA, Host, Workshop, parse, read
from tests.unit.pipes import lonely

ROOT = Path(__file__).resolve().parents[4]
EXAMPLES = sorted((ROOT / "inventory" / "examples").glob("workshop*.yml"))
HEAD = "workshop: raft101\n"
# Reads files with half a gigabyte of address space, and prints how many seconds of processor each took.
BOUNDED = """
import resource, sys, time
from pathlib import Path
from labctl.errors import LabctlError
from labctl.workshop.model.file import SCHEMA, read
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
for path in sys.argv[1:]:
    begun = time.process_time()
    try:
        read(Path(path))
    except LabctlError as error:
        assert len(error.sentence) < 500
    print(time.process_time() - begun, path)
"""


def told(text: str) -> str:
    with pytest.raises(LabctlError) as caught:
        parse(text, Path("workshop.yml"))
    assert caught.value.code is ExitCode.USAGE
    assert "\n" not in caught.value.sentence
    return caught.value.sentence


def test_what_a_file_leaves_out_has_its_default() -> None:
    made = parse(f"{HEAD}seats: 3\n", Path("workshop.yml"))
    assert made == Workshop(
        name="raft101",
        seats=3,
        names=None,
        hosts=(Host("local", "local"),),
        spec=LabSpec(servers=3, pace="teach", profile="gossip", version=""),
        image_source="auto",
        expires=None,
        network=made.network,
        http_port=21000,
    )
    assert made.network.prefixlen == 20


def test_each_choice_of_a_lab_is_a_key_of_the_file_with_the_same_values() -> None:
    keys = json.loads(SCHEMA.read_text(encoding="utf-8"))["properties"]
    for setting in SETTINGS:
        if setting.choices:
            assert sorted(keys[setting.name]["enum"]) == sorted(setting.choices), setting.name
            assert keys[setting.name]["default"] == setting.default
            made = parse(f"{HEAD}seats: 3\n{setting.name}: {setting.choices[-1]}\n", Path("workshop.yml"))
            assert getattr(made.spec, setting.name) == setting.choices[-1]


def test_paths_count_from_the_file() -> None:
    text = f"{HEAD}seats: 1\nhosts:\n- address: red\n  key: keys/red\n  known_hosts: /etc/known\n"
    (host,) = parse(text, Path("/class/workshop.yml")).hosts
    assert (host.key, host.known_hosts) == (Path("/class/keys/red"), Path("/etc/known"))
    assert not host.local


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "workshop.yml: the file is empty"),
        ("- 1\n", "line 1: a workshop is a list of keys and values"),
        (f"{HEAD}sats: 3\nseats: 3\n", "line 2: a workshop has no key `sats`: did you mean `seats`?"),
        (f"{HEAD}seats: 3\nxyz: 1\n", "line 3: a workshop has no key `xyz`: the keys are workshop, seats"),
        ("seats: 3\n", "needs the key `workshop`: a name of a-z"),
        (HEAD, "needs the key `seats`: a whole number from 1 to 1000, or a list of names"),
        (f"{HEAD}seats: 0x{'f' * 5000}\n", "line 2: this is not YAML (a number of 5002 digits)"),
        (f'{HEAD}seats: !!int "x"\n', "line 2: this is not YAML (`x` is no int)"),
        (f"{HEAD}seats: 0b_\n", "line 2: this is not YAML (`0b_` is no int)"),
        (f'{HEAD}seats: !!float "x"\n', "line 2: this is not YAML (`x` is no float)"),
        (f'{HEAD}seats: !!bool "x"\n', "line 2: this is not YAML (`x` is no bool)"),
        (f'{HEAD}seats: !!timestamp "x"\n', "line 2: this is not YAML (`x` is no timestamp)"),
        (f"{HEAD}seats: {'1:' * 300}1.5\n", "line 2: this is not YAML (a number of 603 digits)"),
        (f"{HEAD}seats: 3\nnetwork: 999.0.0.0/8\n", "line 3: `network` is no IPv4 network such as 10.216.0.0/20."),
        (f"{HEAD}seats: 3\nseats: 4\n", "line 3: `seats` is given twice, first in line 2"),
        (f"{HEAD}seats: 0\n", "line 2: `seats` is 0, and must be a whole number from 1 to 1000"),
        (f"{HEAD}seats: true\n", "line 2: `seats` is true, and must be"),
        (f"{HEAD}seats: []\n", "line 2: `seats` is [], and must be"),
        (f"{HEAD}seats: [ada, 07]\n", "line 2: `seats[2]` is 7, and must be a name of a-z"),
        (f"{HEAD}seats: [ada, no]\n", "`seats[2]` is false, and must be a name"),
        (f"{HEAD}seats: [ada, Grace]\n", '`seats[2]` is "Grace", and must be a name'),
        (f"{HEAD}seats:\n- ada\n- grace\n- ada\n", "line 5: the seat ada is given twice, first in line 3"),
        (f"{HEAD}seats: 3\npace: quick\n", 'line 3: `pace` is "quick", and must be real or teach'),
        (f"{HEAD}seats: 3\nservers: 4\n", "`servers` is 4, and must be 1, 3, 5 or 7"),
        (f"{HEAD}seats: 3\nconsul_version: 1.21\n", "`consul_version` is 1.21, and must be a version of Consul"),
        (f"{HEAD}seats: 3\nexpires: 8\n", "`expires` is 8, and must be a time such as 8h"),
        (f"{HEAD}seats: 3\nhttp_port: 80\n", "`http_port` is 80, and must be a port from 1024 to 56000, or 0"),
        (f"{HEAD}seats: 3\nhosts: local\n", '`hosts` is "local", and must be a list of Docker hosts'),
        (f"{HEAD}seats: 3\nhosts: [red]\n", '`hosts[1]` is "red", and must be local, or a Docker host'),
        (f"{HEAD}seats: 3\nhosts:\n- name: red\n", "line 4: `hosts[1]` needs the key `address`"),
        (f"{HEAD}seats: 3\nhosts:\n- address: red\n  prt: 1\n", "line 5: `hosts[1]` has no key `prt`: did you mean"),
        (f"{HEAD}seats: 3\nhosts:\n- address: a\n  port: 0\n", "line 5: `hosts[1].port` is 0, and must be a port"),
        (f"{HEAD}seats: 3\nhosts:\n- address: -oProxyCommand=x\n", "`hosts[1].address` is "),
        (f"{HEAD}seats: 3\nhosts: [local, local]\n", "the Docker host local is given twice"),
        (
            f"{HEAD}seats: 3\nhosts:\n- {{address: a, name: x}}\n- {{address: a, name: y}}\n",
            "the address a is given twice",
        ),
        (f"{HEAD}seats: 3\nnetwork: 8.8.8.0/24\n", "`network` is 8.8.8.0/24, which is not private"),
        (f"{HEAD}seats: 3\nnetwork: 10.0.0.1/24\n", "`network` is no IPv4 network"),
        (f"{HEAD}seats: 3\nnetwork: 10.0.0.0/30\n", "which is too small: each seat takes a /28"),
        (f"{HEAD}seats: 17\nnetwork: 10.0.0.0/24\n", "has room for 16 seats, and there are 17"),
        (f"{HEAD}seats: 257\n", "has room for 256 seats, and there are 257"),
        (f"{HEAD}seats: {{a: b\n", "this is not YAML"),
        (f"{HEAD}\tseats: 3\n", "this is not YAML"),
        (f"{HEAD}seats: &a [*a]\n", "workshop.yml, line 2: `&a` is a name for a value that is used again"),
        (f"{HEAD}seats: 3\nhosts:\n- &one local\n- *one\n", "line 4: `&one` is a name for a value"),
        (f"{HEAD}seats: *none\n", "line 2: `*none` is a name for a value"),
        (f"{HEAD}seats: 3\n<<: {{pace: real}}\n", "line 3: `<<` takes the keys of another value"),
        (f"{HEAD}seats: 3\nhosts:\n- address: red\n  <<: {{port: 22}}\n", "line 5: `<<` takes the keys"),
        (
            f"{HEAD}seats: 3\nhosts:\n- address: red\n  address: blue\n",
            "line 5: `address` is given twice, first in line 4",
        ),
        (f"{HEAD}seats: {'[' * 11}{']' * 11}\n", "line 2: the values are nested deeper than those of a workshop"),
        (f"{HEAD}seats: {'[' * 50_000}\n", "line 2: the values are nested deeper than those of a workshop"),
        (f"{HEAD}? [seats]\n: 3\n", "line 2: the key of a value is a list"),
        (f"{HEAD}seats: [{'1,' * 20_001}]\n", "line 2: there are more than 20000 values"),
        (f"{HEAD}seats: !!python/object:os.system 3\n", "this is not YAML"),
        ("\x00", "this is not YAML"),
        (f"{HEAD}seats: 12.0\n", "line 2: `seats` is 12.0, and must be a whole number"),
        (f"{HEAD}seats: 3\nhttp_port: 21000.0\n", "line 3: `http_port` is 21000.0, and must be a port"),
        (f'{HEAD}seats: ["ada\\n", "ada"]\n', "line 2: `seats[1]` has a line's end or another control character in it"),
        ('workshop: "raft101\\n"\nseats: 3\n', "line 1: `workshop` has a line's end"),
        (f"{HEAD}seats: {{? !!binary aGk= : 1}}\n", "line 2: the key `b'hi'` is no text"),
        (f"{HEAD}seats: {{1: 2}}\n", "line 2: the key `1` is no text"),
        (
            f"{HEAD}seats: 3\nhosts:\n- address: red\n  key: ~nobody-of-this-name/key\n",
            "the path ~nobody-of-this-name/key names the home of a user who is not there",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, sentence: str) -> None:
    assert sentence in told(text)


def test_a_long_value_is_cut_and_a_hostile_one_is_harmless() -> None:
    assert len(told(f"{HEAD}seats: {'x' * 5000}\n")) < 300
    assert "\x1b" not in told(f'{HEAD}seats: "\\e[31m"\n')


def test_a_time_stays_text() -> None:
    made = parse(f"{HEAD}seats: 1\nexpires: 2026-11-24T18:00:00+01:00\n", Path("workshop.yml"))
    assert made.expires == "2026-11-24T18:00:00+01:00"


@given(text=st.text() | st.text(alphabet="workshpseat: \n-[]{}&*'\"#|>0123456789!"))
def test_any_text_is_a_workshop_or_a_sentence(text: str) -> None:
    try:
        assert isinstance(parse(text, Path("workshop.yml")), Workshop)
    except LabctlError as error:
        assert error.code is ExitCode.USAGE  # noqa: PT017 - either end is well


KEYS = st.sampled_from(["workshop", "seats", "hosts", "pace", "servers", "network", "expires", "http_port", "profile"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(content=st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_content_is_a_workshop_or_a_sentence(content: dict[str, object]) -> None:
    try:
        assert isinstance(parse(json.dumps(content), Path("workshop.yml")), Workshop)
    except LabctlError as error:
        assert error.code is ExitCode.USAGE  # noqa: PT017 - either end is well


def test_a_file_that_is_not_there_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(LabctlError, match="labctl workshop example"):
        read(tmp_path / "workshop.yml")


def test_a_file_of_any_content_takes_little_time_and_memory(tmp_path: Path) -> None:
    """Each is as large as a file may be, or was made for what reads YAML."""
    names = "abcdefgh"
    laughs = f"{names[0]}: &{names[0]} [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in itertools.pairwise(names)
    )
    most = file.LONGEST_FILE - 100
    inputs = [
        laughs,
        f"{HEAD}seats: {'a' * most}",
        f"{HEAD}seats: ['{'a' * most}']",
        f"{HEAD}seats: [{'a,' * (most // 2)}]",
        f"{HEAD}seats: {'[' * most}",
        f"{HEAD}seats: {'{a: ' * (most // 4)}",
        f"{HEAD}seats: {'9' * most}",
        f"{HEAD}{'a' * most}: 1",
        f"{HEAD}{'? ' * (most // 2)}",
        f"{HEAD}seats:\n" + "- x\n" * (most // 4),
        f"{HEAD}#{'x' * most}\nseats: 3",
        f"{HEAD}network: 10.{'1' * most}/8",
        f"{HEAD}hosts: [{{address: {'a' * most}!}}]",
        "&" * most,
        "%" * most,
        "!" * most,
    ]
    for number, text in enumerate(inputs):
        (tmp_path / f"{number:02d}.yml").write_text(text, encoding="utf-8")
    words = [sys.executable, "-c", BOUNDED, *map(str, sorted(tmp_path.glob("*.yml")))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = done.stdout.splitlines()
    assert len(told) == len(inputs)
    assert [line for line in told if float(line.split()[0]) > 3.0] == []


@pytest.mark.parametrize("size", [file.LONGEST_FILE + 1, 40 * file.LONGEST_FILE])
def test_a_file_that_is_too_large_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "workshop.yml"
    with path.open("wb") as large:
        large.truncate(size)
    with pytest.raises(LabctlError, match="larger than a megabyte") as caught:
        read(path)
    assert caught.value.code is ExitCode.USAGE


def test_a_file_that_waits_or_has_no_end_is_refused(tmp_path: Path) -> None:
    pipe = lonely(tmp_path / "pipe")
    for path, why in ((pipe, "nobody wrote it to its end"), ("/dev/zero", "no plain file"), (tmp_path, "Is a direct")):
        with pytest.raises(LabctlError, match=f"cannot be read: .*{why}") as caught:
            read(Path(path), patience=0.2)
        assert caught.value.code is ExitCode.USAGE


def test_a_file_may_be_what_a_command_prints(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = f"{HEAD}seats: 3\n" + "# more than a pipe holds\n" * 10_000
    writer = threading.Timer(0.2, lambda: pipe.write_text(text, encoding="utf-8"))
    writer.start()
    assert read(pipe).seats == 3
    writer.join()


def test_a_large_workshop_is_read(tmp_path: Path) -> None:
    path = tmp_path / "workshop.yml"
    seats = "".join(f"- attendee-{number}\n" for number in range(1000))
    hosts = "".join(
        f"- {{address: host-{number}.example, user: teacher, port: 22, key: id, known_hosts: known, seats: 9}}\r\n"
        for number in range(100)
    )
    path.write_bytes(f"{HEAD}network: 10.216.0.0/16\r\nseats:\n{seats}hosts:\n{hosts}".encode())
    made = read(path)
    assert (made.seats, len(made.hosts)) == (1000, 100)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"workshop: \xe9\n"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "workshop.yml").write_bytes(content)
    with pytest.raises(LabctlError, match="UTF-8"):
        read(tmp_path / "workshop.yml")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_workshops(path: Path) -> None:
    assert read(path).name == "raft101"


def test_the_schema_is_one_and_says_what_each_key_is() -> None:
    schema = json.loads(file.SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    for where in (schema, schema["$defs"]["machine"]):
        for key, described in where["properties"].items():
            assert described["title"], key
            assert described["description"].endswith("."), key
