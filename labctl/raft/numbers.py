"""Numbers that lines name. A log is other people's text, so a number in it may have any length."""

from __future__ import annotations

MOST_DIGITS = 18
"""The largest number that fits into 64 bits; no term or index of a real cluster is larger."""


def number_of(text: str | None) -> int | None:
    """Return a number that is written in digits; None if it is not one, or longer than any real one."""
    if not text or len(text) > MOST_DIGITS or not text.isascii() or not text.isdecimal():
        return None
    return int(text)
