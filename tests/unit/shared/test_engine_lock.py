"""The lock shared by all who use a Docker Engine: two at once, killed holders, strangers."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from labctl.shared import engine_lock
from labctl.shared.docker_api import DockerError
from labctl.shared.engine_lock import LABEL_ALONE, LABEL_HOLDER, LABEL_LOCK, EngineLock
from labctl.shared.lock_holder import LockHeldError, holder, is_over

NOW = "2026-11-29T09:44:44.082057851Z"


class Engine:
    """Volumes in memory, as an engine has them."""

    def __init__(self) -> None:
        self.volumes_now: dict[str, dict[str, Any]] = {}
        self.fails = ""
        self.lock = threading.Lock()

    def put(self, name: str, labels: dict[str, str], made: str = "2026-11-29T09:44:40Z") -> None:
        self.volumes_now[name] = {"Name": name, "Labels": labels, "CreatedAt": made}

    def ask(self, _method: str, path: str, *, body: dict[str, Any], doing: str) -> bytes:
        assert path == "/volumes/create"
        if self.fails:
            raise DockerError(f"{self.fails} while {doing}", said=self.fails)
        with self.lock:
            self.put(body["Name"], body["Labels"])
        return b"{}"

    def within(self, seconds: float) -> Engine:  # noqa: ARG002
        return self

    at_the_end = within

    def sharing(self, allowance: Any) -> Engine:  # noqa: ARG002
        return self

    def volumes(self, filters: dict[str, str], *, doing: str) -> list[dict[str, Any]]:  # noqa: ARG002
        name, _, value = filters["label"].partition("=")
        with self.lock:
            return [volume for volume in self.volumes_now.values() if (volume["Labels"] or {}).get(name) == value]

    def remove(self, kind: str, things: list[str], *, doing: str) -> None:
        assert kind == "volume"
        for name in things:
            with self.lock:
                if self.volumes_now.pop(name, None) is None:
                    raise DockerError(f"no {name} while {doing}", said=f"get {name}: no such volume")

    def get(self, path: str, *, doing: str) -> dict[str, Any]:  # noqa: ARG002
        assert path == "/info"
        return {"SystemTime": NOW}


def at_once(note: str, _age: float | None, volume: str) -> None:
    raise LockHeldError(f"{note} {volume}", 0.0)


def a_moment(_note: str, _age: float | None, _volume: str) -> None:
    time.sleep(0.001)


def lock(engine: Engine, lab: str = "ada", label: str = LABEL_LOCK, pause: Any = at_once) -> EngineLock:
    return EngineLock(engine, label, lab, is_over, pause)


ME = holder("labctl up ada", 60)


def test_the_lock_is_a_labelled_volume_while_it_is_held() -> None:
    engine = Engine()
    with lock(engine).held(ME.note, {"raft-labctl.owner": "ada"}):
        (volume,) = engine.volumes_now.values()
        assert volume["Name"].startswith("labctl-ada-lock-")
        assert volume["Labels"] == {"raft-labctl.owner": "ada", LABEL_LOCK: "ada", LABEL_HOLDER: ME.note}
        with pytest.raises(LockHeldError, match="labctl up ada"), lock(engine).held(ME.note, {}):
            pass
        assert list(engine.volumes_now.values()) == [volume]
        with lock(engine, "bob").held(ME.note, {}), lock(engine, label=LABEL_ALONE).held(ME.note, {}):
            pass
    assert not engine.volumes_now
    with pytest.raises(RuntimeError), lock(engine).held(ME.note, {}):
        raise RuntimeError
    assert not engine.volumes_now


def test_many_at_once_have_it_one_after_the_other() -> None:
    engine = Engine()
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(3):
            with lock(engine, pause=a_moment).held(ME.note, {}):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.002)
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 18
    assert not engine.volumes_now


def test_who_has_ended_is_cleared_away_and_only_they() -> None:
    engine = Engine()
    dead = replace(ME, pid=2**22 + 1)
    far = replace(dead, boot="elsewhere", seconds=60)
    engine.put("dead", {LABEL_LOCK: "ada", LABEL_HOLDER: dead.note})
    engine.put("late", {LABEL_LOCK: "ada", LABEL_HOLDER: far.note}, made="2026-11-29T09:43:43Z")
    with lock(engine).held(ME.note, {}):
        assert len(engine.volumes_now) == 1
    # Four seconds old, or of an age that the engine does not tell.
    for made in ("2026-11-29T10:44:40+01:00", "", "2026-99-99T10:44:40Z"):
        engine.put("far", {LABEL_LOCK: "ada", LABEL_HOLDER: far.note}, made=made)
        with pytest.raises(LockHeldError, match=" far"), lock(engine).held(ME.note, {}):
            pass
        assert list(engine.volumes_now) == ["far"]


def test_of_a_command_and_what_it_started_the_command_is_named() -> None:
    engine = Engine()
    for name, command, made in (("b", "labctl join ada", "45"), ("a", "labctl up ada", "40")):
        note = holder(command, 60).note
        engine.put(name, {LABEL_LOCK: "ada", LABEL_HOLDER: note}, f"2026-11-29T09:44:{made}Z")
    with pytest.raises(LockHeldError, match="labctl up ada"), lock(engine).held(ME.note, {}):
        pass


def test_a_volume_of_a_stranger_is_left_and_named() -> None:
    engine = Engine()
    for labels in ({LABEL_LOCK: "ada"}, {LABEL_LOCK: "ada", LABEL_HOLDER: "\x1b[2J"}):
        engine.put("labctl-ada-lock-0", labels, made="1999-11-29T09:44:40Z")
        with pytest.raises(LockHeldError, match="labctl-ada-lock-0"), lock(engine).held(ME.note, {}):
            pass
        assert list(engine.volumes_now) == ["labctl-ada-lock-0"]
    # What only has the name is in nobody's way.
    engine.put("labctl-ada-lock-0", {}, made="1999-11-29T09:44:40Z")
    with lock(engine).held(ME.note, {}):
        assert len(engine.volumes_now) == 2
    assert list(engine.volumes_now) == ["labctl-ada-lock-0"]


def test_an_engine_that_does_not_let_us_is_told_and_what_it_does_at_the_end_is_no_harm() -> None:
    engine = Engine()
    engine.fails = "no space left on device"
    with pytest.raises(DockerError, match="no space left"), lock(engine).held(ME.note, {}):
        pass
    engine.fails = ""
    with ExitStack() as stack:
        stack.enter_context(lock(engine).held(ME.note, {}))
        engine.volumes_now.clear()


def test_moments_are_read_as_engines_write_them() -> None:
    assert engine_lock.moment_of("2026-11-29T09:44:44Z") == engine_lock.moment_of("2026-11-29T10:44:44.5+01:00")
    assert [engine_lock.moment_of(text) for text in (None, "", "now", "2026-99-29T09:44:44Z")] == [None] * 4
