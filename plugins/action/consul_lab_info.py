"""consul_lab_info runs in Ansible's own process where it can, exactly as consul_lab does."""

from __future__ import annotations

from ansible.plugins.loader import action_loader

ActionModule = action_loader.get("consul_lab", class_only=True)
ActionModule.prepare("consul_lab_info")
