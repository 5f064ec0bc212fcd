"""End Ansible, with all that it started, when the labctl that started it is gone.

ansible-runner lets Ansible ignore the hangup of its terminal. Without labctl, it would go on working on labs that
a `down` has removed; and once Ansible can no longer print, it waits for ever for its workers.
"""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: hangup
type: aggregate
short_description: End Ansible when the labctl that started it is gone
description:
  - Listens for the hangup of the terminal, which ansible-runner lets Ansible ignore, and ends what Ansible has started.
  - Does nothing where Ansible was not started by labctl.
author: The labctl authors (@raft-labctl)
"""

import os
import signal
from typing import Any

from ansible.plugins.callback import CallbackBase

from ..module_utils.shared import parent_process, process_tree

ENDED = 1


def end(*_: Any) -> None:
    """End what is below this process, and then this process: its own way out waits for workers, and may print."""
    try:
        process_tree.end_below(os.getpid())
    finally:
        os._exit(ENDED)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Prints nothing: Ansible loads it in the process that starts the workers, before the first of them."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NEEDS_ENABLED = True
    CALLBACK_NAME = "raft.labctl.hangup"

    def __init__(self) -> None:
        """Watch for the hangup, which comes when labctl is gone, for whatever reason."""
        super().__init__()
        if os.environ.get(parent_process.ASKER):
            signal.signal(signal.SIGHUP, end)
            if parent_process.is_gone():
                end()
