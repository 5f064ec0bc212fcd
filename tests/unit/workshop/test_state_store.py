"""What a machine keeps of a workshop: two commands at once lose nothing, and damaged is not the same as empty."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.cli.main import run
from labctl.errors import ExitCode, LabctlError
from labctl.progress import Steps
from labctl.shared.plain_files import write_whole
from labctl.workshop import state_schema, survey
from labctl.workshop.cards import CardRequest, cards_of
from labctl.workshop.down import down
from labctl.workshop.expire import expire
from labctl.workshop.inventory import placed_inventory
from labctl.workshop.model.file import Workshop, parse
from labctl.workshop.model.seats import seats_of
from labctl.workshop.state_store import SecretCopy, WorkshopState
from labctl.workshop.up import WorkshopUpOptions, up
from tests.unit.pipes import lonely
from tests.unit.workshop.workshop_stand_in import OWNER, Hosts

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from labctl.workshop.model.hosts import Fleet


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hosts:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Hosts(monkeypatch)


def workshop(seats: object, more: str = "") -> Workshop:
    return parse(f"workshop: w\nseats: {seats}\n{more}", Path("workshop.yml"))


Look = Callable[..., "Fleet"]


def make_up(made: Workshop, look: Look = survey.look) -> None:
    up(made, WorkshopUpOptions(OWNER, look=look), Steps())


def print_cards(made: Workshop, look: Look = survey.look) -> None:
    cards_of(made, CardRequest(OWNER), look)


def print_inventory(made: Workshop, look: Look = survey.look) -> None:
    placed_inventory(made, OWNER, look)


# -- two at once ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("command", [make_up, print_cards, print_inventory])
def test_two_commands_at_once_give_no_number_twice(command: Callable[[Workshop, Look], None]) -> None:
    make_up(workshop("[ada, grace]"))
    looked: list[Fleet] = []
    both = threading.Barrier(2)

    def look(made: Workshop, owner: str) -> Fleet:
        looked.append(survey.look(made, owner))
        # Both have read the numbers before either of them keeps its own, unless one waits for the other.
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return looked[-1]

    files = [workshop("[ada, grace, linus]"), workshop("[ada, grace, radia]")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda made: command(made, look), files))
    assert len(looked) == 2
    assert sorted(WorkshopState("w").numbers().values()) == [1, 2, 3, 4]


def note_failures(labs: list[str], ready: Barrier) -> None:
    register = WorkshopState("w")
    ready.wait()
    for lab in labs:
        register.keep_failed({lab: "taken"})


@pytest.mark.usefixtures("hosts")
def test_of_many_commands_side_by_side_no_failure_is_forgotten() -> None:
    start = multiprocessing.get_context("fork")
    labs = [f"w-{number:02d}" for number in range(24)]
    ready = start.Barrier(4)
    others = [start.Process(target=note_failures, args=(labs[part::4], ready)) for part in range(4)]
    for fork_process in others:
        fork_process.start()
    for fork_process in others:
        fork_process.join(60)
    assert set(WorkshopState("w").failed()) == set(labs)
    assert not list(WorkshopState("w").folder.glob("*.new"))


@pytest.mark.usefixtures("hosts")
def test_two_writers_of_one_process_have_files_of_their_own() -> None:
    register, ended = WorkshopState("w"), threading.Event()
    register.secret()
    path, seen = register.folder / "note", set()
    write_whole(path, "0" * 100_000)

    def read() -> None:
        while not ended.is_set():
            text = path.read_text()
            seen.add((text[:1], len(set(text)), len(text)))

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: write_whole(path, f"{number % 10}" * 100_000), range(200)))
    ended.set()
    reader.join()
    assert {(different, length) for _, different, length in seen} == {(1, 100_000)}, "whole, and of one of them"
    assert [path.name for path in register.folder.glob("note*")] == ["note"]


@pytest.mark.usefixtures("hosts")
def test_who_waits_for_a_register_that_is_never_let_go_says_so_and_gives_up(capsys: pytest.CaptureFixture[str]) -> None:
    who = r"Cannot use the register of the workshop w: .*`labctl workshop \(of w\)` \(process [0-9]+ on .* has it"
    waiting = WorkshopState("w", patience=0.4, say_after=0.1)
    with WorkshopState("w").placing(), pytest.raises(LabctlError, match=who) as caught, waiting.placing():
        pass
    assert caught.value.code is ExitCode.REFUSED
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert told.err.startswith("Waiting for ")


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("words", [["--json"], []])
def test_for_whom_a_command_waits_is_a_document_where_stdout_is_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    file = tmp_path / "w.yml"
    file.write_text("workshop: w\nseats: 1\n", encoding="ascii")
    held = threading.Event()

    def hold() -> None:
        with WorkshopState("w").placing():
            held.set()
            time.sleep(1.5)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    copy = tmp_path / "copy"
    copy.write_text(json.dumps({"workshop": "w", "secret": "ab" * 32, "numbers": {}, "seeds": {}}), encoding="ascii")
    copy.chmod(0o600)
    assert run(["workshop", "secret", "-f", str(file), "--input", str(copy), *words]) == ExitCode.DONE
    other.join()
    (line,) = capsys.readouterr().err.splitlines()
    note = json.loads(line)["note"] if words else line
    assert note.startswith("Waiting for ")
    assert "`labctl workshop (of w)`" in note


@pytest.mark.usefixtures("hosts")
def test_a_copy_that_is_taken_halfway_makes_no_card_of_a_wrong_secret() -> None:
    register = WorkshopState("w")
    # The secret was lost here, and another one made: nobody knows the seat's.
    register.write_seeds([], ["w-01"], {})
    assert register.seats_with_unknown_secret(["w-01"], {}) == ["w-01"]
    (register.folder / "secret").unlink()
    # Nothing can take the place of a folder, as where it is killed before the secret is written.
    (register.folder / "secret" / "x").mkdir(parents=True)
    with pytest.raises(LabctlError):
        register.take(SecretCopy("w", b"r" * 32, {}, {}))
    assert register.seats_with_unknown_secret(["w-01"], {}) == ["w-01"]
    shutil.rmtree(register.folder / "secret")
    register.secret()
    assert register.seats_with_unknown_secret(["w-01"], {}) == ["w-01"]


# -- a number twice ------------------------------------------------------------------------------------------


def test_two_seats_of_one_number_are_refused_and_both_are_named() -> None:
    with pytest.raises(LabctlError, match=r"ada and linus .* both the number 3.*`labctl workshop down SEAT`") as caught:
        seats_of(workshop("[ada, linus]"), {"ada": 3, "linus": 3})
    assert caught.value.code is ExitCode.REFUSED


def test_a_seat_that_exists_keeps_its_number_from_the_files_seats() -> None:
    known = {"ada": 1}
    with pytest.raises(LabctlError, match=r"ada and 01 .* both the number 1"):
        seats_of(workshop(2), known, there=["ada"])
    # A name of the past that is nowhere stands in nobody's way.
    assert [seat.name for seat in seats_of(workshop(2), known)] == ["01", "02"]


def test_a_seat_whose_number_another_one_has_can_still_be_removed(hosts: Hosts) -> None:
    two = "hosts:\n- {address: red, name: red}\n- {address: green, name: green}\n"
    hosts.put("red", "w-ada", 3)
    hosts.put("green", "w-linus", 3)
    made = workshop("[ada, linus]", two)
    with pytest.raises(LabctlError, match="both the number 3"):
        make_up(made)
    assert set(down(made, OWNER, ("linus",), None, Steps()).labs) == {"w-linus"}
    make_up(made)
    assert WorkshopState("w").numbers() == {"ada": 3, "linus": 1}


# -- what is damaged -----------------------------------------------------------------------------------------

NO_NUMBERS = [
    "", "{", "[]", "null", '{"a": 0}', '{"a": -3}', '{"a": 4097}', '{"a": 1.9}', '{"a": 1.0}', '{"a": true}',
    '{"a": "1"}', '{"a": null}', '{"a": 1e400}', '{"a": NaN}', '{"a": Infinity}', '{"a": 1, "b": 1}',
    '{"a": 1, "a": 2}', '{"../a": 1}', '{"A": 1}', f'{{"a": {"9" * 5000}}}', "[" * 100_000, "\xff",
]  # fmt: skip


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("text", NO_NUMBERS)
def test_numbers_that_are_damaged_are_not_given_anew(text: str) -> None:
    make_up(workshop("[ada, grace]"))
    path = WorkshopState("w").folder / "numbers.json"
    path.write_text(text, encoding="latin-1")
    for command in (make_up, print_cards, print_inventory):
        with pytest.raises(LabctlError, match=r"Cannot read .*numbers\.json.*`labctl workshop secret --input FILE"):
            command(workshop("[grace, linus, ada]"))
    assert path.read_text(encoding="latin-1") == text


@pytest.mark.usefixtures("hosts")
def test_what_needs_no_number_goes_on_where_nobody_can_tell_them() -> None:
    made = workshop("[ada, grace]")
    make_up(made)
    (WorkshopState("w").folder / "numbers.json").write_text("{", encoding="ascii")
    assert expire(made, OWNER, "2h", Steps()).changed
    assert set(down(made, OWNER, ("ada",), None, Steps()).labs) == {"w-ada"}
    assert set(down(made, OWNER, (), None, Steps()).labs) == {"w-grace"}


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("name", ["places.json", "failed.json", "strangers.json"])
@pytest.mark.parametrize("text", ["", "{", '{"w-01": 1}', '{"../x": "y"}', '{"labs": 1}', '{"labs": [1]}', "[]"])
def test_a_note_that_is_damaged_is_named_with_what_helps(name: str, text: str) -> None:
    make_up(workshop(2))
    (WorkshopState("w").folder / name).write_text(text, encoding="ascii")
    with pytest.raises(LabctlError, match=rf"Cannot read .*{name}.*remove that file"):
        make_up(workshop(2))


@pytest.mark.usefixtures("hosts")
def test_a_register_that_waits_or_has_no_end_is_refused() -> None:
    make_up(workshop(2))
    path = WorkshopState("w").folder / "numbers.json"
    path.unlink()
    lonely(path)
    with pytest.raises(LabctlError, match=r"register in .* cannot be used \(it is no plain file\)"):
        make_up(workshop(2))
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(LabctlError, match=r"cannot be used \(it is no plain file\)"):
        make_up(workshop(2))


@pytest.mark.parametrize("number", ["9" * 10_000, "-" + "9" * 10_000])
def test_a_number_of_thousands_of_digits_in_a_register_is_told_in_our_words(number: str) -> None:
    with pytest.raises(ValueError, match=f"^a number in it has {len(number)} digits$"):
        state_schema.document(f'{{"a": {number}}}')


@pytest.mark.usefixtures("hosts")
def test_a_copy_takes_the_place_of_damaged_numbers_when_forced() -> None:
    make_up(workshop("[ada, grace]"))
    register = WorkshopState("w")
    copy = register.copy()
    (register.folder / "numbers.json").write_text("{", encoding="ascii")
    with pytest.raises(LabctlError, match=r"Cannot read .*numbers\.json"):
        register.take(copy)
    register.take(copy, force=True)
    assert register.numbers() == {"ada": 1, "grace": 2}


@pytest.mark.usefixtures("hosts")
def test_a_copys_numbers_win_and_no_number_is_there_twice() -> None:
    make_up(workshop("[ada, grace]"))
    register = WorkshopState("w")
    register.take(SecretCopy("w", register.secret(), {"linus": 1, "grace": 7}, {}))
    assert json.loads((register.folder / "numbers.json").read_text()) == {"linus": 1, "grace": 7}
