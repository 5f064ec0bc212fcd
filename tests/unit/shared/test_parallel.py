"""The same for many things at once."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from labctl.shared.parallel import each


def test_what_came_of_each_is_in_their_order() -> None:
    assert each(lambda number: number * 2, [3, 1, 2], 2) == [6, 2, 4]
    assert each(str, [], 2) == []


def test_all_are_tried_whatever_comes_of_one() -> None:
    tried: list[int] = []

    def work(number: int) -> None:
        tried.append(number)
        if number == 1:
            raise ValueError(number)

    with pytest.raises(ValueError, match="1"):
        each(work, range(5), 2)
    assert sorted(tried) == [0, 1, 2, 3, 4]


def test_whoever_interrupts_it_waits_for_what_has_begun_and_nothing_else_begins() -> None:
    ended: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.5)
        ended.append(number)

    here = threading.get_ident()
    interrupt = threading.Timer(0.2, lambda: signal.pthread_kill(here, signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        each(work, range(6), 2)
    interrupt.join()
    # What they have made, they have taken away.
    assert sorted(ended) == [0, 1]
