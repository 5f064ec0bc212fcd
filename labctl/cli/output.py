"""Print a command's result: as JSON where the user asked for it."""

from __future__ import annotations

import json
from typing import Any

import click


def print_json(document: Any) -> None:
    """Print one JSON document, indented, and nothing else."""
    click.echo(json.dumps(document, indent=2, default=str))
