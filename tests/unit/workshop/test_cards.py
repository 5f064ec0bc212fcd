"""`labctl workshop cards` and `secret`: true secrets or none, in files that nobody else may read."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import resource
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labctl import output_files
from labctl.cli import main
from labctl.errors import ExitCode, LabctlError
from labctl.shared import derived_secrets
from labctl.workshop.model.capacity import Facts
from labctl.workshop.state_store import WorkshopState
from labctl.workshop.survey import Survey
from tests.unit.workshop.test_state_store import NO_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.stand_ins import StreamChange

GIB = 1 << 30
TEXT = "workshop: raft101\nseats: 3\n"
TWO_HOSTS = TEXT + "hosts: [{name: red, address: 192.0.2.11}, {name: blue, address: 192.0.2.12}]\n"


class Host:
    """A Docker host with room, and the labs that it has."""

    def __init__(self) -> None:
        self.labs: dict[str, str] = {}
        self.seeds: dict[str, bytes] = {}
        self.memory = 64 * GIB

    def has(self, *seats: str, on: str = "local") -> None:
        self.labs |= {f"raft101-{seat}": on for seat in seats}

    def run(self, words: list[str]) -> int:
        """Run labctl where this is the only Docker host."""
        return main.run(words, Survey(lambda host_: (self.facts(host_.name), None)))

    def facts(self, name: str) -> Facts:
        labs = [
            {"lab": lab, "owner": "ada", "workshop": "raft101", "servers": "3", "seat": lab[8:], "number": lab[8:]}
            for lab, where in self.labs.items()
            if where == name
        ]
        labs = [
            {**lab, "seed": derived_secrets.fingerprint(self.seeds[lab["lab"]])} if lab["lab"] in self.seeds else lab
            for lab in labs
        ]
        return Facts(
            {
                "cores": 8, "memory": {"free": self.memory}, "ports": [], "routes": [], "engine": "28", "api": "1.48",
                "compose": "2.40", "disk_free": 999 * GIB, "disk_root": "/", "networks": [], "labs": labs, "images": [],
                "reapers": [], "problem": None, "clock": 0.0,
            }
        )  # fmt: skip


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    monkeypatch.setenv("LABCTL_OWNER", "ada")
    monkeypatch.chdir(tmp_path)
    Path("workshop.yml").write_text(TEXT, encoding="utf-8")
    return made


def cards(host: Host, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert host.run(["workshop", "cards", "--format", "json", *words]) == ExitCode.DONE
    said = capsys.readouterr()
    assert "holds secrets" in said.err
    return json.loads(said.out)["cards"]


def sentence(host: Host, capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    assert host.run(["workshop", *words]) == code
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def mode(path: str | Path) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def move_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str = "elsewhere") -> None:
    """Another machine, with a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))


# -- cards ---------------------------------------------------------------------------------------------------


