"""Measured failovers in the format that was asked for."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from labctl.experiments.failover.chart import svg
from labctl.experiments.failover.json_view import measurement_document
from labctl.experiments.failover.text_view import WIDEST, text

if TYPE_CHECKING:
    from labctl.raft.failover import Measurement


def written(measurement: Measurement, form: str) -> str:
    """All of it as `text`, `json` or `svg`, with a line end at the end."""
    if form == "json":
        return json.dumps(measurement_document(measurement), indent=2) + "\n"
    if form == "svg":
        return svg(measurement)
    return text(measurement, shutil.get_terminal_size((WIDEST, 24)).columns)
