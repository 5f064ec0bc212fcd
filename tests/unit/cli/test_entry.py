"""The entry point: Ctrl-C while labctl is loaded, and while it ends."""

from __future__ import annotations

import signal
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from labctl import __main__ as entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _ctrl_c() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def ends_with(monkeypatch: pytest.MonkeyPatch, run: Callable[[list[str]], Any]) -> Any:
    stand_in = ModuleType("labctl.cli.main")
    stand_in.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "labctl.cli.main", stand_in)
    with pytest.raises(SystemExit) as caught:
        entry.main()
    return caught.value.code


def test_ctrl_c_before_anything_was_begun_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: list[str]) -> int:
        raise KeyboardInterrupt

    assert ends_with(monkeypatch, interrupted) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_ctrl_c_after_everything_was_done_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ends_with(monkeypatch, lambda _: 3) == 3
    signal.raise_signal(signal.SIGINT)
