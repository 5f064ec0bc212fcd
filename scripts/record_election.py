"""Redraw docs/img/election.svg: bring a lab up in a terminal, and draw the screen.

Run it from the root, as `python -m scripts.record_election`. The lab is real, is removed afterwards, and needs an
engine and an image: `make demo` brings both.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import struct
import subprocess
import sys
import sysconfig
import termios
import time
from dataclasses import replace
from pathlib import Path

from scripts.terminal_svg import Line, Style, draw, screen

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "img" / "election.svg"
LABCTL = Path(sysconfig.get_path("scripts")) / "labctl"
ROWS, COLUMNS = 60, 110
DESCRIPTION = (
    "A terminal. labctl starts three Consul servers. Each says that it knows no peers and waits. They are joined; "
    "one of them stands for election, gets two votes and becomes the leader, and the others hear of it."
)


def record(words: list[str], environment: dict[str, str]) -> tuple[list[tuple[float, str]], int]:
    """Run a command in a terminal. Returns its output with the seconds since its start, and its exit code."""
    begun = time.monotonic()
    pid, handle = pty.fork()
    if pid == 0:
        os.execvpe(words[0], words, environment)  # noqa: S606 - the child of a fork
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    chunks: list[tuple[float, str]] = []
    rest = b""
    while True:
        try:
            read = os.read(handle, 65536)
        except OSError:
            break
        if not read:
            break
        # A piece ends where the next escape sequence begins, so that none is cut in two.
        whole, escape, tail = (rest + read).rpartition(b"\x1b")
        complete = escape and not tail.rstrip(b"[?0123456789;")
        data, rest = (whole, escape + tail) if complete else (rest + read, b"")
        chunks.append((time.monotonic() - begun, data.decode("utf-8", "replace")))
    _, status = os.waitpid(pid, 0)
    return chunks, os.waitstatus_to_exitcode(status)


def prompt(command: str) -> Line:
    """The line in which the command was typed."""
    return Line([("$", Style("#56d364")), (" ", Style()), *((char, replace(Style(), bold=True)) for char in command)])


def main() -> None:
    """Bring the lab up, draw the picture, remove the lab."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", default="doc-ada", help="name of the lab that is made and removed")
    lab = parser.parse_args().lab
    environment = os.environ | {"LABCTL_LAB": lab, "TERM": "xterm-256color", "PYTHONUTF8": "1"}
    environment.pop("NO_COLOR", None)
    chunks, code = record([str(LABCTL), "up"], environment)
    subprocess.run([str(LABCTL), "down", lab], check=True, stdout=sys.stderr)
    if code != 0:
        sys.exit(f"`labctl up` ended with {code}: no picture was drawn.")
    lines = screen(chunks)
    # The advice that follows is in the guide.
    end = next(number for number, line in enumerate(lines) if line.text.endswith("What now:"))
    lines[end].cells = lines[end].cells[: len(lines[end].text) - len(" What now:")]
    PICTURE.write_text(draw([prompt("labctl up"), *lines[: end + 1]], "A real election", DESCRIPTION), encoding="utf-8")
    print(PICTURE)


if __name__ == "__main__":
    main()
