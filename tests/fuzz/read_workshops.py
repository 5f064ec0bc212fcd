"""Bytes as a workshop's file, and as the copy of its secret: a document, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path

from labctl.errors import ExitCode
from labctl.workshop import secret
from labctl.workshop.model.file import parse
from tests.fuzz import harness

MOST_OF_A_SENTENCE = 2000
EXAMPLES = Path(__file__).parents[2] / "inventory" / "examples"
_COPY = {"workshop": "w", "secret": "0" * 64, "numbers": {"a": 1, "b": 2}, "seeds": {"w-a": "1" * 64}}
SEEDS = [
    *(path.read_bytes() for path in sorted(EXAMPLES.glob("workshop*.yml"))),
    b"workshop: w\nseats: 3\nexpires: 8h\n",
    b"workshop: w\nseats: [ada, bob]\nhosts: [{address: h, user: u, port: 22, key: ~/.ssh/id}]\nnetwork: 10.0.0.0/16\n",
    json.dumps(_COPY).encode(),
]


def one_try(data: bytes) -> None:
    """Read a file with this text, as either."""
    text = data.decode("utf-8", "replace")
    for read in (lambda: parse(text, Path("workshop.yml")), lambda: secret.parsed(text, "copy")):
        error = harness.refusal(read)
        assert error is None or error.code is ExitCode.USAGE
        assert error is None or len(error.sentence) < MOST_OF_A_SENTENCE
