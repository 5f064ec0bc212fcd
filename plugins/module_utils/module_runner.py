"""Run a module of a lab as Ansible runs modules: arguments in, one answer or one sentence out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from .shared.docker_api import DockerError

if TYPE_CHECKING:
    from collections.abc import Callable


def run(argument_spec: dict[str, dict[str, Any]], answer: Callable[..., dict[str, Any]]) -> None:
    """Check the arguments, call `answer(params, check_mode=...)`, and end with its result or its DockerError."""
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)
    try:
        result = answer(module.params, check_mode=module.check_mode)
    except DockerError as error:
        module.fail_json(msg=error.sentence, failure=error.failure)
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(**result)
