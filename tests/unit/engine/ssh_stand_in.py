"""A program `ssh` in front of every other on PATH: it greets, forwards sockets and ends as the real one does."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# What it does stands in files beside it: `state` is what it greets with ("" for a silent host), `said` what it says
# before it fails. Forwarded sockets lead to the port that they name, or to `remote.sock`.
PROGRAM = r"""
import os, pathlib, socket, subprocess, sys, threading, time
folder = pathlib.Path(sys.argv[1])
words = sys.argv[2:]
with (folder / "calls").open("a") as calls:
    calls.write("\x1f".join(words) + "\n")

def pump(one, other):
    while piece := one.recv(65536):
        other.sendall(piece)
    other.shutdown(socket.SHUT_WR)

def serve(listener, there):
    while True:
        here, _ = listener.accept()
        try:
            if there.startswith("/"):
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(folder / "remote.sock"))
            else:
                far = socket.create_connection(("127.0.0.1", int(there.rpartition(":")[2])))
        except OSError:
            here.close()
            continue
        for pair in ((here, far), (far, here)):
            threading.Thread(target=pump, args=pair, daemon=True).start()

def forward(way):
    here, _, there = way.partition(":")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(here)
    listener.listen()
    threading.Thread(target=serve, args=(listener, there), daemon=True).start()

ways = [words[at + 1] for at, word in enumerate(words) if word == "-L"]
if "-O" in words:
    # The connection itself opens what is asked for.
    if (folder / "forwards-nothing").exists():
        sys.exit("mux_client_forward: forwarding request failed: refused")
    # Whole at once: who watches for it must not find it empty.
    (folder / "more.new").write_text("\n".join(ways))
    (folder / "more.new").rename(folder / "more")
    while (folder / "more").exists():
        time.sleep(0.01)
    sys.exit(0)
if "-S" in words:
    sys.exit(0 if (folder / "docker-answers").exists() else 1)
if (folder / "said").exists():
    sys.stderr.write((folder / "said").read_text())
    sys.exit(255)
if (folder / "instead").exists():
    print((folder / "instead").read_text())
    sys.exit(1)
for way in ways:
    forward(way)
state = (folder / "state").read_text()
if state:
    print("Welcome to this machine", flush=True)
    print("labctl-reach", state, flush=True)

def watch():
    more = folder / "more"
    while True:
        if more.exists():
            for way in more.read_text().split():
                forward(way)
            more.unlink()
        time.sleep(0.01)

threading.Thread(target=watch, daemon=True).start()
sys.stdin.read()
"""


class FakeSsh:
    """The program in a folder of its own; `remote` is where the engine's socket is to be put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.remote = folder / "remote.sock"
        (folder / "ssh.py").write_text(PROGRAM)
        program = folder / "ssh"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {folder}/ssh.py {folder} "$@"\n')
        program.chmod(0o755)
        self.greets("ready unix:///var/run/docker.sock")

    def greets(self, state: str) -> None:
        (self.folder / "state").write_text(state)

    def says_instead(self, said: str) -> None:
        """Make the login end with that on its standard output."""
        (self.folder / "instead").write_text(said)

    def fails(self, said: str) -> None:
        (self.folder / "said").write_text(said)

    def answers_itself(self) -> None:
        """Make the docker command there get an answer."""
        (self.folder / "docker-answers").touch()

    def forwards_nothing(self) -> None:
        (self.folder / "forwards-nothing").touch()

    @property
    def calls(self) -> list[list[str]]:
        """The words of every call."""
        path = self.folder / "calls"
        return [line.split("\x1f") for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def path(self) -> str:
        return os.pathsep.join([str(self.folder), os.environ["PATH"]])
