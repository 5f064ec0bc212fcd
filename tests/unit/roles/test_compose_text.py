"""Values in a lab's Compose file: Compose and YAML give back what was put in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.filter.compose_text import FilterModule, compose_text

TEMPLATE = Path(__file__).resolve().parents[3] / "roles" / "consul_lab" / "templates" / "compose.yaml.j2"
# Names that the module has checked, and numbers and words of the template's own.
AS_THEY_ARE = {
    "consul_lab_name",
    "consul_lab_pids",
    "number",
    "server",
    "name",
    "8501 if consul_lab_profile == 'full' else 8500",
}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_yaml_reads_the_text_and_compose_finds_no_variable_in_it(text: str) -> None:
    written = compose_text(text)
    assert yaml.safe_load(written) == text.replace("$", "$$")
    assert written.isascii()
    assert written.isprintable()


@pytest.mark.parametrize(
    "text", ["host$pc", "${HOME}", "$$", "a\nb: c", "{{ x }}", '"', "\\", "😀", "\x1b[2J\u202e\ufeff\x85"]
)
def test_what_compose_and_yaml_would_change_comes_back(text: str) -> None:
    assert yaml.safe_load(f"key: {compose_text(text)}")["key"].replace("$$", "$") == text


def test_only_our_own_variable_is_filled_in() -> None:
    assert compose_text("-bind=${A}$x${A}", "${A}") == '"-bind=${A}$$x${A}"'
    assert compose_text(3) == '"3"'
    assert FilterModule().filters() == {"compose_text": compose_text}


def test_every_value_of_the_file_goes_through_it() -> None:
    # The first line is a comment for readers of the file.
    text = TEMPLATE.read_text(encoding="utf-8").partition("\n")[2]
    bare = {expression for expression in re.findall(r"{{ (.*?) }}", text) if "compose_text" not in expression}
    assert bare == AS_THEY_ARE
