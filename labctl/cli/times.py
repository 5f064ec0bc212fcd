"""How people write a time on the command line."""

from __future__ import annotations

from typing import Any

import click

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Time(click.ParamType[float]):
    """A time as people write it: `30s`, `2m`, `1.5h`; a bare number is in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """In seconds."""
        if isinstance(value, float):
            return value
        unit = next((one for one in _UNITS if value.endswith(one)), "")
        try:
            return float(value.removesuffix(unit)) * _UNITS.get(unit, 1.0)
        except ValueError:
            self.fail(f"{value!a} is no time: write 30s, 2m or 1h.", param, ctx)
