"""Pages and drawings from templates. Text from outside stays text in them, whatever it holds."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader

from labctl.terminal.style import harmless

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).parent / "pages"
# Characters that XML forbids, even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=False,
        finalize=lambda value: _NOT_XML.sub("\ufffd", harmless(value)) if type(value) is str else value,
    )


def template(name: str) -> Template:
    """A template of the folder `pages`."""
    return _environment().get_template(name)
