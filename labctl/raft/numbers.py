"""Numbers that lines name. A log is other people's text, so a number in it may have any length."""

from __future__ import annotations

MOST_DIGITS = 18
"""So many fit into 64 bits, whatever they are; no term or index of a real cluster has more."""


def number_of(text: str | None) -> int | None:
    """Return a number that is written in digits; None where it is none, or a longer one than any that is real."""
    if not text or len(text) > MOST_DIGITS or not text.isascii() or not text.isdecimal():
        return None
    return int(text)
