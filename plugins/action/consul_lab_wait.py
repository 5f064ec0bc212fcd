"""consul_lab_wait runs in Ansible's own process where it can, exactly as consul_lab does."""

from __future__ import annotations

from .consul_lab import ActionModule

ActionModule.prepare("consul_lab_wait")
