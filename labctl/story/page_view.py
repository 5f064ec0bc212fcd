"""A story as svg, and as one self-contained html file. What servers wrote is only text in both, whatever it holds."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from markupsafe import Markup

from labctl.story.diagram import ROW, TITLE_HEIGHT, TOP, Picture, picture_of
from labctl.terminal.templates import TEMPLATES, template

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.raft.collection import Record
    from labctl.raft.timers import Timers
    from labctl.story.file_names import FileNames

TITLE = "The story of an election"
DRAWING = "What each server did, from above to below"
"""The drawing's description on a page, whose heading is the title already."""


def svg(records: Iterable[Record], timers: Timers | None = None) -> str:
    """Draw a story."""
    picture = picture_of(records, timers)
    return _svg(picture, _title(picture))


def _svg(picture: Picture, title: str, *, on_page: bool = False) -> str:
    begin = TITLE_HEIGHT if on_page else 0
    return template("story.svg.j2").render(p=picture, title=title, begin=begin, top=TOP, row_height=ROW)


def html(records: Iterable[Record], timers: Timers | None = None, files: FileNames | None = None) -> str:
    """Make a page of a story: the drawing, a slider that rewinds it, and all of it as text. It needs no network."""
    picture = picture_of(records, timers, files)
    script = (TEMPLATES / "story.js").read_text(encoding="utf-8")
    # Only this script may run, whatever a log line holds.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return template("story.html.j2").render(
        p=picture,
        title=_title(picture),
        drawing=Markup(_svg(picture, DRAWING, on_page=True)),  # noqa: S704 - made by the template above, which escapes
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=digest,
    )


def _title(picture: Picture) -> str:
    servers = ", ".join(lane.server for lane in picture.lanes)
    return f"{TITLE}: {servers}" if servers else TITLE
