"""Text for a value in a Compose file: YAML reads it as it is, and Compose substitutes nothing in it.

Compose replaces `$name` in every value by a variable of the shell, and YAML has rules of its own for
what is text. The owner `host$pc` of a lab would become another owner.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Behind this, YAML's escapes have eight digits; JSON's have a pair of four, which YAML does not read.
_LAST_OF_FOUR_DIGITS = 0xFFFF


def compose_text(value: object, variable: str = "") -> str:
    """Return VALUE as a quoted text of YAML in which Compose substitutes nothing but VARIABLE, which is ours.

    >>> print(compose_text("host$pc"))
    "host$$pc"
    """
    text = str(value)
    parts = text.split(variable) if variable else [text]
    doubled = variable.join(part.replace("$", "$$") for part in parts)
    return "".join(map(_sign, json.dumps(doubled, ensure_ascii=False)))


def _sign(sign: str) -> str:
    """A character as YAML allows it in quotes: anything but printable ASCII is written as its number."""
    if sign.isascii() and sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) <= _LAST_OF_FOUR_DIGITS else f"\\U{ord(sign):08x}"


class FilterModule:
    """The filter `compose_text`."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filter by its name."""
        return {"compose_text": compose_text}
