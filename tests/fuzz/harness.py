"""Shared code of all fuzzers: a limit of time and of memory for each input, and inputs without a fuzzer's help.

`python -m tests.fuzz TRIES` lets atheris look for inputs, guided by what they reach. `make unit` runs the same targets
for a moment with inputs out of a seeded generator, so that nobody has to start it.
"""

from __future__ import annotations

import contextlib
import random
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from labctl.errors import LabctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

SECONDS = 2.0
"""The processor time for one input: a hundred times what any needs."""
MOST_KILOBYTES = 256_000
"""By which the memory may grow over all inputs."""
LONGEST = 70_000
# Text that breaks careless readers: halves of characters, escape sequences, templates, other languages' digits.
TOKENS = [
    b"{", b"}", b"[" * 1000, b"]", b'"', b"'", b"\\", b"=", b": ", b"\n", b"\r", b"\t", b" ", b"\0", b"\x1b[2J",
    b"\x9b",
    b"\xff", b"\xc3", b"\xe2\x80\xae", b"\xed\xb0\x80", b"{{ 7 * 7 }}", b"../", b"&a", b"*a", b"a: &a [*a]",
    b"!!python/object:os.system", b"\xd9\xa3", b"\xc2\xb2", b"null", b"true",
]  # fmt: skip
_NUMBERS = [b"9" * 19, b"9" * 20, b"9" * 5000, b"-1", b"0", b"1e999", b"NaN", b"1.5", b"\xd9\xa3"]
_VALUES = [b"null", b"true", b"0", b"-1", b"1e999", b"[]", b"{}", b'""', b"[[]]", b'"' + b"9" * 5000 + b'"']
# Words of a kind, and good replacements for them.
_KINDS = [
    (re.compile(rb"[0-9]+"), _NUMBERS),
    (re.compile(rb'"[^"\n]*"'), _VALUES),
    (re.compile(rb"[A-Za-z_]+"), TOKENS),
    (re.compile(rb"[^\w\s]"), TOKENS),
    (re.compile(rb"\s+"), TOKENS),
]
_LOOKED_AT = 4096
_LONG = 0.1


class TooSlowError(AssertionError):
    """An input took longer than any may."""


@contextlib.contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """Raise TooSlowError in the block once it has used so much of the processor's time, however busy the machine is."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TooSlowError(f"more than {seconds} s for one input")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def refusal(read: Callable[[], Any]) -> LabctlError | None:
    """The error with which a reader refuses; None where it does not."""
    try:
        read()
    except LabctlError as error:
        return error
    return None


def mutated(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """A seed, changed at random: a word of it becomes another one or very long, pieces go, come and come again."""
    data = chance.choice(seeds)
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        kind, instead = chance.choice(_KINDS)
        words = [match.span() for match in kind.finditer(data[:_LOOKED_AT])] or [(0, 0), (len(data), len(data))]
        # A line's beginning is a stamp; what it says stands behind it.
        begin, end = words[max(chance.randrange(len(words)), chance.randrange(len(words)))]
        other = chance.choice(seeds)
        at = chance.randint(0, len(other))
        new = chance.choice((*[chance.choice(instead)] * 3, data[begin:end], other[at : at + 100]))
        if chance.random() < _LONG and new:
            new *= chance.choice((2, 20, 1 + LONGEST // len(new)))
        what = chance.randrange(6)
        if what == 0:
            new += data[begin:end]
        elif what == 1:
            end = chance.choice((len(data), chance.randint(end, len(data))))
        elif what == 2 and data:
            new, end = bytes([chance.randrange(256)]), begin + 1
        data = data[:begin] + new + data[end:]
    return data[:LONGEST]


def run(
    one_try: Callable[[bytes], Any], seeds: Sequence[bytes], tries: int, seed: int, *, seconds: float = SECONDS
) -> None:
    """Try seeds and what becomes of them. Raises AssertionError that names the input that failed."""
    chance = random.Random(seed)  # noqa: S311 - the same inputs again, and no secret
    before = _peak()
    for number in range(tries):
        data = seeds[number] if number < len(seeds) else mutated(seeds, chance)
        try:
            with limited(seconds):
                one_try(data)
        except Exception as error:
            raise AssertionError(
                f"input {number} of seed {seed}: {type(error).__name__}: {error}: {data[:300]!r}"
            ) from error
    assert _peak() - before < MOST_KILOBYTES


def _peak() -> int:
    """The most memory that this process ever had, in kilobytes."""
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))
