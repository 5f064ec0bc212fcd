"""Let a coverage-guided fuzzer look for bytes that break a reader: that many tries for every reader.

python -m tests.fuzz 200000               every reader
python -m tests.fuzz 200000 read_bundles  one of them
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path

import atheris

from tests.fuzz import harness

TARGETS = sorted(path.stem for path in Path(__file__).parent.glob("read_*.py"))


def fuzz(name: str, tries: int) -> None:
    """Fuzz one reader in this process, beginning with its seeds; the fuzzer ends the process."""
    with atheris.instrument_imports(include=["labctl"]):
        target = importlib.import_module(f"tests.fuzz.{name}")

    def one_try(data: bytes) -> None:
        with harness.limited():
            target.one_try(data)

    with tempfile.TemporaryDirectory(prefix="labctl-fuzz-") as corpus:
        for number, seed in enumerate(target.SEEDS):
            (Path(corpus) / f"{number:04}").write_bytes(seed)
        limits = ["-max_len=70000", "-len_control=1000", "-timeout=60", "-rss_limit_mb=2048"]
        atheris.Setup([sys.argv[0], f"-runs={tries}", *limits, corpus], one_try)
        atheris.Fuzz()


def main() -> int:
    """Fuzz the readers that are named, or all, each in a process of its own. Returns how many failed."""
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    names = sys.argv[2:] or TARGETS
    failed = []
    for name in names:
        child = os.fork()
        if not child:
            fuzz(name, tries)
            return 0
        if os.waitpid(child, 0)[1]:
            failed.append(name)
    said = f"{', '.join(failed)} failed" if failed else f"{', '.join(names)} bore {tries} tries each"
    sys.stdout.write(f"fuzz: {said}\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
