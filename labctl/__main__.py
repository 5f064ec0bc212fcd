"""The entry point of the command `labctl` and of `python -m labctl`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run labctl and exit with its code. Ctrl-C is handled like any other error, also while labctl loads or ends."""
    try:
        from labctl.cli.main import run  # noqa: PLC0415 - loading takes long enough to be interrupted

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        code = 130
    # The work is done: nothing is left to interrupt.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    main()
