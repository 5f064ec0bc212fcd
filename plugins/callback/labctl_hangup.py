"""End Ansible, with all that it started, when the labctl that started it is gone.

ansible-runner lets Ansible ignore the hangup of its terminal. Whoever went on without one would work on labs that
somebody's `down` has removed; and once Ansible cannot print any more, it waits for ever for what its workers tell.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import ansible.module_utils
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import module_utils_loader

for _folder in module_utils_loader._get_paths(subdirs=False):  # noqa: SLF001 - what Ansible itself sends from
    if _folder not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(_folder)

from ansible.module_utils import lab_asker, process_tree  # noqa: E402 - found once the folders are named

ENDED = 1


def end(*_: Any) -> None:
    """End what is below this process, and then this process: its own way out waits for workers, and may print."""
    try:
        process_tree.end_below(os.getpid())
    finally:
        os._exit(ENDED)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Tells nobody anything: Ansible loads it in the process that starts the workers, before the first of them."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "labctl_hangup"

    def __init__(self) -> None:
        """Watch for the hangup, which is when labctl is gone, however that came."""
        super().__init__()
        if os.environ.get(lab_asker.ASKER):
            signal.signal(signal.SIGHUP, end)
            if lab_asker.is_gone():
                end()