def test_a_pipe_gets_the_list_and_the_same_one_again(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    first = cards(host, capsys)
    assert [card["seat"] for card in first] == ["01", "02", "03"]
    host.has("01", "02", "03")
    assert cards(host, capsys) == first
    host.labs.clear()
    WorkshopState("raft101").forget()
    assert cards(host, capsys) == first
    assert [card["lab"] for card in cards(host, capsys, "02", "raft101-03")] == ["raft101-02", "raft101-03"]


def test_the_cards_say_what_the_seats_are_made_with(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    first = cards(host, capsys)
    host.has("01")
    register = WorkshopState("raft101")
    for card in first:
        seed = register.seed(card["lab"])
        assert card["token"] == derived_secrets.token(seed)
        assert card["gossip_key"] == derived_secrets.gossip_key(seed)


def test_the_file_is_its_owners_alone_whatever_the_umask(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.labs == {}
    before = os.umask(0)
    try:
        for form in ("html", "csv", "json"):
            assert host.run(["workshop", "cards", "--format", form, "-o", f"cards.{form}"]) == ExitCode.DONE
            assert mode(f"cards.{form}") == 0o600
    finally:
        os.umask(before)
    assert "only you may read" in capsys.readouterr().out
    assert len(list(csv.DictReader(io.StringIO(Path("cards.csv").read_text(encoding="utf-8"))))) == 3


def test_a_file_that_is_there_stays_without_force(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.labs == {}
    path = Path("cards.html")
    path.write_text("mine", encoding="utf-8")
    path.chmod(0o644)
    said = sentence(host, capsys, ExitCode.USAGE, "cards", "-o", "cards.html")
    assert "cards.html exists already: name another file, or overwrite it with --force." in said
    assert path.read_text(encoding="utf-8") == "mine"
    assert not WorkshopState("raft101").has_secret()
    assert host.run(["workshop", "cards", "-o", "cards.html", "--force"]) == ExitCode.DONE
    assert "<section" in path.read_text(encoding="utf-8")
    assert mode(path) == 0o600


class Terminal(io.StringIO):
    """What somebody sees."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_sheets_go_to_a_file(host: Host, standard_output: StreamChange) -> None:
    assert host.labs == {}
    terminal = Terminal()
    standard_output(terminal)
    assert host.run(["workshop", "cards"]) == ExitCode.DONE
    assert mode("raft101-cards.html") == 0o600
    said = terminal.getvalue()
    assert said == "3 cards of the workshop raft101: in raft101-cards.html, which only you may read.\n"
    assert host.run(["workshop", "cards", "-o", "-", "--format", "csv"]) == ExitCode.DONE
    assert terminal.getvalue().removeprefix(said).startswith("workshop,seat,number")


def test_a_file_that_a_shell_opened_for_everybody_gets_nothing(
    host: Host, capsys: pytest.CaptureFixture[str], tmp_path: Path, standard_output: StreamChange
) -> None:
    assert host.labs == {}
    with (tmp_path / "open.json").open("w") as file:
        standard_output(file)
        os.fchmod(file.fileno(), 0o644)
        assert host.run(["workshop", "cards", "--format", "json"]) == ExitCode.USAGE
        assert "others may read (mode 0644)" in capsys.readouterr().err
        assert os.fstat(file.fileno()).st_size == 0
        os.fchmod(file.fileno(), 0o600)
        assert host.run(["workshop", "cards", "--format", "json"]) == ExitCode.DONE


@pytest.mark.parametrize("command", [["cards", "--format", "csv"], ["secret"]])
def test_another_name_of_such_a_file_opens_it_to_nobody(
    command: list[str], host: Host, capsys: pytest.CaptureFixture[str], tmp_path: Path, standard_output: StreamChange
) -> None:
    assert host.labs == {}
    WorkshopState("raft101").secret()
    with (tmp_path / "open").open("w") as file:
        standard_output(file)
        os.fchmod(file.fileno(), 0o644)
        (tmp_path / "link").symlink_to(f"/proc/self/fd/{file.fileno()}")
        for name in ("open", "link"):
            assert host.run(["workshop", *command, "-o", name, "--force"]) == ExitCode.USAGE
            assert "others may read (mode 0644)" in capsys.readouterr().err
        assert (tmp_path / "link").is_symlink()
        assert os.fstat(file.fileno()).st_size == 0
        os.fchmod(file.fileno(), 0o600)
        assert host.run(["workshop", *command, "-o", "link"]) == ExitCode.DONE
        file.flush()
        assert (tmp_path / "open").stat().st_size > 0


@pytest.mark.parametrize("command", ["cards", "secret"])
def test_the_workshops_own_files_are_never_written_over(
    command: str, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.run(["workshop", "inventory"])
    capsys.readouterr()
    before = {path: path.read_bytes() for path in WorkshopState("raft101").files()}
    assert {path.name for path in before} >= {"secret", "numbers.json", "raft101-01.seed"}
    for path in before:
        said = sentence(host, capsys, ExitCode.USAGE, command, "-o", str(path), "--force")
        assert "it is a file that is read, and would be lost" in said
    assert {path: path.read_bytes() for path in before} == before


def test_a_seat_that_fits_nowhere_has_no_card(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.memory = 0
    assert "3 of 3 seats fit nowhere" in sentence(host, capsys, ExitCode.REFUSED, "cards")


def test_cards_before_up_are_told_apart_where_there_are_several_hosts(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("workshop.yml").write_text(TWO_HOSTS, encoding="utf-8")
    WorkshopState("raft101").secret()
    host.has("01", on="blue")
    assert host.run(["workshop", "cards", "--format", "json"]) == ExitCode.DONE
    said = capsys.readouterr()
    assert "2 of these seats are not up yet" in said.err
    placed = {card["seat"]: (card["host"], card["address"]) for card in json.loads(said.out)["cards"]}
    assert placed["01"] == ("blue", "192.0.2.12")
    host.has("02", "03", on="red")
    assert host.run(["workshop", "cards", "--format", "json"]) == ExitCode.DONE
    assert "not up yet" not in capsys.readouterr().err


# -- a lost secret -------------------------------------------------------------------------------------------


def test_without_the_secret_no_card_is_made_up(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.has("01", "02")
    said = sentence(host, capsys, ExitCode.FAILED, "cards")
    assert "The secret of 2 seats of the workshop raft101, such as raft101-01, is not on this machine" in said
    assert str(WorkshopState("raft101").secret_file) in said
    # Nor is one for a seat to come: the secret would be another one than the others have.
    sentence(host, capsys, ExitCode.FAILED, "cards", "03")
    assert not WorkshopState("raft101").has_secret()


def test_a_secret_that_up_made_anew_makes_no_card_for_older_seats(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.has("01", "02")
    # `inventory` lays the seeds down, as `up` does.
    assert host.run(["workshop", "inventory"]) == ExitCode.DONE
    capsys.readouterr()
    host.has("03")
    assert "raft101-01" in sentence(host, capsys, ExitCode.FAILED, "cards")
    assert [card["seat"] for card in cards(host, capsys, "03")] == ["03"]
    # Once it was removed and made again, a seat has what this machine knows.
    del host.labs["raft101-01"]
    assert host.run(["workshop", "inventory"]) == ExitCode.DONE
    capsys.readouterr()
    host.has("01")
    assert [card["seat"] for card in cards(host, capsys, "01")] == ["01"]
    assert "raft101-02" in sentence(host, capsys, ExitCode.FAILED, "cards", "02")


def test_a_seat_that_another_machine_made_anew_has_no_card_here_until_its_secret_is(
    host: Host, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_away(tmp_path, monkeypatch, "here")
    first, second = cards(host, capsys, "01", "02")
    host.has("01", "02")
    host.seeds = {lab: WorkshopState("raft101").seed(lab) for lab in host.labs}
    assert host.run(["workshop", "inventory"]) == ExitCode.DONE
    assert host.run(["workshop", "secret", "--output", "here.json"]) == ExitCode.DONE
    # Another machine of the same owner's, which does not know the secret, makes the first seat anew.
    move_away(tmp_path, monkeypatch, "there")
    del host.labs["raft101-01"]
    assert host.run(["workshop", "inventory"]) == ExitCode.DONE
    capsys.readouterr()
    host.has("01")
    host.seeds["raft101-01"] = WorkshopState("raft101").seed("raft101-01")
    (theirs,) = cards(host, capsys, "01")
    assert theirs != first
    assert "raft101-02" in sentence(host, capsys, ExitCode.FAILED, "cards", "02")
    # Here, the old card is not told as true, and the other one is.
    move_away(tmp_path, monkeypatch, "here")
    assert "raft101-01" in sentence(host, capsys, ExitCode.FAILED, "cards")
    assert cards(host, capsys, "02") == [second]
    # Nor when its Docker host is silent from then on.
    fingerprints, host.seeds = host.seeds, {}
    assert "raft101-01" in sentence(host, capsys, ExitCode.FAILED, "cards", "01")
    host.seeds = fingerprints
    # Nor is one after `up`, which leaves the seats as they are; there, a copy brings both.
    assert host.run(["workshop", "inventory"]) == ExitCode.DONE
    capsys.readouterr()
    assert "raft101-01" in sentence(host, capsys, ExitCode.FAILED, "cards", "01")
    move_away(tmp_path, monkeypatch, "there")
    assert host.run(["workshop", "secret", "--input", "here.json", "--force"]) == ExitCode.DONE
    capsys.readouterr()
    assert cards(host, capsys, "01", "02") == [theirs, second]


def test_a_card_that_is_proven_needs_no_secret_that_is_whole(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    (first,) = cards(host, capsys, "01")
    assert host.run(["workshop", "inventory"]) == ExitCode.DONE
    capsys.readouterr()
    host.has("01")
    register = WorkshopState("raft101")
    host.seeds = {"raft101-01": register.seed("raft101-01")}
    register.secret_file.write_text("damaged", encoding="ascii")
    assert cards(host, capsys, "01") == [first]


def test_a_damaged_seed_of_a_seat_that_is_gone_gives_way_to_a_new_one(host: Host) -> None:
    host.has("01")
    register = WorkshopState("raft101")
    register.seeds.mkdir(parents=True)
    (register.seeds / "raft101-01.seed").write_text("damaged", encoding="ascii")
    host.seeds = {"raft101-01": bytes(32)}
    assert host.run(["workshop", "inventory"]) == ExitCode.DONE
    assert (register.seeds / "raft101-01.seed").read_text(encoding="ascii") == "damaged"
    host.labs, host.seeds = {}, {}
    assert host.run(["workshop", "inventory"]) == ExitCode.DONE
    assert register.seed("raft101-01") == derived_secrets.seed_of(register.secret(), "raft101-01")


@pytest.mark.parametrize("kept", ["00" * 32, "damaged"])
def test_a_seat_is_made_anew_with_the_seed_that_it_has(
    host: Host, capsys: pytest.CaptureFixture[str], kept: str
) -> None:
    (first,) = cards(host, capsys, "01")
    host.has("01")
    register = WorkshopState("raft101")
    host.seeds = {"raft101-01": register.seed("raft101-01")}
    (register.seeds / "raft101-01.seed").parent.mkdir()
    (register.seeds / "raft101-01.seed").write_text(kept, encoding="ascii")
    assert cards(host, capsys, "01") == [first]
    assert host.run(["workshop", "inventory"]) == ExitCode.DONE
    capsys.readouterr()
    host.seeds = {}
    assert cards(host, capsys, "01") == [first]


def test_a_copy_brings_the_same_cards_back(
    host: Host, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cards(host, capsys)
    host.has("01", "02", "03")
    assert host.run(["workshop", "secret", "--output", "copy.json", "--json"]) == ExitCode.DONE
    assert mode("copy.json") == 0o600
    assert json.loads(capsys.readouterr().out) == {"workshop": "raft101", "copy": str(tmp_path / "copy.json")}
    move_away(tmp_path, monkeypatch)
    sentence(host, capsys, ExitCode.FAILED, "cards")
    assert host.run(["workshop", "secret", "--input", "copy.json", "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["secret_file"] == str(WorkshopState("raft101").secret_file)
    assert cards(host, capsys) == first
    assert mode(WorkshopState("raft101").secret_file) == 0o600


def test_a_copy_mends_what_was_made_up_and_keeps_what_was_made_meanwhile(
    host: Host, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cards(host, capsys)
    host.has("01", "02")
    host.run(["workshop", "secret", "--output", "copy.json"])
    move_away(tmp_path, monkeypatch)
    host.run(["workshop", "inventory"])
    host.has("03")
    capsys.readouterr()
    meanwhile = cards(host, capsys, "03")
    assert meanwhile != first[2:]
    said = sentence(host, capsys, ExitCode.REFUSED, "secret", "--input", "copy.json")
    assert "has another secret on this machine" in said
    assert host.run(["workshop", "secret", "--input", "copy.json", "--force"]) == ExitCode.DONE
    capsys.readouterr()
    assert cards(host, capsys) == first[:2] + meanwhile
    # A copy of that is whole, too.
    host.run(["workshop", "secret", "--output", "second.json"])
    move_away(tmp_path, monkeypatch, "third")
    host.run(["workshop", "secret", "--input", "second.json"])
    capsys.readouterr()
    assert cards(host, capsys) == first[:2] + meanwhile


def test_a_copy_brings_the_numbers_of_names(
    host: Host, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert host.labs == {}
    Path("workshop.yml").write_text("workshop: raft101\nseats: [ada, grace]\n", encoding="utf-8")
    _, grace = cards(host, capsys)
    host.run(["workshop", "secret", "--output", "copy.json"])
    Path("workshop.yml").write_text("workshop: raft101\nseats: [grace]\n", encoding="utf-8")
    move_away(tmp_path, monkeypatch)
    host.run(["workshop", "secret", "--input", "copy.json"])
    capsys.readouterr()
    assert cards(host, capsys) == [grace]


def test_a_damaged_secret_is_named_and_a_copy_takes_its_place(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    first = cards(host, capsys)
    host.has("01")
    host.run(["workshop", "secret", "--output", "copy.json"])
    capsys.readouterr()
    WorkshopState("raft101").secret_file.write_text("5ec4e7", encoding="ascii")
    said = sentence(host, capsys, ExitCode.FAILED, "cards")
    assert "is damaged" in said
    assert "5ec4e7" not in said
    assert host.run(["workshop", "secret", "--input", "copy.json", "--force"]) == ExitCode.DONE
    capsys.readouterr()
    assert cards(host, capsys) == first


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "\0", '{"workshop": "raft101", "secret": "00", "numbers": {}, "seeds": {}}',
        json.dumps({"workshop": "raft101", "secret": "0" * 64, "numbers": {}, "seeds": {"../x": "0" * 64}}),
        json.dumps({"workshop": "raft101", "secret": "0" * 64, "numbers": {}, "seeds": {"ada": 1}}),
        json.dumps({"workshop": 1, "secret": "0" * 64, "numbers": {}, "seeds": {}}),
        json.dumps({"workshop": "raft101", "secret": " " * 64 + "0" * 64, "numbers": {}, "seeds": {}}),
        f'{{"workshop": "raft101", "secret": "{"0" * 64}", "secret": "{"1" * 64}", "numbers": {{}}, "seeds": {{}}}}',
        *(f'{{"workshop": "raft101", "secret": "{"0" * 64}", "numbers": {no}, "seeds": {{}}}}' for no in NO_NUMBERS),
        "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_copy_is_refused_and_not_shown(host: Host, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert host.labs == {}
    path = Path("copy.json")
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    said = sentence(host, capsys, ExitCode.USAGE, "secret", "--input", "copy.json")
    assert "copy.json is no copy of a workshop's secret" in said
    assert "0" * 30 not in said
    assert not WorkshopState("raft101").folder.exists()


def test_what_is_no_file_is_refused_with_what_to_give(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    said = sentence(host, capsys, ExitCode.USAGE, "secret", "--input", "/dev/null")
    assert "/dev/null is no file: give one that `labctl workshop secret --output FILE` wrote." in said


def test_copies_that_cannot_be_taken_are_refused(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.labs == {}
    cards(host, capsys)
    host.run(["workshop", "secret", "--output", "copy.json"])
    capsys.readouterr()
    Path("other.yml").write_text("workshop: other\nseats: 1\n", encoding="utf-8")
    said = sentence(host, capsys, ExitCode.USAGE, "secret", "--file", "other.yml", "--input", "copy.json")
    assert "holds the secret of the workshop 'raft101', and this one is other" in said
    assert "is not on this machine" in sentence(
        host, capsys, ExitCode.FAILED, "secret", "--file", "other.yml", "-o", "other.json"
    )
    assert not Path("other.json").exists()
    Path("copy.json").chmod(0o640)
    assert "`chmod 600 copy.json`" in sentence(host, capsys, ExitCode.USAGE, "secret", "--input", "copy.json")
    assert "cannot be read" in sentence(host, capsys, ExitCode.USAGE, "secret", "--input", "none.json")
    assert "Give one of --output FILE and --input FILE." in sentence(host, capsys, ExitCode.USAGE, "secret")


def test_the_secret_goes_to_stdout_only_when_asked(
    host: Host, capsys: pytest.CaptureFixture[str], standard_input: StreamChange
) -> None:
    assert host.labs == {}
    cards(host, capsys)
    assert host.run(["workshop", "secret", "--output", "-"]) == ExitCode.DONE
    said = capsys.readouterr()
    assert json.loads(said.out)["secret"] == WorkshopState("raft101").secret().hex()
    standard_input(io.StringIO(said.out))
    assert host.run(["workshop", "secret", "--input", "-"]) == ExitCode.DONE


# -- files ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """As a full disk does, let a file take no more bytes than that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_secret_file_is_whole_or_not_there(tmp_path: Path) -> None:
    with no_file_longer_than(3), pytest.raises(LabctlError, match="File too large"):
        output_files.save_secret("secret", tmp_path / "cards.html", force=False)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("pipe", "dangling"):
        with pytest.raises(LabctlError, match="exists already: name another file"):
            output_files.save_secret("secret", tmp_path / name, force=True)
    with pytest.raises(LabctlError):
        output_files.save_secret("secret", tmp_path, force=True)
    assert not (tmp_path / "nowhere").exists()
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
