"""A story as svg, and as one self-contained html file. What servers wrote is text in both, whatever it holds."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from labctl.show.picture import ROW, TOP, Picture, picture_of
from labctl.show.style import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.raft.event import Event
    from labctl.raft.story import Story

_TEMPLATES = Path(__file__).parent / "templates"
# What may not be in XML at all, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
TITLE = "The story of an election"


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=False,
        finalize=lambda value: _NOT_XML.sub("\ufffd", harmless(value)) if type(value) is str else value,
    )


def svg(story: Story, events: Iterable[Event]) -> str:
    """Draw a story."""
    return _svg(picture_of(story, events))


def _svg(picture: Picture) -> str:
    template = _templates().get_template("story.svg.j2")
    return template.render(p=picture, title=_title(picture), top=TOP, row_height=ROW)


def html(story: Story, events: Iterable[Event]) -> str:
    """Make a page of a story: the drawing, a slider that rewinds it, and all of it as text. It needs no network."""
    picture = picture_of(story, events)
    script = (_TEMPLATES / "story.js").read_text(encoding="utf-8")
    # Only this script may run, whatever a log line holds.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        _templates()
        .get_template("story.html.j2")
        .render(
            p=picture,
            title=_title(picture),
            drawing=Markup(_svg(picture)),  # noqa: S704 - made by the template above, which escapes
            script=Markup(script),  # noqa: S704 - our own file
            script_hash=digest,
        )
    )


def _title(picture: Picture) -> str:
    servers = ", ".join(lane.server for lane in picture.lanes)
    return f"{TITLE}: {servers}" if servers else TITLE
