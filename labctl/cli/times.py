"""How people write a time, or an amount before the servers that it is for, on the command line."""

from __future__ import annotations

import re
from typing import Any

import click

from labctl.shared.durations import SECONDS

_UNITS = {"ms": 0.001, "": 1.0, **SECONDS}
# As people write it: neither `nan` nor `1e308h`, which Python would read as well.
_TIME = re.compile(r"(-?[0-9]{1,9}(?:\.[0-9]{1,9})?|-?\.[0-9]{1,9})(ms|s|m|h|)", re.ASCII)


class Time(click.ParamType[float]):
    """A time as people write it: `30s`, `2m`, `1.5h`; a bare number is in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """In seconds."""
        if isinstance(value, float):
            return value
        match = _TIME.fullmatch(value)
        if match is None:
            self.fail(f"{value!a} is no time: write 30s, 2m or 1h.", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


class Amount(click.ParamType[float]):
    """A number that stands before the servers it is for: those who write it behind them are told so."""

    name = "number"

    def __init__(self, example: str, *, whole: bool = False) -> None:
        self._example, self._whole = example, whole

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            return int(value) if self._whole else float(value)
        except ValueError:
            kind = "whole number" if self._whole else "number"
            self.fail(f"{value!a} is no {kind}. It comes first, then the servers: `{self._example}`.", param, ctx)
