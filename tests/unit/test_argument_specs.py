"""What roles and modules say of their arguments is what they take."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils import module_runner

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent for path in (ROOT / "roles").glob("*/tasks"))
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
# What a spec may say of an option besides its description; `suboptions` in the documentation is `options` in the code.
FACTS = ("type", "elements", "choices", "default", "required")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


# -- roles ---------------------------------------------------------------------------------------------------


def options_of(role: Path) -> dict[str, dict[str, Any]]:
    options: dict[str, dict[str, Any]] = read(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def plain(value: object) -> object:
    """A value without the line ends that YAML's ways of folding text differ in."""
    return value.strip() if isinstance(value, str) else value


def test_there_are_roles_and_modules() -> None:
    assert {"consul_cluster", "consul_failover", "consul_image", "consul_lab", "docker_engine", "raft_logs"} <= {
        role.name for role in ROLES
    }
    assert {"consul_cluster", "consul_lab", "consul_lab_info"} <= set(MODULES)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_roles_defaults_are_its_arguments_with_equal_defaults(role: Path) -> None:
    defaults = {name: plain(value) for name, value in read(role / "defaults" / "main.yml").items()}
    optional = {
        name: plain(option["default"]) for name, option in options_of(role).items() if not option.get("required")
    }
    assert optional == defaults
    # To Python, 1 equals True.
    assert {name: type(value) for name, value in optional.items()} == {
        name: type(value) for name, value in defaults.items()
    }


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_roles_arguments_carry_its_name_and_say_what_they_are(role: Path) -> None:
    for name, option in options_of(role).items():
        assert name.startswith(f"{role.name}_")
        assert option["type"] in ("str", "int", "bool", "path", "list", "dict", "float")
        assert str(option["description"]).strip()


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_default_that_is_no_template_is_of_the_arguments_type_and_one_of_its_choices(role: Path) -> None:
    types = {"str": str, "path": str, "int": int, "bool": bool, "list": list, "dict": dict, "float": float}
    for name, option in options_of(role).items():
        default = option.get("default")
        if default is None or (isinstance(default, str) and "{{" in default):
            continue
        assert type(default) is types[option["type"]], name
        assert default in option.get("choices", [default]), name


# -- modules -------------------------------------------------------------------------------------------------


class FaultRequest(Exception):  # noqa: N818 - it is no error
    """What a module asked AnsibleModule for."""

    def __init__(self, **words: Any) -> None:
        super().__init__()
        self.words = words


@pytest.fixture
def spec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], dict[str, Any]]:
    """A module's documentation, and the words that its main() gives to AnsibleModule."""

    def ask(**words: Any) -> None:
        raise FaultRequest(**words)

    module = importlib.import_module(f"plugins.modules.{request.param}")
    # Some modules make their AnsibleModule themselves, the others leave it to what they share.
    monkeypatch.setattr(module if hasattr(module, "AnsibleModule") else module_runner, "AnsibleModule", ask)
    with pytest.raises(FaultRequest) as asked:
        module.main()
    return yaml.safe_load(module.DOCUMENTATION), asked.value.words


def facts(options: dict[str, dict[str, Any]], below: str) -> dict[str, Any]:
    """What is said of each option, the options below it included; absent and false `required` are the same."""
    options_facts: dict[str, Any] = {}
    for name, option in options.items():
        options_facts[name] = {
            fact: option[fact] for fact in FACTS if fact in option and (fact != "required" or option[fact])
        }
        if below in option:
            options_facts[name]["below"] = facts(option[below], below)
    return options_facts


@pytest.mark.parametrize("spec", MODULES, indirect=True)
def test_a_modules_documentation_is_its_argument_spec(spec: tuple[dict[str, Any], dict[str, Any]]) -> None:
    documentation, words = spec
    assert facts(documentation["options"], "suboptions") == facts(words["argument_spec"], "options")


@pytest.mark.parametrize("spec", MODULES, indirect=True)
def test_every_option_is_described_with_a_type(spec: tuple[dict[str, Any], dict[str, Any]]) -> None:
    for name, option in spec[0]["options"].items():
        assert option["description"], name
        assert option["type"], name


@pytest.mark.parametrize("spec", MODULES, indirect=True)
def test_check_mode_is_declared_as_it_is(spec: tuple[dict[str, Any], dict[str, Any]]) -> None:
    documentation, words = spec
    attributes = documentation["attributes"]
    assert {"check_mode", "diff_mode", "idempotent"} <= set(attributes)
    assert all(attribute["support"] in ("full", "partial", "none", "N/A") for attribute in attributes.values())
    assert (attributes["check_mode"]["support"] != "none") is words.get("supports_check_mode", False)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_examples_that_use_its_own_options_and_documents_what_it_returns(name: str) -> None:
    module = importlib.import_module(f"plugins.modules.{name}")
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert yaml.safe_load(module.DOCUMENTATION)["module"] == name
    examples = yaml.safe_load(module.EXAMPLES)
    assert examples
    for example in examples:
        assert set(example[f"raft.labctl.{name}"] or {}) <= set(options)
    returned = yaml.safe_load(module.RETURN)
    assert returned
    assert all({"description", "type", "returned"} <= set(key) for key in returned.values())
