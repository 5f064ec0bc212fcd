"""Print a command's result: as JSON where the user asked for it, or a sentence."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any

import click

from labctl.terminal.style import harmless


def print_json(document: Any) -> None:
    """Print one JSON document, or that of a result, indented, and nothing else."""
    click.echo(json.dumps(document, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    """What JSON cannot encode: a result becomes its fields, anything else its text."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def confirmed(question: str) -> bool:
    """Ask the user on the terminal; anything but yes ends the command."""
    return click.confirm(harmless(question), default=False, err=True)


def say(sentence: str, *, err: bool = False) -> None:
    """Print a sentence on one line, whatever the names and paths in it hold."""
    click.echo(harmless(sentence), err=err)
