"""What all tests share: a Ctrl-C and a hang-up that work."""

from __future__ import annotations

import signal

# A shell without job control starts what it puts in the background with SIGINT ignored, and everything below it
# inherits that. Tests send SIGINT on purpose, so here it is what it is at a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)
# `nohup` has everything below it ignore a hang-up, which at a terminal ends processes that are left behind.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
