"""The entry point of the command `labctl` and of `python -m labctl`."""

from __future__ import annotations

import sys

from labctl.cli.main import run


def main() -> None:
    """Run labctl and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
