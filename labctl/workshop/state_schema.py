"""Parse a workshop's state, from here or from a copy: it is refused unless all of it is as labctl writes it.

Every function raises ValueError with the problem, as a part of a sentence and with nothing secret in it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from labctl.shared import derived_secrets, lab_names
from labctl.shared.label_values import MOST_SEATS
from labctl.workshop.model.seats import doubled

if TYPE_CHECKING:
    from collections.abc import Iterable


# For any number here; Python refuses to parse one with thousands of digits, in words of its own.
_MOST_DIGITS = 20


def document(text: str) -> dict[str, Any]:
    """A JSON object. Duplicate keys are refused, and so are values that only Python reads (NaN)."""
    try:
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON (line {error.lineno})") from None
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - one kind of error for whatever is wrong
    return content


def numbers(content: Any) -> dict[str, int]:
    """The numbers of names: each a whole number that a seat can have, and unique."""
    for name, number in _object(content, "numbers").items():
        _name(name)
        if type(number) is not int or not 1 <= number <= MOST_SEATS:
            raise ValueError(f"the number of {name} is no whole number from 1 to {MOST_SEATS}")
    if both := doubled(content):
        raise ValueError(f"{both[0]} and {both[1]} have both the number {content[both[0]]}")
    return dict(content)


def texts(content: Any) -> dict[str, str]:
    """A text for each lab."""
    for lab, text in _object(content, "texts").items():
        _name(lab)
        if not isinstance(text, str):
            raise ValueError(f"what it says of {lab} is no text")  # noqa: TRY004
    return dict(content)


def strangers(content: Any) -> list[str]:
    """The list of labs in the key `labs`."""
    labs = _object(content, "strangers").get("labs")
    if not isinstance(labs, list):
        raise ValueError("it has no list `labs`")  # noqa: TRY004
    return [_name(lab) for lab in labs]


def seeds(content: Any) -> dict[str, bytes]:
    """The seeds of labs, in hexadecimal."""
    return {_name(lab): secret(seed) for lab, seed in _object(content, "seeds").items()}


def secret(content: Any) -> bytes:
    """A secret or a seed, in hexadecimal."""
    if not isinstance(content, str) or len(content) != 2 * derived_secrets.SECRET_BYTES:
        raise ValueError(f"a secret of it is not {derived_secrets.SECRET_BYTES} bytes in hexadecimal")
    try:
        made = bytes.fromhex(content)
        derived_secrets.seed_of(made, "")
    except ValueError:
        raise ValueError("a secret of it is not in hexadecimal") from None
    return made


def workshop(content: Any) -> str:
    """A workshop's name."""
    return _name(content)


def _object(content: Any, what: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"its {what} are no JSON object")  # noqa: TRY004
    return content


def _name(text: Any) -> str:
    """A name of a seat, a lab or a workshop; it may become a file's name."""
    if not isinstance(text, str) or lab_names.name_problem(text):
        raise ValueError(f"{ascii(text)[:60]} is no name of a seat or a lab")
    return text


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"the key {ascii(key)[:60]} is given twice")
        fields[key] = value
    return fields


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number in it has {len(text)} digits")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
